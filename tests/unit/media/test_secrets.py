"""Secrets are read once for all who wait, kept while the vault is away, and read anew when a service refuses them."""

import asyncio
from collections import Counter

import pytest

from media_gateway import secrets as module
from media_gateway.secrets import MAX_SECRETS, SECRET_MAX_AGE_S, Secrets
from shared.errors import NotConfigured, VaultUnavailable


class Vault:
    """Secrets by name; `gate` stands for one that is slow."""

    def __init__(self):
        self.values = {"api-key": "one"}
        self.reads = []
        self.is_away = False
        self.gate = asyncio.Event()
        self.gate.set()

    async def value(self, name):
        self.reads.append(name)
        await self.gate.wait()
        if self.is_away:
            raise VaultUnavailable("Key Vault did not answer")
        return self.values.get(name)


class World:
    def __init__(self):
        self.now = 1000.0
        self.vault = Vault()
        self.counters = Counter()
        self.secrets = Secrets(self.vault, self.counters, clock=lambda: self.now)

    async def value(self, name="api-key"):
        async with asyncio.timeout(5):
            return await self.secrets.value(name)

    async def reads(self, count):
        async with asyncio.timeout(5):
            while len(self.vault.reads) < count:
                await asyncio.sleep(0)


@pytest.fixture
async def world():
    world = World()
    yield world
    await world.secrets.close()


async def test_many_who_wait_share_one_read(world):
    world.vault.gate.clear()
    waiting = [asyncio.create_task(world.value()) for _ in range(100)]
    await world.reads(1)
    world.vault.gate.set()
    assert await asyncio.gather(*waiting) == ["one"] * 100
    assert await world.value() == "one"
    assert world.vault.reads == ["api-key"]


async def test_who_stops_waiting_stops_nobody_else(world):
    world.vault.gate.clear()
    first, second = (asyncio.create_task(world.value()) for _ in range(2))
    await world.reads(1)
    first.cancel()
    world.vault.gate.set()
    assert await second == "one"


async def test_an_old_value_is_used_while_the_new_one_is_read_in_the_background(world):
    await world.value()
    world.vault.values["api-key"] = "two"
    world.now += SECRET_MAX_AGE_S
    world.vault.gate.clear()
    assert await world.value() == "one"
    await world.reads(2)
    world.vault.gate.set()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert await world.value() == "two"
    assert len(world.vault.reads) == 2


async def test_a_value_outlives_the_vault(world):
    await world.value()
    world.vault.is_away = True
    for _ in range(100):
        world.now += SECRET_MAX_AGE_S
        assert await world.value() == "one"


async def test_a_vault_that_never_answered_is_a_temporary_fault(world):
    world.vault.is_away = True
    with pytest.raises(VaultUnavailable):
        await world.value()
    world.vault.is_away = False
    world.now += 1
    assert await world.value() == "one"


async def test_a_read_that_hangs_is_given_up(world, monkeypatch):
    monkeypatch.setattr(module, "SECRET_READ_S", 0.01)
    world.vault.gate.clear()
    with pytest.raises(VaultUnavailable, match="in time"):
        await world.value()


async def test_a_value_that_a_service_refused_is_read_anew_before_it_is_used_again(world):
    await world.value()
    world.vault.values["api-key"] = "two"
    world.now += 30
    world.secrets.forget("api-key")
    assert await world.value() == "two"
    assert len(world.vault.reads) == 2


async def test_a_refused_value_is_used_again_where_the_vault_has_no_other(world):
    await world.value()
    world.vault.is_away = True
    world.now += 30
    world.secrets.forget("api-key")
    assert await world.value() == "one"


async def test_however_often_a_value_is_refused_the_vault_is_read_once_an_interval(world, monkeypatch):
    monkeypatch.setattr(module, "DOUBT_WAIT_S", 0.01)
    await world.value()
    world.now += 30
    for _ in range(20):
        world.now += 0.01
        world.secrets.forget("api-key")
        assert await world.value() == "one"
    assert len(world.vault.reads) == 2


async def test_there_is_no_such_secret_until_there_is(world):
    with pytest.raises(NotConfigured, match="no secret 'other'"):
        await world.value("other")
    world.vault.values["other"] = "three"
    world.now += 1
    assert await world.value("other") == "three"


async def test_a_secret_that_is_deleted_is_used_no_more(world):
    await world.value()
    del world.vault.values["api-key"]
    world.now += SECRET_MAX_AGE_S
    await world.value()
    await world.reads(2)
    await asyncio.sleep(0)
    with pytest.raises(NotConfigured):
        await world.value()


@pytest.mark.parametrize("name", ["media-token-key", "callback-token-key"])
async def test_no_profile_gets_at_the_keys_that_sign_our_tokens(world, name):
    world.vault.values[name] = "the key of all calls"
    with pytest.raises(NotConfigured):
        await world.value(name)
    assert world.vault.reads == []


async def test_forgetting_what_was_never_read_is_nothing(world):
    world.secrets.forget("api-key")
    assert await world.value() == "one"


async def test_there_is_a_limit_of_names_and_it_harms_no_secret_in_use(world):
    await world.value()
    for number in range(MAX_SECRETS - 1):
        world.vault.values[f"secret-{number}"] = "x"
        await world.value(f"secret-{number}")
    with pytest.raises(NotConfigured, match="in use"):
        await world.value("one-more")
    assert world.counters == {"secrets_refused": 1}
    assert await world.value() == "one"
