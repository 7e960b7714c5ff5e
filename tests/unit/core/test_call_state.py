"""Every state says what it allows; what it does not allow changes nothing and is never an error."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.core.call import HISTORY_LIMIT, WrongConnection, advance, bind_connection
from shared.core.call_state import CAUSES, TRANSITIONS, CallEvent, CallState, Cause, next_state
from tests.support.records import CONNECTION_ID, call_record

FINAL = [state for state in CallState if state.is_final]


def test_every_state_has_a_row_in_the_table():
    assert set(TRANSITIONS) == set(CallState)


@pytest.mark.parametrize("state", FINAL)
@pytest.mark.parametrize("event", CallEvent)
def test_nothing_leaves_a_final_state(state, event):
    assert next_state(state, event) is None


@pytest.mark.parametrize("state", [state for state in CallState if not state.is_final])
def test_every_live_state_can_reach_an_end(state):
    reached, frontier = {state}, [state]
    while frontier:
        for after in TRANSITIONS[frontier.pop()].values():
            if after not in reached:
                reached.add(after)
                frontier.append(after)
    assert reached & set(FINAL)


@pytest.mark.parametrize("state", CallState)
@pytest.mark.parametrize("event", CallEvent)
def test_every_way_out_of_a_live_call_has_a_cause(state, event):
    after = next_state(state, event)
    if after is CallState.ENDING or (after is not None and after.is_final and event is not CallEvent.HUNG_UP):
        assert event in CAUSES


@given(st.lists(st.sampled_from(CallEvent), max_size=HISTORY_LIMIT + 20))
def test_any_order_of_events_is_taken_and_kept(events):
    record = call_record(CallState.RINGING)
    for at, event in enumerate(events):
        record = advance(record, event, float(at))
    assert len(record.history) + record.history_dropped == len(events)
    assert [entry.event for entry in record.history] == events[:HISTORY_LIMIT]
    assert record.state.is_final == (record.times.ended is not None)
    if record.state.is_final:
        assert record.cause is not None


def test_the_first_reason_to_end_is_the_one_that_counts():
    record = advance(call_record(CallState.STREAMING), CallEvent.AGENT_ENDED, 1.0)
    record = advance(record, CallEvent.CALL_DISCONNECTED, 2.0)
    assert (record.state, record.cause) == (CallState.ENDED, Cause.AGENT_ENDED)


def test_media_may_come_before_call_connected():
    record = advance(call_record(CallState.ANSWERING), CallEvent.MEDIA_STARTED, 5.0)
    late = advance(record, CallEvent.CALL_CONNECTED, 6.0)
    assert late.state is CallState.STREAMING
    assert late.history[-1].refused
    assert late.times.answered == late.times.streaming == 5.0


def test_a_call_is_bound_to_the_first_connection_and_to_no_other():
    record = bind_connection(call_record(), CONNECTION_ID)
    assert bind_connection(record, CONNECTION_ID) is record
    with pytest.raises(WrongConnection):
        bind_connection(record, "another")
