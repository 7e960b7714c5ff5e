"""Impairments as they are described, and what they make of a schedule of frames: no socket, no clock."""

from itertools import groupby, pairwise

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator.media.impairment import (
    SOUND,
    Drop,
    Impairment,
    ImpairmentRefused,
    Jitter,
    Loss,
    SlowReader,
    read_impairment,
)
from emulator.media.trouble import READ_SLACK_S, Trouble

FRAME_S = 0.02

milliseconds = st.floats(0, 5_000)
jitters = st.builds(Jitter, max_ms=milliseconds) | st.builds(
    Jitter, delays_ms=st.lists(milliseconds, min_size=1).map(tuple)
)
losses = st.builds(Loss, enter=st.floats(0, 1), mean_frames=st.floats(1, 50))
drops = st.builds(Drop, after_ms=milliseconds) | st.builds(Drop, after_frames=st.integers(0, 200))
readers = st.builds(
    SlowReader,
    after_ms=milliseconds,
    for_ms=st.none() | milliseconds,
    bytes_per_second=st.integers(0, 100_000),
)
impairments = st.builds(
    Impairment,
    seed=st.integers(),
    jitter=st.none() | jitters,
    loss=st.none() | losses,
    drop=st.none() | drops,
    slow_reader=st.none() | readers,
)


def schedule(impairment, count=200, *, key="1/1"):
    """What becomes of the first frames of a socket that opens at 0."""
    trouble = Trouble(impairment, key, since_s=0.0)
    return [trouble.frame(number * FRAME_S) for number in range(count)]


def lost(fates):
    return [fate.leaves_s is None for fate in fates]


@settings(deadline=None)
@given(impairments)
def test_an_impairment_survives_its_json(impairment):
    assert read_impairment(msgspec.json.encode(impairment)) == impairment


@settings(deadline=None)
@given(impairments)
def test_frames_leave_in_order_and_never_before_they_are_there(impairment):
    left = [
        (n * FRAME_S, fate.leaves_s)
        for n, fate in enumerate(schedule(impairment))
        if fate.leaves_s is not None
    ]
    assert all(leaves_s >= due_s for due_s, leaves_s in left)
    assert [leaves_s for _, leaves_s in left] == sorted(leaves_s for _, leaves_s in left)


@settings(deadline=None)
@given(jitters)
def test_no_frame_is_later_than_the_longest_delay(jitter):
    longest_s = max(jitter.max_ms or 0, *jitter.delays_ms, 0) / 1000
    for number, fate in enumerate(schedule(Impairment(jitter=jitter))):
        assert fate.leaves_s <= number * FRAME_S + longest_s + 1e-9


@settings(deadline=None)
@given(losses, jitters, st.integers())
def test_jitter_changes_nothing_about_what_is_lost(loss, jitter, seed):
    alone = schedule(Impairment(seed=seed, loss=loss))
    both = schedule(Impairment(seed=seed, loss=loss, jitter=jitter))
    assert lost(alone) == lost(both)


@settings(deadline=None)
@given(impairments)
def test_the_same_socket_of_the_same_call_fares_the_same_again(impairment):
    assert schedule(impairment) == schedule(impairment)


def test_other_seeds_calls_and_sockets_fare_differently():
    loss = Loss(enter=0.3, mean_frames=2)
    fates = [
        lost(schedule(Impairment(seed=seed, loss=loss), key=key))
        for seed in (0, 1)
        for key in ("1/1", "1/2", "2/1")
    ]
    assert len({tuple(each) for each in fates}) == len(fates)


def test_losses_come_in_bursts_of_the_mean_length():
    fates = lost(schedule(Impairment(loss=Loss(enter=0.02, mean_frames=8)), 50_000))
    bursts = [len(list(frames)) for is_lost, frames in groupby(fates) if is_lost]
    assert sum(bursts) / len(bursts) == pytest.approx(8, rel=0.1)
    assert len(bursts) / (len(fates) - sum(bursts)) == pytest.approx(0.02, rel=0.1)


def test_a_long_delay_makes_a_gap_and_then_a_burst():
    fates = schedule(Impairment(jitter=Jitter(delays_ms=(*[0.0] * 30, 200.0))), 500)
    leaving = [fate.leaves_s for fate in fates]
    gaps = [later - earlier for earlier, later in pairwise(leaving)]
    assert max(gaps) > 0.15
    assert gaps.count(0.0) > 20


