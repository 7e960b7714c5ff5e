"""WAV files are played only as what the call speaks."""

import pytest

from shared.wav import SoundUnusable, read_wav
from tests.support.records import wav_bytes

RATE_HZ = 16_000


def test_the_samples_of_a_file_come_back():
    assert read_wav(wav_bytes(b"\1\2" * 50, rate_hz=RATE_HZ), RATE_HZ) == b"\1\2" * 50


@pytest.mark.parametrize("changes", [{"channels": 2}, {"width": 1}, {"rate_hz": 24_000}])
def test_another_format_is_refused(changes):
    with pytest.raises(SoundUnusable, match="must be mono, 16 bit, 16000 Hz"):
        read_wav(wav_bytes(bytes(96), **{"rate_hz": RATE_HZ, **changes}), RATE_HZ)


def test_a_sound_that_would_not_fit_the_queue_is_refused():
    with pytest.raises(SoundUnusable, match="longer"):
        read_wav(wav_bytes(bytes(111 * RATE_HZ * 2), rate_hz=RATE_HZ), RATE_HZ)


def test_a_file_that_is_cut_short_or_no_wav_is_refused():
    whole = wav_bytes(bytes(640), rate_hz=RATE_HZ)
    with pytest.raises(SoundUnusable, match="cut short"):
        read_wav(whole[:-101], RATE_HZ)
    for content in (b"", b"RIFF", whole[:20], b"not a sound at all" * 10):
        with pytest.raises(SoundUnusable, match="is not a WAV file"):
            read_wav(content, RATE_HZ)
