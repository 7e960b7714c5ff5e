"""The stand-in of a realtime voice service, in the test's own event loop and on a free port."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from emulator.realtime.service import RealtimeService
from emulator.realtime.settings import Behaviour, RealtimeSettings


@asynccontextmanager
async def running_realtime_service(
    behaviour: Behaviour | str = Behaviour.SILENT, **changes: Any
) -> AsyncIterator[RealtimeService]:
    """Run a service; it is silent unless told otherwise, so that a test says all that is said.

    Args:
        behaviour: of every session.
        changes: fields of `RealtimeSettings`.
    """
    service = RealtimeService(RealtimeSettings(behaviour=Behaviour(behaviour), **changes))
    await service.start()
    try:
        yield service
    finally:
        await service.stop()
