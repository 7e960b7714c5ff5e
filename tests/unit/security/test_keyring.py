"""Keys are read once, kept when the vault is away, and sign only when everybody can know them."""

import asyncio
import base64

import pytest

from shared.errors import TemporaryFault, VaultUnavailable
from shared.security.keyring import REFRESH_AFTER_S, SIGNING_AGE_S, Keyring, SecretVersion
from shared.security.refresh import FIRST_INTERVAL_S, MIN_INTERVAL_S, OUTDATED_AFTER
from shared.security.tokens import Audience, SigningKey, TokenRejected, mint

NOW = 1_800_000_000.0
OLD = SIGNING_AGE_S + 1


def version(name, age_s, value=None):
    key = base64.b64encode(name.encode().ljust(32, b".")).decode()
    return SecretVersion(name, NOW - age_s, key if value is None else value)


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
    ],
    ids=["only one", "newest old one", "young one waits", "all young", "no base64", "too short"],
)
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


async def test_an_unknown_key_reads_the_vault_again_but_a_flood_of_them_does_not(clock):
    vault = Vault(version("a", OLD))
    keys = Keyring(vault, "media-token-key", clock=clock)
    await keys.refresher.ensure()
    vault.versions.append(version("b", 1))
    clock.now += MIN_INTERVAL_S + 1
    key_b = base64.b64decode(version("b", 1).value)
    token = mint(Audience.MEDIA, call_id="c", account_id="demo", jti="j", signing=SigningKey("b", key_b))
    assert (await keys.verify_fresh(token, audience=Audience.MEDIA)).call_id == "c"
    forged = mint(Audience.MEDIA, call_id="c", account_id="demo", jti="j", signing=SigningKey("z", key_b))
    for _ in range(50):
        with pytest.raises(TokenRejected):
            await keys.verify_fresh(forged, audience=Audience.MEDIA)
    assert vault.reads == 2
    assert (await keys.verify_fresh(token, audience=Audience.MEDIA)).call_id == "c"


async def test_tokens_of_a_new_key_that_come_together_wait_for_one_read(clock):
    vault = Vault(version("a", OLD))
    keys = Keyring(vault, "media-token-key", clock=clock)
    await keys.refresher.ensure()
    vault.versions.append(version("b", 1))
    clock.now += MIN_INTERVAL_S
    signing = SigningKey("b", base64.b64decode(version("b", 1).value))
    tokens = [
        mint(Audience.MEDIA, call_id=f"c{n}", account_id="demo", jti="j", signing=signing) for n in range(3)
    ]
    read = await asyncio.gather(*(keys.verify_fresh(token, audience=Audience.MEDIA) for token in tokens))
    assert [claims.call_id for claims in read] == ["c0", "c1", "c2"]
    assert vault.reads == 2


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


async def test_a_read_that_never_ends_fails_and_is_tried_again(clock, monkeypatch):
    monkeypatch.setattr("shared.security.refresh.READ_BUDGET_S", 0.01)
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
