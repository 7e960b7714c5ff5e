"""The gateway file is checked whole, and every fault is reported with its line."""

import hashlib

import pytest

from shared.core.profiles import AudioFormat, EchoAgent, ScriptStep
from shared.gateway_document import to_routing
from shared.gateway_file import load_gateway_file
from shared.yaml_file import YamlFileInvalid
from tests.support.records import wav_bytes

GOOD = """\
version: 1
profiles:
  echo: {kind: echo, delay_ms: 200}
  menu:
    kind: script
    audio_format: pcm16KMono
    greeting: hello.wav
    on_digit:
      1: {play: hello.wav}
      "#": {end: true}
routes:
  - {account: demo, to: "+18005550199", profile: echo}
  - {account: demo, to: "*", profile: menu}
"""


SOUND = wav_bytes(bytes(640), rate_hz=16_000)
HELLO = f"sounds/{hashlib.sha256(SOUND).hexdigest()}.wav"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "hello.wav").write_bytes(SOUND)
    return tmp_path


def load(folder, text):
    file = folder / "gateway.yaml"
    file.write_text(text)
    return load_gateway_file(file)


def routing_of(folder, text):
    return to_routing(load(folder, text).document)


def faults(folder, text):
    with pytest.raises(YamlFileInvalid) as invalid:
        load(folder, text)
    return invalid.value.faults


def test_a_good_file_becomes_profiles_and_routes(folder):
    routing = routing_of(folder, GOOD)
    echo = routing.profile_for("demo", "4:+18005550199")
    menu = routing.profile_for("demo", "4:+18005550100")
    assert echo is not None
    assert (echo.agent, echo.audio_format) == (EchoAgent(delay_ms=200), AudioFormat.PCM24K)
    assert menu is not None
    assert menu.agent.on_digit == {"1": ScriptStep(play=HELLO), "#": ScriptStep(end=True)}
    assert routing.profile_for("another", "4:+18005550199") is None


def test_every_fault_is_reported_with_its_line(folder):
    text = GOOD.replace("delay_ms: 200", "delay_ms: 15, speed: 2").replace("kind: script", "kind: robot")
    assert faults(folder, text) == (
        "gateway.yaml:3: profiles.echo.delay_ms: 15 is not a multiple of 20",
        "gateway.yaml:3: profiles.echo: Additional properties are not allowed ('speed' was unexpected)",
        'gateway.yaml:5: profiles.menu.kind: "robot" is not one of "echo", "script" or "realtime"',
    )


def test_faults_of_shape_and_of_meaning_are_reported_together(folder):
    text = GOOD.replace("delay_ms: 200", "delay_ms: 15").replace("profile: echo", "profile: nobody")
    assert faults(folder, text.replace("greeting: hello.wav", "greeting: gone.wav")) == (
        "gateway.yaml:3: profiles.echo.delay_ms: 15 is not a multiple of 20",
        "gateway.yaml:12: routes.0.profile: there is no profile 'nobody'",
        "gateway.yaml:7: profiles.menu.greeting: the file is not there",
    )


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        (
            "profile: echo",
            "profile: nobody",
            "gateway.yaml:12: routes.0.profile: there is no profile 'nobody'",
        ),
        ('"*"', '"+18005550199"', "gateway.yaml:13: routes.1: the account has a route for this already"),
        (
            "greeting: hello.wav",
            "greeting: gone.wav",
            "gateway.yaml:7: profiles.menu.greeting: the file is not there",
        ),
        (
            "pcm16KMono",
            "pcm24KMono",
            "gateway.yaml:7: profiles.menu.greeting: must be mono, 16 bit, 24000 Hz",
        ),
        ("version: 1\n", "version: 1\nversion: 1\n", "gateway.yaml:2: : 'version' stands twice"),
        ("version: 1", "version: 2", "gateway.yaml:1: version: 1 was expected"),
        (
            "profiles:\n",
            "profiles: &p\n  loop: *p\n",
            "gateway.yaml: refers to itself, or is nested too deeply",
        ),
    ],
)
def test_a_fault_names_its_place(folder, old, new, fault):
    assert fault in faults(folder, GOOD.replace(old, new))


def test_a_wav_file_that_is_cut_short_or_too_long_is_found_before_any_call(folder):
    (folder / "hello.wav").write_bytes(SOUND[:-101])
    assert "gateway.yaml:7: profiles.menu.greeting: is cut short" in faults(folder, GOOD)
    (folder / "hello.wav").write_bytes(wav_bytes(bytes(111 * 32_000), rate_hz=16_000))
    assert "gateway.yaml:7: profiles.menu.greeting: is longer than 110 s" in faults(folder, GOOD)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "gateway.yaml: is empty"),
        ("a: [", "gateway.yaml:1: "),
        ("a: !env X", "gateway.yaml:1: could not determine a constructor for the tag '!env'"),
        ("a: !!int x", "gateway.yaml: invalid literal for int()"),
        ("? [a, b]\n: c", "gateway.yaml:1: file: "),
        ("[" * 5000, "gateway.yaml: refers to itself, or is nested too deeply"),
        ("just text", 'gateway.yaml:1: file: "just text" is not of type "object"'),
    ],
)
def test_a_file_that_is_no_gateway_file_is_refused(folder, text, fault):
    assert faults(folder, text)[0].startswith(fault)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(YamlFileInvalid, match=r"gateway.yaml: No such file"):
        load_gateway_file(tmp_path / "gateway.yaml")


def test_a_whole_number_may_be_written_as_a_fraction_and_a_date_is_text(folder):
    text = GOOD.replace("delay_ms: 200", "delay_ms: 200.0, max_duration_s: 600.0")
    echo = routing_of(folder, text).profile_for("demo", "4:+18005550199")
    assert echo is not None
    assert (echo.agent, repr(echo.max_duration_s)) == (EchoAgent(delay_ms=200), "600")
    assert faults(folder, GOOD.replace("profile: echo", "profile: 2026-01-01")) == (
        "gateway.yaml:12: routes.0.profile: there is no profile '2026-01-01'",
    )


def test_a_profile_may_name_the_quota_of_its_service(folder):
    text = GOOD.replace("delay_ms: 200", "connections_per_minute: 30")
    routing = routing_of(folder, text)
    assert routing.profiles["echo"].connections_per_minute == 30
    assert routing.profiles["menu"].connections_per_minute is None
    assert faults(folder, text.replace("30", "0")) == (
        "gateway.yaml:3: profiles.echo.connections_per_minute: 0 is less than the minimum of 1",
    )


def test_sounds_are_named_by_what_they_hold_and_come_along_once_each(folder):
    (folder / "again.wav").write_bytes(SOUND)
    file = load(folder, GOOD.replace("greeting: hello.wav", "greeting: again.wav"))
    assert file.sounds == {HELLO: SOUND}
    menu = file.document["profiles"]["menu"]
    assert (menu["greeting"], menu["on_digit"]["1"]["play"]) == (HELLO, HELLO)


def test_a_sound_larger_than_any_that_fits_is_not_read(folder):
    with (folder / "hello.wav").open("wb") as file:
        file.truncate(7 * 1024 * 1024)
    assert "gateway.yaml:7: profiles.menu.greeting: is larger than 6291456 bytes" in faults(folder, GOOD)


def test_a_file_may_leave_the_routes_out(folder):
    file = load(folder, GOOD[: GOOD.index("routes:")])
    assert "routes" not in file.document
