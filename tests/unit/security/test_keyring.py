"""Keys are read once, kept when the vault is away, and sign only when everybody can know them."""

import asyncio
import base64
import time

import pytest

from shared.config import TokenKeyTimes
from shared.errors import TemporaryFault, VaultUnavailable
from shared.refresh import FIRST_INTERVAL_S, OUTDATED_AFTER
from shared.security.keyring import KeyNotRead, Keyring, SecretVersion
from shared.security.tokens import LONGEST_LIFETIME_S, Audience, SigningKey, TokenRejected, UnknownKey, mint

NOW = 1_800_000_000.0
TIMES = TokenKeyTimes()
SIGNING_AGE_S, REFRESH_AFTER_S = TIMES.signing_age_s, TIMES.refresh_s
OLD = SIGNING_AGE_S + 1
HOUR_S = 3600.0


def version(name, age_s, value=None, *, now=NOW, **times):
    key = base64.b64encode(name.encode().ljust(32, b".")).decode()
    return SecretVersion(name, now - age_s, key if value is None else value, **times)


class Vault:
    """Key Vault, as far as a keyring sees it."""

    def __init__(self, *versions):
        self.versions = list(versions)
        self.reads = 0
        self.away = False

    async def enabled_versions(self, name):
        self.reads += 1
        await asyncio.sleep(0)
        if self.away:
            raise VaultUnavailable("Key Vault did not answer")
        return self.versions


class Clock:
    def __init__(self):
        self.now = NOW

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.mark.parametrize(
    ("versions", "signs"),
    [
        ([version("a", OLD)], "a"),
        ([version("a", 2 * OLD), version("b", OLD)], "b"),
        ([version("a", OLD), version("b", 5)], "a"),
        ([version("a", 30), version("b", 5)], "a"),
        ([version("a", OLD), version("bad", OLD, "too short")], "a"),
        ([version("a", OLD), version("short", OLD, base64.b64encode(b"x" * 31).decode())], "a"),
        ([version("a", 2 * OLD), version("b", OLD, expires=NOW - 1)], "a"),
        ([version("a", 2 * OLD), version("b", OLD, expires=NOW + LONGEST_LIFETIME_S)], "a"),
        ([version("a", OLD, expires=NOW + 1)], "a"),
        ([version("a", 2 * OLD), version("b", OLD, not_before=NOW + 1)], "a"),
        ([version("a", 2 * OLD), version("b", OLD, not_before=NOW - 1)], "a"),
        ([version("a", 2 * OLD), version("b", 2 * OLD, not_before=NOW - OLD)], "b"),
    ],
    ids=[
        "only one", "newest old one", "young one waits", "all young", "no base64", "too short", "expired",
        "would expire before its tokens", "expires, and is the only one", "not begun", "just begun", "begun long ago",
    ],
)  # fmt: skip
async def test_which_key_signs(versions, signs, clock):
    keys = Keyring(Vault(*versions), "media-token-key", clock=clock)
    assert (await keys.signing_key()).kid == signs


async def test_every_usable_version_verifies(clock):
    keys = Keyring(Vault(version("a", OLD), version("b", 5)), "media-token-key", clock=clock)
    await keys.refresher.ensure()
    assert set(keys.verification_keys()) == {"a", "b"}


async def test_many_callers_at_once_read_the_vault_once(clock):
    vault = Vault(version("a", OLD))
    keys = Keyring(vault, "media-token-key", clock=clock)
    await asyncio.gather(*(keys.signing_key() for _ in range(20)))
    assert vault.reads == 1


async def test_a_vault_that_was_never_reached_is_a_temporary_fault(clock):
    vault = Vault()
    vault.away = True
    keys = Keyring(vault, "media-token-key", clock=clock)
    with pytest.raises(VaultUnavailable):
        await keys.signing_key()
    vault.away, vault.versions = False, [version("a", OLD)]
    clock.now += FIRST_INTERVAL_S
    assert (await keys.signing_key()).kid == "a"


async def test_old_keys_are_read_again_in_the_background_and_stay_while_the_vault_is_away(clock):
    vault = Vault(version("a", OLD))
    keys = Keyring(vault, "media-token-key", clock=clock)
    await keys.signing_key()
    vault.away = True
    clock.now += REFRESH_AFTER_S + 1
    for _ in range(3):
        assert (await keys.signing_key()).kid == "a"
        await asyncio.sleep(0.001)
    assert vault.reads > 1
    await keys.refresher.close()


