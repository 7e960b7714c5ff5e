"""The operator's command line, on a real table store."""

import asyncio
import io
import json
import uuid

import pytest

from shared.adapters.account_store import TableAccountStore
from shared.admin.__main__ import main
from shared.security.accounts import secret_matches


@pytest.fixture(autouse=True)
def storage(storage_connection_string, monkeypatch):
    monkeypatch.setenv("STORAGE_CONNECTION_STRING", storage_connection_string)
    monkeypatch.delenv("STORAGE_TABLE_ENDPOINT", raising=False)
    monkeypatch.delenv("STORAGE_BLOB_ENDPOINT", raising=False)


def run(capsys, *arguments):
    code = main([*arguments])
    printed = capsys.readouterr()
    return code, printed.out, printed.err


def test_an_account_is_created_with_nothing_but_storage_configured_and_listed_without_its_secret(capsys):
    name = f"account-{uuid.uuid4().hex[:8]}"
    code, out, _ = run(capsys, "accounts", "create", "--account", name, "--name", "Demo Ltd", "--json")
    made = json.loads(out)
    assert (code, made["account"]) == (0, name)
    code, out, _ = run(capsys, "accounts", "list", "--json")
    (listed,) = [row for row in json.loads(out) if row["account"] == name]
    assert (listed["api_id"], listed["name"], listed["enabled"]) == (made["api_id"], "Demo Ltd", True)
    assert made["api_secret"] not in out
    assert name in run(capsys, "accounts", "list")[1]


def test_an_existing_subscription_s_pair_is_kept(capsys, monkeypatch):
    api_id, secret = uuid.uuid4().hex, "the-secret-that-the-subscription-has"
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{secret}\n"))
    arguments = [
        "--account",
        "brought-along",
        "--name",
        "x",
        "--api-id",
        api_id,
        "--secret-from-stdin",
        "--json",
    ]
    code, out, _ = run(capsys, "accounts", "create", *arguments)
    assert (code, json.loads(out)["api_id"], json.loads(out)["api_secret"]) == (0, api_id, secret)
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{secret}\n"))
    assert run(capsys, "accounts", "create", *arguments)[0::2] == (1, "the account exists already\n")
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{secret}\n"))
    arguments[1] = "another"
    assert run(capsys, "accounts", "create", *arguments)[0::2] == (1, "the API id is taken\n")


@pytest.mark.parametrize(
    ("arguments", "stdin", "fault"),
    [
        (["--account", "Not An Id"], "", "--account takes a-z, 0-9 and hyphens, 63 at most\n"),
        (
            ["--account", "a", "--secret-from-stdin"],
            "short\n",
            "the secret must have 20 characters or more\n",
        ),
    ],
)
def test_what_cannot_be_an_account_is_refused_plainly(capsys, monkeypatch, arguments, stdin, fault):
    monkeypatch.setattr("sys.stdin", io.StringIO(stdin))
    assert run(capsys, "accounts", "create", "--name", "x", *arguments) == (1, "", fault)


@pytest.fixture
def made(capsys):
    """A new account's credentials."""
    name = f"account-{uuid.uuid4().hex[:8]}"
    return json.loads(run(capsys, "accounts", "create", "--account", name, "--name", "Demo", "--json")[1])


def accounts(capsys, command, made, *arguments):
    """Run a command on the account; return what it printed as JSON, or the fault."""
    code, out, err = run(capsys, "accounts", command, "--account", made["account"], *arguments, "--json")
    return json.loads(out) if code == 0 else err.rstrip()


def test_what_is_set_is_shown_and_numbers_by_show_alone(capsys, made):
    changed = accounts(
        capsys, "set", made, "--name", "Demo Ltd", "--max-calls", "5", "--overflow", "redirect:+14255550177",
        "--block-caller", "+14255550100", "--block-caller", "4:anonymous",
        "--api-id-header", "X-Demo-Id", "--api-secret-header", "X-Demo-Secret",
    )  # fmt: skip
    assert changed["name"] == "Demo Ltd"
    assert (changed["max_calls"], changed["overflow"], changed["blocked"]) == (5, "redirect", 2)
    assert (changed["api_id_header"], changed["api_secret_header"]) == ("x-demo-id", "x-demo-secret")
    listed = run(capsys, "accounts", "list", "--json")[1]
    assert changed in json.loads(listed)
    assert "+1425555" not in listed + json.dumps(changed)
    shown = accounts(capsys, "show", made)
    assert shown["overflow"] == "redirect:4:+14255550177"
    assert shown["blocked_callers"] == ["4:+14255550100", "4:anonymous"]
    assert "sha256" not in json.dumps(shown)
    undone = ["--max-calls", "none", "--overflow", "reject", "--unblock-caller", "+14255550100"]
    accounts(capsys, "set", made, *undone)
    shown = accounts(capsys, "show", made)
    assert (shown["max_calls"], shown["overflow"], shown["blocked_callers"]) == (
        None, "reject", ["4:anonymous"],
    )  # fmt: skip
    assert "blocked_callers" in run(capsys, "accounts", "show", "--account", made["account"])[1]


