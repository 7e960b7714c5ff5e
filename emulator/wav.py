"""WAV files of telephone audio. All of it blocks: call it from a thread, or where nothing else waits."""

import wave
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import numpy as np
import soxr

from emulator.media.pcm import SAMPLE_BYTES

FLUSH_S: Final = 1
"""How much audio a writer holds back: after a crash the file is a valid WAV but for its last second."""


class WavError(ValueError):
    """A file that is no WAV of 16-bit PCM in one or two channels; the text says what it is instead."""


def read_wav(path: Path, rate_hz: int) -> bytes:
    """Return the file's audio, mixed to mono and converted to `rate_hz` where it differs.

    Raises:
        WavError: another encoding, sample size or number of channels, or no WAV at all.
        OSError: the file cannot be read.
    """
    try:
        with wave.open(str(path), "rb") as file:
            parameters = file.getparams()
            data = file.readframes(parameters.nframes)
    except (wave.Error, EOFError) as error:
        raise WavError(f"not a PCM WAV file: {error}") from error
    if parameters.sampwidth != SAMPLE_BYTES:
        raise WavError(f"samples must have 16 bits, these have {parameters.sampwidth * 8}")
    if parameters.framerate <= 0:
        raise WavError("the sample rate is 0")
    if parameters.nchannels not in (1, 2):
        raise WavError(f"one or two channels are understood, this file has {parameters.nchannels}")
    whole = len(data) // (SAMPLE_BYTES * parameters.nchannels) * SAMPLE_BYTES * parameters.nchannels
    samples = np.frombuffer(data[:whole], "<i2")
    if parameters.nchannels == 2:
        samples = (samples.reshape(-1, 2).astype(np.int32).sum(axis=1) // 2).astype("<i2")
    return resample(samples.tobytes(), parameters.framerate, rate_hz)


def resample(pcm: bytes, from_hz: int, to_hz: int) -> bytes:
    """Convert a whole recording from one rate to another."""
    if from_hz == to_hz or not pcm:
        return pcm
    return bytes(soxr.resample(np.frombuffer(pcm, "<i2"), from_hz, to_hz).astype("<i2").tobytes())


def interleave(left: bytes, right: bytes) -> bytes:
    """Return two equally long tracks as one of two channels."""
    return np.column_stack((np.frombuffer(left, "<i2"), np.frombuffer(right, "<i2"))).tobytes()


class WavWriter:
    """Writes a WAV file piece by piece.

    Raises:
        OSError: the file cannot be created or written.
    """

    def __init__(self, path: Path, rate_hz: int, *, channels: int) -> None:
        self._file = wave.open(str(path), "wb")  # noqa: SIM115 - open as long as the writer, closed by `close`
        self._file.setnchannels(channels)
        self._file.setsampwidth(SAMPLE_BYTES)
        self._file.setframerate(rate_hz)
        self._flush_bytes = FLUSH_S * rate_hz * channels * SAMPLE_BYTES
        self._pending = bytearray()

    def write(self, pcm: bytes) -> None:
        """Append interleaved samples."""
        self._pending += pcm
        if len(self._pending) >= self._flush_bytes:
            self._flush()

    def close(self) -> None:
        """Write what is pending and close the file."""
        self._flush()
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _flush(self) -> None:
        # writeframes keeps the header's length right each time, unlike writeframesraw.
        self._file.writeframes(self._pending)
        self._pending.clear()
