"""What a profile says of trouble: fallback, prompts, silence, transfers; all of it may be left out."""

from pathlib import Path

import msgspec
import pytest

from shared.core.profiles import (
    AgentProfile,
    AudioFormat,
    EchoAgent,
    Fallback,
    PromptKind,
    Prompts,
    ScriptAgent,
    Silence,
)
from shared.gateway_document import decode, encode, faults_of, sounds_of, to_routing
from shared.gateway_file import load_gateway_file
from tests.support.records import wav_bytes

MANUAL = Path(__file__).parents[3] / "docs" / "gateway-file.md"
POLICIES = {
    "fallback": {"transfer": "+14255550123", "caller_id": "+18005550199"},
    "prompts": {
        "comfort": "moment.wav",
        "apology": "sorry.wav",
        "goodbye": "bye.wav",
        "reprompt": "there.wav",
    },
    "silence": {"after_s": 20, "reprompts": 1},
    "transfer_caller_id": "+18005550198",
    "transfer_timeout_s": 30,
}
KINDS = {
    "echo": {"kind": "echo"},
    "script": {"kind": "script"},
    "realtime": {"kind": "realtime", "dialect": "openai", "model": "m", "endpoint": "ws://127.0.0.1/v1"},
}


def document(policies, kind="echo"):
    routes = [{"account": "demo", "to": "+18005550199", "profile": "bank"}]
    return {"version": 1, "profiles": {"bank": KINDS[kind] | policies}, "routes": routes}


def profile_of(policies, kind="echo"):
    assert list(faults_of(document(policies, kind))) == []
    return to_routing(document(policies, kind)).profiles["bank"]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_agent_has_the_same_policies(kind):
    profile = profile_of(POLICIES, kind)

    assert profile.fallback == Fallback("4:+14255550123", caller_id="+18005550199")
    assert profile.prompts == Prompts("moment.wav", "sorry.wav", "bye.wav", "there.wav")
    assert profile.silence == Silence(after_s=20, reprompts=1)
    assert (profile.transfer_caller_id, profile.transfer_timeout_s) == ("+18005550198", 30)


def test_what_is_left_out_is_an_apology_default_prompts_and_no_silence_rule():
    profile = profile_of({})

    assert (profile.fallback, profile.prompts, profile.silence) == (None, Prompts(), None)
    assert (profile.transfer_caller_id, profile.transfer_timeout_s) == (None, 60)
    assert profile_of({"silence": {"after_s": 5}}).silence == Silence(after_s=5, reprompts=2)


def test_the_profile_of_a_row_written_before_there_were_policies_is_still_read():
    row = b'{"name":"echo","agent":{"kind":"echo","delay_ms":0},"audio_format":"pcm24KMono"}'

    assert msgspec.json.decode(row, type=AgentProfile) == AgentProfile(
        "echo", EchoAgent(), AudioFormat.PCM24K
    )


def test_a_row_keeps_the_policies():
    profile = profile_of(POLICIES, "script")

    assert profile.agent == ScriptAgent()
    assert msgspec.json.decode(msgspec.json.encode(profile), type=AgentProfile) == profile


def test_the_fallback_may_be_a_number_of_our_own_or_an_identity():
    assert profile_of({"fallback": {"transfer": "+18005550199"}}).fallback == Fallback("4:+18005550199")
    assert profile_of({"fallback": {"transfer": "8:acs:ivr"}}).fallback == Fallback("8:acs:ivr")


@pytest.mark.parametrize(
    ("policies", "fault"),
    [
        ({"fallback": {}}, 'fallback: "transfer" is a required property'),
        ({"fallback": {"transfer": "desk"}}, 'fallback.transfer: "desk" does not match "^'),
        ({"fallback": {"transfer": "+14255550123", "caller_id": "8:acs:x"}}, "fallback.caller_id: "),
        (
            {"fallback": {"transfer": "8:acs:x", "caller_id": "+18005550199"}},
            "fallback.caller_id: is shown to phones only, and transfer is no number",
        ),
        ({"prompts": {"comfort": "moment.mp3"}}, "prompts.comfort: "),
        ({"prompts": {"hello": "hello.wav"}}, "prompts: Additional properties are not allowed ('hello' was"),
        ({"silence": {}}, 'silence: "after_s" is a required property'),
        ({"silence": {"after_s": 4}}, "silence.after_s: 4 is less than the minimum of 5"),
        ({"silence": {"after_s": 601}}, "silence.after_s: 601 is greater than the maximum of 600"),
        (
            {"silence": {"after_s": 9, "reprompts": 6}},
            "silence.reprompts: 6 is greater than the maximum of 5",
        ),
        ({"transfer_caller_id": "8:acs:x"}, "transfer_caller_id: "),
        ({"transfer_timeout_s": 4}, "transfer_timeout_s: 4 is less than the minimum of 5"),
        ({"transfer_timeout_s": 601}, "transfer_timeout_s: 601 is greater than the maximum of 600"),
    ],
)
def test_a_fault_is_found_when_the_document_is_pushed(policies, fault):
    (found,) = faults_of(document(policies))
    assert f"{found.place_name}: {found.text}".startswith(f"profiles.bank.{fault}")


def test_prompts_are_sounds_at_the_rate_of_the_call():
    named = {sound.place[3]: sound for sound in sounds_of(document(POLICIES))}

    assert set(named) == set(PromptKind)
    assert {sound.rate_hz for sound in named.values()} == {24_000}


def test_a_push_stores_prompts_by_what_they_hold(tmp_path):
    sound = wav_bytes(bytes(640))
    (tmp_path / "sorry.wav").write_bytes(sound)
    (tmp_path / "gateway.yaml").write_text(
        "version: 1\nprofiles:\n  bank: {kind: echo, prompts: {apology: sorry.wav}}\nroutes: []\n"
    )
    file = load_gateway_file(tmp_path / "gateway.yaml")
    ((name, content),) = file.sounds.items()
    prompts = to_routing(decode(encode(file.document))).profiles["bank"].prompts

    assert content == sound
    assert {kind: prompts.name_of(kind) for kind in PromptKind} == dict.fromkeys(PromptKind, None) | {
        PromptKind.APOLOGY: name
    }


def test_the_example_of_the_manual_is_a_good_file(tmp_path):
    section = MANUAL.read_text().partition("### When something goes wrong")[2]
    example = section.partition("```yaml\n")[2].partition("```")[0]
    (tmp_path / "prompts").mkdir()
    for name in ("sorry", "goodbye"):
        (tmp_path / "prompts" / f"{name}.wav").write_bytes(wav_bytes(bytes(640)))
    (tmp_path / "gateway.yaml").write_text(example)

    (settings,) = load_gateway_file(tmp_path / "gateway.yaml").document["profiles"].values()
    assert set(settings) == {"kind", *POLICIES}
