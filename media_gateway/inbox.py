"""What ACS tells of one call by callback, as its owner learns it: from the store, each event once.

Functions store a callback first and signal the owner's pod second; a signal may be lost. So the store is read when a
signal says so, every 2 s while an answer is awaited, and now and then otherwise.
"""

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from media_gateway.outside import CallRows
from media_gateway.timing import Timing
from shared.adapters.call_store import StoredEvent
from shared.errors import StoreUnavailable

logger = logging.getLogger(__name__)


class Inbox:
    """The callbacks of one call.

    Args:
        rows: Where they are stored.
        call_id: Whose they are.
        timing: Durations.
        take: Takes each event, in the order in which they were stored.
    """

    def __init__(
        self, rows: CallRows, call_id: str, timing: Timing, take: Callable[[StoredEvent], None]
    ) -> None:
        self._rows = rows
        self._call_id = call_id
        self._timing = timing
        self._take = take
        self._seen: set[str] = set()
        self._woken = asyncio.Event()
        self._awaited = 0

    def wake(self) -> None:
        """Read the store now: there is something, or there may be."""
        self._woken.set()

    @contextmanager
    def attending(self) -> Iterator[None]:
        """Read often while an answer is awaited; a lost signal then costs `events_step_s` at most."""
        self._awaited += 1
        self.wake()
        try:
            yield
        finally:
            self._awaited -= 1

    async def run(self) -> None:
        """Read until cancelled. While storage is away, it is tried at the same pace."""
        while True:
            self._woken.clear()
            await self._read()
            pause_s = self._timing.events_step_s if self._awaited else self._timing.events_idle_step_s
            try:
                async with asyncio.timeout(pause_s):
                    await self._woken.wait()
            except TimeoutError:
                pass

    async def _read(self) -> None:
        try:
            async with asyncio.timeout(self._timing.row_write_short_s):
                events = await self._rows.events(self._call_id)
        except (StoreUnavailable, TimeoutError):
            return
        except Exception:
            logger.exception(
                "a call's callbacks could not be read in an unexpected way", extra={"call_id": self._call_id}
            )
            return
        for event in events:
            if event.event_id not in self._seen:
                self._seen.add(event.event_id)
                try:
                    self._take(event)
                except Exception:
                    logger.exception(
                        "a callback could not be taken in an unexpected way",
                        extra={"call_id": self._call_id, "callback": event.name},
                    )
