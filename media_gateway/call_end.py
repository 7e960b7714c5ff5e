"""The end of a call, from whatever side it comes: in order, in bounded time, with one last write of its row.

| who ends it              | what is done                                                        | cause          |
|--------------------------|---------------------------------------------------------------------|----------------|
| the agent                | its words are heard, then the call is hung up                       | AGENT_ENDED    |
| the agent fails          | the call is hung up                                                 | AGENT_FAILED   |
| the caller               | CallDisconnected is found in the call's events, or ACS says "gone"  | CALLER_HUNG_UP |
| nobody: the socket drops | INTERRUPTED; a grace for CallDisconnected; then the call is hung up | MEDIA_LOST     |
| ACS sends nonsense       | the socket is closed with the reason, and the call hung up          | MEDIA_INVALID  |
| the clock                | the call is hung up                                                 | MAX_DURATION   |
| the process stops        | the call is hung up                                                 | PROCESS_STOPPED|
| another pod              | everything here is let go; nothing is written or hung up            | its own        |

The row, the log line and the state machine say the same, whatever fails on the way.
"""

import asyncio
import logging
from dataclasses import dataclass
from enum import StrEnum

from picows import WSCloseCode

from media_gateway.media_socket import MediaSocket
from media_gateway.pod import Pod
from media_gateway.row import OwnedRow, Written
from media_gateway.speaker import Speaker
from media_gateway.supervised import EndReason, SupervisedAgent
from shared.core.call_state import CallEvent, Cause
from shared.errors import AcsUnavailable, CallGone

logger = logging.getLogger(__name__)


class HangUp(StrEnum):
    """What became of our hang-up; in the log line of every call."""

    NOT_NEEDED = "not_needed"
    DONE = "done"
    GONE = "gone"
    """ACS did not know the call any more: it had ended before."""
    FAILED = "failed"
    """ACS stayed away. Without media the call has nothing to say, but the caller may still be in it."""


@dataclass(slots=True, kw_only=True)
class CallParts:
    """What a call on this pod consists of, from the moment it is owned."""

    row: OwnedRow
    socket: MediaSocket
    speaker: Speaker
    agent: SupervisedAgent
    received: dict[str, int]
    """Counts of what came in on the socket, by name."""
    stopping: bool = False
    """The process stops: whatever is waited for is not worth the wait any more."""


