"""Where the agent's audio lies on the call's time line: by when the caller hears it, without what was cut.

Pure: pieces are `(when it begins to be heard, in monotonic microseconds, 16-bit mono samples)` in order, as the playout
ledger gives them; they lie up to some 300 ms ahead.
"""

from typing import TypeAlias

import numpy as np

from media_gateway.recording.line import BYTES_PER_SAMPLE, SAMPLE, Pcm, Samples, samples_of

Piece: TypeAlias = tuple[int, Pcm]


class AgentTrack:
    """The agent's side of one line; the arguments are those of `CallerTrack`."""

    def __init__(self, rate_hz: int, start_us: int, first: int) -> None:
        self._rate_hz = rate_hz
        self._start_us = start_us
        self._first = first
        self._next = first
        """Where the next piece lies if it follows at once."""

    def cut(self, pieces: list[Piece], now_us: int) -> int:
        """Take away all that would be heard after `now_us`; return how many bytes that was."""
        cut = 0
        while pieces and pieces[-1][0] >= now_us:
            cut += len(pieces.pop()[1])
        if pieces:
            plays_at_us, pcm = pieces[-1]
            heard = samples_of(now_us - plays_at_us, self._rate_hz) * BYTES_PER_SAMPLE
            if heard < len(pcm):
                pieces[-1] = (plays_at_us, pcm[:heard])
                cut += len(pcm) - heard
        return cut

    def lay(self, pieces: list[Piece], out: Samples, first: int) -> int:
        """Write what lies from `first` on into `out`, which is all zeros; return how many pieces are done with."""
        until = first + len(out)
        run: list[Pcm] = []
        begin = end = self._next
        for index, (plays_at_us, pcm) in enumerate(pieces):
            place = self._first + samples_of(plays_at_us - self._start_us, self._rate_hz)
            # The ledger rounds to microseconds: pieces that follow at once may seem a sample apart.
            if abs(place - end) > 1:
                _write(run, begin, out, first)
                run, begin, end = [], place, place
            run.append(pcm)
            place, end = end, end + len(pcm) // BYTES_PER_SAMPLE
            if end > until:
                _write(run, begin, out, first)
                self._next = place
                return index
        _write(run, begin, out, first)
        self._next = end
        return len(pieces)


def _write(run: list[Pcm], begin: int, out: Samples, first: int) -> None:
    """Write pieces that follow one another from `begin` on, as far as they lie within `out`."""
    audio = np.frombuffer(b"".join(run), SAMPLE)[max(0, first - begin) :]
    at = max(begin, first) - first
    fits = audio[: max(0, len(out) - at)]
    out[at : at + len(fits)] = fits
