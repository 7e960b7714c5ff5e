"""The end of one call as ACS tells it: at once where that is its last word, else after a wait for what it may tell yet.

Whether it is, `shared/core/leg_end.py` says.
"""

import asyncio
from dataclasses import dataclass

from media_gateway.inbox import Inbox
from media_gateway.row import OwnedRow
from media_gateway.timing import Timing
from shared.core.call_state import CallEvent
from shared.core.callbacks import AcsResult
from shared.core.leg_end import is_last_word


@dataclass(frozen=True, slots=True)
class ToldEnd:
    """CALL_DISCONNECTED or TRANSFER_ACCEPTED, and what ACS said of it, where it told."""

    event: CallEvent
    result: AcsResult | None


class LegEnd:
    """What ACS tells of the end of one call.

    Args:
        row: The call's.
        inbox: The call's; it is read often while something may be told yet.
        timing: Durations.
    """

    def __init__(self, row: OwnedRow, inbox: Inbox, timing: Timing) -> None:
        self._row = row
        self._inbox = inbox
        self._timing = timing
        loop = asyncio.get_running_loop()
        self._first: asyncio.Future[ToldEnd] = loop.create_future()
        self._last: asyncio.Future[ToldEnd] = loop.create_future()

    @property
    def has_begun(self) -> bool:
        """Whether the leg is over, though it may not be known yet how."""
        return self._first.done()

    def tell(self, event: CallEvent, result: AcsResult | None) -> None:
        """Take CallDisconnected, that ACS does not know the call any more, or CallTransferAccepted."""
        end = ToldEnd(event, result)
        if not self._first.done():
            self._first.set_result(end)
        if not self._last.done() and is_last_word(self._row.record, event, result):
            self._last.set_result(end)

    async def begun(self) -> None:
        """Wait until the leg is over."""
        await asyncio.wait((self._first,))

    async def known(self) -> ToldEnd:
        """Return how the call has ended: the first last word, else, when none comes in time, the first word."""
        await self.begun()
        if not self._last.done():
            with self._inbox.attending():
                await asyncio.wait((self._last,), timeout=self._timing.transfer_told_s)
        return self._last.result() if self._last.done() else self._first.result()