async def test_a_version_begins_to_sign_when_it_is_old_enough_without_another_read(clock):
    vault = Vault(version("a", OLD), version("b", SIGNING_AGE_S - 10))
    keys = Keyring(vault, "media-token-key", clock=clock)
    assert (await keys.signing_key()).kid == "a"
    clock.now += 10
    assert (await keys.signing_key()).kid == "b"
    assert vault.reads == 1


async def test_a_version_that_is_out_of_its_time_neither_signs_nor_verifies(clock):
    vault = Vault(version("a", OLD, expires=NOW + 10), version("b", OLD, not_before=NOW + 20))
    keys = Keyring(vault, "media-token-key", clock=clock)
    assert (await keys.signing_key()).kid == "a"
    assert set(keys.verification_keys()) == {"a"}
    clock.now += 10
    assert set(keys.verification_keys()) == set()
    with pytest.raises(VaultUnavailable, match="no usable signing key"):
        await keys.signing_key()
    clock.now += 10
    assert set(keys.verification_keys()) == {"b"}


async def test_a_vault_away_for_an_hour_costs_no_token(clock):
    """Every version was known before: those of age sign, and all verify, however long nothing can be read."""
    vault = Vault(version("a", OLD), version("b", 1))
    keys = Keyring(vault, "media-token-key", clock=clock)
    await keys.refresher.ensure()
    vault.away, signed_by = True, set()
    for _ in range(int(HOUR_S / 30)):
        clock.now += 30
        key = await keys.signing_key()
        signed_by.add(key.kid)
        assert (await keys.verify_fresh(minted(key), audience=Audience.MEDIA)).call_id == "c"
        assert set(keys.verification_keys()) == {"a", "b"}
        await asyncio.sleep(0)
    assert signed_by == {"a", "b"}
    assert 1 < vault.reads <= 1 + HOUR_S / TIMES.min_interval_s
    await keys.refresher.close()


QUICK = TokenKeyTimes(signing_age_s=60, refresh_s=30, min_interval_s=0.2)
NEW = SigningKey("b", b"b".ljust(32, b"."))
FORGED = SigningKey("z", b"z" * 32)


def minted(signing, call_id="c"):
    return mint(Audience.MEDIA, call_id=call_id, account_id="demo", jti="j", signing=signing)


def quick_keyring():
    """A keyring on the real clock that knows `a`, while the vault has had `b` since a moment later."""
    vault = Vault(version("a", OLD, now=time.time()))
    return vault, Keyring(vault, "media-token-key", QUICK)


async def until_a_second_later(began_at):
    """A token says in whole seconds when it was made."""
    while int(time.time()) <= began_at:
        await asyncio.sleep(0.02)


async def test_a_token_of_a_brand_new_key_is_verified_amid_a_flood_of_forged_ones():
    vault, keys = quick_keyring()
    await keys.refresher.ensure()
    began_at = time.time()
    await until_a_second_later(began_at)

    async def forge():
        with pytest.raises(UnknownKey):
            await keys.verify_fresh(minted(FORGED), audience=Audience.MEDIA)

    flood = [asyncio.create_task(forge()) for _ in range(300)]
    await asyncio.sleep(0.05)
    vault.versions.append(version("b", 0, now=time.time()))
    good = [keys.verify_fresh(minted(NEW, f"c{n}"), audience=Audience.MEDIA) for n in range(20)]
    flood += [asyncio.create_task(forge()) for _ in range(300)]
    async with asyncio.timeout(2):
        assert [claims.call_id for claims in await asyncio.gather(*good)] == [f"c{n}" for n in range(20)]
        await asyncio.gather(*flood)
    assert vault.reads <= 1 + (time.time() - began_at) / QUICK.min_interval_s


async def test_a_kid_that_the_vault_lacked_after_the_token_was_made_is_forged_and_costs_no_read(clock):
    vault = Vault(version("a", OLD))
    keys = Keyring(vault, "media-token-key", clock=clock)
    clock.now = time.time() + 10
    await keys.refresher.ensure()
    for _ in range(100):
        with pytest.raises(UnknownKey):
            await keys.verify_fresh(minted(FORGED), audience=Audience.MEDIA)
    assert vault.reads == 1


async def test_a_kid_cannot_be_judged_while_the_vault_is_away_and_that_is_no_refusal():
    vault, keys = quick_keyring()
    await keys.refresher.ensure()
    await until_a_second_later(time.time())
    vault.away = True
    with pytest.raises(VaultUnavailable):
        await keys.verify_fresh(minted(NEW), audience=Audience.MEDIA)
    with pytest.raises(KeyNotRead):
        keys.verify(minted(NEW), audience=Audience.MEDIA)
    vault.away = False
    vault.versions.append(version("b", 0, now=time.time()))
    assert (await keys.verify_fresh(minted(NEW), audience=Audience.MEDIA)).call_id == "c"


