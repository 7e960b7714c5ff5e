"""The two tracks of a call on one line: what was heard, what arrived, and nothing of what was cut or paused."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from media_gateway.recording.tracks import KEPT_S, MAX_PAUSES, STALL_MS, Tracks
from shared.core.playout import PlayoutLedger

RATE = 16_000
MS = RATE // 1000
FRAME_MS = 20


def pcm(value, ms=FRAME_MS):
    return int(value).to_bytes(2, "little", signed=True) * (ms * MS)


def us(ms):
    return int(ms * 1000)


def taken(tracks, now_ms):
    """Take the rest, and return the caller's and the agent's samples."""
    stretch = tracks.take(us(now_ms), final=True)
    return stretch.frames[:, 0], stretch.frames[:, 1]


def runs(track):
    """What a track holds, as (from ms, to ms, value) of everything that is not silence."""
    edges = [0, *(np.flatnonzero(np.diff(track)) + 1), len(track)]
    return [
        (begin / MS, end / MS, int(track[begin]))
        for begin, end in pairwise(edges)
        if end > begin and track[begin]
    ]


def hear(tracks, value, from_ms, to_ms, *, arriving=lambda ms: ms):
    """Frames of a caller who speaks from one time to another."""
    for ms in range(from_ms, to_ms, FRAME_MS):
        tracks.caller(us(arriving(ms)), pcm(value))


def test_the_caller_lies_where_frames_arrive_and_the_agent_where_it_is_heard():
    tracks = Tracks(RATE, 0)
    hear(tracks, 1, 100, 300)
    tracks.agent(us(250), pcm(2, 100))
    tracks.agent(us(350), pcm(3, 100))
    caller, agent = taken(tracks, 1000)
    assert runs(caller) == [(100, 300, 1)]
    assert runs(agent) == [(250, 350, 2), (350, 450, 3)]
    assert len(caller) == 1000 * MS


def test_what_is_taken_ends_now_and_joins_without_a_seam():
    tracks = Tracks(RATE, 0)
    parts = []
    for ms in range(0, 4000, FRAME_MS):
        tracks.caller(us(ms), pcm(ms + 1))
        if ms % 100 == 0:
            tracks.agent(us(ms + 200), pcm(ms + 2, 100))
        if ms in (1000, 2340, 3000):
            parts.append(tracks.take(us(ms)))
            assert parts[-1].end == ms * MS
    parts.append(tracks.take(us(4000), final=True))
    frames = np.concatenate([part.frames for part in parts])
    assert [part.first for part in parts] == [0, *(part.end for part in parts[:-1])]
    assert runs(frames[:, 0]) == [(ms, ms + 20, ms + 1) for ms in range(0, 4000, 20)]
    assert runs(frames[:, 1])[:-1] == [(ms + 200, ms + 300, ms + 2) for ms in range(0, 3700, 100)]
    assert tracks.take(us(4000), final=True) is None


def test_late_frames_lie_where_they_would_have_come():
    tracks = Tracks(RATE, 0)
    hear(tracks, 1, 0, 1000, arriving=lambda ms: 600 if 200 <= ms < 600 else ms + 7 * (ms % 40 == 20))
    caller, _ = taken(tracks, 1000)
    assert runs(caller) == [(0, 1000, 1)]


def test_frames_that_are_missing_leave_silence_and_are_told():
    tracks = Tracks(RATE, 0)
    hear(tracks, 1, 0, 400)
    hear(tracks, 2, 700, 1000)
    stretch = tracks.take(us(1000), final=True)
    assert runs(stretch.frames[:, 0]) == [(0, 400, 1), (700, 1000, 2)]
    assert stretch.gaps == (("caller", 400 * MS, 300 * MS),)


def test_the_line_waits_for_a_caller_whose_frames_do_not_come():
    tracks = Tracks(RATE, 0)
    hear(tracks, 1, 0, 1000)
    tracks.agent(us(1000), pcm(9, 3000))
    assert tracks.take(us(3000)).end == 1000 * MS
    hear(tracks, 1, 1000, 3500, arriving=lambda _: 3500)
    hear(tracks, 1, 3500, 5000)
    assert runs(taken(tracks, 5000)[0]) == [(0, 4000, 1)]


def test_after_a_longer_stall_the_caller_lies_right_again_and_what_came_too_late_is_counted():
    tracks = Tracks(RATE, 0)
    hear(tracks, 1, 0, 1000)
    stall_ms = STALL_MS + 2000
    now_ms = 1000 + stall_ms
    first = tracks.take(us(now_ms))
    assert first.end == (now_ms - STALL_MS) * MS
    hear(tracks, 2, 1000, now_ms, arriving=lambda _: now_ms)
    hear(tracks, 3, now_ms, now_ms + 1000)
    caller, _ = taken(tracks, now_ms + 1000)
    assert runs(caller) == [(0, STALL_MS, 2), (STALL_MS, STALL_MS + 1000, 3)]
    assert tracks.counts()["late_samples"] == 2000 * MS


@pytest.mark.parametrize("cut_us", [1, 333_333, 499_999, 500_000, 700_011, 900_000])
def test_of_what_was_cut_not_one_sample_is_kept(cut_us):
    """Told by the ledger that also paces the audio."""
    ledger, tracks = PlayoutLedger(RATE), Tracks(RATE, 0)
    ledger.append("item", pcm(5, 2000))
    for now_ms in range(0, 1000, 50):
        if us(now_ms) > cut_us:
            break
        for piece in ledger.due(us(now_ms)):
            tracks.agent(piece.plays_at_us, piece.pcm)
    ledger.clear(cut_us)
    tracks.cut(cut_us)
    tracks.agent(1_500_000, pcm(6, 20))
    heard = cut_us * RATE // 1_000_000
    _, agent = taken(tracks, 2000)
    assert int(np.count_nonzero(agent == 5)) == heard
    assert runs(agent)[-1] == (1500, 1520, 6)


def test_a_pause_is_silent_on_both_tracks_and_the_line_goes_on():
    tracks = Tracks(RATE, 0)
    for ms in range(0, 3000, FRAME_MS):
        if ms == 1000:
            tracks.pause(us(ms))
            tracks.pause(us(ms + 5))
        if ms == 2000:
            tracks.resume(us(ms))
        tracks.caller(us(ms), pcm(1))
        tracks.agent(us(ms), pcm(2))
    caller, agent = taken(tracks, 3000)
    assert runs(caller) == [(0, 1000, 1), (2000, 3000, 1)]
    assert runs(agent) == [(0, 1000, 2), (2000, 3000, 2)]
    assert tracks.pauses == ((1000 * MS, 2000 * MS),)


def test_what_was_spoken_within_a_pause_is_not_kept_however_late_it_comes():
    tracks = Tracks(RATE, 0)
    hear(tracks, 1, 0, 1000)
    tracks.pause(us(1000))
    tracks.resume(us(1500))
    hear(tracks, 4, 1000, 1600, arriving=lambda _: 1600)
    hear(tracks, 1, 1600, 2500)
    caller, _ = taken(tracks, 2500)
    assert runs(caller) == [(0, 1000, 1), (1500, 1600, 4), (1600, 2500, 1)]


def test_a_pause_that_lasts_is_silent_part_after_part():
    tracks = Tracks(RATE, 0)
    tracks.pause(0)
    for second in range(1, 4):
        hear(tracks, 1, second * 1000 - 1000, second * 1000)
        assert runs(tracks.take(us(second * 1000)).frames[:, 0]) == []
    assert tracks.pauses == ((0, None),)


def test_after_too_many_pauses_the_last_one_is_for_good():
    tracks = Tracks(RATE, 0)
    for number in range(MAX_PAUSES + 1):
        tracks.pause(us(2 * number))
        tracks.resume(us(2 * number + 1))
    assert len(tracks.pauses) == MAX_PAUSES + 1
    assert tracks.pauses[-1][1] is None


def test_what_nobody_takes_is_let_go_of_from_its_older_end_and_counted():
    tracks = Tracks(RATE, 0)
    for ms in range(0, 3 * KEPT_S * 1000, FRAME_MS):
        tracks.caller(us(ms), pcm(1))
        tracks.agent(us(ms), pcm(2))
    assert tracks.shed_samples > 0
    now_ms = 3 * KEPT_S * 1000
    stretch = tracks.take(us(now_ms), final=True)
    assert stretch.first == tracks.shed_samples
    assert KEPT_S * RATE / 2 <= len(stretch.frames) <= KEPT_S * RATE
    assert stretch.frames[:, 0].all()


def test_audio_that_comes_faster_than_time_goes_by_stays_within_the_limit():
    tracks = Tracks(RATE, 0)
    for _ in range(5 * KEPT_S * 50):
        tracks.caller(us(1000), pcm(1))
    assert tracks._frames.filled <= KEPT_S * RATE * 2


def test_a_later_owner_begins_further_down_the_line():
    tracks = Tracks(RATE, us(5000), 90_000)
    tracks.caller(us(5000), pcm(1))
    stretch = tracks.take(us(5020), final=True)
    assert (stretch.first, stretch.end) == (90_000, 90_000 + 20 * MS)
    assert stretch.frames[:, 0].all()


class ModelTracks:
    """Slow, and obviously right: a value for each sample of the line."""

    def __init__(self):
        self.caller, self.agent, self.paused = {}, {}, []

    def hear(self, at, value):
        self.caller.update({at + k: value for k in range(FRAME_MS * MS)})

    def play(self, at, value, samples):
        self.agent.update({at + k: value for k in range(samples)})

    def cut(self, at):
        self.agent = {place: value for place, value in self.agent.items() if place < at}

    def rendered(self, end):
        def track(values):
            return [
                0 if any(begin <= at < until for begin, until in self.paused) else values.get(at, 0)
                for at in range(end)
            ]

        return track(self.caller), track(self.agent)


steps = st.lists(
    st.one_of(
        st.tuples(st.just("gap"), st.integers(3, 40)),
        st.tuples(st.just("stall"), st.integers(1, 24)),
        st.tuples(st.just("play"), st.integers(0, 300)),
        st.tuples(st.just("cut"), st.just(0)),
        st.tuples(st.just("pause"), st.just(0)),
        st.tuples(st.just("take"), st.just(0)),
        st.tuples(st.just("frames"), st.integers(1, 60)),
    ),
    max_size=25,
)


@settings(deadline=None)
@given(steps)
def test_tracks_are_what_a_model_says(actions):
    tracks, model = Tracks(RATE, 0), ModelTracks()
    now, value, plays_until, paused_at, parts = 0, 0, 0, None, []

    def frames(count, arrives_ms=None):
        nonlocal now, value
        for _ in range(count):
            value = value % 30_000 + 1
            tracks.caller(us(now if arrives_ms is None else arrives_ms), pcm(value))
            model.hear(now * MS, value)
            now += FRAME_MS

    frames(1)
    for action, amount in [*actions, ("frames", 30)]:
        if action == "frames":
            frames(amount)
        elif action == "gap":
            frames(20)  # a hole is told from jitter by frames that come regularly
            now += amount * FRAME_MS
            frames(30)
        elif action == "stall":
            frames(20)  # and so is a stall from the one before
            frames(amount, arrives_ms=now + amount * FRAME_MS)
        elif action == "play":
            plays_until = max(plays_until, now)
            tracks.agent(us(plays_until), pcm(value, amount))
            model.play(plays_until * MS, value, amount * MS)
            plays_until += amount
        elif action == "cut":
            tracks.cut(us(now))
            model.cut(now * MS)
            plays_until = now
        elif action == "take":
            parts.append(tracks.take(us(now)))
        elif paused_at is None:
            paused_at = now * MS
            tracks.pause(us(now))
        else:
            model.paused.append((paused_at, now * MS))
            paused_at = None
            tracks.resume(us(now))
    if paused_at is not None:
        model.paused.append((paused_at, now * MS))
    parts.append(tracks.take(us(now), final=True))
    frames_taken = np.concatenate([part.frames for part in parts if part is not None])
    caller, agent = model.rendered(now * MS)
    assert_same_within(tracks.counts()["corrected_samples"], frames_taken[:, 0], np.array(caller, np.int16))
    assert frames_taken[:, 1].tolist() == agent


def assert_same_within(shift, got, expected):
    """Check that every sample is one that lies no more than so many beside it: those that were taken for drift."""
    assert shift <= FRAME_MS * MS, "the line is right within a frame, whatever stalls were taken for"
    assert len(got) == len(expected)
    padded = np.pad(expected, shift, constant_values=-1)
    near = [padded[at : at + len(got)] == got for at in range(2 * shift + 1)]
    assert np.logical_or.reduce(near).all()
