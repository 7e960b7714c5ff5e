"""What the client has appended: how much, what is kept of it, and the turns in it."""

from typing import Final

from emulator.media.pcm import PcmQueue, duration_ms, size_of
from emulator.realtime.loudness import Turn, TurnDetector
from emulator.realtime.session_state import TurnDetection

KEPT_S: Final = 60
"""How much is kept until it is a turn; then the oldest gives way, and is counted."""
KEPT_BYTES: Final = KEPT_S * 24_000 * 2
ONSET_MS: Final = 100
"""Kept beside the padding before a turn: what it takes to know that one has begun."""


class Hearing:
    """The input audio buffer.

    Attributes:
        appended_ms: of the whole session; its time.
        kept: what is no turn yet.
    """

    def __init__(self) -> None:
        self.appended_ms = 0.0
        self.kept = PcmQueue(KEPT_BYTES, drop_oldest=True)
        self._rate_hz = 0
        self._padding_ms = 0
        self._detector: TurnDetector | None = None

    def listen(self, rate_hz: int, turns: TurnDetection | None) -> None:
        """Expect this rate from now on, and look for turns where that is wanted."""
        if rate_hz != self._rate_hz:
            self.kept.clear()
        self._rate_hz = rate_hz
        self._padding_ms = turns.prefix_padding_ms if turns is not None else 0
        self._detector = None
        if turns is not None:
            self._detector = TurnDetector(
                rate_hz,
                threshold=turns.threshold,
                silence_ms=turns.silence_duration_ms,
                at_ms=round(self.appended_ms),
            )

    def count(self, pcm: bytes) -> float:
        """Let time go on by this audio, without keeping it; return its ms."""
        ms = duration_ms(len(pcm), self._rate_hz)
        self.appended_ms += ms
        return ms

    def append(self, pcm: bytes) -> list[Turn]:
        """Keep what `count` has counted; return the turns that begin or end in it."""
        self.kept.push(pcm)
        if self._detector is None:
            return []
        turns = self._detector.feed(pcm)
        if not turns and not self._detector.speaking:
            self._forget_before(self.appended_ms - self._padding_ms - ONSET_MS)
        return turns

    def begin_turn(self, at_ms: float) -> int:
        """Forget what was before a turn and its padding; return when they begin, in ms."""
        start_ms = max(0.0, at_ms - self._padding_ms)
        self._forget_before(start_ms)
        return round(start_ms)

    def take(self, until_ms: float | None = None) -> bytes:
        """Remove and return what is kept, up to that time."""
        end_ms = self.appended_ms if until_ms is None else until_ms
        return self.kept.take(self._size(end_ms - self._kept_from_ms))

    @property
    def kept_ms(self) -> float:
        """How much is kept."""
        return duration_ms(len(self.kept), self._rate_hz)

    @property
    def _kept_from_ms(self) -> float:
        return self.appended_ms - self.kept_ms

    def _forget_before(self, ms: float) -> None:
        self.kept.take(self._size(ms - self._kept_from_ms))

    def _size(self, ms: float) -> int:
        return size_of(max(0.0, ms), self._rate_hz)
