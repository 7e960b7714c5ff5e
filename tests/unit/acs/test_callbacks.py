"""Callbacks: known types move the call, unknown ones are kept, malformed ones are refused by name."""

import json

import pytest

from shared.acs.callbacks import parse_callback
from shared.acs.shapes import MalformedMessage
from shared.calls.callbacks import applied, left_to_do
from shared.core.call import WrongConnection
from shared.core.call_state import CallState, Cause
from shared.core.callbacks import AcsResult
from shared.core.unheld import HangUp, StartMedia
from tests.support.records import CONNECTION_ID, call_record, data_bytes, data_json


def callback(name):
    (event,) = parse_callback(data_bytes(f"callbacks/{name}.json"))
    return event


def test_a_captured_callback_is_read():
    event = callback("call_disconnected")
    assert (event.name, event.result) == ("CallDisconnected", AcsResult(code=200, sub_code=7000))
    assert event.call_connection_id == CONNECTION_ID


def test_unknown_types_and_members_are_taken():
    event = callback("unknown_type")
    assert event.name == "SomethingNew"
    assert event.data["novelty"] == {"a": 1}
    assert applied(call_record(), event, dead_owner=None).state is CallState.ANSWERING


@pytest.mark.parametrize("body", [b"nonsense", b"[]", b"\xff", b"[" * 50_000])
def test_a_body_that_holds_no_event_is_refused(body):
    with pytest.raises(MalformedMessage, match="body: "):
        parse_callback(body)


@pytest.mark.parametrize(
    ("event", "fault"),
    [
        (1, "event 1: must be an object"),
        ({}, "event 1: 'data' must be an object"),
        ({"data": {}}, "event 1: 'id' must be a non-empty string"),
        ({"data": {}, "id": "1"}, "event 1: 'type' must be a non-empty string"),
        ({"data": {}, "id": "1", "type": "x"}, "event 1: 'time' must be a non-empty string"),
        ({"data": {}, "id": "1", "type": "x", "time": "noon"}, "event 1: 'time' must be an ISO 8601 time"),
    ],
)
def test_a_malformed_event_is_named_and_takes_no_other_along(event, fault):
    good = data_json("callbacks/call_connected.json")[0]
    first, second, third = parse_callback(json.dumps([good, event, good]).encode())
    assert (first.name, str(second), third.name) == ("CallConnected", fault, "CallConnected")


def test_what_the_carrier_said_is_read_and_its_text_is_not():
    event = callback("call_transfer_failed")
    assert event.result == AcsResult(code=500, sub_code=560503, sip_code=486)


@pytest.mark.parametrize(
    "result",
    [None, "odd", {"code": "200"}, {"code": True}, {"code": -1}, {"code": 2**31}, {"sipDetails": "odd"}],
)
def test_a_result_or_a_connection_that_is_not_there_is_no_fault(result):
    event = data_json("callbacks/unknown_type.json")[0]
    del event["data"]["callConnectionId"]
    event["data"]["resultInformation"] = result
    (read,) = parse_callback(json.dumps(event).encode())
    assert (read.call_connection_id, read.result) == ("", AcsResult())


def test_a_call_without_an_owner_is_moved_by_its_callbacks():
    record = applied(call_record(), callback("call_connected"), dead_owner=None)
    assert (record.state, record.call_connection_id) == (CallState.CONNECTED, CONNECTION_ID)
    record = applied(record, callback("call_disconnected"), dead_owner=None)
    assert (record.state, record.cause) == (CallState.ENDED, Cause.CALLER_HUNG_UP)


def test_a_call_with_a_live_owner_is_only_bound():
    record = applied(call_record(owner="pod-a"), callback("call_disconnected"), dead_owner=None)
    assert (record.state, record.call_connection_id) == (CallState.ANSWERING, CONNECTION_ID)


def test_a_callback_that_comes_again_changes_nothing():
    record = applied(call_record(), callback("call_connected"), dead_owner=None)
    assert applied(record, callback("call_connected"), dead_owner=None) is record


def test_an_answer_that_failed_later_ends_the_call_for_the_reason_that_its_codes_tell():
    record = applied(call_record(), callback("answer_failed"), dead_owner=None)
    assert (record.state, record.cause) == (CallState.ENDED, Cause.CALLER_GONE)
    assert record.acs_result == record.history[-1].result == AcsResult(code=487, sub_code=540487)


