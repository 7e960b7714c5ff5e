"""A call as it is recorded: parts that follow one another, with what was noted meanwhile, and no harm to the call."""

import asyncio
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from media_gateway.agents.contract import Role
from media_gateway.recording.notes import Happened, Missing, call_facts, decode_notes
from media_gateway.recording.parts import parse_name, unpack
from media_gateway.recording.recorder import PART_S, Recorder
from tests.support.recording import CREATED, RATE, VirtualCall, pcm, recorded_record


class KeptParts:
    """Takes parts as the store does, and keeps them."""

    def __init__(self):
        self.parts = []
        self.fails = False

    async def room(self):
        """There is."""

    def put(self, folder, name, data):
        if self.fails:
            raise OSError("odd")
        assert parse_name(name.within(folder)) == (folder, name)
        part = unpack(data)
        assert len(part.frames) == name.samples
        self.parts.append((name, part, decode_notes(part.notes)))

    def notes(self):
        return [notes for _, _, notes in self.parts]


@pytest.fixture
def kept():
    return KeptParts()


@pytest.fixture
def call(kept):
    return VirtualCall(kept, recorded_record(), Counter())


def test_parts_follow_one_another_on_the_line_of_the_call(kept, call):
    call.say(4, caller=1000, agent=2000)
    call.part()
    call.say(4, caller=1001)
    call.recorder.finish()
    (first, one, _), (second, other, _) = kept.parts
    assert (first.epoch, first.first) == (1, 1 * RATE)
    assert (first.end, second.end) == (second.first, 9 * RATE)
    assert np.array_equal(np.unique(one.frames, axis=0), [[1000, 2000]])
    assert np.array_equal(np.unique(other.frames, axis=0), [[1001, 0]])


def test_nothing_is_handed_on_where_nothing_has_come(kept, call):
    call.part()
    call.recorder.finish()
    assert kept.parts == []


def test_a_part_carries_what_was_noted_since_the_one_before(kept, call):
    recorder = call.recorder
    call.say(1, agent=2000)
    recorder.note("speech_started")
    recorder.said(Role.CALLER, "u1", "Hello")
    recorder.said(Role.AGENT, "item", "Good morning, how may I help you?")
    recorder.cut(call.now_us)
    recorder.interrupted("item", 1000, 3000)
    call.part()
    call.say(1)
    recorder.digits("4")
    call.part()
    first, second = kept.notes()
    assert first.happened == [Happened(2000, "speech_started")]
    assert [(e.text, e.heard_text, e.start_ms, e.end_ms) for e in first.entries] == [
        ("Good morning, how may I help you?", "Good", 1000, 2000),
        ("Hello", "Hello", 2000, 2000),
    ]
    assert [entry.text for entry in second.entries] == ["4"]
    assert second.happened == []
    assert (first.call.call_id, first.call.times["created"]) == (call.record.call_id, CREATED)
    assert first.call.counts == {"frames": 7}


def test_a_question_lies_before_its_answer_though_its_text_comes_later(kept, call):
    call.recorder.began("u1")
    call.say(1, caller=1000)
    call.say(1, agent=2000)
    call.recorder.said(Role.AGENT, "item", "At nine.")
    call.recorder.said(Role.CALLER, "u1", "When do you open?")
    call.recorder.finish()
    (notes,) = kept.notes()
    entries = {entry.text: (entry.start_ms, entry.end_ms) for entry in notes.entries}
    assert entries == {"When do you open?": (1000, 3000), "At nine.": (2000, 3000)}


def test_audio_that_does_not_come_in_time_is_told_of_both_tracks(kept, call):
    call.say(1, agent=2000)
    call.now_us += 400_000
    call.say(1.5, agent=2000)
    call.recorder.cut(call.now_us)
    call.now_us += 20_000
    call.say(0.2, agent=2000)
    call.recorder.finish()
    (notes,) = kept.notes()
    assert notes.missing == [Missing("agent", 2000, 400), Missing("caller", 2000, 400)]


def test_a_pause_keeps_neither_audio_nor_words_nor_digits(kept, call):
    call.say(1, caller=1000, agent=2000)
    call.recorder.pause()
    call.say(1, caller=1000, agent=2000, item="secret")
    call.recorder.digits("4")
    call.recorder.said(Role.CALLER, "u", "four")
    call.recorder.said(Role.AGENT, "secret", "four, is that right?")
    call.recorder.resume()
    call.say(1, caller=1000, agent=2000, item="after")
    call.recorder.digits("5")
    call.recorder.finish()
    ((_, part, notes),) = kept.parts
    assert np.array_equal(part.frames.any(axis=1), np.repeat([True, False, True], RATE))
    assert [entry.text for entry in notes.entries] == ["5"]
    assert notes.pauses == [(2000, 3000)]


