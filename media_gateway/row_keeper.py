"""Keeps the row of a call up to date while the call is on, and finds out by that whether the call is still ours."""

import asyncio
from collections.abc import Callable

from media_gateway.row import OwnedRow, Written
from media_gateway.timing import Timing


class RowKeeper:
    """Writes the row of one call whenever there is something to write.

    Args:
        row: The call's.
        timing: Durations.
        on_lost: Called when the call is another pod's by now.
        on_over: Called when somebody else has ended it.
    """

    def __init__(
        self, row: OwnedRow, timing: Timing, *, on_lost: Callable[[], None], on_over: Callable[[], None]
    ) -> None:
        self._row = row
        self._timing = timing
        self._on_lost = on_lost
        self._on_over = on_over
        self._is_due = asyncio.Event()

    def begin(self) -> None:
        """Write from now on: the row has to say more than whose the call is."""
        self._is_due.set()

    def look(self) -> None:
        """Look whether the call is still ours."""
        self._row.changed.set()
        self._is_due.set()

    async def run(self) -> None:
        """Store whatever is noted, soon, until cancelled, or until the call is not ours any more."""
        await self._is_due.wait()
        while True:
            self._row.changed.clear()
            written = await self._row.write(self._timing.row_write_tries)
            if written is Written.NOT_OURS:
                self._on_lost()
                return
            if self._row.record.state.is_final:
                self._on_over()
                return
            if written is Written.FAILED:
                await asyncio.sleep(self._timing.row_write_short_s)
            else:
                await self._row.changed.wait()
