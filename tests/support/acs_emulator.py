"""The ACS emulator for tests, in the test's own event loop and on free ports."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from emulator.service import Emulator
from emulator.settings import EmulatorSettings

TIME_SCALE = 0.001
"""Event Grid's first retry, 10 s in Azure, comes after 10 ms."""

ACS_USER = "8:acs:11111111-1111-1111-1111-111111111111_00000014-1889-f3a7-6a0b-343a0d0061f3"

StartEmulator = Callable[..., Awaitable[Emulator]]


def fast_settings(**changes: Any) -> EmulatorSettings:
    """Settings with one number and one identity, whose protocol timers run a thousand times as fast."""
    defaults: dict[str, Any] = {
        "time_scale": TIME_SCALE,
        "connect_seconds": 0.0,
        "identities": (ACS_USER,),
        "request_timeout_seconds": 5.0,
    }
    return EmulatorSettings(**{**defaults, **changes})


@pytest.fixture
async def start_emulator() -> AsyncIterator[StartEmulator]:
    """Start emulators with settings of the test's choice (fields of EmulatorSettings); all are stopped after it."""
    started: list[Emulator] = []

    async def start(**changes: Any) -> Emulator:
        emulator = Emulator(fast_settings(**changes))
        await emulator.start()
        started.append(emulator)
        return emulator

    yield start
    for emulator in started:
        await emulator.stop()


@pytest.fixture
async def acs_emulator(start_emulator: StartEmulator) -> Emulator:
    """One emulator with `fast_settings`."""
    return await start_emulator()
