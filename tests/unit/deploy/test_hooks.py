"""The hooks of a deployment, against the emulated vault, ACS and Azurite: what is missing is set, and nothing twice."""

import asyncio
import os
import re
import subprocess
import sys
import uuid
from dataclasses import dataclass

import pytest
from azure.identity.aio import DefaultAzureCredential

from bicep.hooks import deployment as hooks
from shared.adapters.account_store import TableAccountStore
from shared.adapters.connect import open_vault
from shared.adapters.tables import create_tables, open_tables
from shared.config import StorageSettings, vault_settings
from shared.security.accounts import secret_matches
from shared.security.keyring import CALLBACK_KEY_SECRET, MEDIA_KEY_SECRET
from tests.support.gateway import local_settings
from tests.unit.deploy.deployment_files import REPOSITORY

GATEWAY_FILE = """
version: 1
profiles: {{echo: {{kind: echo}}}}
routes: [{{account: {account}, to: "+18005550199", profile: echo}}]
"""


@dataclass
class Deployment:
    """What azd gives its hooks, after the templates were deployed: a vault without secrets, and empty tables."""

    settings: dict[str, str]
    account: str


@pytest.fixture
async def deployment(start_emulator, storage_connection_string, tmp_path):
    settings = local_settings(await start_emulator(), storage_connection_string)
    async with tables(settings) as service:
        await create_tables(service)
    account = f"account-{uuid.uuid4().hex[:8]}"
    file = tmp_path / "gateway.yaml"
    file.write_text(GATEWAY_FILE.format(account=account))
    more = {"GATEWAY_FILE": str(file), "CALLBACK_BASE_URL": "http://127.0.0.1:9"}
    return Deployment({**settings, **more}, account)


def tables(settings):
    storage = StorageSettings(None, settings["STORAGE_CONNECTION_STRING"])
    return open_tables(storage, DefaultAzureCredential())


async def hook(settings, *arguments):
    return await run(settings, "bicep.hooks.deployment", *arguments)


async def run(settings, module, *arguments):
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", module, *arguments),
        cwd=REPOSITORY,
        env={"PATH": os.environ["PATH"], **settings},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    output, errors = await process.communicate()
    return process.returncode, (output + errors).decode()


async def state(deployment):
    """The account, the pair that Event Grid will show, and the versions of the token keys."""
    settings, account_id = deployment.settings, deployment.account
    async with tables(settings) as service:
        account = await TableAccountStore(service).get(account_id)
    async with open_vault(vault_settings(settings)[0]) as vault:
        pair = [await vault.value(f"{account_id}-{name}") for name in ("api-id", "api-secret")]
        keys = [await vault.versions(name) for name in (MEDIA_KEY_SECRET, CALLBACK_KEY_SECRET)]
    return account, pair, keys


async def test_a_new_deployment_gets_what_is_missing_and_a_second_run_changes_nothing(deployment):
    code, said = await hook(deployment.settings, "seed")
    account, (api_id, secret), keys = made = await state(deployment)
    assert (code, account.api_id) == (0, api_id)
    assert secret_matches(secret, account.secret_hashes)
    assert [len(versions) for versions in keys] == [1, 1]
    assert secret not in said
    assert re.fullmatch(r"identity gateway: 8:acs:\S+\nidentity ivr: 8:acs:\S+\n", said)
    assert await hook(deployment.settings, "seed") == (0, said)
    assert await state(deployment) == made


async def test_a_run_that_broke_off_before_the_account_was_made_is_taken_up(deployment):
    async with open_vault(vault_settings(deployment.settings)[0]) as vault:
        await vault.add_version(f"{deployment.account}-api-id", "the-id-of-the-run-before")
    assert (await hook(deployment.settings, "seed"))[0] == 0
    account, (api_id, _), _ = await state(deployment)
    assert account.api_id == api_id == "the-id-of-the-run-before"


async def test_an_account_from_elsewhere_is_not_given_another_secret(deployment):
    brought = ("--account", deployment.account, "--name", "Brought along")
    await run(deployment.settings, "shared.admin", "accounts", "create", *brought)
    code, said = await hook(deployment.settings, "seed")
    assert code == 1
    assert f"the vault has no secret {deployment.account}-api-id" in said


FILTERS = '[{"name":"gateway-demo","called":["4:+18005550199"]}]'


