"""What upkeep closes and deletes, to the second, and what it leaves alone."""

import uuid
from datetime import UTC, datetime

import msgspec
import pytest

from shared.core.admission import HEARTBEAT_FRESH_S
from shared.core.call import CallTimes, HistoryEntry, advance
from shared.core.call_state import CallEvent, CallState, Cause
from shared.core.ids import first_call_id, new_call_id, partition_of, partitions
from shared.core.ownership import OwnershipLost, require_epoch
from shared.core.upkeep import (
    ANSWER_MARGIN_S,
    KEPT_S,
    KEPT_VERSIONS,
    OVER_AFTER_S,
    SPARE_S,
    CallLimits,
    closed,
    is_day_over,
    outdated_sounds,
    outdated_versions,
    why_closed,
)
from tests.support.records import CONNECTION_ID, ECHO, call_record

LIMITS = CallLimits(ring_deadline_s=25.0, lost_after_s=60.0)
CREATED = 1000.0
HELD = [
    CallState.CONNECTED,
    CallState.STREAMING,
    CallState.TRANSFERRING,
    CallState.INTERRUPTED,
    CallState.FALLBACK,
    CallState.ENDING,
]


def why(record, now, owner_seen=None):
    return why_closed(record, owner_seen=owner_seen, now=now, limits=LIMITS)


def held(state, last_sign, **changes):
    """A call that pod-1 held, whose row was last written at `last_sign`."""
    entry = HistoryEntry(last_sign, CallEvent.MEDIA_STARTED, state)
    times = CallTimes(created=CREATED, answered=CREATED)
    changes = {"owner": "pod-1", "epoch": 3, "history": (entry,), "times": times} | changes
    return call_record(state, call_connection_id=CONNECTION_ID, **changes)


@pytest.mark.parametrize("state", [state for state in CallState if state.is_final])
def test_a_call_that_is_over_is_left_alone_for_ever(state):
    assert why(held(state, CREATED), CREATED + 10 * OVER_AFTER_S) is None


@pytest.mark.parametrize("state", [CallState.RINGING, CallState.ANSWERING])
def test_a_call_that_nobody_answered_is_missed_when_no_answer_can_come_any_more(state):
    record = call_record(state)
    last = CREATED + LIMITS.ring_deadline_s + ANSWER_MARGIN_S
    assert why(record, last) is None
    assert why(record, last + 0.001) is Cause.RING_EXPIRED
    missed = closed(record, Cause.RING_EXPIRED, last + 1)
    assert (missed.state, missed.cause) == (CallState.MISSED, Cause.RING_EXPIRED)


def test_a_call_that_acs_answered_and_no_pod_took_is_hung_up_and_not_missed():
    record = call_record(CallState.ANSWERING, call_connection_id=CONNECTION_ID)
    now = CREATED + LIMITS.ring_deadline_s + ANSWER_MARGIN_S + 1
    assert why(record, now) is Cause.ABANDONED
    ending = closed(record, Cause.ABANDONED, now)
    assert (ending.state, ending.cause) == (CallState.ENDING, Cause.ABANDONED)


@pytest.mark.parametrize("state", HELD)
def test_a_call_whose_owner_is_gone_waits_for_another_pod_and_then_is_closed(state):
    record = held(state, CREATED + 500)
    assert why(record, CREATED + 560) is None
    assert why(record, CREATED + 560.001) is Cause.OWNER_LOST


@pytest.mark.parametrize("state", HELD)
def test_the_owner_s_last_beat_is_a_sign_of_life_too(state):
    record = held(state, CREATED + 100)
    assert why(record, CREATED + 560, owner_seen=CREATED + 500) is None
    assert why(record, CREATED + 561, owner_seen=CREATED + 500) is Cause.OWNER_LOST


@pytest.mark.parametrize("state", [CallState.ANSWERING, *HELD])
def test_a_call_whose_owner_beats_is_its_owner_s(state):
    record = held(state, CREATED)
    now = CREATED + record.profile.max_duration_s + 1000
    assert why(record, now, owner_seen=now - HEARTBEAT_FRESH_S) is None
    assert why(record, now, owner_seen=now - HEARTBEAT_FRESH_S - 0.001) is Cause.OWNER_LOST