def test_create_takes_the_same_options(capsys):
    name = f"account-{uuid.uuid4().hex[:8]}"
    arguments = ["--account", name, "--name", "x", "--max-calls", "2", "--overflow", "redirect:28:orgid:app"]
    assert run(capsys, "accounts", "create", *arguments)[0] == 0
    shown = accounts(capsys, "show", {"account": name})
    assert (shown["max_calls"], shown["overflow"]) == (2, "redirect:28:orgid:app")


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (["--max-calls", "0"], "--max-calls takes 1 to 1000, or none"),
        (["--max-calls", "many"], "--max-calls takes 1 to 1000, or none"),
        (["--block-caller", "+1 425"], "a caller is a phone number as +14255550100, or a raw id"),
        (["--block-caller", "14255550100"], "a caller is a phone number as +14255550100, or a raw id"),
        (["--overflow", "redirect:sales"], "--overflow takes reject, or redirect: and a phone number or"),
        (["--overflow", "redirect:4:anonymous"], "--overflow takes reject, or redirect: and a phone number"),
        (
            ["--overflow", "+14255550100"],
            "--overflow takes reject, or redirect: and a phone number or the raw",
        ),
        (["--api-id-header", "a b"], "a header's name has letters, digits and hyphens, 64 at most"),
        (
            ["--api-id-header", "AEG-id"],
            "the header's name belongs to HTTP, to Event Grid or to the platform",
        ),
        (["--api-secret-header", "Host"], "the header's name belongs to HTTP, to Event Grid or to the platf"),
        (["--api-secret-header", "asapp-api-id"], "the two headers must have different names"),
    ],
)
def test_what_cannot_be_set_is_refused_plainly_and_nothing_is_changed(capsys, made, arguments, fault):
    before = accounts(capsys, "show", made)
    assert accounts(capsys, "set", made, "--name", "changed", *arguments).startswith(fault)
    assert accounts(capsys, "show", made) == before


def test_an_account_blocks_a_bounded_number_of_callers(capsys, made):
    numbers = [word for n in range(1001) for word in ("--block-caller", f"+1425{n:07}")]
    assert accounts(capsys, "set", made, *numbers) == "an account blocks 1000 callers at most"
    assert accounts(capsys, "set", made, *numbers[2:])["blocked"] == 1000


def test_a_secret_is_rotated_in_two_steps_and_no_third_is_live(capsys, made, monkeypatch):
    rotated = accounts(capsys, "rotate", made)
    assert rotated["api_id"] == made["api_id"]
    assert rotated["api_secret"] != made["api_secret"]
    assert accounts(capsys, "show", made)["live_secrets"] == 2
    assert accounts(capsys, "rotate", made) == "two secrets are live: finish or cancel that rotation first"
    assert accounts(capsys, "rotate", made, "--finish")["live_secrets"] == 1
    assert accounts(capsys, "rotate", made, "--finish") == "no rotation is under way: one secret is live"
    monkeypatch.setattr("sys.stdin", io.StringIO("a-secret-brought-along-by-hand\n"))
    rotated = accounts(capsys, "rotate", made, "--secret-from-stdin")
    assert rotated["api_secret"] == "a-secret-brought-along-by-hand"
    assert accounts(capsys, "rotate", made, "--cancel")["live_secrets"] == 1


def test_an_account_is_disabled_and_enabled_again(capsys, made):
    assert accounts(capsys, "disable", made)["enabled"] is False
    assert accounts(capsys, "show", made)["enabled"] is False
    assert accounts(capsys, "enable", made)["enabled"] is True


@pytest.mark.parametrize("command", ["show", "set", "rotate", "disable", "enable"])
def test_an_account_that_is_not_there_is_said_so(capsys, command):
    assert accounts(capsys, command, {"account": "nobody"}) == "no such account"


def test_missing_settings_are_named(capsys, monkeypatch):
    monkeypatch.delenv("STORAGE_CONNECTION_STRING")
    code, _, err = run(capsys, "accounts", "list")
    assert (code, err) == (
        2,
        "set either STORAGE_TABLE_ENDPOINT and STORAGE_BLOB_ENDPOINT, or STORAGE_CONNECTION_STRING\n",
    )


def test_storage_that_is_away_is_said_plainly(capsys, monkeypatch, unused_tcp_port):
    monkeypatch.setenv(
        "STORAGE_CONNECTION_STRING",
        f"AccountName=a;AccountKey=a2V5;TableEndpoint=http://127.0.0.1:{unused_tcp_port}/a;",
    )
    assert run(capsys, "accounts", "list") == (1, "", "table storage did not answer\n")


async def test_only_a_hash_of_the_secret_is_stored(tables, capsys, monkeypatch):
    def create():
        return run(capsys, "accounts", "create", "--account", "hashed", "--name", "x", "--json")

    _, out, _ = await asyncio.to_thread(create)
    made = json.loads(out)
    account = await TableAccountStore(tables).get(made["account"])
    assert account is not None
    assert secret_matches(made["api_secret"], account.secret_hashes)
    assert made["api_secret"] not in repr(account.secret_hashes)
