"""The doctor finds a whole local stack well, and names what was broken of it, with what to do."""

import asyncio
import base64
import json
import os
import secrets
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace

import pytest

from emulator.realtime.settings import WELL_KNOWN_KEY
from functions import acs_events, ivr
from shared.adapters.connect import connect
from shared.adapters.profile_store import POINTER
from shared.admin.checks import services
from shared.admin.checks.catalogue import CHECKS, NAMES, examine_all
from shared.admin.checks.contract import Outcome
from shared.admin.checks.outside import EVENTS_PATH, IVR_EVENTS_PATH
from shared.config import functions_settings
from shared.gateway_document import decode, encode
from tests.emulated.doctor.conftest import REPOSITORY, SECRET, finding
from tests.support.gateway import running_emulator

pytestmark = pytest.mark.asyncio(loop_scope="package")

NEEDS_AZURE = {"acs-resource"}
"""Checks that a local stack cannot answer: what they compare, test_management.py has."""
WRONG_KEY = base64.b64encode(secrets.token_bytes(32)).decode()


async def doctor(stack, *arguments, **changes):
    """Run the command as an operator does; return exit status and output."""
    return await run(stack, "shared.admin", "doctor", *arguments, **changes)


async def run(stack, module, *arguments, **changes):
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", module, *arguments),
        cwd=REPOSITORY,
        env={"PATH": os.environ["PATH"], **stack.settings, **changes},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    return process.returncode, output.decode()


async def test_a_local_stack_is_well(stack):
    findings = await examine_all(stack.settings, wants_local=True)
    assert [found for found in findings if found.outcome is Outcome.FAIL] == []
    assert {found.check for found in findings if found.outcome is Outcome.SKIP} == NEEDS_AZURE


async def test_the_command_says_so_line_by_line_and_exits_with_0(stack):
    status, output = await doctor(stack, "--local")
    assert status == 0, output
    assert output.splitlines()[0] == "pass  settings       good for both processes, of a local stack"
    assert output.splitlines()[-1] == f"{len(NAMES)} passed, 0 failed, 1 skipped"
    assert "\x1b" not in output


async def test_a_deployment_has_succeeded_once_the_doctor_finds_no_fault(stack):
    status, output = await run(stack, "bicep.hooks.deployment", "ready")
    assert (status, output.splitlines()[-1]) == (0, f"{len(NAMES) - 1} passed, 0 failed, 2 skipped"), output


async def test_a_program_reads_json(stack):
    status, output = await doctor(stack, "--json", "--skip", "agents")
    rows = {row["check"]: row for row in json.loads(output)}
    assert (status, set(rows)) == (0, {"settings", *NAMES})
    assert (rows["agents"]["outcome"], rows["agents"]["found"]) == ("skip", "left out, as asked")


async def test_a_failure_says_what_to_do_and_exits_with_1(stack):
    status, output = await doctor(stack, ACS_ACCESS_KEY=WRONG_KEY)
    assert status == 1
    failed = output[output.index("fail  acs ") :].splitlines()
    assert "ACS answered 401" in failed[0]
    assert failed[1].strip().startswith("-> check ACS_ENDPOINT, and ACS_ACCESS_KEY")


async def test_settings_that_are_not_good_exit_with_2_and_nothing_is_looked_at(stack):
    status, output = await doctor(stack, "--json", CALLBACK_BASE_URL="", DRAIN_S="900")
    rows = json.loads(output)
    assert (status, [row["outcome"] for row in rows]) == (2, ["fail", *["skip"] * len(NAMES)])
    assert "CALLBACK_BASE_URL is not set" in rows[0]["found"]
    assert "DRAIN_S must be" in rows[0]["found"]


async def test_a_local_stack_is_not_taken_for_azure(stack):
    status, output = await doctor(stack, "--azure")
    assert (status, output.splitlines()[0]) == (2, "fail  settings       ACS_ENDPOINT is on this machine")


Broken = Callable[..., AbstractAsyncContextManager[dict[str, str]]]
"""Breaks something of a stack, and gives the settings to examine it with."""


