"""What comes on a call's media socket: to the agent while one listens, and kept for the next one while none does.

All of it is synchronous, in the callbacks of the socket.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from time import monotonic_ns
from typing import Final, Protocol, TypeAlias

from media_gateway.arrival import Arrival
from media_gateway.recording.recorder import Recorder
from media_gateway.supervised import FAILURES, SupervisedAgent
from media_gateway.ticker import monotonic_us
from shared.acs.media import AudioData, AudioMetadata, DtmfDigit, Flaw, MediaInvalid
from shared.acs.media_codec import decode

_clock_ns: Final = monotonic_ns
CallerMedia: TypeAlias = AudioData | DtmfDigit


class CallOnSocket(Protocol):
    """The call whose socket it is."""

    def on_flaw(self, flaw: Flaw) -> None:
        """Take that what ACS sends cannot be understood."""

    def on_writable(self) -> None:
        """Take that ACS reads again."""

    def on_closed(self) -> None:
        """Take that the socket is gone."""


class Hearing:
    """The owner of a call's socket (`message_socket.SocketOwner`), and of the one that follows it.

    Args:
        call: Is told what is not the caller's.
        rate_hz: Of the call's audio; AudioMetadata must name it.
        caller: Raw id, to tell the caller from others on an unmixed stream.
        first: The socket that the call was taken with, and what came on it.
        on_caller: Called when the caller has pressed a key.
    """

    def __init__(
        self,
        call: CallOnSocket,
        *,
        rate_hz: int,
        caller: str,
        first: Arrival,
        on_caller: Callable[[], None],
    ) -> None:
        self.metadata_came = asyncio.Event()
        """Set once the format was told."""
        self.recorder: Recorder | None = None
        """Keeps what the caller says; None while nothing is kept."""
        self._call = call
        self._rate_hz = rate_hz
        self._caller = caller
        self._on_caller = on_caller
        self._early = first.early
        self._received = {"frames": 0, "digits": 0, "ignored": first.ignored, "other_speakers": 0}
        self._silence = b""
        self._agent: SupervisedAgent | None = None
        self._take: Callable[[CallerMedia], None] = self._early.add
        """Where the caller's audio and keys go: to `_early`, to the agent, or nowhere."""
        self._listener: Callable[[bytes], None] | None = None
        """Takes the caller's audio while an agent listens: the path of every frame, beside `_take`."""

    @property
    def is_heard(self) -> bool:
        """Whether an agent listens."""
        return self._listener is not None

    def counts(self) -> Mapping[str, int]:
        """Return what came, by name."""
        return {**self._received, "early_dropped": self._early.dropped}

    def begin_with(self, arrival: Arrival) -> None:
        """Take over a socket, and what happened on it; what the caller said on the first is in `_early` already."""
        arrival.socket.hand_to(self)
        if arrival.flaw is not None:
            self.on_flaw(arrival.flaw)
        if arrival.metadata is not None:
            self._on_metadata(arrival.metadata)
        if arrival.early is not self._early:
            for message in arrival.early.take():
                self._on_callers(message)
        if arrival.socket.closed.is_set():
            self.on_closed()

    def begin(self, agent: SupervisedAgent) -> None:
        """Let an agent hear the caller, from what it has missed on."""
        self._agent = agent
        self._take, self._listener = self._to_agent, agent.listener
        self._replay(self._early.take())

    def pause(self) -> None:
        """Keep what the caller says for the next agent."""
        self._take, self._listener = self._early.add, None

    def end(self) -> None:
        """Hear nothing more."""
        self._take, self._listener = _drop, None

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
            if self.recorder is not None:
                self.recorder.caller(_clock_ns() // 1000, pcm)
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
            self._on_callers(decoded)

    def on_flaw(self, flaw: Flaw) -> None:
        """Tell the call."""
        self._call.on_flaw(flaw)

    def on_writable(self) -> None:
        """Tell the call."""
        self._call.on_writable()

    def on_closed(self) -> None:
        """Tell the call."""
        self._call.on_closed()

    def _on_metadata(self, metadata: AudioMetadata) -> None:
        if metadata.rate_hz != self._rate_hz:
            self.on_flaw(Flaw.FORMAT_MISMATCH)
            return
        self._silence = metadata.silence
        self.metadata_came.set()

    def _on_callers(self, message: CallerMedia) -> None:
        if self.recorder is not None:
            # When it comes: the agent may not be there yet.
            self._record(self.recorder, message)
        self._take(message)

    def _record(self, recorder: Recorder, message: CallerMedia) -> None:
        if isinstance(message, DtmfDigit):
            recorder.digits(message.digit)
        elif self._is_callers(message):
            recorder.caller(monotonic_us(), message.data or self._silence)

    def _to_agent(self, message: CallerMedia) -> None:
        """Give the agent what does not come by the path of every frame."""
        if isinstance(message, DtmfDigit):
            self._received["digits"] += 1
            self._on_caller()
            if self._agent is not None:
                self._agent.send_dtmf(message.digit)
        elif self._is_callers(message):
            self._received["frames"] += 1
            self._let_listen([message.data or self._silence])
        else:
            self._received["other_speakers"] += 1

    def _replay(self, early: Sequence[CallerMedia]) -> None:
        """Give the agent what it has missed: what was said between two keys in one piece."""
        frames: list[bytes] = []
        for message in early:
            if self._listener is None:
                self._early.add(message)  # it has failed over what came before
            elif isinstance(message, DtmfDigit):
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
        if self._agent is not None:
            self._agent.failed(error)

    def _is_callers(self, message: AudioData) -> bool:
        """Whether audio is the caller's, and not of somebody else on an unmixed stream."""
        return not message.participant or message.participant == self._caller


def _drop(message: CallerMedia) -> None:
    """Take what still comes after the end, for nobody."""
