"""Turns by loudness: when somebody begins to speak, and when they have finished."""

import math
from typing import Final, NamedTuple

import numpy as np

from emulator.media.pcm import FRAME_MS, frame_bytes

FULL_THRESHOLD_RMS: Final = 600
"""The level that a threshold of 1 asks for; one of 0.5 takes speech from 41 dB below full scale on, well above a
line's noise."""

ONSET_FRAMES: Final = 2
"""So many loud frames in a row are speech; a click is not."""


class Turn(NamedTuple):
    """Somebody has begun to speak, or has finished; counted in ms of audio since the session began."""

    began: bool
    at_ms: int


class TurnDetector:
    """Finds turns in a stream of samples.

    Args:
        rate_hz: of the samples.
        threshold: how loud speech is, 0 to 1.
        silence_ms: how long it is quiet after a turn.
        at_ms: where in the session's audio the stream begins.
    """

    def __init__(self, rate_hz: int, *, threshold: float, silence_ms: int, at_ms: int) -> None:
        self._frame_bytes = frame_bytes(rate_hz)
        self._level = threshold * FULL_THRESHOLD_RMS
        self._silence_frames = max(1, math.ceil(silence_ms / FRAME_MS))
        self._at_ms = at_ms
        self._rest = b""
        self._row = 0
        """Loud frames in a row while nobody speaks, quiet ones while somebody does."""
        self.speaking = False

    def feed(self, pcm: bytes) -> list[Turn]:
        """Take more samples; return what has changed, in order. `at_ms` of a beginning is that of its first frame."""
        pcm = self._rest + pcm
        whole = len(pcm) // self._frame_bytes * self._frame_bytes
        self._rest = pcm[whole:]
        frames = np.frombuffer(pcm[:whole], "<i2").reshape(-1, self._frame_bytes // 2).astype(np.float32)
        turns = []
        for loud in np.sqrt(np.mean(frames * frames, axis=1)) >= max(1.0, self._level):
            self._at_ms += FRAME_MS
            self._row = self._row + 1 if bool(loud) is not self.speaking else 0
            if self._row == (self._silence_frames if self.speaking else ONSET_FRAMES):
                self.speaking = not self.speaking
                turns.append(
                    Turn(self.speaking, self._at_ms - (self._row * FRAME_MS if self.speaking else 0))
                )
                self._row = 0
        return turns