def setting(name, value) -> Broken:
    @asynccontextmanager
    async def broken(env, _) -> AsyncIterator[dict[str, str]]:
        yield {**env, name: value}

    return broken


def standing_in(name, scheme="http", *, status=404, document=None) -> Broken:
    """Put a stand-in where a process should be."""

    @asynccontextmanager
    async def broken(env, stand_in) -> AsyncIterator[dict[str, str]]:
        yield {**env, name: f"{scheme}://{await stand_in(status, document)}"}

    return broken


@asynccontextmanager
async def empty_vault(env, _):
    async with running_emulator() as other:
        yield env | {"KEY_VAULT_URL": other.key_vault_url, "KEY_VAULT_CA_FILE": str(other.key_vault_ca_file)}


@asynccontextmanager
async def missing_table(env, _):
    async with connect(functions_settings(env).common) as connections:
        await connections.tables.delete_table("answers")
        try:
            yield env
        finally:
            await connections.tables.create_table("answers")


@asynccontextmanager
async def no_profiles(env, _):
    async with connect(functions_settings(env).common) as connections:
        pointer = await connections.config_blobs.read(POINTER, max_bytes=100)
        await connections.config_blobs.delete(POINTER, pointer.etag)
        try:
            yield env
        finally:
            await connections.config_blobs.create(POINTER, pointer.data)


@asynccontextmanager
async def disabled_account(env, _):
    async with connect(functions_settings(env).common) as connections:
        await connections.accounts.change("demo", lambda account: replace(account, enabled=False))
        try:
            yield env
        finally:
            await connections.accounts.change("demo", lambda account: replace(account, enabled=True))


@asynccontextmanager
async def tool_without_secret(env, _):
    """A version of the profiles with a tool in it, whose secret nobody has set."""
    async with connect(functions_settings(env).common) as connections:
        blobs = connections.config_blobs
        pointer = await blobs.read(POINTER, max_bytes=100)
        document = decode(await connections.profiles.document(int(pointer.data)))
        tool = {"name": "crm", "description": "Finds a customer.", "url": "https://crm.example.com/"}
        document["profiles"]["concierge"]["tools"] = [tool | {"secret_headers": {"x-key": "crm-key"}}]
        changed = await connections.profiles.add(encode(document), profiles=2, routes=2)
        assert await blobs.replace(POINTER, str(changed).encode(), pointer.etag)
        try:
            yield env
        finally:
            replaced = await blobs.read(POINTER, max_bytes=100)
            await blobs.replace(POINTER, pointer.data, replaced.etag)


@asynccontextmanager
async def wrong_agent_key(env, _):
    async with connect(functions_settings(env).common) as connections:
        await connections.vault.add_version(SECRET, "not-the-service-s-key")
        try:
            yield env
        finally:
            await connections.vault.add_version(SECRET, WELL_KNOWN_KEY)


@asynccontextmanager
async def blobs_away(env, _):
    parts = env["STORAGE_CONNECTION_STRING"].split(";")
    elsewhere = [
        "BlobEndpoint=http://127.0.0.1:9/devstoreaccount1" if part.startswith("BlobEndpoint=") else part
        for part in parts
    ]
    yield {**env, "STORAGE_CONNECTION_STRING": ";".join(elsewhere)}


@asynccontextmanager
async def wrong_pubsub_key(env, _):
    whole = env["WEB_PUBSUB_CONNECTION_STRING"]
    key = whole.partition("AccessKey=")[2].partition(";")[0]
    yield {**env, "WEB_PUBSUB_CONNECTION_STRING": whole.replace(key, WRONG_KEY)}


@asynccontextmanager
async def another_gateway(env, _):
    """Event Grid's subscriptions lead to the stack's own."""
    yield {**env, "CALLBACK_BASE_URL": "http://127.0.0.1:9"}


