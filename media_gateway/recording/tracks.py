"""The two tracks of one call, on one time line, as they grow.

The caller lies by arrival, the agent by what was heard; see `caller_track.py` and `agent_track.py`. What is taken is
final: so it ends now at most, for agent audio lies ahead and may be cut, and earlier while frames of the caller are
late.

No clock, no I/O. Times are monotonic microseconds that never fall; places are samples of the call's line.
"""

from typing import NamedTuple

import numpy as np

from media_gateway.recording.agent_track import AgentTrack
from media_gateway.recording.caller_track import CallerTrack
from media_gateway.recording.line import BYTES_PER_SAMPLE, SAMPLE, SECOND_US, Gap, Pcm, Samples, samples_of
from media_gateway.recording.tape import Tape

STALL_MS = 3000
"""How long the line waits for a caller whose frames do not come; a longer stall loses what comes after its place has
been taken, and counts it."""
KEPT_S = 30
"""What is kept of either side if nobody takes it. Past it the older half goes, and is missing on the line."""
MAX_PAUSES = 1000
"""Past it a pause lasts until the end: rather too little is kept than a card number."""


class Stretch(NamedTuple):
    """A finished piece of the line."""

    first: int
    """Place of its first sample."""
    frames: Samples
    """Shape (n, 2): the caller left, the agent right."""
    gaps: tuple[Gap, ...]
    """What of the tracks never came, up to here."""

    @property
    def end(self) -> int:
        """The place after its last sample."""
        return self.first + len(self.frames)


class Tracks:
    """Two tracks of 16-bit mono audio.

    Args:
        rate_hz: Samples a second.
        start_us: When it begins.
        first: The sample of the call's line at `start_us`; more than 0 where another pod had the call before.
    """

    def __init__(self, rate_hz: int, start_us: int, first: int = 0) -> None:
        self.rate_hz = rate_hz
        self._start_us = start_us
        self._first = first
        self.taken_until = first
        """The place up to which the line has been taken."""
        self._caller = CallerTrack(rate_hz, start_us, first)
        self._agent = AgentTrack(rate_hz, start_us, first)
        self._frames = Tape(rate_hz)
        """The caller's."""
        self._pieces = Tape(rate_hz)
        """The agent's."""
        self._limit = KEPT_S * rate_hz * BYTES_PER_SAMPLE
        """Bytes of each."""
        self._paused_at: int | None = None
        self._pauses: list[tuple[int, int]] = []
        self.shed_samples = 0
        """Samples let go of because nobody took them in time."""

    @property
    def pauses(self) -> tuple[tuple[int, int | None], ...]:
        """The paused stretches of the line: from, and to before; None while it lasts."""
        lasting = () if self._paused_at is None else ((self._paused_at, None),)
        return (*self._pauses, *lasting)

    def counts(self) -> dict[str, int]:
        """Return what was mended and what was lost, in samples, by name."""
        return {
            "late_samples": self._caller.late_samples,
            "corrected_samples": self._caller.corrected_samples,
            "shed_samples": self.shed_samples,
        }

    def at(self, now_us: int) -> int:
        """Return the place on the line of a time."""
        return self._first + samples_of(now_us - self._start_us, self.rate_hz)

    def caller(self, at_us: int, pcm: Pcm) -> None:
        """Take a frame of the caller's that arrives now; silence as zeros. Whole samples, copied."""
        self._frames.add(at_us, pcm)
        if self._frames.filled > self._limit:
            self._shed(at_us)

    def agent(self, plays_at_us: int, pcm: Pcm) -> None:
        """Take a piece of the agent's audio, with when the caller begins to hear it, which never falls."""
        self._pieces.add(plays_at_us, pcm)
        if self._pieces.filled > self._limit:
            self._shed(plays_at_us)

    def cut(self, now_us: int) -> None:
        """Forget what of the agent's audio would be heard after now: it was stopped."""
        self._agent.cut(self._pieces, now_us)

    def pause(self, now_us: int) -> None:
        """Keep nothing that lies after now on the line: it is silent until `resume`."""
        if self._paused_at is None:
            self._paused_at = self.at(now_us)

    def resume(self, now_us: int) -> None:
        """Keep what lies after now."""
        if self._paused_at is not None and len(self._pauses) < MAX_PAUSES:
            self._pauses.append((self._paused_at, self.at(now_us)))
            self._paused_at = None

    def take(self, now_us: int, *, final: bool = False) -> Stretch | None:
        """Return what has become final since the last time, all of it at the end; None where there is nothing."""
        until = self.at(now_us) if final else self._settled(now_us)
        if until <= self.taken_until:
            return None
        return self._lay(until)

    def _settled(self, now_us: int) -> int:
        """Return the place before which nothing changes any more."""
        now, reach = self.at(now_us), self._caller.reach(self._frames.frames())
        return now if reach is None else max(min(now, reach), self.at(now_us - STALL_MS * 1000))

    def _lay(self, until: int) -> Stretch:
        first, self.taken_until = self.taken_until, until
        frames = np.zeros((until - first, 2), SAMPLE)
        count, gaps = self._caller.lay(self._frames.frames(), frames[:, 0], first)
        self._frames.drop(count)
        self._pieces.drop(self._agent.lay(self._pieces.frames(), frames[:, 1], first))
        for begin, end in reversed(self.pauses):
            if end is not None and end <= first:
                break
            frames[max(0, begin - first) : end and end - first] = 0
        return Stretch(first, frames, tuple(gaps))

    def _shed(self, now_us: int) -> None:
        """Let go of what nobody took: the older half, or all if it is not old, but too much for its time."""
        until = self.at(now_us - KEPT_S * SECOND_US // 2)
        if until > self.taken_until:
            self.shed_samples += len(self._lay(until).frames)
        for tape in (self._frames, self._pieces):
            if tape.filled > self._limit:
                self.shed_samples += tape.filled // BYTES_PER_SAMPLE
                tape.clear()
