"""One call on this pod: from its upgraded socket to its last row.

Frames, keys and the agent's audio pass through here synchronously, in the callbacks of the socket and of the
agent. Everything that waits (the row, the agent's connection, the end) is in the one task that `run` is, and in
the task group that it owns. The first reason to end is the one that counts; `call_end.py` then takes over.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import monotonic_ns
from typing import Protocol, TypeAlias

from picows import WSCloseCode

from media_gateway.agents.contract import CallInfo
from media_gateway.call_end import CallEnding, CallParts
from media_gateway.early import EarlyMedia
from media_gateway.hang_up import hang_up
from media_gateway.message_socket import CLOSE_CODES, MessageSocket, SocketLimits
from media_gateway.pod import Pod
from media_gateway.recording.notes import CallFacts, call_facts
from media_gateway.recording.recorder import Recorder
from media_gateway.requests import AgentRequests
from media_gateway.row import OwnedRow, Written, take_row
from media_gateway.speaker import Speaker
from media_gateway.supervised import FAILURES, EndReason, SupervisedAgent
from media_gateway.ticker import monotonic_us
from media_gateway.timing import MAX_MESSAGE_BYTES, SOCKET_BUFFER_BYTES, WRITE_BUFFER_BYTES
from shared.acs.media import AudioData, AudioMetadata, DtmfDigit, Flaw, MediaInvalid, decode
from shared.core.call import CallRecord
from shared.core.call_state import CallEvent
from shared.core.ownership import MediaRefused, Refusal
from shared.core.playout import PlayoutLedger
from shared.errors import NotFound
from shared.wav import SoundUnusable

logger = logging.getLogger(__name__)

CallerMedia: TypeAlias = AudioData | DtmfDigit

ANNOUNCEMENT = "announcement"
"""The item of what the gateway itself says first."""

MEDIA_SOCKET = SocketLimits(MAX_MESSAGE_BYTES, WRITE_BUFFER_BYTES, SOCKET_BUFFER_BYTES)


@dataclass(frozen=True, slots=True)
class Admitted:
    """What the checks before the upgrade proved."""

    call_id: str
    account_id: str
    jti: str
    call_connection_id: str | None
    """None: the socket does not say; the row does."""


class LiveCalls(Protocol):
    """The calls of this pod."""

    def start(self, call: "Call") -> None:
        """Run `call` in a task of its own."""

    def own(self, call: "Call") -> bool:
        """Make `call` the one of its call id; False where another one is."""


class Call:
    """One call; its socket tells it what comes in by `on_...`."""

    def __init__(self, admitted: Admitted, pod: Pod, calls: LiveCalls) -> None:
        self.call_id = admitted.call_id
        self.socket = MessageSocket(self, close_s=pod.timing.socket_close_s, limits=MEDIA_SOCKET)
        self._admitted = admitted
        self._pod = pod
        self._calls = calls
        self._received = {"frames": 0, "digits": 0, "ignored": 0, "other_speakers": 0, "early_dropped": 0}
        self._early = EarlyMedia()
        self._take: Callable[[CallerMedia], None] = self._early.add
        """Where the caller's audio and keys go: to `_early`, then to the agent, then nowhere."""
        self._listener: Callable[[bytes], None] | None = None
        """Takes the caller's audio while an agent listens: the path of every frame, beside `_take`."""
        self._metadata: AudioMetadata | None = None
        self._metadata_came = asyncio.Event()
        self._caller = ""
        self._recorder: Recorder | None = None
        self._recording: asyncio.Task[None] | None = None
        self._silence = b""
        self._parts: CallParts | None = None
        self._stop_by: float | None = None
        self._reason: EndReason | None = None
        self._ended = asyncio.Event()

    async def run(self) -> None:
        """Live through the call. Returns when it is over and everything of it is let go."""
        try:
            record = await self._take_ownership()
            if record is not None:
                await self._live(record)
        finally:
            self.socket.abort()

    def end(self, reason: EndReason) -> None:
        """End the call, unless it is ending already."""
        if self._reason is not None:
            return
        self._reason = reason
        self._take, self._listener = _drop, None
        if self._parts is not None:
            self._parts.agent.mute()
            self._parts.requests.stop()
        self._ended.set()

    def stop(self) -> None:
        """End the call because the process stops, waiting no longer than it must."""
        self._stop_by = asyncio.get_running_loop().time() + self._pod.timing.stop_s
        if self._parts is not None:
            self._parts.stop_by = self._stop_by
        self.end(EndReason(CallEvent.PROCESS_STOPPING))

    def on_open(self) -> None:
        """Begin: the socket is up."""
        self._calls.start(self)

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
                keep = self._recorder.caller
                keep(monotonic_ns() // 1000, pcm)
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
        if self._parts is not None:
            self._parts.speaker.resume()

    def on_closed(self) -> None:
        """End the call, if its socket was not closed because of its end."""
        self.end(EndReason(CallEvent.MEDIA_LOST))

    async def _take_ownership(self) -> CallRecord | None:
        """Make this pod the call's owner, or close the socket and return None.

        A row that is late may be ours all the same, and then nobody else would end the call. So the socket is
        closed in time, and the row still waited for; what comes of it is a call that has lost its media.
        """
        admitted, timing = self._admitted, self._pod.timing
        taking = asyncio.create_task(
            take_row(
                self._pod.rows,
                self.call_id,
                account_id=admitted.account_id,
                jti=admitted.jti,
                call_connection_id=admitted.call_connection_id,
                pod=self._pod.name,
                timing=timing,
            ),
            name=f"row of call {self.call_id}",
        )
        try:
            await asyncio.wait((taking,), timeout=timing.ownership_s)
            if not taking.done():
                self.end(EndReason(CallEvent.MEDIA_LOST, "store_unavailable"))
                self._refuse("store_unavailable", WSCloseCode.TRY_AGAIN_LATER)
                await asyncio.wait((taking,), timeout=timing.ownership_doubt_s)
        finally:
            taking.cancel()
        await asyncio.wait((taking,), timeout=timing.cut_off_s)
        record = None
        if not taking.done() or taking.cancelled():
            await self._hang_up_without_row()
        else:
            record = await self._taken(taking)
        if record is None:
            await self.socket.closed.wait()
        return record

    async def _taken(self, taking: asyncio.Task[CallRecord]) -> CallRecord | None:
        try:
            record = taking.result()
        except MediaRefused as refused:
            self._refuse(refused.reason)
        except NotFound:
            self._refuse("no_such_call")
        except Exception:
            logger.exception("a call's row failed in an unexpected way", extra={"call_id": self.call_id})
            self._refuse("internal", WSCloseCode.INTERNAL_ERROR)
            await self._hang_up_without_row()
        else:
            if self._calls.own(self):
                return record
            self._refuse(Refusal.TOKEN_USED)
        return None

    def _refuse(self, reason: str, code: WSCloseCode = WSCloseCode.POLICY_VIOLATION) -> None:
        self._pod.counters["sockets_refused_after_upgrade"] += 1
        logger.warning("a media socket lost its call", extra={"call_id": self.call_id, "reason": str(reason)})
        self.socket.close(code, reason)

    async def _hang_up_without_row(self) -> None:
        """End a call whose row says nothing: its token was good, and its caller hears nobody."""
        connection_id = self._admitted.call_connection_id
        if connection_id is None or not self._calls.own(self):  # another socket of it has got through
            return
        outcome = await hang_up(self._pod, connection_id, stop_by=lambda: self._stop_by)
        self._pod.counters["calls_without_row"] += 1
        logger.error(
            "a call without its row was hung up", extra={"call_id": self.call_id, "hang_up": outcome.value}
        )

    async def _live(self, record: CallRecord) -> None:
        self._parts = parts = self._make_parts(record)
        self._caller = record.caller
        parts.row.note(CallEvent.MEDIA_STARTED)
        limit = asyncio.get_running_loop().call_later(
            record.profile.max_duration_s, self.end, EndReason(CallEvent.DURATION_REACHED)
        )
        recording = record.profile.recording
        if recording is not None and recording.announcement is None:
            self._start_recording(parts, record)
        asking = asyncio.create_task(parts.requests.run(), name="requests of an agent")
        is_ours = False
        try:
            await self._work(parts, record)
            if self._reason is not None:
                is_ours = await CallEnding(parts, self._pod).run(self._reason)
        finally:
            limit.cancel()
            asking.cancel()
            parts.speaker.close()
            self._stop_recording(is_ours=is_ours)

    async def _work(self, parts: CallParts, record: CallRecord) -> None:
        """Do what waits while the call is on; returns when it has a reason to end."""
        try:
            async with asyncio.TaskGroup() as tasks:
                work = (
                    tasks.create_task(self._connect_agent(parts, record)),
                    tasks.create_task(self._keep_row(parts.row)),
                )
                await self._ended.wait()
                for task in work:
                    task.cancel()
        except* Exception:
            logger.exception("a call failed inside the gateway", extra={"call_id": self.call_id})
            self.end(EndReason(CallEvent.AGENT_FAILED, "internal"))

    def _make_parts(self, record: CallRecord) -> CallParts:
        profile, pod = record.profile, self._pod
        ledger = PlayoutLedger(profile.audio_format.rate_hz, playout_delay_ms=profile.playout_delay_ms)
        row = OwnedRow(pod.rows, record, pod.timing, clock=pod.clock)
        speaker = Speaker(self.socket, ledger, pod.ticker, clock=pod.clock)
        requests = AgentRequests(
            pod, row, speaker, on_end=self.end, on_transfer_failed=self._on_transfer_failed
        )
        return CallParts(
            row=row,
            socket=self.socket,
            speaker=speaker,
            agent=SupervisedAgent(lambda: pod.make_agent(profile.agent), speaker, requests, pod.abandon),
            requests=requests,
            received=self._received,
            stop_by=self._stop_by,
        )

    def _start_recording(self, parts: CallParts, record: CallRecord) -> None:
        recorder = self._pod.recordings.recorder(record, lambda: self._facts(parts.row))
        self._recorder = parts.speaker.recorder = parts.requests.recorder = recorder
        self._recording = asyncio.create_task(recorder.run(), name="recorder")

    def _stop_recording(self, *, is_ours: bool) -> None:
        if self._recorder is not None and self._recording is not None:
            self._recording.cancel()
            self._pod.recordings.close(self._recorder, is_ours=is_ours)

    def _facts(self, row: OwnedRow) -> CallFacts:
        """Tell what is known of the call by now, for its recording."""
        sent = {} if self._parts is None else self._parts.speaker.counts()
        return call_facts(
            row.record,
            detail="" if self._reason is None else self._reason.detail,
            counts={f"received_{name}": count for name, count in self._received.items()} | sent,
        )

    def _on_transfer_failed(self, reason: str) -> None:
        if self._parts is not None:
            self._parts.agent.transfer_failed(reason)

    async def _connect_agent(self, parts: CallParts, record: CallRecord) -> None:
        """Connect the agent when AudioMetadata is here, and give it what the caller said meanwhile."""
        timing, rate_hz = self._pod.timing, record.profile.audio_format.rate_hz
        try:
            async with asyncio.timeout(timing.metadata_s):
                await self._metadata_came.wait()
        except TimeoutError:
            self.on_flaw(Flaw.NO_METADATA)
            return
        if self._metadata is None or self._metadata.rate_hz != rate_hz:
            self.on_flaw(Flaw.FORMAT_MISMATCH)
            return
        self._silence = self._metadata.silence
        await self._announce(parts, record)
        info = CallInfo(
            call_id=record.call_id,
            account_id=record.account_id,
            correlation_id=record.correlation_id,
            caller=record.caller,
            called=record.called,
            variables=record.variables,
            rate_hz=rate_hz,
            is_recorded=self._recorder is not None,
        )
        if not await parts.agent.open(info, timeout_s=timing.agent_open_s) or self._reason is not None:
            return
        self._take, self._listener = self._to_agent, parts.agent.listener
        self._received["early_dropped"] = self._early.dropped
        self._replay(parts, self._early.take())

    def _replay(self, parts: CallParts, early: Sequence[CallerMedia]) -> None:
        """Give the agent what it has missed: what was said between two keys in one piece."""
        frames: list[bytes] = []
        for message in early:
            if isinstance(message, DtmfDigit):
                self._say_to_agent(parts, frames)
                self._to_agent(message)
            elif self._is_callers(message):
                self._received["frames"] += 1
                frames.append(message.data or self._silence)
            else:
                self._received["other_speakers"] += 1
        self._say_to_agent(parts, frames)

    def _say_to_agent(self, parts: CallParts, frames: list[bytes]) -> None:
        if frames:
            self._let_listen(parts, b"".join(frames))
            frames.clear()

    def _let_listen(self, parts: CallParts, pcm: bytes) -> None:
        try:
            parts.agent.listener(pcm)
        except FAILURES as error:
            parts.agent.failed(error)

    def _is_callers(self, message: AudioData) -> bool:
        """Whether audio is the caller's, and not of somebody else on an unmixed stream."""
        return not message.participant or message.participant == self._caller

    async def _announce(self, parts: CallParts, record: CallRecord) -> None:
        """Say that the call is recorded, before anything else. Where that cannot be said, it is not recorded."""
        recording = record.profile.recording
        if recording is None or recording.announcement is None:
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
        self._start_recording(parts, record)
        parts.speaker.say(ANNOUNCEMENT, sounds[name], protected=True)

    async def _keep_row(self, row: OwnedRow) -> None:
        """Store that the call streams, and look now and then whether it ended without its socket noticing."""
        await self._metadata_came.wait()
        if await row.write(self._pod.timing.row_write_tries) is Written.NOT_OURS:
            self.end(EndReason(None, "ownership_lost"))
            return
        while not row.record.state.is_final:
            await asyncio.sleep(self._pod.timing.events_idle_step_s)
            if await row.is_disconnected():
                break
        self.end(EndReason(CallEvent.CALL_DISCONNECTED))

    def _on_metadata(self, metadata: AudioMetadata) -> None:
        if self._metadata is not None and metadata.rate_hz != self._metadata.rate_hz:
            self.on_flaw(Flaw.FORMAT_MISMATCH)
        self._metadata = metadata
        self._metadata_came.set()

    def _record(self, recorder: Recorder, message: CallerMedia) -> None:
        """Keep what the caller says and presses, when it comes: the agent may not be there yet."""
        if isinstance(message, DtmfDigit):
            recorder.digits(message.digit)
        elif self._is_callers(message):
            recorder.caller(monotonic_us(), message.data or self._silence)

    def _to_agent(self, message: CallerMedia) -> None:
        parts = self._parts
        if parts is None:
            return
        if isinstance(message, DtmfDigit):
            self._received["digits"] += 1
            parts.agent.send_dtmf(message.digit)
        elif message.participant and message.participant != self._caller:
            self._received["other_speakers"] += 1
        else:
            self._received["frames"] += 1
            self._let_listen(parts, message.data or self._silence)

    def _on_listener_failed(self, error: BaseException) -> None:
        if self._parts is not None:
            self._parts.agent.failed(error)


def _drop(message: CallerMedia) -> None:
    """Take what still comes after the end, for nobody."""
