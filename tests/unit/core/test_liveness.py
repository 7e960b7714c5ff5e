"""A pod is dead when it was seen not to beat; not to see it is no proof."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.core.liveness import DEAD_AFTER_S, SeenPods


def seen(*reads, took_s=0.0):
    """What reads of (when, beats) have shown."""
    pods = SeenPods()
    for at, beats in reads:
        pods = pods.read(beats, asked_at=at, answered_at=at + took_s)
    return pods


def test_a_pod_that_was_seen_not_to_beat_for_three_seconds_is_dead():
    silent = [(at, {"pod-a": 50.0}) for at in (0, 1, 2, 3)]
    assert not seen(*silent[:3]).is_dead("pod-a", 2.5)
    assert seen(*silent).is_dead("pod-a", 3)
    assert seen(*silent).dead(3) == {"pod-a"}


@pytest.mark.parametrize("offset_s", [-3600, 0, 3600])
def test_clocks_of_pods_are_not_compared_with_ours(offset_s):
    pods = seen(*[(at, {"pod-a": at + offset_s, "pod-b": offset_s}) for at in range(10)])
    assert pods.dead(9) == {"pod-b"}


def test_a_pod_that_beats_again_lives():
    pods = seen(*[(at, {"pod-a": 50.0}) for at in range(6)])
    assert not pods.read({"pod-a": 56.0}, asked_at=6, answered_at=6).is_dead("pod-a", 6)


def test_what_was_not_read_for_a_while_is_unknown_and_begins_anew():
    """The store was away, for pods that could not beat as for us; or this process stood still."""
    before = [(at, {"pod-a": 50.0}) for at in (0, 1, 2)]
    assert not seen(*before).is_dead("pod-a", 5)
    assert not seen(*before, (5, {"pod-a": 50.0})).is_dead("pod-a", 5)
    assert seen(*before, *[(at, {"pod-a": 50.0}) for at in (5, 6, 7, 8)]).is_dead("pod-a", 8)


def test_a_slow_read_makes_nobody_silent_sooner():
    reads = [(at, {"pod-a": 50.0}) for at in (0, 1, 2, 3)]
    assert not seen(*reads, took_s=0.5).is_dead("pod-a", 3.5)


def test_a_pod_that_is_not_in_the_table_is_dead_once_the_table_is_known():
    assert not SeenPods().is_dead("pod-a", 0)
    reads = [(at, {}) for at in (0, 1, 2, 3)]
    assert not seen(*reads[:3]).is_dead("pod-a", 2)
    assert seen(*reads).is_dead("pod-a", 3)
    assert seen(*reads).dead(3) == frozenset()


def test_a_beat_that_cannot_be_read_may_be_a_live_pod_s():
    assert not seen(*[(at, {"pod-a": math.inf}) for at in range(10)]).is_dead("pod-a", 9)


@given(st.lists(st.floats(0.1, 2.5), min_size=1, max_size=40), st.floats(0.2, 1.5))
def test_a_pod_that_beats_within_the_time_is_never_dead_however_often_one_looks(pauses, every_s):
    pods, now = SeenPods(), 0.0
    for pause in pauses:
        pods = pods.read({"pod-a": now // every_s}, asked_at=now, answered_at=now)
        assert not pods.is_dead("pod-a", now + DEAD_AFTER_S / 2)
        now += pause
