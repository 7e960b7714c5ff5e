"""WAV files in and out."""

import wave
from array import array

import pytest

from emulator.wav import WavError, WavWriter, interleave, read_wav
from tests.support.voice import ramp, tone


def write(path, *, channels=1, width=2, rate=16000, data=b""):
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(data)
    return path


def test_mono_at_the_right_rate_is_read_as_it_is(tmp_path):
    pcm = ramp(0, 1000)
    assert read_wav(write(tmp_path / "a.wav", data=pcm), 16000) == pcm


def test_stereo_is_mixed_to_mono(tmp_path):
    left, right = array("h", [100, -100, 32767]), array("h", [300, -300, 32767])
    path = write(tmp_path / "a.wav", channels=2, data=interleave(left.tobytes(), right.tobytes()))
    assert array("h", read_wav(path, 16000)).tolist() == [200, -200, 32767]


@pytest.mark.parametrize("rate", [8000, 22050, 24000, 44100, 48000])
def test_other_rates_are_converted(tmp_path, rate):
    path = write(tmp_path / "a.wav", rate=rate, data=tone(500, rate))
    samples = array("h", read_wav(path, 16000))
    assert abs(len(samples) - 8000) <= 2
    assert 7800 < max(samples[1000:-1000]) < 8200


@pytest.mark.parametrize(
    ("options", "message"),
    [({"width": 1, "data": b"\x80" * 8}, "16 bits"), ({"channels": 3, "data": bytes(12)}, "3")],
)
def test_what_is_not_telephone_audio_is_named(tmp_path, options, message):
    with pytest.raises(WavError, match=message):
        read_wav(write(tmp_path / "a.wav", **options), 16000)


@pytest.mark.parametrize(
    "content", [b"", b"RIFF", b"not a wave file at all, but a text", b"OggS" + bytes(60)]
)
def test_what_is_no_wav_is_named(tmp_path, content):
    path = tmp_path / "a.wav"
    path.write_bytes(content)
    with pytest.raises(WavError, match="PCM WAV"):
        read_wav(path, 16000)


def test_two_tracks_are_written_as_left_and_right(tmp_path):
    with WavWriter(tmp_path / "call.wav", 16000, channels=2) as writer:
        writer.write(interleave(ramp(1, 320), bytes(640)))
        writer.write(interleave(bytes(640), ramp(500, 320)))
    with wave.open(str(tmp_path / "call.wav")) as file:
        assert (file.getnchannels(), file.getframerate(), file.getnframes()) == (2, 16000, 640)
        samples = array("h", file.readframes(640))
    assert samples[0::2].tobytes() == ramp(1, 320) + bytes(640)
    assert samples[1::2].tobytes() == bytes(640) + ramp(500, 320)


def test_a_rate_of_0_is_named(tmp_path):
    path = write(tmp_path / "a.wav", data=bytes(640))
    content = bytearray(path.read_bytes())
    content[24:28] = bytes(4)
    path.write_bytes(content)
    with pytest.raises(WavError, match="sample rate"):
        read_wav(path, 16000)


def test_a_file_is_valid_while_it_is_written(tmp_path):
    path = tmp_path / "live.wav"
    with WavWriter(path, 16000, channels=1) as writer:
        for _ in range(60):
            writer.write(bytes(640))
        with wave.open(str(path)) as file:
            assert file.getnframes() == 16000
    with wave.open(str(path)) as file:
        assert file.getnframes() == 60 * 320
