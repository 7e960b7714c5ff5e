"""The operator's command line, on a real table store."""

import asyncio
import io
import json
import uuid
from pathlib import Path

import pytest

from shared.adapters.account_store import TableAccountStore
from shared.admin.__main__ import main
from shared.security.accounts import secret_matches

REPOSITORY = Path(__file__).resolve().parents[3]


@pytest.fixture(autouse=True)
def storage(storage_connection_string, monkeypatch):
    monkeypatch.setenv("STORAGE_CONNECTION_STRING", storage_connection_string)
    monkeypatch.delenv("STORAGE_TABLE_ENDPOINT", raising=False)


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


def test_missing_settings_are_named(capsys, monkeypatch):
    monkeypatch.delenv("STORAGE_CONNECTION_STRING")
    code, _, err = run(capsys, "accounts", "list")
    assert (code, err) == (2, "set one of STORAGE_TABLE_ENDPOINT and STORAGE_CONNECTION_STRING\n")


def test_storage_that_is_away_is_said_plainly(capsys, monkeypatch, unused_tcp_port):
    monkeypatch.setenv(
        "STORAGE_CONNECTION_STRING",
        f"AccountName=a;AccountKey=a2V5;TableEndpoint=http://127.0.0.1:{unused_tcp_port}/a;",
    )
    assert run(capsys, "accounts", "list") == (1, "", "table storage did not answer\n")


def test_a_gateway_file_is_checked(capsys, tmp_path):
    code, out, _ = run(capsys, "gateway", "check", str(REPOSITORY / "gateway.yaml"))
    assert code == 0
    assert out.endswith("2 profiles, 2 routes, no fault\n")
    broken = tmp_path / "gateway.yaml"
    broken.write_text("version: 1\nprofiles: {}\nroutes: []\n")
    code, _, err = run(capsys, "gateway", "check", str(broken))
    assert code == 2
    assert err.splitlines() == [
        "gateway.yaml:2: profiles: {} has less than 1 property",
        "gateway.yaml:3: routes: [] has less than 1 item",
    ]


async def test_only_a_hash_of_the_secret_is_stored(tables, capsys, monkeypatch):
    def create():
        return run(capsys, "accounts", "create", "--account", "hashed", "--name", "x", "--json")

    _, out, _ = await asyncio.to_thread(create)
    made = json.loads(out)
    account = await TableAccountStore(tables).get(made["account"])
    assert account is not None
    assert secret_matches(made["api_secret"], account.secret_hashes)
    assert made["api_secret"] not in repr(account.secret_hashes)
