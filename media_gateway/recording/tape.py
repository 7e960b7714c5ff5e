"""One side's audio as it came, until it is laid on the line.

Samples lie in one piece of memory that is used again and again, and not in an object for each frame: of those a call
would keep hundreds, each let go of by itself, and found in cold memory when it is laid.
"""

from array import array
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from media_gateway.recording.line import BYTES_PER_SAMPLE, SAMPLE, Pcm, Samples

FIRST_S: Final = 5
"""What there is room for at first: a little more than a part."""


class Frames(NamedTuple):
    """What is on a tape, oldest first. To be used before anything else is done with it."""

    times_us: NDArray[np.int64]
    """Of each frame, when it came or is to be heard: monotonic microseconds."""
    sizes: NDArray[np.int64]
    """Of each frame, how many samples it has."""
    samples: Samples
    """Of all frames, one after the other."""


class Tape:
    """Frames of 16-bit mono audio, each with a time.

    Args:
        rate_hz: Samples a second.
    """

    def __init__(self, rate_hz: int) -> None:
        self._bytes = bytearray(FIRST_S * rate_hz * BYTES_PER_SAMPLE)
        self._times = array("q")
        self._sizes = array("q")
        self.filled = 0
        """Bytes of audio."""

    def add(self, at_us: int, pcm: Pcm) -> None:
        """Take a frame; runs for each. A last half of a sample is left out."""
        size = len(pcm)
        if size % BYTES_PER_SAMPLE:
            size -= 1
            pcm = pcm[:size]
        begin = self.filled
        end = begin + size
        if end > len(self._bytes):
            grown = bytearray(2 * end)
            grown[:begin] = self._bytes[:begin]
            self._bytes = grown
        self._bytes[begin:end] = pcm
        self.filled = end
        self._times.append(at_us)
        self._sizes.append(size)

    def frames(self) -> Frames:
        """Return all that is here."""
        return Frames(
            np.array(self._times, np.int64),
            np.array(self._sizes, np.int64) // BYTES_PER_SAMPLE,
            np.frombuffer(self._bytes, SAMPLE, self.filled // BYTES_PER_SAMPLE),
        )

    def drop(self, count: int) -> None:
        """Forget so many frames, the oldest."""
        gone = sum(self._sizes[:count])
        rest = self.filled - gone
        self._bytes[:rest] = self._bytes[gone : self.filled]
        self.filled = rest
        del self._times[:count]
        del self._sizes[:count]

    def keep(self, count: int, samples: int) -> None:
        """Keep so many frames, the oldest, and of all together so many samples at most: the last one is shortened."""
        del self._times[count:]
        del self._sizes[count:]
        self.filled = sum(self._sizes)
        more = self.filled - samples * BYTES_PER_SAMPLE
        if count and more > 0:
            self._sizes[-1] -= more
            self.filled -= more

    def clear(self) -> None:
        """Forget all."""
        self.keep(0, 0)
