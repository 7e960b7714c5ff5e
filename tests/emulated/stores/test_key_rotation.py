"""Keys that are rotated all the time, on the emulated Key Vault through the real SDK: no good token is refused."""

import asyncio
import base64
import contextlib
import secrets
import time
from itertools import pairwise

import pytest

from shared.adapters.connect import open_vault
from shared.config import TokenKeyTimes, VaultSettings
from shared.security.keyring import CALLBACK_KEY_SECRET, Keyring
from shared.security.tokens import Audience, SigningKey, mint
from tests.support.gateway import running_emulator

FAST = TokenKeyTimes(signing_age_s=1.0, refresh_s=0.5, min_interval_s=0.25)
"""As in production, where a version signs after 600 s and is read every 300 s, but 600 times as fast."""
ROTATED_EVERY_S = 0.25
FOR_S = 3.0
TOKENS_A_SECOND = 50


@pytest.fixture
async def open_process():
    """Open vaults of several processes: `vault = await open_process()`."""
    async with running_emulator() as emulator, contextlib.AsyncExitStack() as stack:
        settings = VaultSettings(emulator.key_vault_url, emulator.key_vault_ca_file, local_credential=True)
        yield lambda: stack.enter_async_context(open_vault(settings))


def minted(key):
    return mint(Audience.CALLBACK, call_id="c", account_id="demo", jti="j", signing=key)


async def add(vault):
    return await vault.add_version(CALLBACK_KEY_SECRET, base64.b64encode(secrets.token_bytes(32)).decode())


async def test_keys_rotated_under_load_fail_no_token(open_process):
    operator = await open_process()
    first = await add(operator)
    signers = [Keyring(await open_process(), CALLBACK_KEY_SECRET, FAST) for _ in range(2)]
    verifier = Keyring(await open_process(), CALLBACK_KEY_SECRET, FAST)
    tokens, kids, rotations, started = [], set(), 0, time.monotonic()

    async def rotate():
        nonlocal rotations
        while time.monotonic() - started < FOR_S:
            await add(operator)
            rotations += 1
            await asyncio.sleep(ROTATED_EVERY_S)

    async def use(signer, turn):
        for number in range(int(FOR_S * TOKENS_A_SECOND / 2)):
            await asyncio.sleep(max(0.0, started + (2 * number + turn) / TOKENS_A_SECOND - time.monotonic()))
            key = await signer.signing_key()
            kids.add(key.kid)
            tokens.append(token := minted(key))
            # At once, by a process that did not sign it; and all that were made before, again.
            await verifier.verify_fresh(token, audience=Audience.CALLBACK)
            await verifier.verify_fresh(tokens[len(tokens) // 2], audience=Audience.CALLBACK)

    try:
        await asyncio.gather(rotate(), *(use(signer, turn) for turn, signer in enumerate(signers)))
        for token in tokens:
            await verifier.verify_fresh(token, audience=Audience.CALLBACK)
    finally:
        for keyring in (*signers, verifier):
            await keyring.refresher.close()
    assert len(tokens) == FOR_S * TOKENS_A_SECOND
    assert rotations >= 8
    assert len(kids - {first}) >= 1


async def test_a_flood_of_unknown_keys_costs_one_read_an_interval_and_no_good_token(open_process):
    operator = await open_process()
    await add(operator)
    vault = await open_process()
    keys = Keyring(vault, CALLBACK_KEY_SECRET, FAST)
    reads = []
    read = vault.versions

    async def counted(name):
        reads.append(time.monotonic())
        return await read(name)

    vault.versions = counted
    token = minted(await keys.signing_key())
    forged = minted(SigningKey("0" * 32, b"z" * 32))
    started, refused, good = time.monotonic(), 0, 0

    async def flood():
        nonlocal refused
        while time.monotonic() - started < 1.5:
            with pytest.raises(Exception, match="key is not known"):
                await keys.verify_fresh(forged, audience=Audience.CALLBACK)
            refused += 1

    async def go_on():
        nonlocal good
        while time.monotonic() - started < 1.5:
            await keys.verify_fresh(token, audience=Audience.CALLBACK)
            good += 1
            await asyncio.sleep(0.01)

    # An emergency: the old key is gone, and the new one signs at once, which nobody has read of yet.
    async def emergency():
        await asyncio.sleep(0.4)
        version = await add(operator)
        value = next(
            v.value for v in await operator.enabled_versions(CALLBACK_KEY_SECRET) if v.version == version
        )
        newest = minted(SigningKey(version, base64.b64decode(value)))
        await keys.verify_fresh(newest, audience=Audience.CALLBACK)

    await asyncio.gather(go_on(), emergency(), *(flood() for _ in range(50)))
    await keys.refresher.close()
    assert refused >= 50
    assert good >= 50
    gaps = [later - earlier for earlier, later in pairwise(reads)]
    assert min(gaps) >= FAST.min_interval_s * 0.9
