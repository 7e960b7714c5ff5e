"""`identity create`, against the emulated ACS: by access key, and by a token."""

import asyncio
import json
import uuid
from types import SimpleNamespace

import pytest

from shared.adapters.acs_identities import AcsIdentities
from shared.adapters.blobs import BlobContainer
from shared.admin.__main__ import main
from shared.errors import AcsRefused, AcsUnavailable
from tests.support.gateway import local_settings, running_emulator

RESOURCE = "11111111-1111-1111-1111-111111111111"


@pytest.fixture
async def emulator(monkeypatch, storage_connection_string):
    async with running_emulator(entra_token="known-by-entra") as emulator:
        settings = local_settings(emulator, storage_connection_string)
        for name, value in (settings | {"CALLBACK_BASE_URL": "http://127.0.0.1:9"}).items():
            monkeypatch.setenv(name, value)
        yield emulator


@pytest.fixture
def create(emulator, capsys):
    async def run(*arguments):
        code = await asyncio.to_thread(main, ["identity", "create", *arguments])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return run


def tokens(token):
    async def give(_scope):
        return token

    return SimpleNamespace(token=give)


async def test_each_time_another_user_of_the_resource_is_made(create):
    made = [(await create())[:2] for _ in range(2)]
    assert [code for code, _ in made] == [0, 0]
    assert all(out.startswith(f"8:acs:{RESOURCE}_") for _, out in made)
    assert made[0] != made[1]


async def test_by_a_name_it_is_made_once(create):
    name = f"ivr-{uuid.uuid4().hex[:8]}"
    code, made, _ = await create("--as", name)
    assert (code, made[:6]) == (0, "8:acs:")
    assert await create("--as", name) == (0, made, "")
    assert (await create("--as", f"{name}-2"))[1] != made


async def test_of_two_that_make_it_at_once_both_get_the_same(emulator, create, monkeypatch):
    name = f"ivr-{uuid.uuid4().hex[:8]}"
    first = (await create("--as", name))[1]
    read, looked = BlobContainer.read, []

    async def not_yet(self, name, **options):
        looked.append(name)
        return None if len(looked) == 1 else await read(self, name, **options)

    monkeypatch.setattr(BlobContainer, "read", not_yet)
    assert (await create("--as", name))[1] == first


async def test_a_name_that_no_blob_should_have_is_refused(create):
    assert (await create("--as", "../gateway/current"))[0] == 1


async def test_a_program_reads_json(create):
    code, out, _ = await create("--json")
    assert (code, json.loads(out)["identity"][:6]) == (0, "8:acs:")


async def test_a_wrong_key_is_refused(create, monkeypatch):
    monkeypatch.setenv("ACS_ACCESS_KEY", "d3Jvbmc=")
    assert await create() == (1, "", "ACS answered 401\n")


async def test_without_a_key_an_entra_token_is_shown(emulator):
    assert (await AcsIdentities(emulator.base_url, None, tokens("known-by-entra")).create()).startswith(
        "8:acs:"
    )
    with pytest.raises(AcsRefused, match="ACS answered 401"):
        await AcsIdentities(emulator.base_url, None, tokens("somebody-else-s")).create()


async def test_an_acs_that_is_away_is_said_to_be(unused_tcp_port):
    with pytest.raises(AcsUnavailable, match="ACS did not answer"):
        await AcsIdentities(f"http://127.0.0.1:{unused_tcp_port}", None, tokens("any")).create()
