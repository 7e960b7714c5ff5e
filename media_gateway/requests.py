"""What an agent asks of its call beyond speaking: variables, keys, a transfer, a pause of the recording.

What must wait (for the caller to hear what was said, for ACS) is done by one task of the call, in the order in which
it was asked for; the agent's audio waits for none of it.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from media_gateway.agents.contract import CALLER_STOPS, Role
from media_gateway.agents.so_far import ConversationSoFar
from media_gateway.patience import Patience
from media_gateway.pod import Pod
from media_gateway.recording.recorder import Recorder
from media_gateway.row import OwnedRow
from media_gateway.speaker import Speaker
from media_gateway.supervised import EndReason
from media_gateway.transfers import Transfers
from shared.core.callbacks import TransferFailure
from shared.core.journeys import way_after_the_agent, way_asked_for
from shared.core.variables import within_limits
from shared.errors import AcsUnavailable, CallGone

logger = logging.getLogger(__name__)

MAX_WAITING = 16
"""Requests that wait; an agent that asks for more at once is not heard, and that is counted."""
TRANSFER_TOO_MANY = "too_many_requests"


@dataclass(frozen=True, slots=True)
class _Keys:
    digits: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Transfer:
    target: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class _End:
    reason: EndReason


class AgentRequests:
    """Takes what one call's agent asks for (`supervised.AgentOwner`), and does it.

    Args:
        pod: This process.
        row: The call's.
        speaker: What the agent speaks through.
        transfers: The call's.
        patience: Is told when the caller is heard of.
        so_far: Takes down what was said.
        on_end: Ends the call.
        on_transfer_failed: Tells the agent that the caller is still here.
    """

    def __init__(
        self,
        pod: Pod,
        row: OwnedRow,
        speaker: Speaker,
        transfers: Transfers,
        patience: Patience,
        so_far: ConversationSoFar,
        *,
        on_end: Callable[[EndReason], None],
        on_transfer_failed: Callable[[str], None],
    ) -> None:
        self._pod = pod
        self._row = row
        self._speaker = speaker
        self._transfers = transfers
        self._patience = patience
        self._so_far = so_far
        self.recorder: Recorder | None = None
        """Of the call; None where it is not recorded."""
        self._on_end = on_end
        self._on_transfer_failed = on_transfer_failed
        self._waiting: asyncio.Queue[_Keys | _Transfer | _End] = asyncio.Queue(MAX_WAITING)
        self._is_ending = False
        self._resuming: asyncio.TimerHandle | None = None

    async def run(self) -> None:
        """Do what waits, until cancelled."""
        while True:
            request = await self._waiting.get()
            try:
                match request:
                    case _Keys(digits):
                        await self._press(digits)
                    case _Transfer(target):
                        await self._transfer(target)
                    case _End(reason):
                        await self._send_back(reason)
            except Exception:
                logger.exception(
                    "what an agent asked for failed", extra={"call_id": self._row.record.call_id}
                )
            self._waiting.task_done()

    def stop(self) -> None:
        """Transfer no more, and go on with no recording: the call ends. Keys that were asked for are pressed."""
        self._is_ending = True
        if self._resuming is not None:
            self._resuming.cancel()

    async def done(self) -> None:
        """Wait until everything that was asked for is done."""
        await self._waiting.join()

    def end(self, reason: EndReason) -> None:
        """End the call, or send it back to where it came from; where that fails, it ends."""
        if way_after_the_agent(self._row.record) is None or not self._ask(_End(reason)):
            self._on_end(reason)

    def transfer(self, target: str) -> None:
        """Transfer the call to a raw id, or back (`RETURN_TO`), after what was said was heard."""
        if not self._ask(_Transfer(target)):
            self._on_transfer_failed(TRANSFER_TOO_MANY)

    def press_keys(self, digits: str) -> None:
        """Press keys towards the caller's side."""
        self._ask(_Keys(digits))

    def set_variables(self, values: Mapping[str, str]) -> frozenset[str]:
        """Set output variables; those past the limits are left out, counted, and returned by name."""
        merged = {**self._row.record.output, **values}
        kept = within_limits(merged)
        self._pod.counters["variables_dropped"] += len(merged) - len(kept)
        self._row.set_output(kept)
        return frozenset(name for name, value in values.items() if kept.get(name) != value)

    def caller_speaks(self, item_id: str) -> None:
        """Take that the caller begins to say what comes under this id."""
        self._patience.caller_speaks()
        if self.recorder is not None:
            self.recorder.note("caller_speaks")
            self.recorder.began(item_id)

    def said(self, role: Role, text: str, item_id: str) -> None:
        """Write down final words."""
        self._so_far.add(role, text)
        if role is Role.CALLER:
            self._patience.caller_said()
        if self.recorder is not None:
            self.recorder.said(role, item_id, text)

    def record(self, *, on: bool) -> None:
        """Pause the recording at once; or go on with it when what the agent has said until now has been heard."""
        if self._resuming is not None:
            self._resuming.cancel()
            self._resuming = None
        if self.recorder is None:
            return
        if not on:
            self.recorder.pause()
        elif (left_s := self._speaker.remaining_s()) > 0:
            self._resuming = asyncio.get_running_loop().call_later(left_s, self.recorder.resume)
        else:
            self.recorder.resume()

    def note(self, event: str, detail: str) -> None:
        """Put something on the call's timeline."""
        if event == CALLER_STOPS:
            self._patience.caller_said()
        if self.recorder is not None:
            self.recorder.note(event, detail)

    def _ask(self, request: _Keys | _Transfer | _End) -> bool:
        try:
            self._waiting.put_nowait(request)
        except asyncio.QueueFull:
            self._pod.counters["agent_requests_dropped"] += 1
            return False
        return True

    async def _press(self, digits: str) -> None:
        record, timing = self._row.record, self._pod.timing
        try:
            async with asyncio.timeout(timing.keys_s):
                await self._pod.acs.send_dtmf(
                    record.call_connection_id or "", target=record.caller, digits=digits
                )
        except (AcsUnavailable, CallGone, TimeoutError) as error:
            self._pod.counters["keys_failed"] += 1
            logger.warning(
                "keys could not be pressed", extra={"call_id": record.call_id, "error": type(error).__name__}
            )

    async def _transfer(self, target: str) -> None:
        """Transfer the call when the caller has heard what was said to it; tell the agent where that failed."""
        await self._speaker.heard_out(self._pod.timing.goodbye_s, unless=lambda: self._is_ending)
        if self._is_ending:
            return
        record = self._row.record
        failure, way = TransferFailure.UNREACHABLE, way_asked_for(record, target)
        if way is not None:
            failure = await self._transfers.transfer(way, timeout_s=record.profile.transfer_timeout_s)
        if not self._is_ending:
            self._on_transfer_failed(failure.value)

    async def _send_back(self, reason: EndReason) -> None:
        """Send the caller back when the agent's last words were heard; end the call where that failed."""
        await self._speaker.heard_out(self._pod.timing.goodbye_s, unless=lambda: self._is_ending)
        record = self._row.record
        way = None if self._is_ending else way_after_the_agent(record)
        if way is not None:
            await self._transfers.transfer(way, timeout_s=record.profile.transfer_timeout_s)
        if not self._is_ending:
            self._on_end(reason)
