"""Many deliveries, one answer; and room for it."""

import asyncio
import uuid

import pytest

from shared.calls.pods import PodLoads
from shared.core.admission import HEARTBEAT_FRESH_S, PodLoad, Room, redirect_target, room
from shared.core.claims import (
    Found,
    Outcome,
    finished,
    given_up,
    is_last_chance,
    judge,
    repeatability_id,
    taken_over,
)
from shared.errors import StoreUnavailable
from tests.support.records import claim


@pytest.mark.parametrize(
    ("found", "now", "verdict"),
    [
        (claim(lease_until=1008.0), 1000.0, Found.WAIT),
        (claim(lease_until=1008.0), 1008.0, Found.TAKE_OVER),
        (claim(lease_until=1008.0, outcome=Outcome.ANSWERED), 1000.0, Found.FINISHED),
        (claim(lease_until=1008.0, outcome=Outcome.MISSED), 2000.0, Found.FINISHED),
        (given_up(claim(lease_until=1008.0)), 1000.0, Found.TAKE_OVER),
    ],
    ids=["held", "lease over", "answered", "missed", "given up"],
)
def test_a_delivery_that_finds_a_claim(found, now, verdict):
    assert judge(found, now) is verdict


def test_a_claim_taken_over_keeps_its_ids_so_that_acs_sees_one_request():
    before = claim()
    after = taken_over(before, "second", now=2000.0, lease_s=8.0)
    assert (after.call_id, after.media_jti, after.repeatability_id) == (
        before.call_id,
        before.media_jti,
        before.repeatability_id,
    )
    assert (after.attempts, after.lease_until, after.holder) == (2, 2008.0, "second")
    assert finished(after, Outcome.ANSWERED).outcome is Outcome.ANSWERED


def pod(calls, capacity=10, at=1000.0):
    return PodLoad("pod", calls, capacity, at)


@pytest.mark.parametrize(
    ("pods", "expected"),
    [
        ([pod(9)], Room.FREE),
        ([pod(10), pod(3)], Room.FREE),
        ([pod(10)], Room.FULL),
        ([], Room.FULL),
        ([pod(0, at=1000.0 - HEARTBEAT_FRESH_S - 0.1)], Room.FULL),
        (None, Room.UNKNOWN),
    ],
    ids=["room", "room on another", "full", "no pod", "pod silent", "store away"],
)
def test_room_for_a_call(pods, expected):
    assert room(pods, pending=0, now=1000.0) is expected


def test_calls_answered_but_not_yet_with_a_pod_take_their_room():
    assert room([pod(7), pod(9)], pending=3, now=1000.0) is Room.FREE
    assert room([pod(7), pod(9)], pending=4, now=1000.0) is Room.FULL


class Pods:
    """The table of pods, as far as admission reads it."""

    def __init__(self, load):
        self.load = load

    async def since(self, at):
        return [self.load]


class Answers:
    """The table of answers, which all processes write and read."""

    def __init__(self):
        self.at = {}

    async def add(self, call_id, at):
        self.at[call_id] = at

    async def since(self, at):
        return {call: then for call, then in self.at.items() if then > at}


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


async def test_an_answered_call_takes_a_place_until_the_pod_itself_can_have_counted_it():
    clock, table = Clock(), Pods(PodLoad("pod", 0, 1, 1000.0))
    pods = PodLoads(table, Answers(), clock=clock)
    assert await pods.reserve("first") is Room.FREE
    assert await pods.reserve("second") is Room.FULL
    clock.now = 1003.0
    table.load = PodLoad("pod", 1, 2, 1002.5)
    assert await pods.reserve("second") is Room.FREE, "the first counts once, in the pod's own word"


async def test_a_call_that_asks_again_does_not_stand_in_its_own_way():
    pods = PodLoads(Pods(PodLoad("pod", 0, 1, 1000.0)), Answers(), clock=Clock())
    assert await pods.reserve("call") is Room.FREE
    assert await pods.reserve("call") is Room.FREE


async def test_a_call_that_is_not_answered_after_all_gives_its_place_back():
    pods = PodLoads(Pods(PodLoad("pod", 0, 1, 1000.0)), Answers(), clock=Clock())
    await pods.reserve("first")
    pods.cancel("first")
    assert await pods.reserve("second") is Room.FREE


async def test_what_another_process_answered_counts_here():
    clock, table, answers = Clock(), Pods(PodLoad("pod", 0, 1, 1000.0)), Answers()
    here, there = (PodLoads(table, answers, clock=clock) for _ in range(2))
    assert await there.reserve("theirs") is Room.FREE
    await there.announce("theirs")
    assert await here.reserve("ours") is Room.FULL


async def test_calls_at_the_same_moment_see_one_another():
    pods = PodLoads(Pods(PodLoad("pod", 0, 3, 1000.0)), Answers(), clock=Clock())
    rooms = await asyncio.gather(*(pods.reserve(f"call-{number}") for number in range(10)))
    assert rooms.count(Room.FREE) == 3


@pytest.mark.parametrize(
    ("overflow_to", "caller", "expected"),
    [
        (None, "4:+14255550100", None),
        ("4:+18005550111", "4:+14255550100", "4:+18005550111"),
        ("8:acs:r_user", "4:anonymous", "8:acs:r_user"),
        ("4:+18005550111", "8:acs:r_user", None),
        ("4:+18005550199", "4:+14255550100", None),
        ("4:+18005550198", "4:+14255550100", None),
    ],
    ids=[
        "no target",
        "phone to phone",
        "phone to user",
        "from no phone",
        "the number called",
        "a number of ours",
    ],
)
def test_whom_an_overflowing_call_is_redirected_to(overflow_to, caller, expected):
    found = redirect_target(
        overflow_to, caller=caller, called="4:+18005550199", own_numbers={"4:+18005550198"}
    )
    assert found == expected


async def test_a_load_that_cannot_be_read_is_unknown_and_leaves_no_read_behind():
    class Away:
        async def since(self, _at):
            raise StoreUnavailable("away")

    class Slow:
        async def since(self, _at):
            await asyncio.Event().wait()

    assert await PodLoads(Away(), Slow()).reserve("call") is Room.UNKNOWN
    assert asyncio.all_tasks() == {asyncio.current_task()}


def test_all_that_is_asked_about_a_call_is_asked_under_an_id_that_follows_from_its_claim_s_key():
    first, second = (repeatability_id(key * 32) for key in ("ab", "cd"))
    assert (first, first != second) == (repeatability_id("ab" * 32), True)
    assert str(uuid.UUID(first)) == first


@pytest.mark.parametrize(
    ("age_s", "ring_deadline_s", "event_budget_s", "expected"),
    [
        (6.9, 25, 8, False),
        (7.0, 25, 8, True),
        (9.9, 25, 2, False),
        (10.0, 25, 2, True),
        (0.0, 19, 8, False),
        (0.0, 18, 8, True),
        (-1.0, 25, 8, False),
    ],
)
def test_whether_a_delivery_is_the_last_in_time(age_s, ring_deadline_s, event_budget_s, expected):
    found = is_last_chance(age_s, ring_deadline_s=ring_deadline_s, event_budget_s=event_budget_s)
    assert found is expected
