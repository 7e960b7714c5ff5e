"""`keys`, on the emulated Key Vault: what an operator sets, rotates and sees."""

import asyncio
import base64
import json
import re
import time
from types import SimpleNamespace

import pytest

from emulator.faults import Status
from shared.adapters.connect import open_vault
from shared.adapters.key_vault import MAX_VERSIONS
from shared.admin.__main__ import main
from shared.admin.keys import OUTAGE_S, outlived
from shared.config import TokenKeyTimes, vault_settings
from shared.security.keyring import (
    CALLBACK_KEY_SECRET,
    MEDIA_KEY_SECRET,
    Keyring,
    SecretVersion,
    signing_version,
)
from shared.security.tokens import CLOCK_LEEWAY_S, LONGEST_LIFETIME_S
from tests.support.gateway import running_emulator


@pytest.fixture
async def emulator(monkeypatch):
    async with running_emulator() as emulator:
        monkeypatch.setenv("KEY_VAULT_URL", emulator.key_vault_url)
        monkeypatch.setenv("KEY_VAULT_CA_FILE", str(emulator.key_vault_ca_file))
        monkeypatch.setenv("AZURE_CREDENTIAL", "local")
        yield emulator


@pytest.fixture
def keys(emulator, capsys):
    """Run a `keys` command with the vault's settings alone: `code, out, err = await keys("list")`."""

    async def run(*arguments):
        code = await asyncio.to_thread(main, ["keys", *arguments])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return run


async def listed(keys):
    return json.loads((await keys("list", "--json"))[1])


@pytest.fixture
async def vault(emulator):
    async with open_vault(vault_settings()[0]) as vault:
        yield vault


async def test_bootstrap_sets_what_is_missing_and_never_overwrites(keys, vault):
    code, out, _ = await keys("bootstrap")
    assert code == 0
    assert re.fullmatch(
        r"media-token-key: set, version \w{32}\ncallback-token-key: set, version \w{32}\n", out
    )
    before = await listed(keys)
    assert [(row["secret"], row["state"]) for row in before] == [
        ("media-token-key", "signs"), ("callback-token-key", "signs"),
    ]  # fmt: skip
    assert await keys("bootstrap") == (0, "media-token-key: is there\ncallback-token-key: is there\n", "")
    assert await listed(keys) == before
    for name in (MEDIA_KEY_SECRET, CALLBACK_KEY_SECRET):
        assert len((await Keyring(vault, name).signing_key()).key) == 32


async def test_bootstrap_completes_a_vault_that_has_one_of_the_two(keys, vault):
    await vault.add_version(MEDIA_KEY_SECRET, base64.b64encode(b"m" * 32).decode())
    out = (await keys("bootstrap"))[1].splitlines()
    assert out[0] == "media-token-key: is there"
    assert out[1].startswith("callback-token-key: set")


async def test_bootstrap_says_that_a_secret_is_of_no_use(keys, vault):
    await keys("bootstrap")
    await vault.disable_version(MEDIA_KEY_SECRET, (await vault.versions(MEDIA_KEY_SECRET))[0].version)
    code, out, err = await keys("bootstrap")
    assert (code, out) == (1, "callback-token-key: is there\n")
    assert err == "media-token-key: every version is disabled; `keys rotate` adds one\n"


async def test_a_rotated_key_verifies_at_once_and_signs_when_it_is_old_enough(keys, vault):
    await keys("bootstrap")
    (first,) = (row["version"] for row in await listed(keys) if row["secret"] == "media-token-key")
    second = int(time.time())
    while int(time.time()) == second:  # the vault tells in whole seconds which is newer
        await asyncio.sleep(0.02)
    code, out, _ = await keys("rotate", "--secret", "media-token-key")
    assert code == 0
    assert re.fullmatch(r"media-token-key: added, version \w{32}; signs in 600 s\n", out)
    assert len(await listed(keys)) == 3
    for ahead_s in (0, 590):
        keyring = Keyring(vault, MEDIA_KEY_SECRET, clock=lambda ahead_s=ahead_s: time.time() + ahead_s)
        await keyring.refresher.ensure()
        assert len(keyring.verification_keys()) == 2
    later = Keyring(vault, MEDIA_KEY_SECRET, clock=lambda: time.time() + 601)
    assert (await later.signing_key()).kid != first


