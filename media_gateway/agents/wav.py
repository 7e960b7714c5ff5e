"""Reading of the WAV files that an agent plays."""

import wave
from pathlib import Path

MAX_SECONDS = 110
"""A file is said in one go, and the playout queue holds 120 s."""


class SoundUnusable(Exception):
    """A WAV file is not there, or is not what the call speaks. The text names the file."""


def read_wav(path: Path, rate_hz: int) -> bytes:
    """Return the samples of a mono 16-bit WAV file at `rate_hz`. Blocks: call it off the event loop.

    Raises:
        SoundUnusable: the file is missing, of another format, or longer than `MAX_SECONDS`.
    """
    try:
        with wave.open(str(path), "rb") as sound:
            if (sound.getnchannels(), sound.getsampwidth(), sound.getframerate()) != (1, 2, rate_hz):
                raise SoundUnusable(f"{path.name} must be mono, 16 bit, {rate_hz} Hz")
            if sound.getnframes() > MAX_SECONDS * rate_hz:
                raise SoundUnusable(f"{path.name} is longer than {MAX_SECONDS} s")
            return sound.readframes(sound.getnframes())
    except (OSError, EOFError, wave.Error) as error:
        raise SoundUnusable(f"{path.name} cannot be read") from error
