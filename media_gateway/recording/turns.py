"""How long the caller waits for the agent, measured on the recording itself: the same for every kind of agent.

Both tracks become a row of loud and quiet windows. A turn is the agent beginning to be loud after the caller was; the
caller's wait is what lies between, to a window. Where the agent was loud meanwhile, or at the same time, it is none.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from media_gateway.recording.line import Samples

WINDOW_MS = 20
LOUD = 300
"""Mean of the samples' size in a loud window, of 32767 (-41 dB): speech on a telephone line is ten times that."""
JOINED_MS = 300
"""A shorter silence is within an utterance."""


class Turn(NamedTuple):
    """The caller stopped at `at_ms`, and heard the agent `wait_ms` later."""

    at_ms: int
    wait_ms: int


class Loudness:
    """Which windows of two tracks are loud, gathered from stretches of any length; 3 KB a minute."""

    def __init__(self, rate_hz: int) -> None:
        self._window = rate_hz * WINDOW_MS // 1000
        self._limit = LOUD * self._window
        self._rest = np.zeros((0, 2), np.int16)
        self._loud: list[NDArray[np.bool_]] = []

    def add(self, frames: Samples) -> None:
        """Take what follows: shape (n, 2), the caller left, the agent right."""
        frames = np.concatenate((self._rest, frames))
        windows = len(frames) // self._window
        whole, self._rest = np.split(frames, [windows * self._window])
        # A track in one run of memory is summed twenty times faster; of -32768, the size fits an unsigned sample only.
        tracks = np.ascontiguousarray(whole.T)
        sizes = np.abs(tracks).view(np.uint16).reshape(2, windows, self._window)
        loudness = sizes.sum(axis=2, dtype=np.uint32)
        self._loud.append(loudness.transpose() > self._limit)

    def turns(self) -> list[Turn]:
        """Return the turns, in order."""
        if not self._loud:
            return []
        loud = np.concatenate(self._loud)
        caller, agent = np.flatnonzero(loud[:, 0]), np.flatnonzero(loud[:, 1])
        joined = JOINED_MS // WINDOW_MS
        before = np.concatenate(([-joined - 1], agent[:-1]))
        begins = agent - before > joined
        turns = []
        for begin, last in zip(agent[begins], before[begins], strict=True):
            index = np.searchsorted(caller, begin) - 1
            if index >= 0 and caller[index] > last and not loud[begin, 0]:
                stopped = int(caller[index]) + 1
                turns.append(Turn(stopped * WINDOW_MS, (int(begin) - stopped) * WINDOW_MS))
        return turns
