"""The script plays what its keys say, and refuses files that do not fit."""

import wave

import pytest

from media_gateway.agents.contract import CallInfo
from media_gateway.agents.script import Script
from media_gateway.agents.wav import SoundUnusable, read_wav
from shared.core.profiles import ScriptAgent, ScriptStep

RATE_HZ = 16_000
INFO = CallInfo(
    call_id="c", account_id="a", correlation_id="r", caller="", called="", variables={}, rate_hz=RATE_HZ
)


def write_wav(path, samples, *, channels=1, width=2, rate_hz=RATE_HZ):
    with wave.open(str(path), "wb") as sound:
        sound.setnchannels(channels)
        sound.setsampwidth(width)
        sound.setframerate(rate_hz)
        sound.writeframes(samples)
    return path


class Sink:
    def __init__(self):
        self.events = []

    def audio(self, item_id, pcm):
        self.events.append(("say", item_id, pcm))

    def clear(self):
        self.events.append(("clear",))

    def end(self):
        self.events.append(("end",))


async def script_of(tmp_path, settings):
    for name in ("welcome", "hours", "bye"):
        write_wav(tmp_path / f"{name}.wav", name.encode().ljust(8) * 2)
    script, sink = Script(settings, tmp_path), Sink()
    await script.open(INFO, sink)
    return script, sink.events


def sound(name):
    return name.encode().ljust(8) * 2


async def test_greeting_is_said_at_the_start(tmp_path):
    _, events = await script_of(tmp_path, ScriptAgent(greeting="welcome.wav"))
    assert events == [("say", "sound-1", sound("welcome"))]


async def test_without_a_greeting_it_is_silent(tmp_path):
    script, events = await script_of(tmp_path, ScriptAgent())
    script.send_audio(bytes(640))
    script.send_dtmf("1")
    assert events == []


async def test_key_interrupts_with_its_sound(tmp_path):
    script, events = await script_of(
        tmp_path, ScriptAgent(greeting="welcome.wav", on_digit={"1": ScriptStep(play="hours.wav")})
    )
    script.send_dtmf("1")
    script.send_dtmf("2")
    assert events[1:] == [("clear",), ("say", "sound-2", sound("hours"))]


async def test_key_may_say_goodbye_and_end(tmp_path):
    script, events = await script_of(
        tmp_path, ScriptAgent(on_digit={"#": ScriptStep(play="bye.wav", end=True)})
    )
    script.send_dtmf("#")
    assert events == [("clear",), ("say", "sound-1", sound("bye")), ("end",)]


async def test_key_that_only_ends_lets_what_is_said_be_heard(tmp_path):
    script, events = await script_of(
        tmp_path, ScriptAgent(greeting="welcome.wav", on_digit={"*": ScriptStep(end=True)})
    )
    script.send_dtmf("*")
    assert events[1:] == [("end",)]


@pytest.mark.parametrize("changes", [{"channels": 2}, {"width": 1}, {"rate_hz": 24_000}])
def test_sound_of_another_format_is_refused(tmp_path, changes):
    path = write_wav(tmp_path / "a.wav", bytes(96), **changes)
    with pytest.raises(SoundUnusable, match=r"a\.wav must be mono, 16 bit, 16000 Hz"):
        read_wav(path, RATE_HZ)


def test_sound_that_would_not_fit_the_queue_is_refused(tmp_path):
    path = write_wav(tmp_path / "a.wav", bytes(111 * RATE_HZ * 2))
    with pytest.raises(SoundUnusable, match="longer"):
        read_wav(path, RATE_HZ)


def test_sound_that_is_missing_or_no_wav_is_refused(tmp_path):
    (tmp_path / "a.wav").write_bytes(b"RIFF")
    for name in ("a.wav", "b.wav"):
        with pytest.raises(SoundUnusable, match="cannot be read"):
            read_wav(tmp_path / name, RATE_HZ)
