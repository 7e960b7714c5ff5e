"""One call of a dead pod: ACS is asked for its media, and whatever pod the socket comes to goes on with it.

Where none comes in time, the call is sent on as its profile says; else ACS plays an apology, and the call is hung up.
"""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from media_gateway.hang_up import HangUp, hang_up
from media_gateway.inbox import Inbox
from media_gateway.leg_end import LegEnd, ToldEnd
from media_gateway.played_prompts import PlayedPrompts
from media_gateway.pod import Pod
from media_gateway.row import OwnedRow, Written
from media_gateway.transfers import Transfers
from shared.acs.callbacks import read_result
from shared.adapters.call_store import StoredEvent
from shared.core.call import CallRecord
from shared.core.call_state import CallEvent, CallState
from shared.core.callbacks import EVENT_OF_CALLBACK
from shared.core.journeys import ways_from_a_lost_agent
from shared.core.profiles import PromptKind
from shared.errors import AcsRefused, AcsUnavailable, CallGone

logger = logging.getLogger(__name__)


class Rescued(StrEnum):
    """How it went; in the log line of every call that was taken over."""

    MEDIA_BACK = "media_back"
    """A socket came, here or to another pod, which holds the call now; or yet another pod took it over."""
    OVER = "over"
    """ACS has ended the call, or does not know it any more."""
    TRANSFERRED = "transferred"
    HUNG_UP = "hung_up"
    NOT_HUNG_UP = "not_hung_up"
    """ACS stayed away; upkeep is left."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RescueTiming:
    """Durations in seconds. Tests run with shorter ones."""

    media_s: float = 10.0
    """For media to come back. Within `MEDIA_GRANT_S`."""
    again_s: float = 3.0
    """Until ACS is asked once more: it refuses while it takes a socket for alive whose pod is gone."""
    look_s: float = 0.5
    """How often the row is read meanwhile."""


_GIVEN_UP: Mapping[CallState, CallEvent] = {
    CallState.ANSWERING: CallEvent.MEDIA_FAILED,
    CallState.CONNECTED: CallEvent.MEDIA_FAILED,
    CallState.INTERRUPTED: CallEvent.INTERRUPTION_EXPIRED,
    CallState.FALLBACK: CallEvent.FALLBACK_DONE,
}
"""What ends a call that nothing is left for; one that is ENDING has its reason."""


class Rescue:
    """Brings one call's media back, or ends it.

    Args:
        pod: This process.
        record: The call as this pod has just taken it over; its epoch fences everything done here.
        timing: Durations.
    """

    def __init__(self, pod: Pod, record: CallRecord, timing: RescueTiming) -> None:
        self._pod = pod
        self._timing = timing
        self._row = OwnedRow(pod.rows, record, pod.timing, clock=pod.clock)
        self._inbox = Inbox(pod.rows, record.call_id, pod.timing, self._take)
        self._transfers = Transfers(pod, self._row, self._inbox)
        self._played = PlayedPrompts(pod, self._row, self._inbox, pod.prompts.for_call(record.profile))
        self._leg_end = LegEnd(self._row, self._inbox, pod.timing)

    async def run(self) -> Rescued:
        """Return how it went. Cancelled, it leaves the call as it is, to whoever finds this pod dead."""
        reading = asyncio.create_task(self._inbox.run(), name="callbacks of a rescued call")
        working = asyncio.create_task(self._work(), name="rescue of a call")
        ending = asyncio.create_task(self._leg_end.begun(), name="end of a rescued call")
        try:
            with self._inbox.attending():
                await asyncio.wait((working, ending), return_when=asyncio.FIRST_COMPLETED)
                if working.done() and (outcome := working.result()) is not None:
                    return outcome
                working.cancel()
                await asyncio.wait((working,))
                return await self._end_as_told(await self._leg_end.known())
        finally:
            for task in (reading, working, ending):
                task.cancel()
            await asyncio.wait((reading, working, ending))

    def _take(self, event: StoredEvent) -> None:
        """Take a callback."""
        meaning = EVENT_OF_CALLBACK.get(event.name)
        if meaning is CallEvent.TRANSFER_FAILED:
            self._transfers.failed(event)
        elif meaning in (CallEvent.CALL_DISCONNECTED, CallEvent.TRANSFER_ACCEPTED):
            self._leg_end.tell(meaning, read_result(event.data))
        else:
            self._played.ended(event)

    async def _work(self) -> Rescued | None:
        """Return how it went; None where ACS says that the call is over."""
        try:
            if self._row.record.state is not CallState.ENDING and await self._goes_on():
                return Rescued.MEDIA_BACK
        except CallGone:
            self._leg_end.tell(CallEvent.CALL_DISCONNECTED, None)
            return None
        except Exception:
            logger.exception(
                "a step of a rescue failed in an unexpected way",
                extra={"call_id": self._row.record.call_id},
            )
        return await self._hang_up()

    async def _goes_on(self) -> bool:
        """Give the caller somebody else, or an apology; whether another pod has the call by now.

        An accepted transfer is told by callback, which ends all of this. Raises `CallGone`.
        """
        if await self._media_come_back() or not await self._send_on():
            return True
        await self._played.play(PromptKind.APOLOGY)
        return False

    async def _media_come_back(self) -> bool:
        """Ask for media and wait for them. Raises `CallGone`."""
        loop = asyncio.get_running_loop()
        give_up_at, ask_at = loop.time() + self._timing.media_s, loop.time()
        while loop.time() < give_up_at:
            if loop.time() >= ask_at:
                await self._ask_for_media()
                ask_at = loop.time() + self._timing.again_s
            await asyncio.sleep(self._timing.look_s)
            if await self._row.write(1, try_s=self._pod.timing.row_write_short_s) is Written.NOT_OURS:
                return True
        return False

    async def _ask_for_media(self) -> None:
        """Ask ACS for media. Raises `CallGone`."""
        record = self._row.record
        try:
            async with asyncio.timeout(self._pod.timing.start_media_s):
                await self._start_media()
        except AcsRefused:
            pass  # it opens the socket by itself
        except (AcsUnavailable, TimeoutError) as error:
            logger.warning(
                "media of a call could not be asked for",
                extra={"call_id": record.call_id, "error": type(error).__name__},
            )
        else:
            self._pod.counters["media_restarted"] += 1

    async def _start_media(self) -> None:
        record = self._row.record
        connection_id = record.call_connection_id or ""
        try:
            await self._pod.acs.start_media(connection_id, operation_context=record.call_id)
        except AcsRefused:
            # ACS takes the socket for alive, as it is where a pod only stands still: nobody would ever hear of it.
            await self._pod.acs.stop_media(connection_id)
            await self._pod.acs.start_media(connection_id, operation_context=record.call_id)

    async def _send_on(self) -> bool:
        """Transfer the caller where there is somebody; False where another pod has the call by now."""
        record = self._row.record
        way = next(ways_from_a_lost_agent(record), None)
        # The dead pod may have asked for it already, if it fell back; a second transfer is none.
        if way is None or record.state is CallState.FALLBACK:
            return True
        self._row.note(CallEvent.FALLBACK_STARTED)
        if await self._write() is Written.NOT_OURS:
            return False
        await self._transfers.transfer(way, timeout_s=record.profile.transfer_timeout_s)
        return True

    async def _hang_up(self) -> Rescued:
        if (event := _GIVEN_UP.get(self._row.record.state)) is not None:
            self._row.note(event)
        if await self._write() is Written.NOT_OURS:
            return Rescued.MEDIA_BACK
        done = await hang_up(self._pod, self._row.record.call_connection_id or "", stop_by=lambda: None)
        if done is HangUp.FAILED:
            return Rescued.NOT_HUNG_UP
        self._row.note(CallEvent.HUNG_UP)
        await self._write()
        return Rescued.HUNG_UP

    async def _end_as_told(self, end: ToldEnd) -> Rescued:
        self._row.note(end.event, end.result)
        if end.event is CallEvent.TRANSFER_ACCEPTED:
            # Our leg ends by itself.
            self._row.note(CallEvent.HUNG_UP)
        written = await self._write()
        if written is Written.NOT_OURS:
            return Rescued.MEDIA_BACK
        return Rescued.TRANSFERRED if end.event is CallEvent.TRANSFER_ACCEPTED else Rescued.OVER

    async def _write(self) -> Written:
        """Write the row, however long storage is away: without it nobody knows whose the call is."""
        while True:
            written = await self._row.write(self._pod.timing.row_write_tries)
            if written is not Written.FAILED:
                return written
            await asyncio.sleep(self._timing.look_s)
