"""Sample rates of a live call, 20 ms in and 20 ms out.

A polyphase filter rather than a resampling library's stream: that delivers blocks of irregular size, 20 to
120 ms late (soxr, 16 to 24 kHz and 8 to 16 kHz). This one gives exactly one frame for a frame, at most 1.6 ms late.
"""

from fractions import Fraction
from typing import Final

import numpy as np
import numpy.typing as npt

from emulator.media.pcm import FRAMES_PER_S

TAPS_PER_PHASE: Final = 24
KAISER_BETA: Final = 8.0
PASSBAND: Final = 0.92
"""Of the lower rate's half: what lies above is cut, so that nothing folds back."""


class Resampler:
    """Turns 20 ms frames of one rate into 20 ms frames of another."""

    def __init__(self, from_hz: int, to_hz: int) -> None:
        ratio = Fraction(to_hz, from_hz)
        up, down = ratio.numerator, ratio.denominator
        taps = TAPS_PER_PHASE * max(1, -(-down // up))
        samples = from_hz // FRAMES_PER_S
        periods = samples // down
        # All arrays are made once: at these sizes numpy's set-up costs more than the arithmetic.
        self._matrix = _polyphase_matrix(up, down, taps)
        self._input = np.zeros(taps + samples, np.float32)
        self._history, self._fresh, self._newest = self._input[:taps], self._input[taps:], self._input[-taps:]
        item = self._input.itemsize
        self._windows = np.lib.stride_tricks.as_strided(
            self._input, shape=(periods, taps + down), strides=(item * down, item), writeable=False
        )
        self._rows = np.empty((periods, taps + down), np.float32)
        self._output = np.empty((periods, up), np.float32)

    def frame(self, pcm: bytes) -> bytes:
        """Convert exactly one 20 ms frame."""
        self._history[:] = self._newest
        self._fresh[:] = np.frombuffer(pcm, "<i2")
        np.copyto(self._rows, self._windows)
        output = np.matmul(self._rows, self._matrix, out=self._output)
        np.rint(output, out=output)
        np.maximum(output, -32768, out=output)
        np.minimum(output, 32767, out=output)
        return bytes(output.astype("<i2").tobytes())

    def reset(self) -> None:
        """Forget the audio that is still in the filter."""
        self._input.fill(0.0)


def _polyphase_matrix(up: int, down: int, taps: int) -> npt.NDArray[np.float32]:
    """Build the matrix that maps a window of `taps + down` inputs to the `up` outputs of one period.

    Output `j` of a period lies at input position `j * down / up`, behind by half the filter so that it only
    needs samples that have arrived.
    """
    cutoff = PASSBAND * min(1.0, up / down)
    centres = taps / 2 + np.arange(up) * down / up
    distance = np.arange(taps + down)[:, None] - centres[None, :]
    inside = np.abs(distance) <= taps / 2
    window = np.i0(KAISER_BETA * np.sqrt(np.clip(1 - (2 * distance / taps) ** 2, 0, 1))) / np.i0(KAISER_BETA)
    matrix = np.where(inside, cutoff * np.sinc(cutoff * distance) * window, 0.0)
    matrix /= matrix.sum(axis=0)
    return np.ascontiguousarray(matrix, np.float32)
