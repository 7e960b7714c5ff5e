"""Both token keys are rotated every five seconds while fifty calls a second are answered by one process.

Ages are scaled, so that every version comes to sign within the run: two minutes of ten-minute steps, as it were.
"""

import asyncio
import time
from collections import Counter

import pytest

from bench.answer import one_call, stack
from emulator.call import Happening
from shared.admin.__main__ import main as command_line

pytestmark = [pytest.mark.soak, pytest.mark.timeout(300)]

SETTINGS = {"TOKEN_KEY_SIGNING_AGE_S": "4", "TOKEN_KEY_REFRESH_S": "2"}
RATE, SECONDS, ROTATE_EVERY_S = 50, 30, 5
SETTLE_S = 5.0
"""For the last callbacks to come."""


async def test_keys_rotated_under_load_fail_no_call(monkeypatch):
    counts: Counter[str] = Counter()
    waits_ms: list[float] = []
    async with stack(**SETTINGS) as running:
        emulator = running.emulator
        for name, value in (SETTINGS | {
            "KEY_VAULT_URL": emulator.key_vault_url,
            "KEY_VAULT_CA_FILE": str(emulator.key_vault_ca_file),
            "AZURE_CREDENTIAL": "local",
        }).items():  # fmt: skip
            monkeypatch.setenv(name, value)

        async def rotate():
            # In a thread: starting a process takes CPU that on a small machine the app would lack.
            while await asyncio.to_thread(command_line, ["keys", "rotate"]) == 0:
                counts["rotations"] += 1
                await asyncio.sleep(ROTATE_EVERY_S)

        async def call():
            try:
                await one_call(emulator, waits_ms)
            except TimeoutError:
                counts["unanswered"] += 1

        rotating = asyncio.create_task(rotate())
        started = time.monotonic()
        async with asyncio.TaskGroup() as calls:
            for number in range(RATE * SECONDS):
                await asyncio.sleep(max(0.0, started + number / RATE - time.monotonic()))
                calls.create_task(call())
        rotating.cancel()
        await asyncio.sleep(SETTLE_S)
        await asyncio.gather(rotating, return_exceptions=True)
        for placed in emulator.calls:
            counts.update(_name(happening) for happening in placed.happenings)
    print(f"\n{len(waits_ms)} of {RATE * SECONDS} calls answered; of the last 1000: {dict(counts)}")
    assert counts["rotations"] >= SECONDS // ROTATE_EVERY_S
    assert len(waits_ms) == RATE * SECONDS
    assert [name for name in counts if "failed" in name and "media" not in name] == []


def _name(happening: Happening) -> str:
    """Name a failure with its status: a 401 is a key's fault, a time-out the machine's."""
    if "failed" not in happening.name:
        return happening.name
    return f"{happening.name} ({happening.detail.get('status') or happening.detail.get('outcome')})"