async def test_values_are_never_printed(keys, vault):
    printed = ""
    for command in (["bootstrap"], ["rotate"], ["list"], ["list", "--json"]):
        printed += (await keys(*command))[1]
    for name in (MEDIA_KEY_SECRET, CALLBACK_KEY_SECRET):
        for version in await vault.enabled_versions(name):
            assert version.version in printed
            assert version.value not in printed


async def test_rotation_may_disable_what_no_living_token_can_name(keys, monkeypatch):
    await keys("bootstrap")
    out = (await keys("rotate", "--disable-old"))[1]
    assert "disabled" not in out
    tomorrow = SimpleNamespace(time=lambda: time.time() + 86_400)
    monkeypatch.setattr("shared.admin.keys.time", tomorrow)
    out = (await keys("rotate", "--disable-old", "--secret", MEDIA_KEY_SECRET))[1]
    assert out.count("media-token-key: disabled, version ") == 2
    states = [(row["secret"], row["state"]) for row in await listed(keys)]
    assert sorted(state for name, state in states if name == MEDIA_KEY_SECRET) == [
        "disabled",
        "disabled",
        "signs",
    ]
    assert sorted(state for name, state in states if name == CALLBACK_KEY_SECRET) == ["signs", "verifies"]


@pytest.mark.parametrize(("late_s", "disabled"), [(-1, []), (1, ["a"])])
def test_a_version_is_outlived_when_the_last_token_that_it_may_have_signed_is_dead(late_s, disabled):
    times = TokenKeyTimes()
    outlives_s = times.signing_age_s + OUTAGE_S + LONGEST_LIFETIME_S + CLOCK_LEEWAY_S
    versions = [
        SecretVersion("a", 0, ""),
        SecretVersion("b", 1000, ""),
        SecretVersion("c", 1000 + outlives_s, ""),
    ]
    assert [v.version for v in outlived(versions, 1000 + outlives_s + late_s, times)] == disabled
    assert outlived(versions[:1], 1e9, times) == []


def test_a_version_is_not_outlived_by_one_that_handed_the_signing_back_before_it_expires():
    now, times = 1e9, TokenKeyTimes()
    expiring = SecretVersion("b", now - 86_400, "", expires=now + LONGEST_LIFETIME_S)
    versions = [SecretVersion("a", 0, ""), expiring, SecretVersion("c", now, "")]
    assert signing_version(versions, now, times.signing_age_s) == versions[0]
    assert outlived(versions, now, times) == []


async def test_a_vault_that_is_away_or_not_named_is_said_plainly(keys, emulator, monkeypatch):
    emulator.faults.fail_next("key_vault.listSecretVersions", Status(status=403))
    assert await keys("list") == (1, "", "Key Vault answered 403\n")
    monkeypatch.delenv("KEY_VAULT_URL")
    assert await keys("list") == (2, "", "KEY_VAULT_URL is not set\n")


async def test_a_version_s_value_is_read_once(vault, emulator):
    first = await vault.add_version("k", base64.b64encode(b"1" * 32).decode())
    assert [v.version for v in await vault.enabled_versions("k")] == [first]
    emulator.faults.fail_next("key_vault.getSecret", Status(status=403), times=100)
    assert [v.version for v in await vault.enabled_versions("k")] == [first]


async def test_so_many_versions_are_read_and_more_are_complained_about(vault, caplog):
    for number in range(MAX_VERSIONS + 2):
        await vault.add_version("k", base64.b64encode(number.to_bytes(32)).decode())
    assert len(await vault.enabled_versions("k")) == MAX_VERSIONS
    assert sum("more enabled versions" in record.getMessage() for record in caplog.records) == 1
