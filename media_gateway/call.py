"""One call on this pod: from the moment it is owned to its last row.

Frames, keys and the agent's audio pass through here synchronously, in the callbacks of the socket and of the
agent. Everything that waits is in the tasks that `run` owns: the agent (`agent_keeper.py`), media that are lost and
come back (`line.py`), what ACS tells (`inbox.py`), what the agent asks for (`requests.py`), the clock
(`patience.py`), and the row. The first reason to end is the one that counts; `call_end.py` then takes over.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from time import monotonic_ns
from typing import TypeAlias

from picows import WSCloseCode

from media_gateway.agent_keeper import AgentKeeper
from media_gateway.agents.contract import CallInfo
from media_gateway.agents.so_far import ConversationSoFar
from media_gateway.arrival import Arrival
from media_gateway.call_end import HANDED_OVER, CallEnding, CallParts
from media_gateway.fallback import fall_back
from media_gateway.inbox import Inbox
from media_gateway.line import Line
from media_gateway.message_socket import CLOSE_CODES, MessageSocket
from media_gateway.patience import Patience
from media_gateway.played_prompts import COMPLETED, FAILED, PlayedPrompts
from media_gateway.pod import Pod
from media_gateway.recording.notes import CallFacts, call_facts
from media_gateway.recording.recorder import Recorder
from media_gateway.requests import AgentRequests
from media_gateway.row import OwnedRow, Written
from media_gateway.speaker import Speaker
from media_gateway.supervised import FAILURES, EndReason, SupervisedAgent
from media_gateway.ticker import monotonic_us
from media_gateway.transfers import Transfers
from shared.acs.callbacks import read_result
from shared.acs.media import AudioData, AudioMetadata, DtmfDigit, Flaw, MediaInvalid, decode
from shared.adapters.call_store import StoredEvent
from shared.core.call import CallRecord
from shared.core.call_state import CallEvent, CallState
from shared.core.callbacks import EVENT_OF_CALLBACK
from shared.core.playout import PlayoutLedger
from shared.core.profiles import PromptKind
from shared.wav import SoundUnusable

logger = logging.getLogger(__name__)

CallerMedia: TypeAlias = AudioData | DtmfDigit

ANNOUNCEMENT = "announcement"
"""The item of what the gateway itself says first."""
REPROMPT = "reprompt"
"""The item of what a silent caller is asked."""

_TIME_STOPS = frozenset({CallState.TRANSFERRING, CallState.FALLBACK, CallState.INTERRUPTED})


class Call:
    """One call; its socket tells it what comes in by `on_...`.

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
        self._received = {"frames": 0, "digits": 0, "ignored": arrival.ignored, "other_speakers": 0}
        self._early = arrival.early
        self._take: Callable[[CallerMedia], None] = self._early.add
        """Where the caller's audio and keys go: to `_early`, to the agent, or nowhere."""
        self._listener: Callable[[bytes], None] | None = None
        """Takes the caller's audio while an agent listens: the path of every frame, beside `_take`."""
        self._metadata = arrival.metadata
        self._metadata_came = asyncio.Event()
        self._caller = record.caller
        self._recorder: Recorder | None = None
        self._recording: asyncio.Task[None] | None = None
        self._silence = b""
        self._is_resumed = record.times.streaming is not None
        """Whether the caller has been here before: on another pod."""
        self._so_far = ConversationSoFar()
        self._reason: EndReason | None = None
        self._ended = asyncio.Event()
        self._media_given_up = asyncio.Event()
        self._talking: asyncio.Task[None] | None = None
        self._row = OwnedRow(pod.rows, record, pod.timing, clock=pod.clock)
        self._inbox = Inbox(pod.rows, record.call_id, pod.timing, self._on_callback)
        self._line = Line(
            pod,
            self._row,
            self._inbox,
            on_over=lambda: self.end(EndReason(CallEvent.CALL_DISCONNECTED)),
            on_given_up=self._media_given_up.set,
        )
        rate_hz = record.profile.audio_format.rate_hz
        ledger = PlayoutLedger(rate_hz, playout_delay_ms=record.profile.playout_delay_ms)
        self._speaker = Speaker(self.socket, ledger, pod.ticker, clock=pod.clock)
        self._prompts = pod.prompts.for_call(record.profile)
        self._patience = Patience(
            record.profile,
            self._speaker,
            is_waiting=lambda: self._row.record.state in _TIME_STOPS,
            on_duration=lambda: self.end(EndReason(CallEvent.DURATION_REACHED)),
            on_silence=self._on_silence,
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
        self._parts = CallParts(
            row=self._row,
            socket=self.socket,
            speaker=self._speaker,
            keeper=self._keeper,
            prompts=self._prompts,
            requests=self._requests,
            received=self._counts,
        )

    @property
    def record(self) -> CallRecord:
        """The call as this pod knows it."""
        return self._row.record

    @property
    def is_ending(self) -> bool:
        """Whether there is a reason to end."""
        return self._reason is not None

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
        self._begin_with(arrival)
        self._speaker.attach(self.socket)
        self._line.back()
        for message in arrival.early.take():
            if self._recorder is not None:
                self._record(self._recorder, message)
            self._take(message)

    def end(self, reason: EndReason) -> None:
        """End the call, unless it is ending already."""
        if self._reason is not None:
            return
        self._reason = reason
        self._take, self._listener = _drop, None
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
        self._row.changed.set()

    def on_taken(self, epoch: int) -> None:
        """Look whether the call is still ours, for somebody says that it is not: the row alone tells."""
        if epoch > self._row.record.epoch:
            self.doubt()

    def on_open(self) -> None:
        """Nothing: it is open."""

    def on_message(self, message: bytes) -> None:
        """Take a message from ACS; runs every 20 ms."""
        try:
            decoded = decode(message)
        except MediaInvalid as error:
            self.on_flaw(error.flaw)
            return
        listener = self._listener
        if listener is not None and type(decoded) is AudioData and not decoded.participant:
            pcm = decoded.data or self._silence
            if self._recorder is not None:
                self._recorder.frames.append((monotonic_ns() // 1000, pcm))
            self._received["frames"] += 1
            try:
                listener(pcm)
            except FAILURES as error:
                self._on_listener_failed(error)
        elif decoded is None:
            self._received["ignored"] += 1
        elif isinstance(decoded, AudioMetadata):
            self._on_metadata(decoded)
        else:
            if self._recorder is not None:
                self._record(self._recorder, decoded)
            self._take(decoded)

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

    async def _live(self) -> None:
        record = self._row.record
        self._row.note(CallEvent.MEDIA_STARTED)
        if record.state is CallState.FALLBACK:
            # It was given up on another pod: nothing leads back.
            self.end(EndReason(CallEvent.FALLBACK_DONE, "taken_over"))
        self._begin_with(self._first)
        recording = record.profile.recording
        if recording is not None and (recording.announcement is None or self._is_resumed):
            self._start_recording()
        asking = asyncio.create_task(self._requests.run(), name="requests of an agent")
        is_ours = False
        try:
            await self._work()
            if self._reason is not None:
                is_ours = await CallEnding(self._parts, self._pod).run(self._reason)
        finally:
            asking.cancel()
            self._speaker.close()
            self._stop_recording(is_ours=is_ours)

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
                        self._keep_row(),
                        self._go_on_without_media(),
                    )
                ]
                await self._ended.wait()
                for task in (self._talking, *work):
                    task.cancel()
        except* Exception:
            logger.exception("a call failed inside the gateway", extra={"call_id": self.call_id})
            self.end(EndReason(CallEvent.AGENT_FAILED, "internal"))

    def _begin_with(self, arrival: Arrival) -> None:
        """Take over a socket, and what happened on it."""
        arrival.socket.hand_to(self)
        if arrival.flaw is not None:
            self.on_flaw(arrival.flaw)
        if arrival.metadata is not None:
            self._on_metadata(arrival.metadata)
        if arrival.socket.closed.is_set():
            self.on_closed()

    async def _talk(self) -> None:
        """Have an agent talk with the caller, for as long as one can be had; then fall back."""
        record, timing = self._row.record, self._pod.timing
        try:
            async with asyncio.timeout(timing.metadata_s):
                await self._metadata_came.wait()
        except TimeoutError:
            if not self._line.is_lost:
                self.on_flaw(Flaw.NO_METADATA)
                return
            await self._metadata_came.wait()
        await self._announce()
        info = CallInfo(
            call_id=record.call_id,
            account_id=record.account_id,
            correlation_id=record.correlation_id,
            caller=record.caller,
            called=record.called,
            variables=record.variables,
            rate_hz=record.profile.audio_format.rate_hz,
            is_recorded=self._recorder is not None,
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
        if record.profile.fallback is None:
            await self._played.play(PromptKind.APOLOGY)
            if self._line.is_lost:
                self.end(EndReason(CallEvent.INTERRUPTION_EXPIRED, "media_lost"))
                return
        await self._fall_back("media_lost")

    def _on_callback(self, event: StoredEvent) -> None:
        """Take what ACS has told of the call."""
        result = read_result(event.data)
        match EVENT_OF_CALLBACK.get(event.name):
            case CallEvent.CALL_DISCONNECTED:
                self.end(EndReason(CallEvent.CALL_DISCONNECTED, result=result))
            case CallEvent.TRANSFER_ACCEPTED:
                self.end(EndReason(CallEvent.TRANSFER_ACCEPTED, result=result))
            case CallEvent.TRANSFER_FAILED:
                self._transfers.failed(event)
            case CallEvent.MEDIA_STREAMING_FAILED:
                if self._line.is_lost:
                    self._row.note(CallEvent.MEDIA_STREAMING_FAILED, result)
                self._line.failed()
            case None if event.name in (COMPLETED, FAILED):
                self._played.ended(event)
            case _:
                pass

    def _on_listening(self, agent: SupervisedAgent) -> None:
        """Let an agent hear the caller, from what it has missed on."""
        if self._reason is not None:
            return
        self._take, self._listener = self._to_agent, agent.listener
        self._replay(self._early.take())

    def _on_deaf(self) -> None:
        """Keep what the caller says for the next agent."""
        if self._reason is None:
            self._take, self._listener = self._early.add, None

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

    def _start_recording(self) -> None:
        recorder = self._pod.recordings.recorder(self._row.record, self._facts)
        self._recorder = self._speaker.recorder = self._requests.recorder = recorder
        self._recording = asyncio.create_task(recorder.run(), name="recorder")

    def _stop_recording(self, *, is_ours: bool) -> None:
        if self._recorder is not None and self._recording is not None:
            self._recording.cancel()
            self._pod.recordings.close(self._recorder, is_ours=is_ours)

    def _facts(self) -> CallFacts:
        """Tell what is known of the call by now, for its recording."""
        return call_facts(
            self._row.record,
            detail="" if self._reason is None else self._reason.detail,
            counts={f"received_{name}": count for name, count in self._counts().items()}
            | self._speaker.counts(),
        )

    def _counts(self) -> dict[str, int]:
        return {**self._received, "early_dropped": self._early.dropped}

    def _replay(self, early: Sequence[CallerMedia]) -> None:
        """Give the agent what it has missed: what was said between two keys in one piece."""
        frames: list[bytes] = []
        for message in early:
            if isinstance(message, DtmfDigit):
                self._let_listen(frames)
                self._to_agent(message)
            elif self._is_callers(message):
                self._received["frames"] += 1
                frames.append(message.data or self._silence)
            else:
                self._received["other_speakers"] += 1
        self._let_listen(frames)

    def _let_listen(self, frames: list[bytes]) -> None:
        if not frames or self._listener is None:
            return
        try:
            self._listener(b"".join(frames))
        except FAILURES as error:
            self._on_listener_failed(error)
        frames.clear()

    def _on_listener_failed(self, error: BaseException) -> None:
        if self._keeper.current is not None:
            self._keeper.current.failed(error)

    def _is_callers(self, message: AudioData) -> bool:
        """Whether audio is the caller's, and not of somebody else on an unmixed stream."""
        return not message.participant or message.participant == self._caller

    async def _announce(self) -> None:
        """Say that the call is recorded, before anything else. Where that cannot be said, it is not recorded."""
        record = self._row.record
        recording = record.profile.recording
        if recording is None or recording.announcement is None or self._is_resumed:
            return
        name, rate_hz = recording.announcement, record.profile.audio_format.rate_hz
        try:
            async with asyncio.timeout(self._pod.timing.announcement_s):
                sounds = await self._pod.sounds.load((name,), rate_hz)
        except (SoundUnusable, TimeoutError):
            self._pod.counters["announcements_failed"] += 1
            logger.error(  # noqa: TRY400 - a sound that is not there has no trace to tell of
                "a call is not recorded: its announcement cannot be had", extra={"call_id": self.call_id}
            )
            return
        self._start_recording()
        self._speaker.say(ANNOUNCEMENT, sounds[name], protected=True)

    async def _keep_row(self) -> None:
        """Store whatever is noted, soon, and find out whether the call is still ours."""
        await self._metadata_came.wait()
        while True:
            self._row.changed.clear()
            written = await self._row.write(self._pod.timing.row_write_tries)
            if written is Written.NOT_OURS:
                self.end(EndReason(None, "ownership_lost"))
                return
            if self._row.record.state.is_final:
                # Functions had taken this pod for dead, and ended the row.
                self.end(EndReason(CallEvent.CALL_DISCONNECTED))
                return
            if written is Written.FAILED:
                await asyncio.sleep(self._pod.timing.row_write_short_s)
            else:
                await self._row.changed.wait()

    def _on_metadata(self, metadata: AudioMetadata) -> None:
        if metadata.rate_hz != self._row.record.profile.audio_format.rate_hz:
            self.on_flaw(Flaw.FORMAT_MISMATCH)
            return
        self._metadata = metadata
        self._silence = metadata.silence
        self._metadata_came.set()

    def _record(self, recorder: Recorder, message: CallerMedia) -> None:
        """Keep what the caller says and presses, when it comes: the agent may not be there yet."""
        if isinstance(message, DtmfDigit):
            recorder.digits(message.digit)
        elif self._is_callers(message):
            recorder.frames.append((monotonic_us(), message.data or self._silence))

    def _to_agent(self, message: CallerMedia) -> None:
        """Give the agent what does not come by the path of every frame."""
        agent = self._keeper.current
        if isinstance(message, DtmfDigit):
            self._received["digits"] += 1
            self._patience.caller_said()
            if agent is not None:
                agent.send_dtmf(message.digit)
        elif self._is_callers(message):
            self._received["frames"] += 1
            self._let_listen([message.data or self._silence])
        else:
            self._received["other_speakers"] += 1


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


def _drop(message: CallerMedia) -> None:
    """Take what still comes after the end, for nobody."""
