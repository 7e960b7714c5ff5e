"""One media stream: the WebSocket that ACS opens to the gateway for one call."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Final

from emulator.media import wire
from emulator.media.impairment import SOUND
from emulator.media.line import Line
from emulator.media.network import ImpairmentStats, Network, Path
from emulator.media.pacing import Pacing
from emulator.media.websocket import ClientSocket, ConnectError, SocketEnd

CONNECT_TIMEOUT_S: Final = 5.0
UNKNOWN_KINDS_LIMIT: Final = 20
"""How many different unknown kinds are told apart; further ones are counted under "other"."""

NORMAL_CLOSURE: Final = 1000


@dataclass(frozen=True)
class StreamOptions:
    """What the call was answered with. `url` is the gateway's transport URL, query and all."""

    url: str
    rate_hz: int
    unmixed: bool
    bidirectional: bool
    dtmf: bool
    subscription_id: str
    participant_raw_id: str


class MediaConnectFailed(Exception):
    """The stream did not come up.

    Attributes:
        detail: the `mediaStreamingStatusDetails` to report.
        http_status: the answer to the upgrade request, None when there was none.
    """

    def __init__(self, detail: str, http_status: int | None, reason: str) -> None:
        super().__init__(reason)
        self.detail = detail
        self.http_status = http_status


@dataclass(frozen=True)
class StreamEnd:
    """The gateway closed the stream, or it was lost. `code` is the close code, 1006 without a close frame."""

    code: int
    reason: str

    @property
    def clean(self) -> bool:
        """Whether the gateway said goodbye."""
        return self.code == NORMAL_CLOSURE


@dataclass(slots=True)
class StreamStats:
    """Counters of one stream. `pacing` is of the frames as they were due, before any impairment."""

    frames_sent: int = 0
    silent_frames_sent: int = 0
    frames_dropped: int = 0
    """Not sent because the gateway does not read its socket."""
    digits_sent: int = 0
    digits_not_sent: int = 0
    """Pressed on a stream that was answered without DTMF."""
    audio_messages: int = 0
    audio_bytes: int = 0
    stops: int = 0
    overflow_ms: float = 0.0
    """Agent audio beyond what may wait to be played."""
    ignored_messages: int = 0
    """Audio or stops on a stream that was answered without `enableBidirectional`."""
    unknown_kinds: dict[str, int] = field(default_factory=dict)
    bad_messages: dict[str, int] = field(default_factory=dict)
    """By reason: not JSON, not an object, no kind, no data, not base64, odd size, binary."""
    pacing: Pacing = field(default_factory=Pacing)
    impairment: ImpairmentStats = field(default_factory=ImpairmentStats)

    def summary(self) -> dict[str, object]:
        """Return the counters as they appear in reports, fit for JSON."""
        return {
            **asdict(self),
            "pacing": self.pacing.summary(),
            "impairment": self.impairment.summary(),
        }


def stream_faults(streams: Iterable[StreamStats]) -> dict[str, object]:
    """Return, over all streams of a call, the counters that a sound gateway leaves at nothing; only what is counted.

    `bad_messages` and `unknown_kinds` are objects of counts, `ignored_messages` and `frames_dropped` are counts.
    """
    bad, unknown = Counter[str](), Counter[str]()
    ignored = dropped = 0
    for stats in streams:
        bad.update(stats.bad_messages)
        unknown.update(stats.unknown_kinds)
        ignored += stats.ignored_messages
        dropped += stats.frames_dropped
    counted: dict[str, object] = {
        "bad_messages": dict(bad),
        "unknown_kinds": dict(unknown),
        "ignored_messages": ignored,
        "frames_dropped": dropped,
    }
    return {name: value for name, value in counted.items() if value}


def impairment_report(streams: Iterable[StreamStats]) -> dict[str, object]:
    """Return what was done to a call on purpose, over all its streams: one member `impairment`, or none."""
    total = ImpairmentStats()
    for stats in streams:
        total.add(stats.impairment)
    done = total.summary()
    return {"impairment": done} if done else {}


