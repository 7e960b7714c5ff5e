"""Sample rates on the live path, where an agent's service does not speak what ACS does.

A polyphase filter, not a resampling library's stream: that comes 5 to 66 ms late. Each output is a sum of samples
weighted with a windowed sinc, and a millisecond of outputs is one product with a matrix.
"""

import numpy as np
import numpy.typing as npt

RATES_HZ = (8_000, 16_000, 24_000)
"""All are whole samples a millisecond, so that each millisecond is filtered alike."""
DELAY_MS = 1.5
"""By which the filter makes audio late: half its length. A rest of less than a millisecond waits for what follows."""
CUTOFF = 0.94
"""Where the filter is down by 6 dB, as a part of the lower rate's half. At this length it goes from whole to nothing
within 1.4 kHz: between 16 and 24 kHz, speech up to 6.9 kHz passes, and from 8.3 kHz on nothing does. What lies
between is quieter the higher it is, and folds back to above 7.5 kHz, where speech has little."""
KAISER_BETA = 6.8
"""Of the window: 70 dB."""
PIECE_MS = 100
"""Filtered in one product. For larger ones OpenBLAS wakes its threads, and waits for them for up to 8 ms."""
COEFFICIENT_UNIT = 2.0**-24
"""Coefficients are whole multiples of it, so every sum is exact in 53 bits, whatever order it is made in: how the
audio is cut into pieces changes no bit of the output."""


class Resampler:
    """Turns one stream of audio from one rate into another; what was said before is kept over its pieces.

    Args:
        from_hz: Samples a second of what comes in, one of `RATES_HZ`.
        to_hz: Of what goes out: another one of them.

    Raises:
        ValueError: for other rates.
    """

    def __init__(self, from_hz: int, to_hz: int) -> None:
        if from_hz == to_hz or not {from_hz, to_hz} <= set(RATES_HZ):
            raise ValueError(f"cannot resample from {from_hz} to {to_hz} Hz")
        self._matrix = _filter(from_hz, to_hz)
        self._window = len(self._matrix)
        self._step = from_hz // 1000
        self._kept = np.zeros(self._window - self._step)

    def process(self, pcm: bytes) -> bytes:
        """Return what is ready of the output: all but `DELAY_MS` and the rest of a millisecond.

        Args:
            pcm: Signed 16-bit little-endian mono, whole samples, of any length.

        Returns:
            The same at the other rate: of every millisecond so far, exactly a millisecond. What is too loud is
            clipped.

        Raises:
            ValueError: `pcm` ends within a sample.
        """
        if len(pcm) % 2:
            raise ValueError("audio must be whole 16-bit samples")
        piece = PIECE_MS * self._step * 2
        return b"".join(self._filtered(pcm[at : at + piece]) for at in range(0, len(pcm), piece))

    def _filtered(self, pcm: bytes) -> bytes:
        samples = np.concatenate((self._kept, np.frombuffer(pcm, "<i2")))
        steps = (len(samples) - self._window) // self._step + 1
        item = samples.itemsize
        # Overlapping views, copied: a product of what overlaps is many times slower.
        windows = np.ndarray(
            (steps, self._window), samples.dtype, samples, strides=(self._step * item, item)
        ).copy()
        self._kept = samples[steps * self._step :].copy()
        output = np.rint(windows @ self._matrix)
        return output.clip(-32768, 32767).astype("<i2").tobytes()


def _filter(from_hz: int, to_hz: int) -> npt.NDArray[np.float64]:
    """Return the matrix that makes a millisecond of output of that millisecond of input and what came before.

    Output `j` lies at input `j * from_hz / to_hz` of the millisecond, and is late by half the filter, so that it
    needs only samples that have come.
    """
    inputs, outputs = from_hz // 1000, to_hz // 1000
    taps = round(2 * DELAY_MS * inputs)
    centres = taps / 2 + np.arange(outputs) * inputs / outputs
    distance = np.arange(taps + inputs)[:, None] - centres
    cutoff = CUTOFF * min(1.0, outputs / inputs)
    kaiser = np.i0(KAISER_BETA * np.sqrt((1 - (2 * distance / taps) ** 2).clip(0))) / np.i0(KAISER_BETA)
    matrix = np.where(np.abs(distance) <= taps / 2, np.sinc(cutoff * distance) * kaiser, 0.0)
    exact: npt.NDArray[np.float64] = (
        np.rint(matrix / matrix.sum(axis=0) / COEFFICIENT_UNIT) * COEFFICIENT_UNIT
    )
    return exact