def test_uniform_jitter_has_the_mean_that_it_says():
    trouble = Trouble(Impairment(jitter=Jitter(max_ms=20)), "1/1", since_s=0.0)
    delays = [trouble.frame(number).leaves_s - number for number in range(5_000)]
    assert sum(delays) / len(delays) == pytest.approx(0.01, rel=0.05)


@pytest.mark.parametrize("drop", [Drop(after_frames=10), Drop(after_ms=200)])
def test_the_socket_is_cut_in_place_of_a_frame(drop):
    fates = schedule(Impairment(drop=drop), 20)
    assert [fate.cut for fate in fates] == [False] * 10 + [True] * 10


def test_a_socket_that_must_not_be_cut_any_more_is_not():
    trouble = Trouble(Impairment(drop=Drop(after_frames=0)), "1/1", since_s=0.0, cuts=False)
    assert not trouble.frame(0.0).cut


def test_keys_are_never_lost_and_stay_behind_the_frames_before_them():
    impairment = Impairment(loss=Loss(enter=1, mean_frames=1000), jitter=Jitter(delays_ms=(300.0,)))
    trouble = Trouble(impairment, "1/1", since_s=0.0)
    assert trouble.frame(0.0).leaves_s is None
    assert trouble.message(0.01) == 0.01
    delayed = Trouble(Impairment(jitter=Jitter(delays_ms=(300.0,))), "1/1", since_s=0.0)
    assert delayed.message(0.01) == 0.01
    assert delayed.frame(0.02).leaves_s == pytest.approx(0.32)
    assert delayed.message(0.03) == pytest.approx(0.32)


def test_a_reader_stops_and_goes_on_when_told():
    trouble = Trouble(Impairment(slow_reader=SlowReader(after_ms=100, for_ms=50)), "1/1", since_s=1.0)
    assert [trouble.reads(now_s) for now_s in (1.0, 1.09, 1.11, 1.14, 1.16)] == [
        True,
        True,
        False,
        False,
        True,
    ]


@settings(deadline=None)
@given(st.integers(1_000, 100_000), st.lists(st.integers(1, 5_000), min_size=20, max_size=200))
def test_a_slow_reader_keeps_to_its_rate(rate, sizes):
    trouble = Trouble(Impairment(slow_reader=SlowReader(bytes_per_second=rate)), "1/1", since_s=0.0)
    now_s, read = 0.0, 0
    for size in sizes:
        while not trouble.reads(now_s):
            now_s += 0.005
        trouble.read(size, now_s)
        read += size
        assert read <= rate * (now_s + READ_SLACK_S) + max(sizes) + 1


def test_what_was_sent_before_a_change_stays_before_what_comes_after_it():
    before = Trouble(Impairment(jitter=Jitter(delays_ms=(500.0,))), "1/1", since_s=0.0)
    leaves_s = before.frame(0.0).leaves_s
    after = Trouble(SOUND, "1/1", since_s=0.02, not_before_s=before.last_s)
    assert after.frame(0.02).leaves_s == leaves_s
    assert after.frame(0.6).leaves_s == 0.6


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b"{", "not JSON"),
        (b"[]", "Expected `object`"),
        (b'{"jiter": {}}', "jiter"),
        (b'{"jitter": {}}', "either maxMs or delaysMs"),
        (b'{"jitter": {"maxMs": 1, "delaysMs": [1]}}', "either maxMs or delaysMs"),
        (b'{"jitter": {"maxMs": -1}}', "0 to 10000"),
        (b'{"jitter": {"delaysMs": [10001]}}', "0 to 10000"),
        (b'{"loss": {"enter": 1.5}}', "0 to 1"),
        (b'{"loss": {"enter": 0.5, "meanFrames": 0}}', "meanFrames"),
        (b'{"drop": {}}', "either afterMs or afterFrames"),
        (b'{"drop": {"afterMs": -1}}', "negative"),
        (b'{"drop": {"afterFrames": 1, "times": 0}}', "times"),
        (b'{"slowReader": {"bytesPerSecond": -1}}', "negative"),
    ],
)
def test_what_makes_no_sense_is_refused_with_the_reason(text, why):
    with pytest.raises(ImpairmentRefused) as refused:
        read_impairment(text)
    assert why in str(refused.value)


def test_a_null_member_is_a_missing_one():
    assert read_impairment(b'{"seed": 3, "jitter": null}') == Impairment(seed=3)
