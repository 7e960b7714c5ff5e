"""What the agent says, played to the caller in real time, and the gaps that the caller hears in it."""

from typing import Final

from emulator.media.pcm import SAMPLE_BYTES, PcmQueue, duration_ms, frame_bytes, size_of

PLAYOUT_LIMIT_MS: Final = 30_000
"""How much agent audio may wait. ACS's own bound is not documented; without one, a gateway that sends far ahead
of real time, and so knows nothing of what was heard, would go unnoticed."""

UTTERANCE_PAUSE_MS: Final = 300
"""Silence up to this long inside agent audio is a gap that should not be; a longer one is a pause between
utterances."""


class Gaps:
    """Statistics of gaps, in whole milliseconds (rounded up), in bounded space whatever the call's length."""

    def __init__(self) -> None:
        self._histogram = [0] * (UTTERANCE_PAUSE_MS + 1)
        self._sum_ms = 0.0
        self.count = 0
        self.max_ms = 0.0

    def add(self, ms: float) -> None:
        """Count one gap of at most `UTTERANCE_PAUSE_MS`."""
        self._histogram[min(UTTERANCE_PAUSE_MS, -int(-ms // 1))] += 1
        self._sum_ms += ms
        self.count += 1
        self.max_ms = max(self.max_ms, ms)

    @property
    def mean_ms(self) -> float:
        """The mean of all gaps, 0 without any."""
        return self._sum_ms / self.count if self.count else 0.0

    @property
    def p95_ms(self) -> float:
        """The length that 95 of 100 gaps do not exceed, 0 without any."""
        wanted = self.count * 0.95
        seen = 0
        for ms, number in enumerate(self._histogram):
            seen += number
            if number and seen >= wanted:
                return float(ms)
        return 0.0

    def summary(self) -> dict[str, int | float]:
        """Return the figures as they appear in reports."""
        return {
            "count": self.count,
            "mean_ms": round(self.mean_ms, 1),
            "p95_ms": self.p95_ms,
            "max_ms": round(self.max_ms, 1),
        }


class Playout:
    """The agent's audio between the WebSocket and the caller's ear. Pure: one `frame` call is 20 ms of time.

    Args:
        rate_hz: of the audio that is queued and played.
        gaps: where gaps are counted. A gap is silence the caller hears inside an utterance: the queue ran dry,
            no StopAudio came, and audio followed within `UTTERANCE_PAUSE_MS`. It is exact to the sample.
        limit_ms: how much may wait; what comes on top is dropped and counted.
    """

    def __init__(self, rate_hz: int, gaps: Gaps, *, limit_ms: int = PLAYOUT_LIMIT_MS) -> None:
        self.rate_hz = rate_hz
        self._gaps = gaps
        self._queue = PcmQueue(size_of(limit_ms, rate_hz), drop_oldest=False)
        self._frame_bytes = frame_bytes(rate_hz)
        self._pause_bytes = size_of(UTTERANCE_PAUSE_MS, rate_hz)
        self._in_utterance = False
        self._dry_bytes = 0
        self.played_bytes = 0

    @property
    def queued_ms(self) -> float:
        """How much is waiting."""
        return duration_ms(len(self._queue), self.rate_hz)

    def push(self, pcm: bytes) -> float:
        """Queue audio of any length, in whole samples; return how many ms of it the limit cost."""
        if len(pcm) % SAMPLE_BYTES:
            raise ValueError("audio must be whole 16-bit samples")
        return duration_ms(self._queue.push(pcm), self.rate_hz)

    def frame(self) -> bytes | None:
        """Return the next 20 ms, padded with silence where the queue ends, or None when it is empty."""
        pcm = self._queue.take(self._frame_bytes)
        if not pcm:
            if self._in_utterance:
                self._dry_bytes += self._frame_bytes
                self._in_utterance = self._dry_bytes <= self._pause_bytes
            return None
        if self._in_utterance and self._dry_bytes:
            self._gaps.add(duration_ms(self._dry_bytes, self.rate_hz))
        self._in_utterance = True
        self._dry_bytes = self._frame_bytes - len(pcm)
        self.played_bytes += len(pcm)
        return pcm + bytes(self._dry_bytes)

    def stop(self) -> float:
        """Drop what is queued, as StopAudio asks, and end the utterance; return how many ms that was."""
        self._in_utterance = False
        self._dry_bytes = 0
        return duration_ms(self._queue.clear(), self.rate_hz)
