"""The end of a call, from whatever side it comes: in order, in bounded time, with a last write of its row.

| who ends it                | what is done                                                       | cause           |
|----------------------------|--------------------------------------------------------------------|-----------------|
| the agent                  | its words are heard, then the call is hung up                      | AGENT_ENDED     |
| nobody can be had to talk  | the fallback has been tried (`fallback.py`); the call is hung up   | AGENT_FAILED    |
| a transfer                 | the call is somebody else's: ACS ends our leg                      | TRANSFERRED     |
| the caller                 | CallDisconnected is among the callbacks, or ACS says "gone"        | CALLER_HUNG_UP  |
| media that stay away       | the call is hung up                                                | MEDIA_LOST      |
| ACS sends nonsense         | the socket is closed with the reason, and the call hung up         | MEDIA_INVALID   |
| the clock                  | goodbye is said and heard, then the call is hung up                | MAX_DURATION    |
| a caller who says nothing  | the same                                                           | CALLER_SILENT   |
| the process stops          | the same                                                           | PROCESS_STOPPED |
| another pod                | everything here is let go; nothing is written or hung up           | its own         |

First the row says that the call ends, then the call is hung up, then the row says that it has ended: so a pod
that lost the call finds out before it hangs anybody up, and one that dies in between leaves the truth. Of lost
media the row says INTERRUPTED until the hang-up has told whether there still was a call. Where the hang-up fails,
the row stays at ENDING. The row, the log line and the state machine say the same, whatever fails on the way.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from picows import WSCloseCode

from media_gateway.agent_keeper import AgentKeeper
from media_gateway.hang_up import HangUp, hang_up
from media_gateway.message_socket import MessageSocket
from media_gateway.pod import Pod
from media_gateway.prompts import CallPrompts
from media_gateway.requests import AgentRequests
from media_gateway.row import OwnedRow, Written
from media_gateway.speaker import Speaker
from media_gateway.supervised import EndReason
from shared.core.call_state import CallEvent, Cause
from shared.core.callbacks import AcsResult
from shared.core.profiles import PromptKind
from shared.errors import AcsUnavailable, CallGone

logger = logging.getLogger(__name__)

HANDED_OVER = "handed_over"
"""The detail of an end by which another pod is to have the call."""
GOODBYE = "goodbye"
"""The item of the gateway's own goodbye."""
_WITH_GOODBYE = frozenset({CallEvent.DURATION_REACHED, CallEvent.CALLER_SILENT, CallEvent.PROCESS_STOPPING})

T = TypeVar("T")


@dataclass(slots=True, kw_only=True)
class CallParts:
    """What a call on this pod consists of, from the moment it is owned."""

    row: OwnedRow
    socket: MessageSocket
    speaker: Speaker
    keeper: AgentKeeper
    prompts: CallPrompts
    requests: AgentRequests
    received: Callable[[], Mapping[str, int]]
    """Counts of what came in on the socket, by name."""
    on_hung_up: Callable[[], None]
    """Called when the call is over for its caller, as far as that is in our hands."""
    stop_by: float | None = None
    """The loop time by which all must be over, once the process stops."""

    @property
    def stopping(self) -> bool:
        """Whether the process stops: whatever is waited for is not worth the wait any more."""
        return self.stop_by is not None


