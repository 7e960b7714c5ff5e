"""The script plays what its keys say."""

from dataclasses import replace

from media_gateway.agents.contract import CallInfo
from media_gateway.agents.script import Script
from media_gateway.sounds import Sounds
from shared.core.profiles import ScriptAgent, ScriptStep
from tests.support.media import MemorySounds
from tests.support.records import wav_bytes

RATE_HZ = 16_000
INFO = CallInfo(
    call_id="c", account_id="a", correlation_id="r", caller="", called="", variables={}, rate_hz=RATE_HZ
)


class Sink:
    def __init__(self):
        self.events = []

    def audio(self, item_id, pcm):
        self.events.append(("say", item_id, pcm))

    def clear(self):
        self.events.append(("clear",))

    def end(self):
        self.events.append(("end",))


async def script_of(settings, info=INFO):
    files = MemorySounds()
    for name in ("welcome", "hours", "bye"):
        files.files[f"{name}.wav"] = wav_bytes(sound(name), rate_hz=RATE_HZ)
    script, sink = Script(settings, Sounds(files, fetch_s=1)), Sink()
    await script.open(info, sink)
    return script, sink.events


def sound(name):
    return name.encode().ljust(8) * 2


async def test_greeting_is_said_at_the_start():
    _, events = await script_of(ScriptAgent(greeting="welcome.wav"))
    assert events == [("say", "sound-1", sound("welcome"))]


async def test_without_a_greeting_it_is_silent():
    script, events = await script_of(ScriptAgent())
    script.send_audio(bytes(640))
    script.send_dtmf("1")
    assert events == []


async def test_who_has_been_greeted_already_is_not_greeted_again():
    settings = ScriptAgent(greeting="welcome.wav", on_digit={"1": ScriptStep(play="hours.wav")})
    script, events = await script_of(settings, replace(INFO, is_resumed=True))
    assert events == []
    script.send_dtmf("1")
    assert events == [("clear",), ("say", "sound-1", sound("hours"))]


async def test_key_interrupts_with_its_sound():
    script, events = await script_of(
        ScriptAgent(greeting="welcome.wav", on_digit={"1": ScriptStep(play="hours.wav")})
    )
    script.send_dtmf("1")
    script.send_dtmf("2")
    assert events[1:] == [("clear",), ("say", "sound-2", sound("hours"))]


async def test_key_may_say_goodbye_and_end():
    script, events = await script_of(ScriptAgent(on_digit={"#": ScriptStep(play="bye.wav", end=True)}))
    script.send_dtmf("#")
    assert events == [("clear",), ("say", "sound-1", sound("bye")), ("end",)]


async def test_key_that_only_ends_lets_what_is_said_be_heard():
    script, events = await script_of(
        ScriptAgent(greeting="welcome.wav", on_digit={"*": ScriptStep(end=True)})
    )
    script.send_dtmf("*")
    assert events[1:] == [("end",)]
