"""The time line of a call, counted in samples; times outside it are monotonic microseconds."""

from typing import Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

SECOND_US = 1_000_000
BYTES_PER_SAMPLE = 2
SAMPLE = np.dtype("<i2")

Pcm: TypeAlias = bytes | bytearray
Samples: TypeAlias = NDArray[np.int16]
Track: TypeAlias = Literal["caller", "agent"]


class Gap(NamedTuple):
    """Samples of one track that never came: silence on the line."""

    track: Track
    first: int
    samples: int


def samples_of(us: int, rate_hz: int) -> int:
    """Return how many whole samples begin within `us` microseconds; rounded down, below zero too."""
    return us * rate_hz // SECOND_US


def ms_of(samples: int, rate_hz: int) -> int:
    """Return how many whole milliseconds so many samples are."""
    return samples * 1000 // rate_hz