class MediaStream:
    """Connects one line to the gateway: the caller's frames out, the agent's audio in.

    Frames go out 50 times a second for as long as the stream lives, silence included. Everything but `open`
    and `close` is synchronous.

    Args:
        options: what the call was answered with.
        line: the caller. It ticks at least while the stream is open.
        headers: for the upgrade request, as ACS sends them.
        on_end: called once when the gateway or the network ends the stream; not after `close`.
        network: the call's way to the gateway; a sound one by default.
    """

    def __init__(
        self,
        options: StreamOptions,
        line: Line,
        *,
        headers: Mapping[str, str],
        on_end: Callable[[StreamEnd], None],
        network: Network | None = None,
    ) -> None:
        self.stats = StreamStats()
        self._options = options
        self._line = line
        self._headers = headers
        self._on_end = on_end
        self._network = network or Network(SOUND, "", lambda *_, **__: None)
        self._path: Path | None = None
        self._encoder = wire.FrameEncoder(
            options.rate_hz, options.participant_raw_id if options.unmixed else None
        )
        self._socket = ClientSocket(
            on_text=self._on_text, on_binary=self._on_binary, on_end=self._on_socket_end
        )

    async def open(self) -> None:
        """Connect, send AudioMetadata and start sending frames. Once per stream.

        Raises:
            MediaConnectFailed: no WebSocket came about.
        """
        if not self._options.url:
            raise MediaConnectFailed("streamUrlMissing", None, "no transport URL")
        metadata = wire.encode_metadata(self._options.subscription_id, self._options.rate_hz)
        try:
            await self._socket.connect(
                self._options.url, headers=self._headers, first=metadata, timeout_s=CONNECT_TIMEOUT_S
            )
        except ConnectError as error:
            status = error.http_status
            raise MediaConnectFailed(_detail(status), status, str(error)) from error
        if self._socket.is_open:
            self._path = self._network.open_path(self._socket, self.stats.impairment)
            self._line.attach(self, rate_hz=self._options.rate_hz)

    async def close(self) -> None:
        """End the stream normally. What the agent has queued is still played, by the line. Idempotent."""
        self._line.detach(self)
        if self._path is not None:
            self._path.flush()
        await self._socket.close()

    def caller_frame(self, pcm: bytes | None, now_s: float, late_s: float) -> None:
        """Send 20 ms of the caller (called by the line)."""
        self.stats.pacing.add(now_s, late_s)
        if self._path is not None:
            message = self._encoder.encode(pcm)
            self._path.frame(message, now_s, partial(self._send_frame, message, is_silent=pcm is None))

    def caller_digit(self, digit: str) -> None:
        """Send a key that the caller pressed, where the stream carries them (called by the line)."""
        if self._options.dtmf and self._path is not None:
            self._path.message(partial(self._send_digit, digit))
        else:
            self.stats.digits_not_sent += 1

    def _send_frame(self, message: bytes, *, is_silent: bool) -> None:
        if self._socket.send(message):
            self.stats.frames_sent += 1
            self.stats.silent_frames_sent += is_silent
        else:
            self.stats.frames_dropped += 1

    def _send_digit(self, digit: str) -> None:
        if self._socket.send(wire.encode_digit(digit)):
            self.stats.digits_sent += 1
        else:
            self.stats.digits_not_sent += 1

    def _on_text(self, raw: bytes) -> None:
        if self._path is not None:
            self._path.read(len(raw))
        match wire.decode(raw):
            case wire.AgentAudio(pcm):
                self._on_audio(pcm)
            case wire.StopAudio():
                self._on_stop()
            case wire.UnknownKind(kind):
                kinds = self.stats.unknown_kinds
                _count(kinds, kind if kind in kinds or len(kinds) < UNKNOWN_KINDS_LIMIT else "other")
            case wire.BadMessage(reason):
                _count(self.stats.bad_messages, reason)

    def _on_binary(self) -> None:
        _count(self.stats.bad_messages, "binary")

    def _on_audio(self, pcm: bytes) -> None:
        if not self._options.bidirectional:
            self.stats.ignored_messages += 1
            return
        self.stats.audio_messages += 1
        self.stats.audio_bytes += len(pcm)
        self.stats.overflow_ms += self._line.play(pcm)

    def _on_stop(self) -> None:
        if not self._options.bidirectional:
            self.stats.ignored_messages += 1
            return
        self.stats.stops += 1
        self._line.stop_playing()

    def _on_socket_end(self, end: SocketEnd) -> None:
        self._line.detach(self)
        if self._path is not None:
            self._path.end()
        self._on_end(StreamEnd(end.code, end.reason))


def _detail(http_status: int | None) -> str:
    """Choose a status detail; which one ACS reports for which failure is not documented beyond the names."""
    match http_status:
        case None:
            return "initialWebSocketConnectionFailed"
        case 400:
            return "badRequest"
        case 401:
            return "authenticationFailure"
        case 403:
            return "forbidden"
        case 429:
            return "tooManyRequests"
        case _:
            return "streamConnectionUnsuccessful"


def _count(counters: dict[str, int], name: str) -> None:
    counters[name] = counters.get(name, 0) + 1
