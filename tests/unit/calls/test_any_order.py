"""Callbacks may come late, twice and in any order, between whatever else happens to the call: all of it is harmless.

A call's row is written by the Functions app (`applied`) and by the pod that holds it (`advance`); the hypothesis
strategies below let both do so in every order that they can think of.
"""

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.acs.callbacks import CallbackEvent
from shared.calls.callbacks import applied, left_to_do
from shared.core.call import CallRecord, advance
from shared.core.call_state import CallEvent, CallState, Cause, cause_of
from shared.core.callbacks import CAUSES_OF_CODES, EVENT_OF_CALLBACK, AcsResult, cause_of_codes
from shared.core.unheld import StartMedia, TryResort, context_of
from tests.support.records import CONNECTION_ID, call_record

RESULTS = [
    AcsResult(),
    AcsResult(200, 7000),
    AcsResult(200, 7015),
    AcsResult(486, 560486),
    AcsResult(499, 99),
]
CALL_ID = "01a2107b-ee7a-73c3-ba62-ad0fa58aa818"
CONTEXTS = ["", f"{CALL_ID}-again", context_of(call_record(call_id=CALL_ID), 0)]
"""Of the answer's media, of those asked for once more, and of the apology."""
OWNERS = st.sampled_from([None, "pod-a", "pod-b"])


@st.composite
def callbacks(draw):
    """All callbacks of a call, with those that come again, in the order in which they come."""
    kinds = st.sampled_from(
        [*EVENT_OF_CALLBACK, "MediaStreamingStopped", "PlayCompleted", "ParticipantsUpdated"]
    )
    sent = [
        CallbackEvent(
            f"id-{at}",
            name,
            float(at),
            CONNECTION_ID,
            draw(st.sampled_from(RESULTS)),
            {"operationContext": context},
        )
        for at, (name, context) in enumerate(
            draw(st.lists(st.tuples(kinds, st.sampled_from(CONTEXTS)), min_size=1, max_size=8))
        )
    ]
    return draw(st.permutations(sent + draw(st.lists(st.sampled_from(sent), max_size=6))))


@st.composite
def histories(draw):
    """What happens to a call, one thing after the other: callbacks, its pod's own events, and changes of the pod."""
    ours = st.tuples(st.just("event"), st.sampled_from(CallEvent))
    pods = st.tuples(st.just("owner"), OWNERS)
    happenings = [("callback", (event, draw(OWNERS))) for event in draw(callbacks())]
    return draw(st.permutations(happenings + draw(st.lists(ours | pods, max_size=12))))


def happened(record: CallRecord, happening, at: float) -> CallRecord:
    match happening:
        case ("callback", (event, dead_owner)):
            return applied(record, event, dead_owner=dead_owner)
        case ("event", event):
            return advance(record, event, at)
        case ("owner", owner):
            return replace(record, owner=owner)
        case _:
            raise AssertionError(happening)


def played(record, history):
    """Every state of the record on the way."""
    records = [record]
    for number, happening in enumerate(history):
        records.append(happened(records[-1], happening, 1000.0 + number))
    return records


@given(histories(), st.sampled_from([CallState.RINGING, CallState.ANSWERING, CallState.STREAMING]))
def test_an_end_is_final_and_its_cause_the_first_that_counts(history, start):
    records = played(call_record(start), history)
    for before, after in pairwise(records):
        if before.state.is_final:
            assert (after.state, after.cause, after.times) == (before.state, before.cause, before.times)
        if before.cause is not None:
            assert after.cause is before.cause
    assert records[-1].cause is first_cause(records[-1], start)


def first_cause(record: CallRecord, state: CallState) -> Cause | None:
    """The cause as the history alone tells it."""
    for entry in record.history:
        if entry.refused:
            continue
        cause = entry.result and cause_of_codes(entry.event, entry.result)
        if cause := cause or cause_of(state, entry.event):
            return cause
        state = entry.state
    return None


@given(histories())
def test_each_callback_is_applied_at_most_once(history):
    record = played(call_record(), history)[-1]
    from_callbacks = [(entry.event, entry.at) for entry in record.history if entry.result is not None]
    assert len(from_callbacks) == len(set(from_callbacks))


@given(callbacks())
def test_callbacks_alone_never_move_a_call_that_its_pod_holds(sent):
    record = call_record(CallState.STREAMING, owner="pod-a", call_connection_id=CONNECTION_ID)
    for event in sent:
        assert applied(record, event, dead_owner=None) is record
        assert left_to_do(record, record, event, dead_owner=None) is None


@given(callbacks(), st.sampled_from([None, "pod-a"]))
def test_a_call_that_nobody_holds_is_over_once_acs_has_said_so_whatever_else_it_said_before_or_after(
    sent, owner
):
    record = call_record(CallState.ANSWERING, owner=owner)
    for event in sent:
        record = applied(record, event, dead_owner=owner)
    said = {EVENT_OF_CALLBACK.get(event.name) for event in sent}
    if said & {CallEvent.CALL_DISCONNECTED}:
        assert record.state is CallState.ENDED
        assert record.times.ended is not None
    elif not said & {CallEvent.ANSWER_FAILED}:
        assert not record.state.is_final


@given(callbacks())
def test_a_call_that_no_pod_takes_is_asked_for_media_once_and_apologised_to_once(sent):
    record, asked = call_record(CallState.ANSWERING, call_id=CALL_ID), []
    for event in sent:
        before, record = record, applied(record, event, dead_owner=None)
        todo = left_to_do(before, record, event, dead_owner=None)
        if todo is not None:
            asked.append(type(todo))
    assert asked.count(StartMedia) <= 1
    assert asked.count(TryResort) <= asked.count(StartMedia)


@pytest.mark.parametrize("event", CAUSES_OF_CODES)
def test_an_end_keeps_the_codes_it_came_with_and_no_later_ones(event):
    first, second = AcsResult(200, 7000), AcsResult(503, 560503)
    record = advance(call_record(), event, 1.0, first)
    record = advance(record, event, 2.0, second)
    assert record.acs_result == first
    assert record.history[-1].refused
