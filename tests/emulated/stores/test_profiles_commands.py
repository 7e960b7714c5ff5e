"""The operator's `profiles` and `numbers`, on a real blob store."""

import asyncio
import json
import uuid
from pathlib import Path

import pytest

from shared.adapters.profile_store import POINTER
from shared.admin.__main__ import main
from shared.admin.publish import config_container
from tests.support.records import wav_bytes

REPOSITORY = Path(__file__).resolve().parents[3]
PROFILES = """\
version: 1
profiles:
  echo: {kind: echo}
  menu: {kind: script, greeting: hello.wav}
"""
ROUTES = """\
routes:
  - {account: demo, to: "+18005550199", profile: echo}
  - {account: demo, to: "+18005550198", profile: menu}
"""


@pytest.fixture(autouse=True)
def storage(storage_connection_string, monkeypatch):
    """A container of the test's own."""
    monkeypatch.setenv("STORAGE_CONNECTION_STRING", storage_connection_string)
    for name in ("STORAGE_TABLE_ENDPOINT", "STORAGE_BLOB_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("shared.admin.publish.CONTAINER", f"test-{uuid.uuid4().hex}")


@pytest.fixture
def write(tmp_path):
    """Write a gateway file, with a sound beside it; returns its path."""
    (tmp_path / "hello.wav").write_bytes(wav_bytes(bytes(960)))

    def written(text):
        (tmp_path / "gateway.yaml").write_text(text)
        return str(tmp_path / "gateway.yaml")

    return written


@pytest.fixture
def run(capsys):
    """Run a command; returns exit code, output and errors."""

    def command(*arguments):
        code = main([*arguments])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return command


def write_by_hand(name, content):
    """Put a blob in place as no command would."""

    async def write():
        async with config_container() as container:
            await container.make()
            if not await container.create(name, content):
                seen = await container.read(name, max_bytes=1024)
                await container.replace(name, content, seen.etag)

    asyncio.run(write())


def routes_of(run):
    code, out, _ = run("numbers", "list", "--json")
    assert code == 0
    return {(route["account"], route["to"]): route["profile"] for route in json.loads(out)}


def test_a_file_is_checked_without_any_storage(run, monkeypatch, tmp_path):
    monkeypatch.delenv("STORAGE_CONNECTION_STRING")
    code, out, _ = run("profiles", "check", str(REPOSITORY / "gateway.yaml"))
    assert (code, out.partition(": ")[2]) == (0, "2 profiles, 2 routes, no fault\n")
    broken = tmp_path / "gateway.yaml"
    broken.write_text("version: 1\nprofiles: {}\nroutes: 1\n")
    code, _, err = run("profiles", "check", str(broken))
    assert code == 2
    assert err.splitlines() == [
        "gateway.yaml:2: profiles: {} has less than 1 property",
        'gateway.yaml:3: routes: 1 is not of type "array"',
    ]


def test_a_push_is_a_version_and_the_same_file_again_is_none(run, write):
    file = write(PROFILES + ROUTES)
    assert run("profiles", "push", file) == (0, "version 1: 2 profiles, 2 routes, in force within 30 s\n", "")
    code, out, _ = run("profiles", "push", file)
    assert (code, out) == (0, "version 1: 2 profiles, 2 routes, in force already, nothing was written\n")
    code, out, _ = run("profiles", "list", "--json")
    (version,) = json.loads(out)
    assert (version["version"], version["profiles"], version["routes"], version["current"]) == (1, 2, 2, True)


def test_a_faulty_file_changes_nothing(run, write):
    run("profiles", "push", write(PROFILES + ROUTES))
    code, _, err = run("profiles", "push", write(PROFILES + ROUTES.replace("profile: menu", "profile: gone")))
    assert (code, err) == (2, "gateway.yaml:7: routes.1.profile: there is no profile 'gone'\n")
    assert len(json.loads(run("profiles", "list", "--json")[1])) == 1


def test_rolling_back_puts_an_older_version_in_force(run, write):
    run("profiles", "push", write(PROFILES + ROUTES))
    run("profiles", "push", write(PROFILES.replace("echo:", "other:", 1)[:-1] + "\nroutes: []\n"))
    assert run("profiles", "use", "1") == (0, "version 1: in force within 30 s\n", "")
    _, out, _ = run("profiles", "list")
    first, second = out.splitlines()
    assert first.split()[0] == "1"
    assert first.endswith("2 profiles    2 routes  current")
    assert second.endswith("2 profiles    0 routes")
    assert run("profiles", "use", "9") == (1, "", "there is no version 9 of the profiles\n")


def test_a_file_without_routes_keeps_the_stored_ones_and_must_have_their_profiles(run, write):
    run("profiles", "push", write(PROFILES + ROUTES))
    code, out, _ = run("profiles", "push", write(PROFILES.replace("kind: echo", "kind: echo, delay_ms: 40")))
    assert (code, out) == (0, "version 2: 2 profiles, 2 routes, in force within 30 s\n")
    assert set(routes_of(run)) == {("demo", "+18005550199"), ("demo", "+18005550198")}
    code, _, err = run("profiles", "push", write(PROFILES.replace("echo:", "other:", 1)))
    assert (code, err) == (2, "the stored route of demo to +18005550199: there is no profile 'echo'\n")


def test_a_first_file_may_have_no_routes(run, write):
    assert (
        run("profiles", "push", write(PROFILES))[1]
        == "version 1: 2 profiles, 0 routes, in force within 30 s\n"
    )


def test_one_route_is_set_changed_and_taken_away(run, write):
    run("profiles", "push", write(PROFILES))
    who = ("--account", "demo", "--to", "+18005550199")
    assert run("numbers", "route", *who, "--profile", "echo") == (0, "version 2: in force within 30 s\n", "")
    assert run("numbers", "route", *who, "--profile", "menu")[0] == 0
    assert run("numbers", "route", "--account", "demo", "--to", "*", "--profile", "echo")[0] == 0
    assert routes_of(run) == {("demo", "+18005550199"): "menu", ("demo", "*"): "echo"}
    _, out, _ = run("numbers", "list")
    assert [line.split() for line in out.splitlines()] == [
        ["+18005550199", "demo", "menu"],
        ["*", "demo", "echo"],
    ]
    # A raw id names the same number.
    assert run("numbers", "unroute", "--account", "demo", "--to", "4:+18005550199")[0] == 0
    assert routes_of(run) == {("demo", "*"): "echo"}
    assert run("numbers", "unroute", *who) == (1, "", "the account has no such route\n")


def test_a_route_that_changes_nothing_is_no_version(run, write):
    run("profiles", "push", write(PROFILES + ROUTES))
    route = ("numbers", "route", "--account", "demo", "--to", "+18005550199", "--profile", "echo")
    assert run(*route)[1] == "version 1: in force already, nothing was written\n"


@pytest.mark.parametrize(
    ("to", "profile", "fault"),
    [
        ("+18005550199", "nobody", "there is no profile 'nobody'"),
        ("reception", "echo", '"reception" does not match'),
    ],
)
def test_a_route_that_cannot_be_is_refused(run, write, to, profile, fault):
    run("profiles", "push", write(PROFILES))
    code, _, err = run("numbers", "route", "--account", "demo", "--to", to, "--profile", profile)
    assert code == 1
    assert err.startswith(fault)
    assert routes_of(run) == {}


def test_a_number_that_another_account_routes_too_is_warned_of(run, write):
    run("profiles", "push", write(PROFILES + ROUTES))
    code, out, err = run("numbers", "route", "--account", "new", "--to", "+18005550199", "--profile", "echo")
    warning = "warning: 4:+18005550199 is routed by demo and new; each would answer its calls\n"
    assert (code, out, err) == (0, "version 2: in force within 30 s\n", warning)
    file = write(PROFILES + ROUTES.replace('demo, to: "+18005550198"', 'new, to: "+18005550199"'))
    assert run("profiles", "push", file)[2] == warning


@pytest.mark.parametrize("command", [("list",), ("route", "--account", "a", "--to", "*", "--profile", "p")])
def test_before_the_first_push_there_is_no_route_to_change(run, command):
    assert run("numbers", *command) == (1, "", "there are no agent profiles yet: push a file first\n")


def test_before_the_first_push_no_version_is_listed(run):
    assert run("profiles", "list", "--json") == (0, "[]\n", "")


def test_missing_settings_are_named(run, write, monkeypatch):
    monkeypatch.delenv("STORAGE_CONNECTION_STRING")
    code, _, err = run("profiles", "push", write(PROFILES))
    assert (code, err.startswith("set either STORAGE_TABLE_ENDPOINT")) == (2, True)


def test_a_version_that_was_written_by_hand_is_not_put_in_force_unless_it_is_good(run, write):
    run("profiles", "push", write(PROFILES))
    write_by_hand("gateway/2.json", b"{}")
    code, _, err = run("profiles", "use", "2")
    assert (code, err) == (1, "version 2 is not good at: file\n")
    write_by_hand(POINTER, b"2")
    code, _, err = run("numbers", "list")
    assert (code, err) == (1, "version 2 is not good at: file; push a whole file, or use another version\n")
    assert run("profiles", "push", write(PROFILES))[0] == 1
    assert run("profiles", "push", write(PROFILES + ROUTES))[1].startswith("version 3: ")
    assert len(routes_of(run)) == 2


@pytest.mark.parametrize("mend", [("push",), ("use", "1")])
def test_a_pointer_that_was_written_by_hand_is_mended(run, write, mend):
    file = write(PROFILES + ROUTES)
    run("profiles", "push", file)
    write_by_hand(POINTER, b"the newest")
    assert run("numbers", "list")[0::2] == (1, "gateway/current holds no version; `profiles use` mends it\n")
    assert not json.loads(run("profiles", "list", "--json")[1])[0]["current"]
    assert run("profiles", *mend, *([file] if mend == ("push",) else []))[0] == 0
    assert len(routes_of(run)) == 2


def test_the_routes_in_force_are_printed_as_the_subscriptions_that_they_need(run, write):
    assert run("profiles", "push", write(PROFILES + ROUTES))[0] == 0
    assert run("numbers", "filters")[:2] == (
        0,
        "gateway-demo             agents   StringIn     4:+18005550199 4:+18005550198\n",
    )
    code, out, _ = run("numbers", "filters", "--json")
    assert (code, json.loads(out)) == (
        0,
        [
            {
                "name": "gateway-demo",
                "account": "demo",
                "webhook": "agents",
                "operator": "StringIn",
                "called": ["4:+18005550199", "4:+18005550198"],
            }
        ],
    )


def test_routes_that_event_grid_cannot_keep_apart_are_said_to_be(run, write):
    everybody = ROUTES.replace("+18005550199", "*") + "  - {account: other, to: '*', profile: echo}\n"
    assert run("profiles", "push", write(PROFILES + everybody))[0] == 0
    code, out, err = run("numbers", "filters", "--json")
    assert (code, out) == (2, "")
    assert "gateway-demo and gateway-other: one route alone can be of every other call" in err