NOT_READY = {"ready": False, "dependencies": {"configuration": "ok", "storage": "away"}}
REJECTED = {"correlationId": "one", "end": "rejected", "mediaAddress": None}
BROKEN: dict[str, tuple[Broken, str]] = {
    "token-keys": (empty_vault, "media-token-key has no usable version"),
    "tables": (missing_table, "there is no table answers"),
    "profiles": (no_profiles, "no profiles were ever pushed"),
    "recordings": (blobs_away, "blob storage did not answer"),
    "dead-letters": (blobs_away, "blob storage did not answer"),
    "web-pubsub": (wrong_pubsub_key, "no good answer: WSServerHandshakeError"),
    "acs": (setting("ACS_ACCESS_KEY", WRONG_KEY), "ACS answered 401"),
    "ai-link": (
        setting("COGNITIVE_SERVICES_ENDPOINT", ""),
        "calls are answered without an Azure AI account",
    ),
    "acs-keys": (setting("ACS_TOKEN_ISSUER", "https://other.example.com"), "name another issuer"),
    "edge": (
        standing_in("CALLBACK_BASE_URL", status=503, document=NOT_READY),
        "/readyz answers 503; storage: away",
    ),
    "media": (setting("MEDIA_BASE_URL", "ws://127.0.0.1:9"), "/readyz does not answer"),
    "release": (
        standing_in("MEDIA_BASE_URL", "ws", status=200, document={"release": "an-older-one"}),
        "the media gateway an-older-one",
    ),
    "webhook": (standing_in("CALLBACK_BASE_URL", status=200), "is answered 200, not 401"),
    "media-upgrade": (standing_in("MEDIA_BASE_URL", "ws"), "is answered 404, not 401"),
    "prompts": (standing_in("CALLBACK_BASE_URL"), "5 of 5 prompts cannot be fetched"),
    "secrets": (tool_without_secret, "Key Vault has no secret crm-key"),
    "routes": (disabled_account, "accounts that are disabled: demo"),
    "event-grid": (another_gateway, "no subscription delivers to this gateway"),
    "agents": (wrong_agent_key, "concierge: the service refuses the credential"),
    "call": (
        standing_in("ACS_ENDPOINT", status=201, document=REJECTED),
        "a call that was placed has ended: rejected",
    ),
}


async def test_each_check_has_a_failure_here_or_beside():
    assert set(BROKEN) | NEEDS_AZURE == set(NAMES)


@pytest.mark.parametrize("name", BROKEN)
async def test_what_is_broken_is_found_with_what_to_do(stack, stand_in, name):
    breaking, said = BROKEN[name]
    async with breaking(dict(stack.settings), stand_in) as env:
        found = await finding(env, name)
    assert (found.outcome, bool(found.advice)) == (Outcome.FAIL, True)
    assert said in found.found


@pytest.mark.parametrize("name", ["routes", "secrets", "prompts", "event-grid", "agents", "ai-link", "call"])
async def test_what_depends_on_profiles_that_cannot_be_read_is_not_blamed(stack, stand_in, name):
    without_ai = {**stack.settings, "COGNITIVE_SERVICES_ENDPOINT": ""}
    async with no_profiles(without_ai, stand_in) as env:
        found = await finding(env, name)
    assert (found.outcome, found.found) == (
        Outcome.SKIP,
        "the profiles in force cannot be read: see `profiles`",
    )


async def test_a_key_that_signs_for_too_long_is_to_be_rotated(stack, monkeypatch):
    monkeypatch.setattr(services, "KEY_AGE_DAYS", -1)
    found = await finding(dict(stack.settings), "token-keys")
    assert (found.outcome, found.advice) == (Outcome.FAIL, "admin keys rotate")


async def test_without_acs_s_own_jwt_its_keys_do_not_matter(stack):
    env = {**stack.settings, "ACS_JWT_VERIFIED_ON": "none", "ACS_RESOURCE_ID": ""}
    assert (await finding(env, "acs-keys")).outcome is Outcome.SKIP


async def test_the_webhooks_paths_are_the_gateway_s():
    assert (f"/{acs_events.ROUTE}", f"/{ivr.ROUTE}") == (EVENTS_PATH, IVR_EVENTS_PATH)


async def test_every_check_says_what_it_proves_and_what_to_do():
    assert [check.name for check in CHECKS if not (check.proves and check.advice)] == []
    assert len(set(NAMES)) == len(NAMES)
