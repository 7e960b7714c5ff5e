"""A call's parts become one recording and two documents, however often it is tried and wherever it broke off."""

import asyncio
import io
import json
import time
from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import replace

import jsonschema_rs
import numpy as np
import pytest
import soundfile

from media_gateway.agents.contract import Role
from media_gateway.recording.documents import CALL_SCHEMA, TRANSCRIPT_SCHEMA
from media_gateway.recording.finaliser import Finaliser
from media_gateway.recording.parts import OVER_AFTER_S
from media_gateway.recording.spill import Spill
from media_gateway.recording.store import RecordingStore, StoreTiming
from shared.core.call_state import CallState
from shared.core.profiles import RecordingFormat
from shared.errors import StoreUnavailable
from tests.support.recording import RATE, MemoryBlobs, VirtualCall, recorded_record


@pytest.fixture
def blobs():
    return MemoryBlobs()


@pytest.fixture
def counters():
    return Counter()


@pytest.fixture
async def store(blobs, counters, tmp_path):
    store = RecordingStore(blobs, Spill(tmp_path, "pod", 1 << 30), counters, StoreTiming(retry_s=0.01))
    await store.open()
    running = asyncio.create_task(store.run())
    yield store
    running.cancel()
    await asyncio.wait((running,))


@pytest.fixture
def finaliser(store, counters):
    return Finaliser(store, counters, retry_s=0.005)


@asynccontextmanager
async def at_work(finaliser):
    working = asyncio.create_task(finaliser.run())
    yield
    working.cancel()
    await asyncio.wait((working,))


async def recorded(store, counters, coding=RecordingFormat.WAV):
    """A call of nine seconds in three parts, with something of everything; return it when its parts are sent."""
    call = VirtualCall(store, recorded_record(coding, variables={"plan": "gold"}), counters)
    recorder = call.recorder
    call.say(2, agent=3000, item="greeting")
    recorder.said(Role.AGENT, "greeting", "Good morning!")
    call.say(1, caller=4000)
    call.part()
    recorder.said(Role.CALLER, "u1", "My card, please")
    recorder.note("tool_called", "cards")
    call.say(0.5)
    call.say(1, agent=3000, item="answer")
    recorder.said(Role.AGENT, "answer", "Tell me your number and wait a moment")
    recorder.cut(call.now_us)
    recorder.interrupted("answer", 1000, 3000)
    recorder.pause()
    call.say(1, caller=5000)
    recorder.digits("4")
    recorder.resume()
    call.part()
    call.now_us += 500_000
    call.say(3, caller=4500)
    recorder.digits("1")
    call.record = replace(call.record, state=CallState.ENDED)
    recorder.finish()
    await store.all_sent(recorder.folder)
    return call


def samples(blobs, end):
    frames, rate_hz = soundfile.read(io.BytesIO(blobs.ending(end)), dtype="int16")
    assert rate_hz == RATE
    return frames


def document(blobs, end):
    return json.loads(blobs.ending(end))


