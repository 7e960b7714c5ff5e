"""One call on this pod: from the moment it is owned to its last row.

Frames and keys (`hearing.py`) and the agent's audio (`speaker.py`) pass synchronously, in the callbacks of the socket
and of the agent. Everything that waits is in the tasks that `run` owns: the agent (`agent_keeper.py`), media that are
lost and come back (`line.py`), what ACS tells (`inbox.py`), what the agent asks for (`requests.py`), the clock
(`patience.py`), and the row. The first reason to end is the one that counts; `call_end.py` then takes over.
"""

import asyncio
import logging

from picows import WSCloseCode

from media_gateway.agent_keeper import AgentKeeper
from media_gateway.agents.contract import CallInfo
from media_gateway.agents.so_far import ConversationSoFar
from media_gateway.arrival import Arrival
from media_gateway.call_end import HANDED_OVER, CallEnding, CallParts
from media_gateway.call_recording import CallRecording
from media_gateway.fallback import apologise, fall_back
from media_gateway.hearing import Hearing
from media_gateway.inbox import Inbox
from media_gateway.leg_end import LegEnd
from media_gateway.line import Line
from media_gateway.message_socket import CLOSE_CODES, MessageSocket
from media_gateway.patience import Patience
from media_gateway.played_prompts import PlayedPrompts
from media_gateway.pod import Pod
from media_gateway.requests import AgentRequests
from media_gateway.row import OwnedRow, Written
from media_gateway.row_keeper import RowKeeper
from media_gateway.speaker import Speaker
from media_gateway.supervised import EndReason, SupervisedAgent
from media_gateway.transfers import Transfers
from shared.acs.callbacks import read_result
from shared.acs.media import Flaw
from shared.adapters.call_store import StoredEvent
from shared.core.call import CallRecord
from shared.core.call_state import CallEvent, CallState
from shared.core.callbacks import EVENT_OF_CALLBACK
from shared.core.journeys import ways_from_a_lost_agent
from shared.core.playout import PlayoutLedger
from shared.core.profiles import PromptKind
from shared.core.variables import input_variables

logger = logging.getLogger(__name__)

REPROMPT = "reprompt"
"""The item of what a silent caller is asked."""

_TIME_STOPS = frozenset({CallState.TRANSFERRING, CallState.FALLBACK, CallState.INTERRUPTED})


