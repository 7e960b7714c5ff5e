"""The ACS emulator for tests, in the test's own event loop and on free ports."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from emulator.identity import Identity
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


@pytest.fixture(scope="session", autouse=True)
def one_key_for_all_emulators() -> Iterator[None]:
    """Let all emulators of a test process sign with one key, by names of their own: making one takes 40 ms of CPU."""
    key = rsa.generate_private_key(65537, 2048)

    async def create(*, issuer: str, audience: str) -> Identity:
        return Identity(issuer=issuer, audience=audience, key=key)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Identity, "create", create)
        yield


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
