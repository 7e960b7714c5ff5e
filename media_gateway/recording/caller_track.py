"""Where the caller's frames lie on the call's time line: by arrival, without the network's unrest.

A frame begins where it arrives; but the network only ever adds to that, so of frames that follow one another the
earliest arrival tells where all of them lie. From that comes what each irregularity is:

- frames that come late, and the next ones at once: jitter or a stall. They lie where they would have.
- frames that are missing: a hole after which arrivals stay later. It becomes silence of that length.
- arrivals that drift: ACS's clock is not ours. Single samples are doubled or dropped, one a frame at most (0.1 % of
  24 kHz audio), so that nobody hears it.

Pure: the frames of a tape, each with its arrival; places are samples of the line.
"""

import numpy as np
from numpy.typing import NDArray

from media_gateway.recording.line import SAMPLE, SECOND_US, Gap, Samples
from media_gateway.recording.tape import Frames

HOLE_MS = 20
"""More than one frame is missing: perhaps a gap. Half a word is longer; the line must be right within this."""
WATCHED_MS = 500
WATCHED_FRAMES = 5
"""What is looked at after a hole: so many frames, and all that arrive within half a second of the last of them.
Those of a stall come at once, and fill it."""
CALM_FRAMES = 50
"""From how many frames on it is told how regularly they come."""
DRIFT_MS = 4
"""Less than this is taken for jitter that even the earliest frame has."""
TOO_LATE_MS = 100
"""A line that is later than its frames by this was put wrong (by a stall taken for a gap) and is put right at once."""