def test_a_transfer_without_a_live_owner_ends_the_call_as_transferred():
    record = call_record(CallState.TRANSFERRING, owner="pod-a")
    record = applied(record, callback("call_transfer_accepted"), dead_owner="pod-a")
    assert (record.state, record.cause) == (CallState.ENDING, Cause.TRANSFERRED)
    record = applied(record, callback("call_disconnected"), dead_owner="pod-a")
    assert (record.state, record.cause) == (CallState.ENDED, Cause.TRANSFERRED)
    assert record.acs_result == AcsResult(code=200, sub_code=7000)


def test_an_end_amid_a_transfer_is_left_to_the_pod_that_takes_over():
    record = call_record(CallState.TRANSFERRING, owner="pod-a", call_connection_id=CONNECTION_ID)
    assert applied(record, callback("call_disconnected"), dead_owner="pod-a") is record
    accepted = applied(record, callback("call_transfer_accepted"), dead_owner="pod-a")
    assert (accepted.state, accepted.cause) == (CallState.ENDING, Cause.TRANSFERRED)


def test_an_end_amid_a_transfer_that_no_pod_can_take_over_counts_as_it_comes():
    record = call_record(CallState.TRANSFERRING, owner="pod-a", call_connection_id=CONNECTION_ID)
    record = applied(record, callback("call_disconnected"), dead_owner="pod-a", is_alone=True)
    assert (record.state, record.cause) == (CallState.ENDED, Cause.CALLER_HUNG_UP)


@pytest.mark.parametrize(
    "name", ["call_transfer_accepted", "call_transfer_failed", "media_streaming_failed", "call_connected"]
)
def test_what_happens_to_a_call_with_a_live_owner_is_its_owner_s_to_say(name):
    record = call_record(CallState.TRANSFERRING, owner="pod-a", call_connection_id=CONNECTION_ID)
    assert applied(record, callback(name), dead_owner=None) is record
    assert left_to_do(record, record, callback(name), dead_owner=None) is None


def taken(record, event, **owner):
    """The call after a callback, and what ACS is then to be asked for."""
    owner = {"dead_owner": None} | owner
    after = applied(record, event, **owner)
    return after, left_to_do(record, after, event, **owner)


def test_where_no_pod_ever_held_the_call_streaming_that_failed_is_started_again_once():
    failed = callback("media_streaming_failed")
    record, todo = taken(call_record(), failed)
    assert (record.state, todo) == (CallState.ANSWERING, StartMedia(record.media_asked))
    assert taken(record, failed) == (record, None)


def test_where_a_pod_died_streaming_that_failed_is_left_to_the_one_that_takes_over():
    record, todo = taken(
        call_record(CallState.STREAMING, owner="pod-a"),
        callback("media_streaming_failed"),
        dead_owner="pod-a",
    )
    assert (record.state, record.media_asked, todo) == (CallState.INTERRUPTED, "", None)


def test_where_the_last_pod_died_streaming_that_failed_is_started_again():
    record, todo = taken(
        call_record(CallState.STREAMING, owner="pod-a"),
        callback("media_streaming_failed"),
        dead_owner="pod-a",
        is_alone=True,
    )
    assert (record.state, todo) == (CallState.INTERRUPTED, StartMedia(record.media_asked))


def test_a_hang_up_that_the_owner_is_about_to_do_is_not_done_for_it():
    ending = call_record(
        CallState.ENDING, owner="pod-a", cause=Cause.AGENT_ENDED, call_connection_id=CONNECTION_ID
    )
    assert taken(ending, callback("media_streaming_failed")) == (ending, None)


@pytest.mark.parametrize("name", ["call_connected", "media_streaming_failed"])
def test_a_call_that_acs_holds_though_it_was_closed_as_missed_is_hung_up(name):
    assert taken(call_record(CallState.MISSED), callback(name))[1] == HangUp()


def test_a_callback_about_another_connection_is_refused():
    with pytest.raises(WrongConnection):
        applied(call_record(call_connection_id="another"), callback("call_connected"), dead_owner=None)


def test_a_silent_owner_s_call_is_moved_but_not_that_of_a_pod_that_took_it_since():
    event = callback("call_disconnected")
    assert applied(call_record(owner="pod-a"), event, dead_owner="pod-a").state is CallState.ENDED
    assert applied(call_record(owner="pod-b"), event, dead_owner="pod-a").state is CallState.ANSWERING


def test_the_end_of_a_call_that_its_owner_is_ending_is_taken_whoever_owns_it():
    ending = call_record(CallState.ENDING, owner="pod-a", cause=Cause.AGENT_ENDED)
    ended = applied(ending, callback("call_disconnected"), dead_owner=None)
    assert (ended.state, ended.cause) == (CallState.ENDED, Cause.AGENT_ENDED)
