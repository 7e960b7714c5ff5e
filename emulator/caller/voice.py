"""Where the caller's words come from."""

from pathlib import Path
from typing import Final

import numpy as np

from emulator.media.pcm import size_of
from emulator.speech import find_engine
from emulator.wav import read_wav

NOISE_RMS: Final = 12
"""Noise under synthesised speech, 69 dB below full scale. Recognisers and end-pointers are trained on lines that
are never digitally silent, and do worse on exact zeros around words."""

SPEECH_GAIN: Final = 0.6
NOISE_BEFORE_MS: Final = 300
NOISE_AFTER_MS: Final = 700
"""Long enough for an end-pointer to see the end of the words in noise rather than in zeros."""


def spoken(text: str, rate_hz: int) -> bytes:
    """Synthesise `text` with a noise floor under and around it. Blocks.

    Raises:
        emulator.speech.SpeechError: there is no engine (the text says what to install), or it failed.
    """
    return with_noise_floor(find_engine().speak(text, rate_hz), rate_hz)


def recorded(path: Path, rate_hz: int) -> bytes:
    """Read a WAV file, as it is: nothing is added. Blocks.

    Raises:
        emulator.wav.WavError: not a WAV of 16-bit PCM.
        OSError: it cannot be read.
    """
    return read_wav(path, rate_hz)


def with_noise_floor(pcm: bytes, rate_hz: int) -> bytes:
    """Return speech at `SPEECH_GAIN` in low noise that starts before and ends after it."""
    before, after = (size_of(ms, rate_hz) for ms in (NOISE_BEFORE_MS, NOISE_AFTER_MS))
    speech = np.frombuffer(bytes(before) + pcm + bytes(after), "<i2").astype(np.float64) * SPEECH_GAIN
    noise = np.random.default_rng(0).normal(0, NOISE_RMS, len(speech))
    return np.clip(np.rint(speech + noise), -32768, 32767).astype("<i2").tobytes()