async def test_what_is_wrong_in_another_way_never_waits_for_the_vault():
    vault, keys = quick_keyring()
    await keys.refresher.ensure()
    callback = mint(Audience.CALLBACK, call_id="c", account_id="demo", jti="j", signing=NEW)
    for _ in range(50):
        with pytest.raises(TokenRejected):
            await keys.verify_fresh(callback, audience=Audience.MEDIA)
    assert vault.reads == 1


async def test_only_so_many_tokens_wait_and_the_others_are_told_to_come_again(monkeypatch):
    monkeypatch.setattr("shared.security.keyring.MAX_WAITING", 10)
    vault, keys = quick_keyring()
    await keys.refresher.ensure()
    await until_a_second_later(time.time())
    vault.versions.append(version("b", 0, now=time.time()))
    results = await asyncio.gather(
        *(keys.verify_fresh(minted(NEW), audience=Audience.MEDIA) for _ in range(15)), return_exceptions=True
    )
    assert [isinstance(result, KeyNotRead) for result in results] == [False] * 10 + [True] * 5


async def test_a_vault_that_stays_away_is_not_asked_again_and_again(clock):
    vault = Vault(version("a", OLD))
    keys = Keyring(vault, "media-token-key", clock=clock)
    await keys.signing_key()
    vault.away = True
    clock.now += REFRESH_AFTER_S
    for _ in range(50):
        assert (await keys.signing_key()).kid == "a"
        await asyncio.sleep(0)
    assert (vault.reads, keys.refresher.fault) == (2, "Key Vault did not answer")
    await keys.refresher.close()


async def test_after_a_long_sleep_the_vault_is_asked_before_a_token_is_signed(clock):
    vault = Vault(version("a", OLD))
    keys = Keyring(vault, "media-token-key", clock=clock)
    await keys.signing_key()
    vault.versions = [SecretVersion("b", NOW, version("b", 0).value)]
    clock.now += REFRESH_AFTER_S * OUTDATED_AFTER + 1
    assert (await keys.signing_key()).kid == "b"
    vault.away = True
    clock.now += REFRESH_AFTER_S * OUTDATED_AFTER + 1
    assert (await keys.signing_key()).kid == "b"


async def test_a_vault_that_hangs_for_hours_holds_no_call_up(clock, monkeypatch):
    """Each read takes its whole time then, and one is nearly always under way: nobody may wait for it."""
    vault = Vault(version("a", OLD))
    keys = Keyring(vault, "media-token-key", clock=clock)
    await keys.signing_key()

    async def hang(name):
        vault.reads += 1
        await asyncio.Event().wait()

    vault.enabled_versions = hang
    monkeypatch.setattr("shared.refresh.READ_BUDGET_S", 0.01)
    clock.now += REFRESH_AFTER_S * OUTDATED_AFTER + 1
    assert (await keys.signing_key()).kid == "a"
    monkeypatch.setattr("shared.refresh.READ_BUDGET_S", 60)
    async with asyncio.timeout(1):
        for _ in range(10):
            clock.now += 5
            assert (await keys.signing_key()).kid == "a"
            await asyncio.sleep(0)
    assert vault.reads == 3
    await keys.refresher.close()


async def test_after_a_long_sleep_a_vault_that_hangs_is_waited_for_only_so_long(clock, monkeypatch):
    vault = Vault(version("a", OLD))
    keys = Keyring(vault, "media-token-key", clock=clock)
    await keys.signing_key()
    keys.refresher._wait_s = 0.01
    vault.enabled_versions = lambda name: asyncio.Event().wait()
    clock.now += REFRESH_AFTER_S * OUTDATED_AFTER + 1
    async with asyncio.timeout(1):
        assert (await keys.signing_key()).kid == "a"
    await keys.refresher.close()


async def test_a_read_that_never_ends_fails_and_is_tried_again(clock, monkeypatch):
    monkeypatch.setattr("shared.refresh.READ_BUDGET_S", 0.01)
    vault = Vault(version("a", OLD))
    keys = Keyring(vault, "media-token-key", clock=clock)
    answer = vault.enabled_versions

    async def hang(name):
        await asyncio.Event().wait()

    vault.enabled_versions = hang
    with pytest.raises(TemporaryFault, match="did not answer in time"):
        await keys.signing_key()
    vault.enabled_versions = answer
    clock.now += FIRST_INTERVAL_S
    assert (await keys.signing_key()).kid == "a"
