"""Reading of the WAV files that an agent plays."""

import wave
from pathlib import Path

from shared.core.profiles import MAX_SOUND_S


class SoundUnusable(Exception):
    """A WAV file is not there, or is not what the call speaks. The text names the file."""


def read_wav(path: Path, rate_hz: int) -> bytes:
    """Return the samples of a mono 16-bit WAV file at `rate_hz`. Blocks: call it off the event loop.

    Raises:
        SoundUnusable: the file is missing, of another format, or longer than `MAX_SOUND_S`.
    """
    try:
        with wave.open(str(path), "rb") as sound:
            if (sound.getnchannels(), sound.getsampwidth(), sound.getframerate()) != (1, 2, rate_hz):
                raise SoundUnusable(f"{path.name} must be mono, 16 bit, {rate_hz} Hz")
            if sound.getnframes() > MAX_SOUND_S * rate_hz:
                raise SoundUnusable(f"{path.name} is longer than {MAX_SOUND_S} s")
            samples = sound.readframes(sound.getnframes())
            if len(samples) != sound.getnframes() * 2:
                raise SoundUnusable(f"{path.name} is cut short")
            return samples
    except (OSError, EOFError, RuntimeError, wave.Error) as error:
        raise SoundUnusable(f"{path.name} cannot be read") from error