class CallEnding:
    """Ends one call."""

    def __init__(self, parts: CallParts, pod: Pod) -> None:
        self._parts = parts
        self._pod = pod
        self._timing = pod.timing
        self._detail = ""
        self._hang_up = HangUp.NOT_NEEDED
        self._written = Written.FAILED

    async def run(self, reason: EndReason) -> None:
        """Do all that the end takes. Never raises; if it is cancelled, the log line is still written."""
        self._detail = reason.detail
        try:
            if reason.event is None:
                await self._let_go()
            else:
                await self._end(reason.event)
        finally:
            self._log()

    async def _end(self, event: CallEvent) -> None:
        row, agent = self._parts.row, self._parts.agent
        if event is CallEvent.AGENT_ENDED:
            await self._let_the_goodbye_be_heard()
        elif event is CallEvent.MEDIA_LOST:
            event = await self._tell_a_hang_up_from_a_lost_socket()
        if event is not CallEvent.CALL_DISCONNECTED:
            self._hang_up = await self._try_to_hang_up()
        if event is CallEvent.INTERRUPTION_EXPIRED and self._hang_up is HangUp.GONE:
            # The call had ended; only its callback is late.
            event = CallEvent.CALL_DISCONNECTED
        row.note(event)
        if not row.record.state.is_final:
            row.note(CallEvent.HUNG_UP)
        row.note_first_agent_audio(self._parts.speaker.first_audio_at)
        _, _, self._written = await asyncio.gather(
            agent.close(row.record.cause or Cause.MEDIA_LOST, timeout_s=self._timing.agent_close_s),
            self._close_socket(),
            row.write(self._timing.row_write_tries),
        )

    async def _let_go(self) -> None:
        self._written = Written.NOT_OURS
        self._parts.socket.close(WSCloseCode.POLICY_VIOLATION, "ownership_lost")
        await asyncio.gather(
            self._parts.agent.close(Cause.MEDIA_LOST, timeout_s=self._timing.agent_close_s),
            self._parts.socket.closed.wait(),
        )

    async def _let_the_goodbye_be_heard(self) -> None:
        """Wait until the caller has heard all that was said, is gone, or has had `goodbye_s`."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._timing.goodbye_s
        while not self._parts.socket.closed.is_set() and not self._parts.stopping:
            # The playout may take longer than it looks now: ACS may stop reading for a while.
            left = min(self._parts.speaker.remaining_s(), deadline - loop.time())
            if left <= 0:
                return
            await _wait(self._parts.socket.closed, min(left, self._timing.events_step_s))

    async def _tell_a_hang_up_from_a_lost_socket(self) -> CallEvent:
        """Find out what a socket that ended without us means."""
        row, end = self._parts.row, self._parts.socket.end
        if end.is_normal and await self._disconnected_within(self._timing.disconnect_wait_s):
            return CallEvent.CALL_DISCONNECTED
        self._pod.counters["media_lost"] += 1
        row.note(CallEvent.MEDIA_LOST)
        await row.write(tries=1)
        if await self._disconnected_within(self._timing.interruption_grace_s):
            return CallEvent.CALL_DISCONNECTED
        return CallEvent.PROCESS_STOPPING if self._parts.stopping else CallEvent.INTERRUPTION_EXPIRED

    async def _disconnected_within(self, seconds: float) -> bool:
        """Whether ACS tells by callback, now or in that time, that the call is over."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while True:
            if await self._parts.row.is_disconnected():
                return True
            left = deadline - loop.time()
            if left <= 0 or self._parts.stopping:
                return False
            await asyncio.sleep(min(left, self._timing.events_step_s))

    async def _try_to_hang_up(self) -> HangUp:
        connection_id = self._parts.row.record.call_connection_id
        if connection_id is None:  # taking the row has bound it
            return HangUp.FAILED
        for attempt in range(self._timing.hang_up_tries):
            if attempt:
                await asyncio.sleep(self._timing.retry_step_s * 2 ** (attempt - 1))
            try:
                async with asyncio.timeout(self._timing.hang_up_s):
                    await self._pod.acs.hang_up(connection_id, for_everyone=True)
            except CallGone:
                return HangUp.GONE
            except (AcsUnavailable, TimeoutError):
                continue
            except Exception:
                logger.exception("a hang-up failed in an unexpected way")  # the row is written all the same
                continue
            return HangUp.DONE
        return HangUp.FAILED

    async def _close_socket(self) -> None:
        """Let ACS close its socket, as it does at the end of a call; after a while, close it ourselves."""
        socket = self._parts.socket
        await _wait(socket.closed, self._timing.socket_close_s)
        socket.close(WSCloseCode.GOING_AWAY if self._parts.stopping else WSCloseCode.OK)
        await socket.closed.wait()

    def _log(self) -> None:
        parts, record = self._parts, self._parts.row.record
        if self._written is Written.FAILED:
            self._pod.counters["rows_not_written"] += 1
        if self._hang_up is HangUp.FAILED:
            self._pod.counters["hang_ups_failed"] += 1
        self._pod.counters["calls_ended"] += 1
        logger.info(
            "call ended",
            extra={
                "call_id": record.call_id,
                "account": record.account_id,
                "state": record.state.value,
                "cause": record.cause and record.cause.value,
                "detail": self._detail,
                "epoch": record.epoch,
                "row": self._written.value,
                "hang_up": self._hang_up.value,
                "close_code": parts.socket.end.code,
                "seconds": round(self._pod.clock() - record.times.created, 3),
                "write_pauses": parts.socket.write_pauses,
                "received": parts.received,
                "sent": parts.speaker.counts(),
            },
        )


async def _wait(event: asyncio.Event, seconds: float) -> None:
    """Wait for `event`, at most so long."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        pass