def test_a_failure_is_counted_and_logged_once_and_recording_goes_on(kept, caplog):
    counters = Counter()
    call = VirtualCall(kept, recorded_record(), counters)
    kept.fails = True
    for _ in range(2):
        call.say(2, caller=1000)
        call.part()
    kept.fails = False
    call.say(2, caller=1000)
    call.recorder.finish()
    assert counters == {"recording_failures": 2}
    assert caplog.text.count("a part of a recording failed") == 1
    ((name, part, notes),) = kept.parts
    assert name.first == 5 * RATE
    assert part.frames[:, 0].all()
    assert notes.counts["failures"] == 2


def test_a_pause_lasts_though_the_recording_starts_over(kept, call):
    call.recorder.pause()
    call.say(2, caller=1000)
    kept.fails = True
    call.part()
    kept.fails = False
    assert kept.parts == []
    call.say(2, caller=1000)
    call.recorder.resume()
    call.say(1, caller=1000)
    call.recorder.finish()
    ((_, part, _),) = kept.parts
    assert np.array_equal(part.frames[:, 0] != 0, np.repeat([False, True], [2 * RATE, RATE]))


async def test_parts_are_handed_on_now_and_then_until_the_recorder_is_cancelled(kept):
    record = recorded_record()
    recorder = Recorder(
        kept, record, lambda: call_facts(record), Counter(), clock=lambda: CREATED, part_s=0.05
    )
    running = asyncio.create_task(recorder.run())
    while len(kept.parts) < 3:
        await asyncio.sleep(0.001)
    running.cancel()
    await asyncio.wait((running,))
    recorder.finish()
    names = [name for name, _, _ in kept.parts]
    assert all(before.end == after.first for before, after in pairwise(names))


async def test_the_first_parts_of_many_calls_come_spread(kept, monkeypatch):
    waits = []

    def timeout(seconds):
        waits.append(seconds)
        raise asyncio.CancelledError

    monkeypatch.setattr(asyncio, "timeout", timeout)
    for _ in range(100):
        with pytest.raises(asyncio.CancelledError):
            await VirtualCall(kept, recorded_record(), Counter()).recorder.run()
    assert 0 <= min(waits) < PART_S / 4
    assert PART_S * 3 / 4 < max(waits) <= PART_S


async def test_what_there_is_when_media_are_lost_is_handed_on_at_once(kept, call):
    running = asyncio.create_task(call.recorder.run())
    call.say(1, caller=1000, agent=2000)
    call.recorder.said(Role.AGENT, "item", "Good morning")
    call.recorder.media_lost()
    async with asyncio.timeout(1):
        while not kept.parts:
            await asyncio.sleep(0)
    running.cancel()
    await asyncio.wait((running,))
    ((name, part, notes),) = kept.parts
    assert name.end == 2 * RATE
    assert np.array_equal(np.unique(part.frames, axis=0), [[1000, 2000]])
    assert [entry.text for entry in notes.entries] == ["Good morning"]


def lose_media(call):
    """Lose media after a second, and let another one go by."""
    call.say(1, caller=1000)
    call.recorder.media_lost()
    call.now_us += 1_000_000


def test_line_of_a_call_that_another_pod_has_got_ends_where_media_were_lost(kept, call):
    lose_media(call)
    call.recorder.end(is_ours=False)
    call.recorder.finish()
    ((name, _, _),) = kept.parts
    assert name.end == 2 * RATE


def test_nothing_more_is_handed_on_of_it(kept, call):
    lose_media(call)
    call.recorder._hand_on(final=True)
    call.recorder.end(is_ours=False)
    call.recorder.finish()
    assert len(kept.parts) == 1


def test_line_of_a_call_that_ends_without_media_goes_on_to_its_end(kept, call):
    lose_media(call)
    call.recorder.end()
    call.recorder.finish()
    ((name, _, _),) = kept.parts
    assert name.end == 3 * RATE


def test_line_goes_on_when_media_are_back(kept, call):
    lose_media(call)
    call.recorder._hand_on(final=True)
    call.recorder.media_back()
    call.say(1, caller=1001)
    call.recorder.end(is_ours=False)
    call.recorder.finish()
    frames = np.concatenate([part.frames[:, 0] for _, part, _ in kept.parts])
    assert np.array_equal(frames, np.repeat([1000, 0, 1001], RATE))


def test_line_ends_when_the_call_does_whatever_is_still_waited_for(kept, call):
    call.say(1, caller=1000)
    call.recorder.end()
    call.now_us += 5_000_000
    call.recorder.end(is_ours=False)
    call.recorder.finish()
    ((name, _, _),) = kept.parts
    assert name.end == 2 * RATE


def test_half_a_sample_is_left_out(kept, call):
    call.recorder.caller(call.now_us, pcm(7) + b"!")
    call.now_us += 20_000
    call.recorder.caller(call.now_us, pcm(8))
    call.now_us += 20_000
    call.recorder.finish()
    assert kept.parts[0][1].frames[:, 0].tolist() == [7] * (RATE // 50) + [8] * (RATE // 50)


def test_the_recorder_passes_caller_frames_of_any_kind_of_buffer(kept, call):
    call.recorder.caller(call.now_us, bytearray(pcm(7)))
    call.now_us += 20_000
    call.recorder.finish()
    assert kept.parts[0][1].frames[:, 0].tolist() == [7] * (RATE // 50)