def test_a_call_that_its_living_owner_forgot_is_closed_when_none_can_last_longer():
    record = held(CallState.ENDING, CREATED)
    for age_s, expected in ((OVER_AFTER_S, None), (OVER_AFTER_S + 0.001, Cause.ABANDONED)):
        assert why(record, CREATED + age_s, owner_seen=CREATED + age_s) is expected


def test_past_its_longest_duration_a_call_without_a_live_owner_waits_for_nobody():
    profile = msgspec.structs.replace(ECHO, max_duration_s=100)
    record = held(CallState.STREAMING, CREATED + 159, profile=profile)
    assert why(record, CREATED + 100 + SPARE_S) is None
    assert why(record, CREATED + 100 + SPARE_S + 0.001) is Cause.OWNER_LOST


def test_a_connected_call_that_no_pod_ever_held_was_abandoned():
    record = held(CallState.CONNECTED, CREATED + 1, owner=None)
    assert why(record, CREATED + 62) is Cause.ABANDONED


@pytest.mark.parametrize("state", [CallState.ANSWERING, *HELD])
def test_closing_fences_the_owner_and_leaves_the_hang_up_to_do(state):
    record = held(state, CREATED)
    ending = closed(record, Cause.OWNER_LOST, CREATED + 61)
    assert (ending.state, ending.cause) == (CallState.ENDING, Cause.OWNER_LOST)
    with pytest.raises(OwnershipLost):
        require_epoch(ending, record.epoch)
    assert advance(ending, CallEvent.HUNG_UP, CREATED + 62).state is CallState.ENDED


def test_another_run_leaves_a_call_alone_that_was_just_taken_up_and_takes_up_what_a_killed_one_left():
    ending = closed(held(CallState.STREAMING, CREATED), Cause.OWNER_LOST, CREATED + 61)
    assert why(ending, CREATED + 62) is None
    assert why(ending, CREATED + 121.001) is Cause.OWNER_LOST


def test_why_a_call_ended_stays_what_it_was():
    record = held(CallState.ENDING, CREATED, cause=Cause.AGENT_ENDED)
    assert closed(record, Cause.OWNER_LOST, CREATED + 61).cause is Cause.AGENT_ENDED


def at(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("now", "is_over"),
    [("2026-11-25T23:59:59", False), ("2026-11-26T00:00:00", True), ("2027-01-01T00:00:00", True)],
)
def test_a_day_is_over_when_its_last_moment_is_as_long_ago_as_was_asked(now, is_over):
    assert is_day_over("2026-11-24", days=1, now=at(now)) is is_over


@pytest.mark.parametrize("name", ["", "2026", "2026-13-01", "parts", "2026-11-24x"])
def test_what_is_no_day_is_never_over(name):
    assert not is_day_over(name, days=1, now=at("2030-01-01"))


def test_old_versions_go_but_the_one_in_force_and_the_newest_stay():
    changed = dict.fromkeys(range(1, KEPT_VERSIONS + 6), 0.0) | {4: 1.0}
    assert outdated_versions(changed, in_force=2, now=KEPT_S + 1.0) == [1, 3, 5]
    assert outdated_versions(changed, in_force=2, now=KEPT_S + 1.001) == [1, 3, 4, 5]
    assert outdated_versions(changed, in_force=2, now=KEPT_S) == []


def test_sounds_go_that_are_old_and_that_nothing_names():
    changed = {"named": 0.0, "old": 0.0, "new": 1.0}
    assert outdated_sounds(changed, named={"named"}, now=KEPT_S + 1.0) == ["old"]


def test_ids_of_calls_sort_by_time_and_fall_into_the_partitions():
    call_id = new_call_id()
    made_at = (uuid.UUID(call_id).int >> 80) / 1000
    assert first_call_id(made_at) < call_id < first_call_id(made_at + 0.001)
    assert partition_of(call_id) in partitions()
    assert len(set(partitions())) == 256