class Call:
    """One call.

    Args:
        record: The call's row, which this pod has just taken.
        arrival: The socket that it was taken with, and what came on it.
        pod: This process.
    """

    def __init__(self, record: CallRecord, arrival: Arrival, pod: Pod) -> None:
        self.call_id = record.call_id
        self.socket: MessageSocket = arrival.socket
        self.over = asyncio.Event()
        """Set when everything of the call is let go."""
        self._pod = pod
        self._first = arrival
        self._is_resumed = record.times.streaming is not None
        """Whether the caller has been here before: on another pod."""
        self._was_given_up = record.state is CallState.FALLBACK
        """Whether another pod had come to its end with the call: nothing leads back."""
        self._so_far = ConversationSoFar()
        self._reason: EndReason | None = None
        self._ended = asyncio.Event()
        self._media_given_up = asyncio.Event()
        self._talking: asyncio.Task[None] | None = None
        self._row = OwnedRow(pod.rows, record, pod.timing, clock=pod.clock)
        self._row_keeper = RowKeeper(
            self._row,
            pod.timing,
            on_lost=lambda: self.end(EndReason(None, "ownership_lost")),
            # Functions had taken this pod for dead, and ended the row.
            on_over=lambda: self.end(EndReason(CallEvent.CALL_DISCONNECTED)),
        )
        self._inbox = Inbox(pod.rows, record.call_id, pod.timing, self._on_callback)
        self._leg_end = LegEnd(self._row, self._inbox, pod.timing)
        self._line = Line(
            pod,
            self._row,
            self._inbox,
            came_at=arrival.opened_at,
            on_over=lambda: self._leg_end.tell(CallEvent.CALL_DISCONNECTED, None),
            on_given_up=self._media_given_up.set,
        )
        rate_hz = record.profile.audio_format.rate_hz
        ledger = PlayoutLedger(rate_hz, playout_delay_ms=record.profile.playout_delay_ms)
        self._speaker = Speaker(self.socket.out, ledger, pod.ticker, clock=pod.clock)
        self._prompts = pod.prompts.for_call(record.profile)
        self._patience = Patience(
            record.profile,
            self._speaker,
            is_waiting=lambda: self._row.record.state in _TIME_STOPS,
            is_heard=lambda: self._hearing.is_heard,
            on_duration=lambda: self.end(EndReason(CallEvent.DURATION_REACHED)),
            on_silence=self._on_silence,
        )
        self._hearing = Hearing(
            self,
            rate_hz=rate_hz,
            caller=record.caller,
            first=arrival,
            on_caller=self._patience.caller_said,
        )
        self._transfers = Transfers(pod, self._row, self._inbox)
        self._played = PlayedPrompts(pod, self._row, self._inbox, self._prompts)
        self._requests = AgentRequests(
            pod,
            self._row,
            self._speaker,
            self._transfers,
            self._patience,
            self._so_far,
            on_end=self.end,
            on_transfer_failed=self._on_transfer_failed,
        )
        self._keeper = AgentKeeper(
            pod,
            self._speaker,
            lambda on_failed: SupervisedAgent(
                lambda: pod.make_agent(record.profile.agent),
                self._speaker,
                self._requests,
                on_failed=on_failed,
                on_abandoned=pod.abandon,
            ),
            comfort=lambda: self._prompts.get(PromptKind.COMFORT),
            so_far=self._so_far,
            on_listening=self._on_listening,
            on_deaf=self._on_deaf,
        )
        self._recording = CallRecording(
            pod, self._row, self._speaker, self._hearing, self._requests, detail=lambda: self._detail
        )
        self._is_hung_up = False
        self._parts = CallParts(
            row=self._row,
            socket=self.socket,
            speaker=self._speaker,
            keeper=self._keeper,
            prompts=self._prompts,
            requests=self._requests,
            received=self._hearing.counts,
            on_hung_up=self._on_hung_up,
        )

    @property
    def record(self) -> CallRecord:
        """The call as this pod knows it."""
        return self._row.record

    @property
    def is_ending(self) -> bool:
        """Whether there is a reason to end."""
        return self._reason is not None

    @property
    def is_gone(self) -> bool:
        """Whether caller and agent are gone, so that the row is all that may be left."""
        return self._is_hung_up and self.socket.closed.is_set() and self._keeper.is_closed

    @property
    def _detail(self) -> str:
        return "" if self._reason is None else self._reason.detail

    async def run(self) -> None:
        """Live through the call. Returns when it is over and everything of it is let go."""
        try:
            await self._live()
        finally:
            self.socket.abort()
            self.over.set()

    def attach(self, arrival: Arrival) -> None:
        """Go on with another socket: the one before is lost, or ACS has given it up."""
        before, self.socket = self.socket, arrival.socket
        if not before.closed.is_set():
            before.hand_to(_NOBODY)
            before.close(WSCloseCode.POLICY_VIOLATION, "replaced")
        self._parts.socket = self.socket
        self._recording.media_back()
        self._line.back(arrival.opened_at)
        self._speaker.attach(self.socket.out)
        self._hearing.begin_with(arrival)

    def end(self, reason: EndReason) -> None:
        """End the call, unless it is ending already."""
        if self._reason is not None:
            return
        self._reason = reason
        self._hearing.end()
        self._keeper.mute()
        self._requests.stop()
        self._ended.set()

    def stop(self) -> None:
        """End the call because the process stops, waiting no longer than it must."""
        self._parts.stop_by = asyncio.get_running_loop().time() + self._pod.timing.stop_s
        self.end(EndReason(CallEvent.PROCESS_STOPPING))

    async def hand_over(self) -> bool:
        """Let another pod have the call: ACS opens its socket again when this one is closed.

        Where the row cannot say so, the call stays here, and this is False.
        """
        if self._reason is not None:
            return False
        self._row.note(CallEvent.MEDIA_LOST)
        self._row.grant_media(self._pod.timing.media_grant_s)
        if await self._row.write(1, try_s=self._pod.timing.row_write_short_s) is not Written.WRITTEN:
            self._row.grant_media(0)
            return False
        self._pod.counters["calls_handed_over"] += 1
        self.end(EndReason(None, HANDED_OVER))
        return True

    def look(self) -> None:
        """Read what ACS has told of the call."""
        self._inbox.wake()

    def doubt(self) -> None:
        """Look whether the call is still ours."""
        self._row_keeper.look()

    def on_taken(self, epoch: int) -> None:
        """Look whether the call is still ours, for somebody says that it is not: the row alone tells."""
        if epoch > self._row.record.epoch:
            self.doubt()

    def on_flaw(self, flaw: Flaw) -> None:
        """End the call: what ACS sends cannot be understood."""
        self.socket.close(CLOSE_CODES[flaw], flaw.value)
        self.end(EndReason(CallEvent.MEDIA_INVALID, flaw.value))

    def on_writable(self) -> None:
        """Send what waited while ACS did not read."""
        self._speaker.resume()

    def on_closed(self) -> None:
        """Wait for media to come back, if the socket was not closed because of the call's end."""
        if self._reason is None:
            self._line.lost(self.socket)
            self._recording.media_lost()
            self._row_keeper.begin()

    async def _live(self) -> None:
        record = self._row.record
        if record.state is CallState.TRANSFERRING:
            # That another pod has asked for: its failure would be told to nobody, and time would stand for good.
            self._row.note(CallEvent.MEDIA_LOST)
        self._row.note(CallEvent.MEDIA_STARTED)
        self._hearing.begin_with(self._first)
        self._recording.begin(is_resumed=self._is_resumed)
        asking = asyncio.create_task(self._requests.run(), name="requests of an agent")
        is_ours = False
        try:
            await self._work()
            if self._reason is not None:
                is_ours = await CallEnding(self._parts, self._pod).run(self._reason)
        finally:
            asking.cancel()
            self._speaker.close()
            self._recording.close(is_ours=is_ours)
        if is_ours:
            await self._write_late()

    async def _write_late(self) -> None:
        """Go on with the row where storage did not take it: nobody else knows how the call ended."""
        loop, timing = asyncio.get_running_loop(), self._pod.timing
        give_up_at = loop.time() + timing.row_late_s
        while self._row.has_unwritten and not self._parts.stopping and loop.time() < give_up_at:
            await asyncio.sleep(timing.row_write_short_s)
            written = await self._row.write(1)
            if written is not Written.FAILED:
                self._pod.counters["rows_written_late"] += written is Written.WRITTEN
                return

    async def _work(self) -> None:
        """Do what waits while the call is on; returns when it has a reason to end."""
        try:
            async with asyncio.TaskGroup() as tasks:
                self._talking = tasks.create_task(self._talk())
                work = [
                    tasks.create_task(step)
                    for step in (
                        self._prompts.prepare(),
                        self._line.run(),
                        self._inbox.run(),
                        self._patience.run(),
                        self._row_keeper.run(),
                        self._go_on_without_media(),
                        self._end_as_acs_has(),
                    )
                ]
                await self._ended.wait()
                for task in (self._talking, *work):
                    task.cancel()
        except* Exception:
            logger.exception("a call failed inside the gateway", extra={"call_id": self.call_id})
            self._pod.counters["calls_given_up"] += 1
            if self._reason is None:
                await self._apologise_in_spite_of_errors()
            self.end(EndReason(CallEvent.AGENT_FAILED, "internal"))

    async def _apologise_in_spite_of_errors(self) -> None:
        self._keeper.mute()
        try:
            self._speaker.clear()
            await self._apologise()
        except Exception:
            logger.exception("an apology failed in an unexpected way", extra={"call_id": self.call_id})

    async def _apologise(self) -> None:
        await apologise(self._pod, self._speaker, self._line, self._prompts, self._played)

    async def _talk(self) -> None:
        """Have an agent talk with the caller, for as long as one can be had; then fall back."""
        if self._was_given_up:
            self._row_keeper.begin()
            await self._apologise()
            self.end(EndReason(CallEvent.FALLBACK_DONE, "taken_over"))
            return
        record = self._row.record
        while not self._hearing.metadata_came.is_set():
            try:
                async with asyncio.timeout(self._pod.timing.metadata_s):
                    await self._hearing.metadata_came.wait()
            except TimeoutError:
                if not self._line.is_lost:
                    self.on_flaw(Flaw.NO_METADATA)
                    return
        self._row_keeper.begin()
        await self._recording.announce(is_resumed=self._is_resumed)
        info = CallInfo(
            call_id=record.call_id,
            account_id=record.account_id,
            correlation_id=record.correlation_id,
            caller=record.caller,
            called=record.called,
            variables=input_variables(
                record.variables,
                record.profile.context,
                caller=record.caller,
                called=record.called,
                correlation_id=record.correlation_id,
            ),
            task=record.task,
            rate_hz=record.profile.audio_format.rate_hz,
            is_recorded=self._recording.is_on,
            is_resumed=self._is_resumed,
        )
        reason = await self._keeper.run(info)
        await self._fall_back(reason)

    async def _fall_back(self, reason: str) -> None:
        """Give the caller what is left; `reason`: why the call cannot go on."""
        self._requests.note("fallback", reason)
        await fall_back(
            self._pod, self._row, self._speaker, self._line, self._prompts, self._played, self._transfers
        )
        self.end(EndReason(CallEvent.FALLBACK_DONE, reason))

    async def _go_on_without_media(self) -> None:
        """Do what can be done when media do not come back: send the caller on, or apologise and hang up."""
        await self._media_given_up.wait()
        record = self._row.record
        if record.state is CallState.FALLBACK:
            return  # what is left goes on without a word
        if self._talking is not None:
            self._talking.cancel()
        self._keeper.mute()
        if next(ways_from_a_lost_agent(record), None) is None:
            await self._transfers.over()  # the agent's own
            await self._played.play(PromptKind.APOLOGY)
            if self._line.is_lost:
                self.end(EndReason(CallEvent.INTERRUPTION_EXPIRED, "media_lost"))
                return
        await self._fall_back("media_lost")

    async def _end_as_acs_has(self) -> None:
        """End a call that ACS has ended."""
        end = await self._leg_end.known()
        self.end(EndReason(end.event, result=end.result))

    def _on_hung_up(self) -> None:
        self._is_hung_up = True
        self._recording.end()

    def _on_callback(self, event: StoredEvent) -> None:
        """Take what ACS has told of the call."""
        result = read_result(event.data)
        match EVENT_OF_CALLBACK.get(event.name):
            case (CallEvent.CALL_DISCONNECTED | CallEvent.TRANSFER_ACCEPTED) as ended:
                self._leg_end.tell(ended, result)
            case CallEvent.TRANSFER_FAILED:
                self._transfers.failed(event)
            case CallEvent.MEDIA_STREAMING_FAILED:
                if self._line.failed(event):
                    self._row.note(CallEvent.MEDIA_STREAMING_FAILED, result)
                    self.socket.abort()  # whose loss may not be seen for a while
            case None:
                self._played.ended(event)
            case _:
                pass

    def _on_listening(self, agent: SupervisedAgent) -> None:
        """Let an agent hear the caller."""
        if self._reason is None:
            self._hearing.begin(agent)

    def _on_deaf(self) -> None:
        """Keep what the caller says for the next agent."""
        if self._reason is None:
            self._hearing.pause()

    def _on_silence(self, before: int) -> None:
        """Ask a silent caller whether they are there; the last time, end the call."""
        silence = self._row.record.profile.silence
        if silence is not None and before < silence.reprompts:
            self._requests.note("reprompt", "")
            self._speaker.say(f"{REPROMPT}-{before}", self._prompts.get(PromptKind.REPROMPT), protected=True)
        else:
            self.end(EndReason(CallEvent.CALLER_SILENT))

    def _on_transfer_failed(self, reason: str) -> None:
        if self._keeper.current is not None:
            self._keeper.current.transfer_failed(reason)


class _Nobody:
    """Takes what still comes on a socket that was replaced."""

    def on_open(self) -> None:
        """Nothing."""

    def on_message(self, message: bytes) -> None:
        """Nothing."""

    def on_flaw(self, flaw: Flaw) -> None:
        """Nothing: it is closed already."""

    def on_writable(self) -> None:
        """Nothing."""

    def on_closed(self) -> None:
        """Nothing."""


_NOBODY = _Nobody()
