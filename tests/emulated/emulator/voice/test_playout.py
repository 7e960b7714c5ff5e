"""Playout in virtual time: one `frame` is 20 ms."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.media.playout import UTTERANCE_PAUSE_MS, Gaps, Playout
from tests.support.voice import ramp, tone

RATE = 16000
FRAME = 640


def playout(**options) -> tuple[Playout, Gaps]:
    gaps = Gaps()
    return Playout(RATE, gaps, **options), gaps


def test_audio_of_any_chunking_comes_out_in_frames_unchanged():
    out, _ = playout()
    speech = ramp(0, 1000)
    for start in range(0, len(speech), 34):
        out.push(speech[start : start + 34])
    heard = b"".join(frame for frame in (out.frame() for _ in range(5)) if frame)
    assert heard == speech + bytes(4 * FRAME - len(speech))


def test_an_empty_queue_is_silence_and_no_gap():
    out, gaps = playout()
    assert [out.frame() for _ in range(100)] == [None] * 100
    assert gaps.count == 0


def test_running_dry_in_an_utterance_is_a_gap_of_that_length():
    out, gaps = playout()
    out.push(tone(40, RATE))
    for _ in range(2):
        assert out.frame()
    for _ in range(3):
        assert out.frame() is None
    out.push(tone(40, RATE))
    assert out.frame()
    assert (gaps.count, gaps.max_ms) == (1, 60.0)


def test_a_gap_within_a_frame_counts_by_the_sample():
    out, gaps = playout()
    out.push(tone(35, RATE))
    out.frame()
    out.frame()
    out.push(tone(20, RATE))
    out.frame()
    assert (gaps.count, gaps.max_ms) == (1, 5.0)


def test_a_pause_between_utterances_is_no_gap():
    out, gaps = playout()
    out.push(tone(20, RATE))
    out.frame()
    for _ in range(UTTERANCE_PAUSE_MS // 20 + 1):
        out.frame()
    out.push(tone(20, RATE))
    out.frame()
    assert gaps.count == 0


def test_the_longest_gap_is_the_pause_limit():
    out, gaps = playout()
    out.push(tone(20, RATE))
    out.frame()
    for _ in range(UTTERANCE_PAUSE_MS // 20):
        out.frame()
    out.push(tone(20, RATE))
    out.frame()
    assert gaps.max_ms == UTTERANCE_PAUSE_MS


def test_stop_drops_what_is_queued_at_once_and_leaves_no_gap():
    out, gaps = playout()
    out.push(tone(1000, RATE))
    out.frame()
    assert out.stop() == 980
    assert out.frame() is None
    out.push(tone(20, RATE))
    assert out.frame()
    assert gaps.count == 0


def test_what_exceeds_the_limit_is_dropped_from_the_end_and_reported():
    out, _ = playout(limit_ms=100)
    speech = ramp(0, 16 * 150)
    assert out.push(speech) == 50
    assert out.queued_ms == 100
    assert b"".join(out.frame() for _ in range(5)) == speech[: 16 * 100 * 2]
    assert out.push(speech[: 2 * 320]) == 0


def test_half_samples_are_refused():
    out, _ = playout()
    with pytest.raises(ValueError, match="whole"):
        out.push(b"\0\0\0")


def test_gap_statistics():
    gaps = Gaps()
    assert (gaps.mean_ms, gaps.p95_ms, gaps.max_ms) == (0, 0, 0)
    for _ in range(95):
        gaps.add(10)
    for _ in range(5):
        gaps.add(200)
    assert gaps.summary() == {"count": 100, "mean_ms": 19.5, "p95_ms": 10.0, "max_ms": 200.0}
    gaps.add(200)
    assert gaps.p95_ms == 200.0


@given(st.lists(st.one_of(st.integers(0, 1500), st.just("tick"), st.just("stop")), max_size=60))
def test_what_goes_in_comes_out_in_order_or_is_dropped_by_a_stop(steps):
    out, _ = playout(limit_ms=200)
    model = b""
    sample = 1
    for step in [*steps, *["tick"] * 11]:
        if step == "stop":
            assert out.stop() == len(model) / 32
            model = b""
        elif step == "tick":
            frame = out.frame()
            expected, model = model[:FRAME], model[FRAME:]
            assert frame == (expected + bytes(FRAME - len(expected)) if expected else None)
        else:
            pcm = b"".join((n % 30_000 + 1).to_bytes(2, "little") for n in range(sample, sample + step))
            sample += step
            room = 200 * 32 - len(model)
            assert out.push(pcm) == max(0, len(pcm) - room) / 32
            model += pcm[:room]
