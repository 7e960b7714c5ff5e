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
    if after in (None, state) or event is CallEvent.HUNG_UP:
        return
    if after is CallState.ENDING or after.is_final:
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


def played(*events, state=CallState.STREAMING):
    """The call after `events`, from `state`; none of them was refused."""
    record = call_record(state)
    for at, event in enumerate(events):
        record = advance(record, event, float(at))
    assert not [entry.event for entry in record.history if entry.refused]
    return record


AFTER_THE_ANSWER = [
    CallState.ANSWERING,
    CallState.CONNECTED,
    CallState.STREAMING,
    CallState.TRANSFERRING,
    CallState.INTERRUPTED,
    CallState.FALLBACK,
]


@pytest.mark.parametrize("state", AFTER_THE_ANSWER)
def test_a_transfer_that_was_accepted_ends_the_call_wherever_it_stands(state):
    record = played(CallEvent.TRANSFER_ACCEPTED, CallEvent.CALL_DISCONNECTED, state=state)
    assert (record.state, record.cause) == (CallState.ENDED, Cause.TRANSFERRED)


def test_a_transfer_that_failed_gives_the_call_back_to_the_agent():
    record = played(CallEvent.TRANSFER_REQUESTED, CallEvent.TRANSFER_FAILED)
    assert (record.state, record.cause) == (CallState.STREAMING, None)


def test_media_may_be_lost_and_come_back_while_a_transfer_is_under_way():
    lost = played(CallEvent.TRANSFER_REQUESTED, CallEvent.MEDIA_LOST)
    assert lost.state is CallState.INTERRUPTED
    assert advance(lost, CallEvent.TRANSFER_FAILED, 9.0).state is CallState.INTERRUPTED
    back = advance(lost, CallEvent.MEDIA_STARTED, 9.0)
    assert advance(back, CallEvent.TRANSFER_FAILED, 9.0).state is CallState.STREAMING


def test_streaming_that_failed_interrupts_a_call_and_never_ends_it():
    record = played(CallEvent.MEDIA_LOST, CallEvent.MEDIA_STREAMING_FAILED, CallEvent.MEDIA_STARTED)
    assert (record.state, record.cause) == (CallState.STREAMING, None)
    assert played(CallEvent.MEDIA_STREAMING_FAILED).state is CallState.INTERRUPTED
    assert played(CallEvent.MEDIA_STREAMING_FAILED, state=CallState.ANSWERING).state is CallState.ANSWERING


def test_streaming_that_failed_where_no_pod_holds_the_call_ends_it():
    record = played(CallEvent.MEDIA_FAILED)
    assert (record.state, record.cause) == (CallState.ENDING, Cause.MEDIA_LOST)


@pytest.mark.parametrize("state", [*AFTER_THE_ANSWER, CallState.ENDING])
def test_another_pod_takes_a_call_over_as_it_stands(state):
    assert played(CallEvent.TAKEN_OVER, state=state).state is state


def test_a_call_that_was_taken_over_streams_again_or_still():
    for state in (CallState.STREAMING, CallState.INTERRUPTED):
        assert played(CallEvent.TAKEN_OVER, CallEvent.MEDIA_STARTED, state=state).state is CallState.STREAMING


def test_nothing_leads_back_from_the_fallback():
    record = played(
        CallEvent.FALLBACK_STARTED,
        CallEvent.MEDIA_LOST,
        CallEvent.MEDIA_STREAMING_FAILED,
        CallEvent.MEDIA_STARTED,
        CallEvent.TRANSFER_REQUESTED,
        CallEvent.TRANSFER_FAILED,
    )
    assert (record.state, record.cause) == (CallState.FALLBACK, Cause.AGENT_FAILED)
    assert advance(record, CallEvent.FALLBACK_DONE, 9.0).state is CallState.ENDING


def test_a_fallback_that_sent_the_caller_on_ends_for_the_reason_it_was_begun_for():
    record = played(
        CallEvent.FALLBACK_STARTED,
        CallEvent.TRANSFER_REQUESTED,
        CallEvent.TRANSFER_ACCEPTED,
        CallEvent.CALL_DISCONNECTED,
    )
    assert (record.state, record.cause) == (CallState.ENDED, Cause.AGENT_FAILED)


def test_a_fallback_for_want_of_media_has_lost_the_media_not_the_agent():
    record = played(CallEvent.MEDIA_STREAMING_FAILED, CallEvent.FALLBACK_STARTED)
    assert (record.state, record.cause) == (CallState.FALLBACK, Cause.MEDIA_LOST)
    never_began = played(CallEvent.FALLBACK_STARTED, state=CallState.ANSWERING)
    assert never_began.cause is Cause.MEDIA_LOST


def test_a_caller_who_stays_silent_ends_the_call():
    record = played(CallEvent.CALLER_SILENT, CallEvent.HUNG_UP)
    assert (record.state, record.cause) == (CallState.ENDED, Cause.CALLER_SILENT)


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
