"""Telephone audio: mono, signed 16-bit little-endian samples, handled in frames of 20 ms."""

from typing import Final

import numpy as np

FRAME_MS: Final = 20
FRAMES_PER_S: Final = 1000 // FRAME_MS
SAMPLE_BYTES: Final = 2
RATES_HZ: Final = (8000, 16000, 24000)
"""The rates of phones and of ACS media streams; every pair of them is a small fraction."""

AUDIBLE_PEAK: Final = 256
"""A frame counts as heard from this sample value on: 42 dB below full scale, well above a line's noise."""


def frame_bytes(rate_hz: int) -> int:
    """Return the size of one 20 ms frame."""
    return rate_hz // FRAMES_PER_S * SAMPLE_BYTES


def duration_ms(size_bytes: int, rate_hz: int) -> float:
    """Return how long that many bytes of audio play."""
    return size_bytes / SAMPLE_BYTES * 1000 / rate_hz


def size_of(ms: float, rate_hz: int) -> int:
    """Return the bytes of `ms` milliseconds of audio, in whole samples."""
    return round(ms * rate_hz / 1000) * SAMPLE_BYTES


def is_audible(pcm: bytes) -> bool:
    """Tell speech and tones from silence and line noise."""
    if not pcm:
        return False
    samples = np.frombuffer(pcm, "<i2")
    return bool(samples.max() >= AUDIBLE_PEAK or samples.min() <= -AUDIBLE_PEAK)


def mixed(one: bytes, other: bytes) -> bytes:
    """Return two equally long pieces of audio heard at once; what is too loud is clipped."""
    sums = np.frombuffer(one, "<i2").astype(np.int32) + np.frombuffer(other, "<i2")
    return bytes(np.clip(sums, -32768, 32767).astype("<i2").tobytes())


class PcmQueue:
    """A bounded first-in first-out buffer of samples.

    Args:
        limit_bytes: the most it holds; a whole number of samples.
        drop_oldest: what gives way when it is full: the oldest audio, or (False) what was just pushed.
    """

    def __init__(self, limit_bytes: int, *, drop_oldest: bool) -> None:
        self._data = bytearray()
        self._limit_bytes = limit_bytes
        self._drop_oldest = drop_oldest
        self.dropped_bytes = 0

    def __len__(self) -> int:
        return len(self._data)

    def push(self, pcm: bytes) -> int:
        """Append audio of any length; return how many bytes the limit cost."""
        excess = len(self._data) + len(pcm) - self._limit_bytes
        if excess <= 0:
            self._data += pcm
            return 0
        if self._drop_oldest:
            self._data += pcm
            del self._data[:excess]
        else:
            self._data += pcm[: len(pcm) - excess]
        self.dropped_bytes += excess
        return excess

    def take(self, size_bytes: int) -> bytes:
        """Remove and return up to that many bytes from the front."""
        taken = bytes(self._data[:size_bytes])
        del self._data[:size_bytes]
        return taken

    def clear(self) -> int:
        """Forget everything queued; return how many bytes that was."""
        size = len(self._data)
        self._data.clear()
        return size
