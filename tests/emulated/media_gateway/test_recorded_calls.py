"""A call whose profile records: what is kept of it when it is over, and what is not."""

import asyncio
import io
import json
import wave

import numpy as np
import soundfile

from media_gateway.agents.contract import Role
from shared.core.call_state import Cause
from shared.core.profiles import Recording, RecordingFormat
from tests.support.records import wav_bytes

RATE = 24_000
FRAME = RATE // 50 * 2


def tone(value, ms):
    return value.to_bytes(2, "little") * (RATE * ms // 1000)


async def finished(gateway, call):
    """Wait for the recording, and return its files by name."""
    blobs = gateway.outside.recordings.blobs
    await gateway.until(lambda: any(call.call_id in name and name.endswith("call.json") for name in blobs))
    await gateway.until(lambda: not any("/parts/" in name for name in blobs))
    return {name.rpartition("/")[2]: data for name, data in blobs.items() if call.call_id in name}


def samples(data):
    with wave.open(io.BytesIO(data)) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (2, 2, RATE)
        frames = np.frombuffer(file.readframes(file.getnframes()), np.int16).reshape(-1, 2)
    return frames[:, 0], frames[:, 1]


def ms_of(track, value):
    return np.count_nonzero(track == value) * 1000 // RATE


async def until_talking(gateway, agent, call):
    await gateway.until_streaming(call)
    await gateway.until(lambda: agent.sink is not None)


async def say(call, value, frames):
    """Speak as a caller does, in real time: a recording has no room for more."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    for number in range(frames):
        await asyncio.sleep(began + number * 0.02 - loop.time())
        call.socket.send_audio(tone(value, 20))


async def test_both_sides_are_kept_with_the_words_and_the_timeline(gateway, agent):
    call = await gateway.place(recording=Recording())
    await until_talking(gateway, agent, call)
    agent.sink.audio("hello", tone(7, 200))
    agent.sink.transcript(Role.AGENT, "Hello there.", item_id="hello")
    await say(call, 5, 10)
    await call.socket.until(lambda: len(call.socket.audio) == 10 * FRAME)
    agent.sink.transcript(Role.CALLER, "Good morning.", item_id="turn-1")
    agent.sink.set_variables({"account": "42"})
    agent.sink.note("agent_configured")
    agent.sink.end()
    files = await finished(gateway, call)

    assert set(files) == {"recording.wav", "transcript.json", "call.json"}
    caller, heard = samples(files["recording.wav"])
    assert 180 <= ms_of(caller, 5) <= 200
    assert ms_of(heard, 7) == 200
    entries = json.loads(files["transcript.json"])["entries"]
    assert {(entry["role"], entry["text"]) for entry in entries} == {
        ("agent", "Hello there."),
        ("caller", "Good morning."),
    }
    told = json.loads(files["call.json"])
    assert told["outcome"]["cause"] == Cause.AGENT_ENDED.value
    assert told["variables"]["out"] == {"account": "42"}
    assert "agent_configured" in [event["event"] for event in told["timeline"]]


async def test_what_was_cut_is_not_in_the_recording(gateway, agent):
    call = await gateway.place(recording=Recording())
    await until_talking(gateway, agent, call)
    agent.sink.audio("story", tone(7, 5000))
    agent.sink.transcript(
        Role.AGENT, "Once upon a time there was a king who had three sons.", item_id="story"
    )
    await call.socket.until(lambda: len(call.socket.audio) >= 40 * FRAME)
    agent.sink.clear()
    ((_, heard_ms),) = agent.heard_items
    agent.sink.end()
    files = await finished(gateway, call)

    _, heard = samples(files["recording.wav"])
    assert abs(ms_of(heard, 7) - heard_ms) <= 1
    (entry,) = json.loads(files["transcript.json"])["entries"]
    assert entry["interrupted"]
    assert entry["heard_ms"] == heard_ms
    assert entry["text"].startswith(entry["heard_text"])
    assert len(entry["heard_text"]) < len(entry["text"])


async def test_flac_is_kept_where_the_profile_says_so(gateway, agent):
    call = await gateway.place(recording=Recording(format=RecordingFormat.FLAC))
    await until_talking(gateway, agent, call)
    await say(call, 5, 10)
    await gateway.until(lambda: len(agent.audio) == 10 * FRAME)
    agent.sink.end()
    files = await finished(gateway, call)

    frames, rate = soundfile.read(io.BytesIO(files["recording.flac"]), dtype="int16")
    assert rate == RATE
    assert 180 <= ms_of(frames[:, 0], 5) <= 200


async def test_while_it_is_paused_nothing_is_kept(gateway, agent):
    call = await gateway.place(recording=Recording())
    await until_talking(gateway, agent, call)
    await say(call, 5, 5)
    await gateway.until(lambda: len(agent.audio) == 5 * FRAME)
    agent.sink.pause_recording()
    await say(call, 6, 5)
    for digit in "4111":
        call.socket.press(digit)
    await gateway.until(lambda: agent.digits == list("4111"))
    agent.sink.resume_recording()
    await say(call, 8, 5)
    call.socket.press("9")
    await gateway.until(lambda: len(agent.digits) == 5)
    agent.sink.end()
    files = await finished(gateway, call)

    caller, _ = samples(files["recording.wav"])
    assert ms_of(caller, 6) == 0
    assert ms_of(caller, 5) > 0
    assert ms_of(caller, 8) > 0
    assert "4111" not in files["transcript.json"].decode() + files["call.json"].decode()
    digits = [entry["text"] for entry in json.loads(files["transcript.json"])["entries"]]
    assert digits == ["9"]


async def test_the_announcement_comes_first_and_is_heard_whole(gateway, agent):
    gateway.outside.sounds.files["notice.wav"] = wav_bytes(tone(3, 400), rate_hz=RATE)
    call = await gateway.place(recording=Recording(announcement="notice.wav"))
    await until_talking(gateway, agent, call)
    agent.sink.audio("hello", tone(7, 100))
    agent.sink.clear()
    agent.sink.audio("again", tone(8, 100))
    await call.socket.until(lambda: bytes(call.socket.audio).endswith(tone(8, 100)))

    assert bytes(call.socket.audio) == tone(3, 400) + tone(8, 100)
    assert call.socket.stops == 0


async def test_without_its_announcement_a_call_is_not_recorded_from_its_first_word_on(gateway, agent):
    gateway.outside.sounds.gate = asyncio.Event()
    call = await gateway.place(recording=Recording(announcement="missing.wav"))
    await gateway.until(lambda: gateway.outside.sounds.reads)
    await say(call, 5, 3)
    call.socket.press("4")
    gateway.outside.sounds.gate.set()
    await until_talking(gateway, agent, call)
    agent.sink.resume_recording()
    await say(call, 5, 3)
    agent.sink.transcript(Role.CALLER, "Good morning.", item_id="turn-1")
    agent.sink.end()
    await gateway.until_over()

    assert not agent.info.is_recorded
    assert gateway.outside.recordings.blobs == {}
    assert gateway.core.pod.counters["announcements_failed"] == 1


async def test_the_agent_s_own_first_words_count_as_such_and_not_the_announcement(gateway, agent):
    gateway.outside.sounds.files["notice.wav"] = wav_bytes(tone(3, 100), rate_hz=RATE)
    call = await gateway.place(recording=Recording(announcement="notice.wav"))
    await until_talking(gateway, agent, call)
    (live,) = gateway.core.calls._live.values()
    await call.socket.until(lambda: len(call.socket.audio) > 0)
    assert live._parts.speaker.first_audio_at is None
    agent.sink.audio("hello", tone(7, 20))
    assert live._parts.speaker.first_audio_at is not None


async def test_what_was_said_while_it_was_paused_is_heard_before_it_goes_on(gateway, agent):
    call = await gateway.place(recording=Recording())
    await until_talking(gateway, agent, call)
    agent.sink.pause_recording()
    agent.sink.audio("number", tone(7, 400))
    agent.sink.resume_recording()
    await call.socket.until(lambda: len(call.socket.audio) == 20 * FRAME)
    await gateway.until(lambda: live_remaining(gateway) == 0)
    await asyncio.sleep(0.02)
    agent.sink.audio("thanks", tone(8, 100))
    await call.socket.until(lambda: len(call.socket.audio) == 25 * FRAME)
    agent.sink.end()
    files = await finished(gateway, call)

    _, heard = samples(files["recording.wav"])
    assert ms_of(heard, 7) <= 1
    assert ms_of(heard, 8) >= 95


def live_remaining(gateway):
    (live,) = gateway.core.calls._live.values()
    return live._parts.speaker.remaining_s()


async def test_a_call_whose_profile_records_nothing_leaves_nothing(gateway, agent):
    call = await gateway.place()
    await until_talking(gateway, agent, call)
    await say(call, 5, 5)
    agent.sink.end()
    await gateway.until_over()

    assert gateway.outside.recordings.blobs == {}


async def test_storage_that_is_away_costs_no_call_and_no_word(gateway, agent):
    gateway.outside.recordings.is_away = True
    call = await gateway.place(recording=Recording())
    await until_talking(gateway, agent, call)
    await say(call, 5, 10)
    await gateway.until(lambda: len(agent.audio) == 10 * FRAME)
    agent.sink.end()
    await gateway.until_over()
    await gateway.until(lambda: gateway.core.pod.counters["recording_parts_spilled"] >= 1)
    gateway.outside.recordings.is_away = False
    await gateway.until(
        lambda: any(name.endswith("call.json") for name in gateway.outside.recordings.blobs), seconds=15
    )
    files = await finished(gateway, call)

    caller, _ = samples(files["recording.wav"])
    assert 180 <= ms_of(caller, 5) <= 200