class CallerTrack:
    """The caller's side of one line.

    Args:
        rate_hz: Samples a second.
        start_us: When the line begins.
        first: The sample of the call's line at `start_us`.
    """

    def __init__(self, rate_hz: int, start_us: int, first: int) -> None:
        self._rate_hz = rate_hz
        self._start_us = start_us
        self._first = first
        self._next: int | None = None
        """Where the next frame lies if nothing is missing; None before the first."""
        self._due_at = 0
        """When the next frame is due: an arrival in samples of the line."""
        self._ahead: Samples = np.zeros(0, SAMPLE)
        """What was laid beyond the end of the last `out`, from which the next one begins."""
        self._unrest = 0
        """How late all frames of half a second may be, by those laid last: twice what a quarter of them is below."""
        self._hole = rate_hz * HOLE_MS // 1000
        self._watched = rate_hz * WATCHED_MS // 1000
        self._drift = rate_hz * DRIFT_MS // 1000
        self._too_late = rate_hz * TOO_LATE_MS // 1000
        self.late_samples = 0
        """Samples that came after their place had been taken."""
        self.corrected_samples = 0
        """Samples doubled or dropped because of drift."""

    def reach(self, frames: Frames) -> int | None:
        """Return up to where it is certain how these frames lie; None before the first of all."""
        end, due = self._next, self._due_at
        if not len(frames.times_us):
            return end
        arrivals, sizes = self._arrivals(frames), frames.sizes
        if end is None:
            end, due = int(arrivals[0]), self._first - self._hole - 1
        recent_us = int(frames.times_us[-1]) - WATCHED_MS * 1000
        count = max(0, int(np.searchsorted(frames.times_us, recent_us, "right")) - WATCHED_FRAMES)
        if count:
            end += int(sizes[:count].sum())
            due = int(arrivals[count - 1] + sizes[count - 1])
        late = np.flatnonzero(self._is_late(arrivals[count:], sizes[count:], due))
        if len(late):
            # Late or missing: what follows will tell. What is before it may still move a little.
            return end + int(sizes[count : count + late[0]].sum()) - self._hole
        return end + int(sizes[count:].sum())

    def lay(self, frames: Frames, out: Samples, first: int) -> tuple[int, list[Gap]]:
        """Write what lies from `first` on into `out`, which is all zeros.

        Args:
            frames: All that came and are not laid, in order.
            out: One channel of what is taken; it begins where the last one ended.
            first: The place of its first sample.

        Returns:
            How many of the frames are laid now, and what is missing between them.
        """
        carried, self._ahead = self._ahead, self._ahead[:0]
        self._write(carried, first, first, out)
        sizes, samples = frames.sizes, frames.samples
        if not len(sizes):
            return 0, []
        arrivals = self._arrivals(frames)
        media = np.cumsum(sizes) - sizes
        begins = arrivals - media
        """Where the first frame would lie if this one lay where it arrives: the earliest is right for all."""
        line = self._next
        laid, gaps = 0, []
        late = self._is_late(arrivals, sizes, self._due_at)
        late[0] |= line is None
        for hole in (*np.flatnonzero(late).tolist(), len(sizes)):
            settled = 0
            if hole < len(sizes):
                last = min(hole + WATCHED_FRAMES, len(sizes) - 1)
                watched = int(np.searchsorted(arrivals, arrivals[last] + self._watched, "right"))
                settled = int(begins[hole:watched].min())
                if line is not None and settled - line <= max(self._hole, self._unrest):
                    continue  # late, and not missing
            if hole > laid and line is not None:
                run = slice(laid, hole)
                if hole - laid >= CALM_FRAMES:
                    quartile = np.partition(begins[run], (hole - laid) // 4)[(hole - laid) // 4]
                    self._unrest = 2 * int(quartile - begins[run].min())
                earliest = int(begins[run].min())
                line, count = self._lay_run(samples, sizes[run], media[run], earliest, line, out, first)
                laid += count
                if count:
                    self._due_at = int(arrivals[laid - 1] + sizes[laid - 1])
                if laid < hole:
                    break
            if hole < len(sizes):
                place = settled + int(media[hole])
                if self._next is not None:
                    gaps.append(Gap("caller", self._next, place - self._next))
                line, self._next = settled, place
        return laid, gaps

    def _arrivals(self, frames: Frames) -> NDArray[np.int64]:
        """Return where frames arrive, in samples of the line."""
        return (frames.times_us - self._start_us) * self._rate_hz // SECOND_US + self._first

    def _is_late(self, arrivals: NDArray[np.int64], sizes: NDArray[np.int64], due: int) -> NDArray[np.bool_]:
        """Return which frames come later than right after the one before; before the first, `due` was."""
        dues = np.empty_like(arrivals)
        dues[:1] = due
        np.add(arrivals[:-1], sizes[:-1], out=dues[1:])
        return arrivals - dues > self._hole

    def _lay_run(
        self,
        samples: Samples,
        sizes: NDArray[np.int64],
        media: NDArray[np.int64],
        earliest: int,
        line: int,
        out: Samples,
        first: int,
    ) -> tuple[int, int]:
        """Lay those of a run of frames that begin within `out`; return the line after them, and how many they are.

        Args:
            samples: Of all frames.
            sizes: Of each frame of the run.
            media: Where in `samples` each begins.
            earliest: Where the first of all frames would lie by the earliest of these.
            line: Where it lies by those before.
            out: As of `lay`.
            first: As of `lay`.
        """
        error = earliest - line
        if error < -self._too_late:
            line, error = earliest, 0
        until, place = first + len(out), line + int(media[0])
        count = int(np.searchsorted(media, until - line))
        most = min(count, self._hole // 2)
        change = max(-most, min(most, error)) if abs(error) > self._drift else 0
        # Stretched, one frame more or less begins before the end.
        line += change
        count = int(np.searchsorted(media, until - line))
        if not count:
            return line, 0
        audio = samples[int(media[0]) : int(media[count - 1] + sizes[count - 1])]
        if change:
            audio = _stretched(audio, change)
            self.corrected_samples += abs(change)
        # What lies before it has been taken, or holds an earlier frame.
        free = first if self._next is None else max(first, self._next)
        skipped = max(0, min(free - place, len(audio)))
        self.late_samples += skipped
        self._write(audio[skipped:], place + skipped, first, out)
        self._next = place + len(audio)
        return line, count

    def _write(self, audio: Samples, place: int, first: int, out: Samples) -> None:
        """Write what fits, and keep the rest for the next `out`."""
        at = place - first
        fits = audio[: max(0, len(out) - at)]
        out[at : at + len(fits)] = fits
        if len(fits) < len(audio):
            # A copy: the tape is used again.
            self._ahead = audio[len(fits) :].copy()


def _stretched(audio: Samples, change: int) -> Samples:
    """Double so many samples, or drop them where `change` is negative, evenly spread."""
    chosen = np.arange(abs(change)) * len(audio) // abs(change)
    return np.insert(audio, chosen, audio[chosen]) if change > 0 else np.delete(audio, chosen)
