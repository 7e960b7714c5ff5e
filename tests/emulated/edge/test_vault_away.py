"""A vault that is away loses no call: keys that are known go on, and a cold start asks for the event again."""

import asyncio
import time

from emulator.faults import Status

AWAY = Status(status=403)
"""Not tried again by the SDK, so that one fault is one read."""


async def test_a_cold_start_without_the_vault_is_a_500_and_the_call_is_answered_when_it_is_back(edge):
    edge.emulator.faults.fail_next("key_vault.listSecretVersions", AWAY, times=2)
    event = await edge.ring()
    status, _ = await edge.deliver([event])
    assert (status, edge.answered()) == (500, [])
    async with asyncio.timeout(10):
        # Event Grid comes again after ten seconds; here it is as impatient as the app lets it.
        while (await edge.deliver([event]))[0] != 200:
            await asyncio.sleep(0.05)
    assert len(edge.answered()) == 1


async def test_an_hour_without_the_vault_costs_no_call(start_edge):
    """An hour is 12 times as long as keys are kept without a look at the vault; here that is 0.2 s."""
    edge = await start_edge(
        emulated={"connect_seconds": 60.0}, TOKEN_KEY_SIGNING_AGE_S="0.4", TOKEN_KEY_REFRESH_S="0.2"
    )
    assert (await edge.deliver([await edge.ring()]))[0] == 200
    edge.emulator.faults.fail_next("key_vault.listSecretVersions", AWAY, times=500)
    edge.emulator.faults.fail_next("key_vault.getSecret", AWAY, times=500)
    ends_at, calls = time.monotonic() + 12 * 0.2, 1
    while time.monotonic() < ends_at:
        assert (await edge.deliver([await edge.ring()]))[0] == 200
        calls += 1
    assert len(edge.answered()) == calls > 5
    async with edge.http.get(f"{edge.host.url}/readyz") as response:
        states = (await response.json())["dependencies"]
        assert (response.status, states["media_keys"]) == (200, "kept from before: Key Vault answered 403")
