"""The hooks of a deployment, against the emulated vault and Azurite: what is missing is set, and nothing twice."""

import asyncio
import json
import os
import subprocess
import sys
import uuid

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


@pytest.fixture
async def deployment(start_emulator, storage_connection_string):
    """What azd gives its hooks, after the templates were deployed: a vault without secrets, and empty tables."""
    settings = local_settings(await start_emulator(), storage_connection_string)
    async with tables(settings) as service:
        await create_tables(service)
    return settings | {"GATEWAY_ACCOUNTS": f"account-{uuid.uuid4().hex[:8]}"}


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


async def state(settings):
    """The account, the pair that Event Grid will show, and the versions of the token keys."""
    account_id = settings["GATEWAY_ACCOUNTS"]
    async with tables(settings) as service:
        account = await TableAccountStore(service).get(account_id)
    async with open_vault(vault_settings(settings)[0]) as vault:
        pair = [await vault.value(f"{account_id}-{name}") for name in ("api-id", "api-secret")]
        keys = [await vault.versions(name) for name in (MEDIA_KEY_SECRET, CALLBACK_KEY_SECRET)]
    return account, pair, keys


async def test_a_new_deployment_gets_what_is_missing_and_a_second_run_changes_nothing(deployment):
    code, said = await hook(deployment, "seed")
    account, (api_id, secret), keys = made = await state(deployment)
    assert (code, account.api_id) == (0, api_id)
    assert secret_matches(secret, account.secret_hashes)
    assert [len(versions) for versions in keys] == [1, 1]
    assert secret not in said
    assert (await hook(deployment, "seed"))[0] == 0
    assert await state(deployment) == made


async def test_a_run_that_broke_off_before_the_account_was_made_is_taken_up(deployment):
    async with open_vault(vault_settings(deployment)[0]) as vault:
        await vault.add_version(f"{deployment['GATEWAY_ACCOUNTS']}-api-id", "the-id-of-the-run-before")
    assert (await hook(deployment, "seed"))[0] == 0
    account, (api_id, _), _ = await state(deployment)
    assert account.api_id == api_id == "the-id-of-the-run-before"


async def test_an_account_from_elsewhere_is_not_given_another_secret(deployment):
    brought = deployment | {"GATEWAY_ACCOUNTS": f"{deployment['GATEWAY_ACCOUNTS']}-brought"}
    account_id = brought["GATEWAY_ACCOUNTS"]
    await run(
        brought, "shared.admin", "accounts", "create", "--account", account_id, "--name", "Brought along"
    )
    code, said = await hook(brought, "seed")
    assert code == 1
    assert f"the vault has no secret {account_id}-api-id" in said


@pytest.mark.parametrize(
    ("subscribed", "left_out"), [("true", ()), ("false", ("--skip", "event-grid"))], ids=["later", "first"]
)
async def test_readiness_is_both_processes_readiness_and_the_doctor_s_word(
    monkeypatch, capsys, subscribed, left_out
):
    asked = []

    async def answer(reader, writer):
        asked.append((await reader.readuntil(b"\r\n\r\n")).split(b" ", 2)[1])
        writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n" + json.dumps({}).encode()
        )
        await writer.drain()
        writer.close()

    def admin(*arguments):
        asked.append(arguments)
        return "all is well\n"

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        monkeypatch.setenv("CALLBACK_BASE_URL", f"http://{address}/edge")
        monkeypatch.setenv("MEDIA_BASE_URL", f"ws://{address}/media")
        monkeypatch.setenv("SUBSCRIBE", subscribed)
        monkeypatch.setattr(hooks, "_admin", admin)
        await asyncio.to_thread(hooks.ready)
    assert asked == [b"/edge/readyz", b"/media/readyz", ("doctor", *left_out)]
    assert capsys.readouterr().out == "all is well\n"


@pytest.fixture
def commands(tmp_path):
    """Stand-ins of `azd` and Python on the path, which note what they are asked; `azd provision` may fail."""
    noted = tmp_path / "noted"
    for name in ("azd", "python"):
        script = tmp_path / name
        script.write_text(f'#!/bin/sh\necho "{name} $*" >> {noted}\n[ "$1" != "$FAILS" ]\n')
        script.chmod(0o755)

    def postdeploy(**environment):
        noted.write_text("")
        done = subprocess.run(
            ["sh", REPOSITORY / "bicep/hooks/postdeploy.sh"],
            env={
                "PATH": f"{tmp_path}{os.pathsep}{os.defpath}",
                "PYTHON": "python",
                "FAILS": "",
                **environment,
            },
            check=False,
        )
        return done.returncode, noted.read_text().splitlines()

    return postdeploy


WAIT = "python -m bicep.hooks.deployment ready"


def test_event_grid_s_subscriptions_are_made_once_both_processes_are_ready(commands):
    assert commands() == (0, [WAIT, "azd env set SUBSCRIBE true", "azd provision --no-prompt"])


def test_a_later_deployment_only_waits(commands):
    assert commands(SUBSCRIBE="true") == (0, [WAIT])


def test_subscriptions_that_could_not_be_made_are_asked_for_again_after_the_next_deployment(commands):
    code, asked = commands(FAILS="provision")
    assert (code, asked[-1]) == (1, "azd env set SUBSCRIBE false")


def test_nothing_is_subscribed_to_while_the_processes_are_not_ready(commands):
    assert commands(FAILS="-m") == (1, [WAIT])
