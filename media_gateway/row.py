"""The call's row, as its owner writes it: every event of the call in order, and nothing after losing it."""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from enum import StrEnum
from functools import partial
from typing import TypeAlias

from media_gateway.outside import CallRows
from media_gateway.timing import Timing
from shared.core.call import CallRecord, advance
from shared.core.call_state import CallEvent
from shared.core.callbacks import AcsResult
from shared.core.ownership import (
    MediaClaim,
    MediaRefused,
    OwnershipLost,
    Refusal,
    require_epoch,
    take_ownership,
)
from shared.errors import NotFound, StoreUnavailable

logger = logging.getLogger(__name__)

TimedEvent: TypeAlias = tuple[CallEvent, float, AcsResult | None]
"""An event, when it happened (Unix seconds), and what ACS said of it."""


class Written(StrEnum):
    """How writing the row went; in the log line of every call."""

    WRITTEN = "written"
    FAILED = "failed"
    """Storage stayed away. The row shows an older state; the log line has the true one."""
    NOT_OURS = "not_ours"
    """Another pod took the call, or its row is gone."""


class OwnedRow:
    """The row of a call that this pod owns.

    `note` what happens, and `write` now and then; what a write did not get through is in the next one. So the
    row may lag behind, and never lacks an event or has them out of order. `record` is the call as this pod
    knows it, whether or not it could be written.
    """

    def __init__(
        self,
        rows: CallRows,
        record: CallRecord,
        timing: Timing,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.record = record
        self._rows = rows
        self._timing = timing
        self._clock = clock
        self._unwritten: list[TimedEvent] = []
        self._first_agent_audio: float | None = None
        self._output: dict[str, str] | None = None
        self._grant_until: float | None = None
        self.changed = asyncio.Event()
        """Set when there is something to write."""
        self._writing = asyncio.Lock()
        """Of two writes at once one would take the other's events for its own."""

    def note(self, event: CallEvent, result: AcsResult | None = None) -> None:
        """Apply an event to the call, here; `write` stores it. `result`: what ACS said of it."""
        at = self._clock()
        self._unwritten.append((event, at, result))
        self.record = advance(self.record, event, at, result)
        self.changed.set()

    def grant_media(self, seconds: float) -> None:
        """Let whatever pod gets the next media socket have the call; `write` stores it."""
        self._grant_until = self._clock() + seconds
        self.changed.set()

    def set_output(self, variables: Mapping[str, str]) -> None:
        """Set the output variables, all of them; `write` stores them."""
        self._output = dict(variables)
        self.record = replace(self.record, output=self._output)
        self.changed.set()

    def note_first_agent_audio(self, at: float | None) -> None:
        """Set when the agent was first heard of (Unix seconds)."""
        self._first_agent_audio = at

    @property
    def has_unwritten(self) -> bool:
        """Whether the row lacks something that was noted."""
        return bool(self._unwritten)

    async def write(self, tries: int, *, try_s: float | None = None) -> Written:
        """Store what was noted, and find out whether the call is still ours. Never raises; a failure is logged.

        Args:
            tries: How often it is tried.
            try_s: For one try; `Timing.row_write_s` where it is None.
        """
        async with self._writing:
            return await self._write(tries, try_s)

    async def _write(self, tries: int, try_s: float | None) -> Written:
        for attempt in range(tries):
            if attempt:
                await asyncio.sleep(self._timing.retry_step_s * 2 ** (attempt - 1))
            events = tuple(self._unwritten)
            try:
                async with asyncio.timeout(self._timing.row_write_s if try_s is None else try_s):
                    written = await self._rows.change(
                        self.record.call_id, partial(self._brought_up_to_date, events)
                    )
            except (StoreUnavailable, TimeoutError):
                continue
            except (OwnershipLost, NotFound):
                return Written.NOT_OURS
            except Exception:
                logger.exception("a row's write failed in an unexpected way")  # the call ends all the same
                continue
            del self._unwritten[: len(events)]
            self._grant_until = None
            # What was set meanwhile is in the next write.
            output = self._output if self._output is not None else written.output
            self.record = replace(_replayed(written, self._unwritten), output=output)
            return Written.WRITTEN
        logger.warning("a call's row could not be written", extra={"call_id": self.record.call_id})
        return Written.FAILED

    def _brought_up_to_date(self, events: Sequence[TimedEvent], record: CallRecord) -> CallRecord:
        record = _replayed(require_epoch(record, self.record.epoch), events)
        if self._first_agent_audio is not None and record.times.first_agent_audio is None:
            record = replace(record, times=replace(record.times, first_agent_audio=self._first_agent_audio))
        if self._output is not None and record.output != self._output:
            record = replace(record, output=self._output)
        if self._grant_until is not None:
            record = replace(record, media_grant_until=self._grant_until)
        return record


def _replayed(record: CallRecord, events: Sequence[TimedEvent]) -> CallRecord:
    """Apply events, except those that a write whose reply was lost has got through already."""
    known = {(entry.event, entry.at) for entry in record.history}
    for event, at, result in events:
        if (event, at) not in known:
            record = advance(record, event, at, result)
    return record


async def take_row(
    rows: CallRows,
    call_id: str,
    *,
    account_id: str,
    jti: str,
    call_connection_id: str | None,
    is_acs_verified: bool,
    is_expired: bool,
    pod: str,
    timing: Timing,
    clock: Callable[[], float],
    is_owner_dead: Callable[[str], bool],
) -> CallRecord:
    """Make this pod the owner of a call, by one conditional update of its row.

    While storage is away it is tried again, without end: the caller decides when to cancel. It has to be this
    one that goes on, for only it knows an update of its own whose reply was lost.

    Args:
        rows: Where the row is.
        call_id: The call.
        account_id: Of the token.
        jti: Of the token.
        call_connection_id: That the socket names.
        is_acs_verified: Whether ACS's own JWT came with the socket.
        is_expired: Whether the token has.
        pod: This one's name.
        timing: Durations.
        clock: Tells Unix seconds.
        is_owner_dead: Tells of a pod, by its name, whether it is known to beat no more.

    Raises:
        MediaRefused: the token is not the call's, was used and may not be again, or the call is over.
        NotFound: there is no such call.
    """
    claim = MediaClaim(account_id, jti, call_connection_id, is_acs_verified, is_expired)
    taken_epoch: int | None = None

    def take(record: CallRecord) -> CallRecord:
        nonlocal taken_epoch
        if taken_epoch is not None and record.epoch >= taken_epoch:
            # An update whose reply was lost comes back as a conflict with ourselves.
            if record.epoch == taken_epoch and record.owner == pod:
                return record
            # Not to be taken back from another socket: neither would keep it. A pod that has only asked for one is
            # glad of this one.
            if record.media_grant_until is None:
                raise MediaRefused(Refusal.TAKEN_SINCE)
        is_dead = record.owner is not None and is_owner_dead(record.owner)
        taken = take_ownership(record, claim, pod=pod, now=clock(), is_owner_dead=is_dead)
        taken_epoch = taken.epoch
        return taken

    pause_s = timing.retry_step_s
    while True:
        try:
            async with asyncio.timeout(timing.row_write_s):
                return await rows.change(call_id, take)
        except (StoreUnavailable, TimeoutError):
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, timing.row_write_short_s)
