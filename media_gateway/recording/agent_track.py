"""Where the agent's audio lies on the call's time line: by when the caller hears it, without what was cut.

Pure: the frames of a tape are pieces, each with when it begins to be heard, in order, as the playout ledger gives
them; they lie up to some 300 ms ahead.
"""

import numpy as np

from media_gateway.recording.line import SECOND_US, Samples, samples_of
from media_gateway.recording.tape import Frames, Tape


class AgentTrack:
    """The agent's side of one line; the arguments are those of `CallerTrack`."""

    def __init__(self, rate_hz: int, start_us: int, first: int) -> None:
        self._rate_hz = rate_hz
        self._start_us = start_us
        self._first = first
        self._next = first
        """Where the next piece lies if it follows at once."""

    def cut(self, tape: Tape, now_us: int) -> None:
        """Take away all that would be heard after `now_us`."""
        pieces = tape.frames()
        count = int(np.searchsorted(pieces.times_us, now_us))
        if count:
            heard = samples_of(now_us - int(pieces.times_us[count - 1]), self._rate_hz)
            tape.keep(count, int(pieces.sizes[: count - 1].sum()) + heard)
        else:
            tape.clear()

    def lay(self, pieces: Frames, out: Samples, first: int) -> int:
        """Write what lies from `first` on into `out`, which is all zeros; return how many pieces are done with."""
        sizes, count = pieces.sizes, len(pieces.sizes)
        if not count:
            return 0
        until = first + len(out)
        media = np.cumsum(sizes) - sizes
        places = (pieces.times_us - self._start_us) * self._rate_hz // SECOND_US + self._first
        begins = places - media
        """Where the first piece would lie if all up to this one followed at once."""
        begun, line = 0, self._next
        while True:
            # The ledger rounds to microseconds: pieces that follow at once may seem a sample apart.
            apart = np.flatnonzero(np.abs(begins[begun:] - line) > 1)
            end = begun + int(apart[0]) if len(apart) else count
            # Within `out` as a whole; one that reaches beyond it is written again, by the next one.
            done = begun + int(np.searchsorted((media + sizes)[begun:end] + line, until, "right"))
            last = min(done, end - 1)
            if end > begun:
                run = pieces.samples[int(media[begun]) : int(media[last] + sizes[last])]
                _write(run, line + int(media[begun]), out, first)
                self._next = line + int(media[last]) + (int(sizes[last]) if done == end else 0)
            if done < end or end == count:
                return done
            begun, line = end, int(begins[end])


def _write(audio: Samples, begin: int, out: Samples, first: int) -> None:
    """Write what follows from `begin` on, as far as it lies within `out`."""
    audio = audio[max(0, first - begin) :]
    at = max(begin, first) - first
    fits = audio[: max(0, len(out) - at)]
    out[at : at + len(fits)] = fits
