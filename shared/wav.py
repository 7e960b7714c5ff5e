"""Reading of the WAV files that an agent plays. Pure: the bytes come from a disk or from blob storage."""

import io
import wave

from shared.core.profiles import MAX_SOUND_S

MAX_WAV_BYTES = 6 * 1024 * 1024
"""`MAX_SOUND_S` at 24 kHz is 5.3 MB."""


class SoundUnusable(Exception):
    """A sound is not there, or is not what the call speaks. The text says which it must be."""


def read_wav(content: bytes, rate_hz: int) -> bytes:
    """Return the samples of a mono 16-bit WAV file at `rate_hz`.

    Raises:
        SoundUnusable: it is no WAV file, of another format, cut short, or longer than `MAX_SOUND_S`.
    """
    try:
        with wave.open(io.BytesIO(content), "rb") as sound:
            if (sound.getnchannels(), sound.getsampwidth(), sound.getframerate()) != (1, 2, rate_hz):
                raise SoundUnusable(f"must be mono, 16 bit, {rate_hz} Hz")
            frames = sound.getnframes()
            if frames > MAX_SOUND_S * rate_hz:
                raise SoundUnusable(f"is longer than {MAX_SOUND_S} s")
            samples = sound.readframes(frames)
            if len(samples) != frames * 2:
                raise SoundUnusable("is cut short")
            return samples
    except (EOFError, RuntimeError, wave.Error) as error:
        raise SoundUnusable("is not a WAV file of PCM samples") from error