class CallEnding:
    """Ends one call."""

    def __init__(self, parts: CallParts, pod: Pod) -> None:
        self._parts = parts
        self._pod = pod
        self._timing = pod.timing
        self._detail = ""
        self._hang_up = HangUp.NOT_NEEDED
        self._is_ours = True

    async def run(self, reason: EndReason) -> bool:
        """Do all that the end takes; return whether the call was still ours.

        Never raises; if it is cancelled, the log line is still written.
        """
        self._detail = reason.detail
        try:
            if reason.event is None:
                await self._let_go()
            else:
                await self._end(reason.event, reason.result)
        finally:
            self._log()
        return self._is_ours

    async def _end(self, event: CallEvent, result: AcsResult | None) -> None:
        row = self._parts.row
        if event is CallEvent.AGENT_ENDED:
            await asyncio.gather(
                self._in_spite_of_errors(self._let_the_last_words_be_heard(), None),
                self._in_spite_of_errors(self._let_keys_be_pressed(), None),
            )
        elif event in _WITH_GOODBYE:
            await self._in_spite_of_errors(self._say_goodbye(), None)
        row.note_first_agent_audio(self._parts.speaker.first_audio_at)
        if event is not CallEvent.INTERRUPTION_EXPIRED:
            row.note(event, result)
        cause = row.record.cause or Cause.MEDIA_LOST
        await asyncio.gather(
            self._in_spite_of_errors(self._close_agent(cause), None), self._hang_up_and_write(event)
        )

    async def _hang_up_and_write(self, event: CallEvent) -> None:
        row = self._parts.row
        if event is CallEvent.TRANSFER_ACCEPTED:
            await self._write_before_the_hang_up()
            await self._in_spite_of_errors(self._let_acs_end_our_leg(), None)
        elif event is not CallEvent.CALL_DISCONNECTED:
            await self._write_before_the_hang_up()
            if not self._is_ours:
                await self._let_socket_go()
                return
            # Taking the row has bound the id.
            self._hang_up = await self._in_spite_of_errors(
                hang_up(
                    self._pod,
                    row.record.call_connection_id or "",
                    stop_by=lambda: self._parts.stop_by,
                ),
                HangUp.FAILED,
            )
        if event is CallEvent.INTERRUPTION_EXPIRED:
            # Where the call is gone, it had ended; only its callback is late.
            row.note(CallEvent.CALL_DISCONNECTED if self._hang_up is HangUp.GONE else event)
        if self._hang_up is not HangUp.FAILED and not row.record.state.is_final:
            row.note(CallEvent.HUNG_UP)
        self._parts.on_hung_up()
        await asyncio.gather(self._in_spite_of_errors(self._close_socket(), None), self._write_the_rest())

    async def _write_before_the_hang_up(self) -> None:
        """Write what was noted, in one short try, and find out whether the call is still ours."""
        await self._write(tries=1, try_s=self._timing.row_write_short_s)

    async def _write_the_rest(self) -> None:
        if self._parts.row.has_unwritten:
            await self._write(self._timing.row_write_tries)

    async def _write(self, tries: int, *, try_s: float | None = None) -> None:
        row = self._parts.row
        written = await self._in_spite_of_errors(row.write(tries, try_s=try_s), Written.FAILED)
        if written is Written.NOT_OURS:
            self._is_ours = False

    async def _let_go(self) -> None:
        self._is_ours = False
        await asyncio.gather(
            self._in_spite_of_errors(self._close_agent(Cause.MEDIA_LOST), None), self._let_socket_go()
        )
        if self._detail == HANDED_OVER:
            await self._in_spite_of_errors(self._have_media_opened_elsewhere(), None)

    async def _let_socket_go(self) -> None:
        if self._detail == HANDED_OVER:
            self._parts.socket.close(WSCloseCode.GOING_AWAY, HANDED_OVER)
        else:
            self._parts.socket.close(WSCloseCode.POLICY_VIOLATION, "ownership_lost")
        await self._parts.socket.closed.wait()

    async def _have_media_opened_elsewhere(self) -> None:
        """Ask ACS for the socket that the next pod is to get, should it not open one by itself."""
        record = self._parts.row.record
        try:
            async with asyncio.timeout(self._timing.start_media_s):
                await self._pod.acs.start_media(
                    record.call_connection_id or "", operation_context=record.call_id
                )
        except (AcsUnavailable, CallGone, TimeoutError):
            pass  # it opens one already; or the pods that are left see to it

    async def _close_agent(self, cause: Cause) -> None:
        await self._parts.keeper.close(cause)

    async def _in_spite_of_errors(self, step: Awaitable[T], otherwise: T) -> T:
        """Do a step of the end; an error of our own in it must not keep the others from being done."""
        try:
            return await step
        except Exception:
            logger.exception(
                "a step of a call's end failed", extra={"call_id": self._parts.row.record.call_id}
            )
            return otherwise

    async def _say_goodbye(self) -> None:
        """Say goodbye in the agent's stead, if anybody hears it."""
        parts = self._parts
        if parts.socket.closed.is_set():
            return
        parts.speaker.clear()
        parts.speaker.say(GOODBYE, parts.prompts.get(PromptKind.GOODBYE), protected=True)
        await parts.speaker.heard_out(self._timing.goodbye_s, unless=self._is_in_vain)

    def _is_in_vain(self) -> bool:
        """Whether nobody hears what is said, or the process has no time for it."""
        parts = self._parts
        if parts.stop_by is None:
            return parts.socket.closed.is_set()
        left_s = parts.stop_by - asyncio.get_running_loop().time()
        return parts.socket.closed.is_set() or left_s < self._timing.hang_up_s

    async def _let_acs_end_our_leg(self) -> None:
        """Wait for ACS to end what is left of a call that was transferred; whoever has it now is not hung up on."""
        await _wait(self._parts.socket.closed, self._timing.transfer_end_s)

    async def _let_the_last_words_be_heard(self) -> None:
        """Wait until the caller has heard all that was said, is gone, or has had `goodbye_s`."""
        parts = self._parts
        await parts.speaker.heard_out(
            self._timing.goodbye_s, unless=lambda: parts.socket.closed.is_set() or parts.stopping
        )

    async def _let_keys_be_pressed(self) -> None:
        """Let ACS have the keys that the agent has asked for: to open a door, and then hang up."""
        try:
            async with asyncio.timeout(self._timing.keys_s):
                await self._parts.requests.done()
        except TimeoutError:
            self._pod.counters["keys_failed"] += 1

    async def _close_socket(self) -> None:
        """Let ACS close its socket, as it does at the end of a call; after a while, close it ourselves."""
        socket = self._parts.socket
        await _wait(socket.closed, self._timing.socket_close_s)
        socket.close(WSCloseCode.GOING_AWAY if self._parts.stopping else WSCloseCode.OK)
        await socket.closed.wait()

    def _log(self) -> None:
        parts, record = self._parts, self._parts.row.record
        written = Written.FAILED if parts.row.has_unwritten else Written.WRITTEN
        if not self._is_ours:
            written = Written.NOT_OURS
        if written is Written.FAILED:
            self._pod.counters["rows_not_written"] += 1
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
                "row": written.value,
                "hang_up": self._hang_up.value,
                "close_code": parts.socket.end.code,
                "seconds": round(self._pod.clock() - record.times.created, 3),
                "write_pauses": parts.socket.write_pauses,
                "received": parts.received(),
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