async def test_the_recording_holds_every_sample_of_the_parts_and_then_they_are_gone(
    store, blobs, finaliser, counters
):
    call = await recorded(store, counters)
    await finaliser.finalise(call.recorder.folder)
    folder = str(call.recorder.folder)
    assert set(blobs.blobs) == {
        f"{folder}/{name}" for name in ("recording.wav", "transcript.json", "call.json")
    }
    frames = samples(blobs, "recording.wav")
    expected = [(0, 3000)] * 100 + [(4000, 0)] * 50 + [(0, 0)] * 25 + [(0, 3000)] * 50 + [(0, 0)] * 75
    expected += [(4500, 0)] * 150
    assert np.array_equal(frames, np.repeat(expected, RATE // 50, axis=0))
    assert blobs.writes[-3:] == [
        f"{folder}/{name}" for name in ("recording.wav", "transcript.json", "call.json")
    ]
    assert counters["recordings_made"] == 1


async def test_wav_and_flac_hold_the_same_samples(store, blobs, finaliser, counters):
    for coding in RecordingFormat:
        call = await recorded(store, counters, coding)
        await finaliser.finalise(call.recorder.folder)
    wav, flac = blobs.ending("recording.wav"), blobs.ending("recording.flac")
    assert (wav[:4], flac[:4]) == (b"RIFF", b"fLaC")
    assert len(flac) < len(wav)
    assert np.array_equal(samples(blobs, "recording.wav"), samples(blobs, "recording.flac"))


async def test_the_documents_are_as_their_schemas_say(store, blobs, finaliser, counters):
    call = await recorded(store, counters)
    await finaliser.finalise(call.recorder.folder)
    for name, schema in (("transcript.json", TRANSCRIPT_SCHEMA), ("call.json", CALL_SCHEMA)):
        validator = jsonschema_rs.validator_for(json.loads(schema.read_bytes()), validate_formats=True)
        validator.validate(document(blobs, name))


async def test_the_transcript_has_both_sides_as_they_were_heard(store, blobs, finaliser, counters):
    call = await recorded(store, counters)
    await finaliser.finalise(call.recorder.folder)
    transcript = document(blobs, "transcript.json")
    assert [
        (entry["role"], entry["heard_text"], entry["start_ms"], entry["end_ms"], entry["interrupted"])
        for entry in transcript["entries"]
    ] == [
        ("agent", "Good morning!", 0, 2000, False),
        ("caller", "My card, please", 3000, 3000, False),
        ("agent", "Tell me your", 3500, 4500, True),
        ("caller", "1", 9000, 9000, False),
    ]
    assert transcript["paused"] == [{"start_ms": 4500, "length_ms": 1000}]
    assert transcript["began"] == "2023-11-14T22:13:21.000Z"
    assert transcript["duration_ms"] == 9000


async def test_the_call_document_says_how_the_call_went(store, blobs, finaliser, counters):
    call = await recorded(store, counters)
    await finaliser.finalise(call.recorder.folder)
    known = document(blobs, "call.json")
    assert known["outcome"] == {"state": "ended", "cause": None, "detail": ""}
    assert known["variables"] == {"in": {"plan": "gold"}, "out": {}}
    assert known["gaps"] == [{"track": "caller", "start_ms": 5500, "length_ms": 500}]
    assert known["latencies"]["turns"] == [{"at_ms": 3000, "wait_ms": 500}]
    assert (known["latencies"]["turn_p50_ms"], known["latencies"]["turn_max_ms"]) == (500, 500)
    assert known["interruptions"] == 1
    assert {"at_ms": 3000, "event": "tool_called", "detail": "cards", "state": None} in known["timeline"]
    recording = known["recording"]
    assert (recording["format"], recording["duration_ms"], recording["lost_ms"]) == ("wav", 9000, 0)
    assert len(recording["parts"]) == 3


async def test_twice_is_as_good_as_once(store, blobs, finaliser, counters):
    call = await recorded(store, counters)
    await finaliser.finalise(call.recorder.folder)
    before, writes = dict(blobs.blobs), len(blobs.writes)
    await finaliser.finalise(call.recorder.folder)
    assert blobs.blobs == before
    assert len(blobs.writes) == writes


@pytest.mark.parametrize("steps", range(14))
async def test_wherever_storage_breaks_off_the_next_try_gives_the_same(
    store, blobs, finaliser, counters, steps
):
    call = await recorded(store, counters)
    parts = dict(blobs.blobs)
    await finaliser.finalise(call.recorder.folder)
    whole = dict(blobs.blobs)
    blobs.blobs = parts
    real, left = blobs._answer, steps

    async def answer():
        nonlocal left
        left -= 1
        if left == -1:
            raise StoreUnavailable("away")
        await real()

    blobs._answer = answer
    try:
        await finaliser.finalise(call.recorder.folder)
    except StoreUnavailable:
        await finaliser.finalise(call.recorder.folder)
    assert blobs.blobs == whole


async def test_half_of_the_parts_deleted_do_no_harm(store, blobs, finaliser, counters):
    call = await recorded(store, counters)
    parts = dict(blobs.blobs)
    await finaliser.finalise(call.recorder.folder)
    whole = dict(blobs.blobs)
    blobs.blobs |= dict(list(parts.items())[1:])
    await finaliser.finalise(call.recorder.folder)
    assert blobs.blobs == whole


async def two_owners(store, counters):
    """A call that went from one pod to another; the first has yet to bring what it recorded last."""
    record = recorded_record()
    first = VirtualCall(store, record, counters)
    first.say(2, caller=1000)
    first.part()
    first.say(1, caller=1001)
    second = VirtualCall(store, replace(record, epoch=2), counters, after_s=5)
    second.say(1, caller=2000)
    second.recorder.finish()
    await store.all_sent(first.recorder.folder)
    return first


def heard_of(blobs):
    """What the caller says in the recording, a value for each second."""
    return samples(blobs, "recording.wav")[RATE // 2 :: RATE, 0].tolist()


async def test_part_that_comes_late_of_a_pod_that_lost_the_call_is_in_the_recording_in_the_end(
    store, blobs, finaliser, counters
):
    first = await two_owners(store, counters)
    await finaliser.finalise(first.recorder.folder)
    assert heard_of(blobs) == [1000, 1000, 0, 0, 2000]
    first.recorder.finish()
    later = Finaliser(store, counters, clock=lambda: time.time() + OVER_AFTER_S + 60)
    await later.finalise(first.recorder.folder)

    assert heard_of(blobs) == [1000, 1000, 1001, 0, 2000]
    assert len(document(blobs, "call.json")["recording"]["parts"]) == 3
    assert not any("/parts/" in name for name in blobs.blobs)
    assert not counters["recording_parts_left"]


async def test_parts_of_a_call_that_changed_hands_go_when_no_more_can_come(store, blobs, finaliser, counters):
    first = await two_owners(store, counters)
    for _ in range(2):
        await finaliser.finalise(first.recorder.folder)
        assert sum("/parts/" in name for name in blobs.blobs) == 2
    later = Finaliser(store, counters, clock=lambda: time.time() + OVER_AFTER_S + 60)
    await later.finalise(first.recorder.folder)

    assert not any("/parts/" in name for name in blobs.blobs)
    assert counters["recordings_made"] == 1


async def test_parts_that_come_when_the_others_are_deleted_stay_and_are_counted(
    store, blobs, finaliser, counters
):
    call = await recorded(store, counters)
    await finaliser.finalise(call.recorder.folder)
    late = VirtualCall(store, call.record, counters, after_s=30)
    late.say(1, caller=1)
    late.recorder.finish()
    await finaliser.finalise(call.recorder.folder)
    assert sum("/parts/" in name for name in blobs.blobs) == 1
    assert counters["recording_parts_left"] == 1
    assert document(blobs, "call.json")["recording"]["duration_ms"] == 9000


async def test_owners_of_a_call_come_together_on_one_line(store, blobs, finaliser, counters):
    record = recorded_record()
    first = VirtualCall(store, record, counters)
    first.say(2, caller=1000)
    first.recorder.said(Role.CALLER, "u", "Hello")
    first.part()
    second = VirtualCall(store, replace(record, epoch=2), counters, after_s=5)
    second.say(1, caller=2000)
    second.recorder.said(Role.CALLER, "u", "Still there?")
    second.recorder.finish()
    await finaliser.finalise(second.recorder.folder)
    frames = samples(blobs, "recording.wav")
    assert np.array_equal(frames[:, 0], np.repeat([1000, 1000, 0, 0, 2000], RATE))
    known = document(blobs, "call.json")["recording"]
    assert (known["lost_ms"], known["lost"]) == (2000, [{"start_ms": 2000, "length_ms": 2000}])
    texts = [(entry["text"], entry["start_ms"]) for entry in document(blobs, "transcript.json")["entries"]]
    assert texts == [("Hello", 2000), ("Still there?", 5000)]


async def test_a_part_that_cannot_be_read_is_silence_and_stays(store, blobs, finaliser, counters):
    call = await recorded(store, counters)
    broken = sorted(blobs.blobs)[1]
    blobs.blobs[broken] = b"RIFF"
    await finaliser.finalise(call.recorder.folder)
    assert broken in blobs.blobs
    assert document(blobs, "call.json")["recording"]["lost_ms"] == 2500
    assert counters["recording_parts_invalid"] == 1


async def test_a_call_without_a_readable_part_is_left_as_it_is(store, blobs, finaliser, counters, caplog):
    call = await recorded(store, counters)
    blobs.blobs = dict.fromkeys(blobs.blobs, b"RIFF")
    async with at_work(finaliser):
        finaliser.submit(call.recorder.folder)
        await finaliser.finished()
    assert len(blobs.blobs) == 3
    assert counters["recordings_failed"] == 1
    assert "a recording could not be made" in caplog.text


async def test_a_call_without_parts_makes_no_recording(store, blobs, finaliser):
    await finaliser.finalise(VirtualCall(store, recorded_record(), Counter()).recorder.folder)
    assert blobs.blobs == {}


async def test_however_long_storage_is_away_calls_are_finalised_in_the_end(store, blobs, finaliser, counters):
    calls = [await recorded(store, counters) for _ in range(3)]
    blobs.is_away = True
    async with at_work(finaliser):
        for call in calls:
            finaliser.submit(call.recorder.folder)
        await asyncio.sleep(0.01)
        blobs.is_away = False
        await finaliser.finished()
    assert sum(name.endswith("call.json") for name in blobs.blobs) == 3
    assert counters["recordings_made"] == 3


async def test_calls_that_storage_refuses_stay_in_parts_and_hold_up_none(
    store, blobs, finaliser, counters, caplog
):
    calls = [await recorded(store, counters) for _ in range(3)]
    blobs.refuses = {f"{call.recorder.folder}/recording.wav" for call in calls[:2]}
    async with at_work(finaliser):
        for call in calls:
            finaliser.submit(call.recorder.folder)
        await finaliser.finished()
    assert (counters["recordings_refused"], counters["recordings_made"]) == (2, 1)
    assert sum("/parts/" in name for name in blobs.blobs) == 6
    assert caplog.text.count("storage refuses a recording") == 1


async def test_calls_that_storage_has_no_answer_for_are_tried_again_after_the_others(
    store, blobs, finaliser, counters
):
    calls = [await recorded(store, counters) for _ in range(3)]
    real, hung = blobs.names, {call.recorder.folder.parts for call in calls[:2]}

    async def names(prefix):
        if prefix in hung:
            raise StoreUnavailable("away")
        return await real(prefix)

    blobs.names = names
    async with at_work(finaliser):
        for call in calls:
            finaliser.submit(call.recorder.folder)
        while not counters["recordings_made"]:
            await asyncio.sleep(0.001)
        hung.clear()
        await finaliser.finished()
    assert counters["recordings_made"] == 3


async def test_nothing_is_left_on_the_volume(store, finaliser, counters):
    call = await recorded(store, counters)
    await finaliser.finalise(call.recorder.folder)
    assert [path.name for path in store.folder.iterdir()] == [".lock"]


async def test_a_killed_process_leaves_parts_that_say_all_but_the_end(store, blobs, finaliser, counters):
    call = VirtualCall(store, recorded_record(), counters)
    call.say(4, caller=1000)
    call.recorder.said(Role.CALLER, "u", "Hello")
    call.part()
    call.say(3, caller=1000)
    await finaliser.finalise(call.recorder.folder)
    known = document(blobs, "call.json")
    assert known["outcome"]["state"] == "streaming"
    assert known["recording"]["duration_ms"] == 4000
    assert document(blobs, "transcript.json")["entries"][0]["text"] == "Hello"