@pytest.fixture
async def asked(monkeypatch, tmp_path):
    """What a hook asks, in order: both processes, which are ready; the operator's commands; and azd.

    azd is a command on the path; its `provision` fails where `FAILS` says so.
    """
    found = []

    async def answer(reader, writer):
        found.append((await reader.readuntil(b"\r\n\r\n")).split(b" ", 2)[1].decode())
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
        await writer.drain()
        writer.close()

    def admin(*arguments):
        found.append(" ".join(arguments))
        return FILTERS + "\n" if arguments[:2] == ("numbers", "filters") else "all is well\n"

    noted = tmp_path / "noted"
    azd = tmp_path / "azd"
    azd.write_text(f'#!/bin/sh\necho "azd $*" >> {noted}\n[ "$1" != "$FAILS" ]\n')
    azd.chmod(0o755)
    real_azd = hooks._azd

    def noting_azd(*arguments):
        noted.write_text("")
        done = real_azd(*arguments)
        found.extend(noted.read_text().splitlines())
        return done

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        for name, value in {
            "CALLBACK_BASE_URL": f"http://{address}/edge",
            "MEDIA_BASE_URL": f"ws://{address}/media",
            "PATH": f"{tmp_path}{os.pathsep}{os.defpath}",
        }.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(hooks, "_admin", admin)
        monkeypatch.setattr(hooks, "_azd", noting_azd)
        yield found


READY = ["/edge/readyz", "/media/readyz", "doctor --skip event-grid"]
PROVISIONED = [
    f"azd env set EVENT_FILTERS {FILTERS}",
    "azd env set SUBSCRIBE true",
    "azd provision --no-prompt",
]


async def test_a_deployment_is_ready_once_both_processes_are_and_the_doctor_finds_no_fault(asked, capsys):
    await asyncio.to_thread(hooks.ready)
    assert asked == READY
    assert capsys.readouterr().out == "all is well\n"


@pytest.mark.parametrize(
    "environment",
    [{}, {"SUBSCRIBE": "false", "EVENT_FILTERS": FILTERS}, {"SUBSCRIBE": "true", "EVENT_FILTERS": "[]"}],
    ids=["first", "failed before", "other routes"],
)
async def test_calls_of_the_routes_are_subscribed_to_once_both_processes_are_ready(
    asked, monkeypatch, environment
):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    await asyncio.to_thread(hooks.subscribe)
    assert asked == [*READY, "numbers filters --json", *PROVISIONED, "doctor"]


async def test_a_later_deployment_of_the_same_routes_provides_nothing(asked, monkeypatch):
    monkeypatch.setenv("SUBSCRIBE", "true")
    # As azd may give it back.
    monkeypatch.setenv("EVENT_FILTERS", FILTERS.replace(",", ", "))
    await asyncio.to_thread(hooks.subscribe)
    assert asked == [*READY, "numbers filters --json", "doctor"]


async def test_subscriptions_that_could_not_be_made_are_asked_for_again_after_the_next_deployment(
    asked, monkeypatch
):
    monkeypatch.setenv("FAILS", "provision")
    with pytest.raises(SystemExit, match="could not be made"):
        await asyncio.to_thread(hooks.subscribe)
    assert asked == [*READY, "numbers filters --json", *PROVISIONED, "azd env set SUBSCRIBE false"]


async def test_nothing_is_subscribed_to_while_the_processes_are_not_ready(asked, monkeypatch):
    def unwell(*arguments):
        raise hooks.NotYet("doctor: something failed")

    monkeypatch.setattr(hooks, "_admin", unwell)
    monkeypatch.setattr(hooks, "PATIENCE_S", 0.0)
    with pytest.raises(SystemExit, match="Not within 0 s: doctor: something failed"):
        await asyncio.to_thread(hooks.subscribe)
    assert asked == READY[:2]


@pytest.mark.parametrize(("hook_name", "command"), [("postprovision", "seed"), ("postdeploy", "subscribe")])
def test_a_hook_runs_its_command_from_wherever_azd_starts_it(tmp_path, hook_name, command):
    python = tmp_path / "python"
    python.write_text('#!/bin/sh\necho "$PWD $*"\nexit 3\n')
    python.chmod(0o755)
    done = subprocess.run(
        ["sh", REPOSITORY / f"bicep/hooks/{hook_name}.sh"],
        env={"PATH": os.defpath, "PYTHON": str(python)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (3, f"{REPOSITORY} -m bicep.hooks.deployment {command}\n")
