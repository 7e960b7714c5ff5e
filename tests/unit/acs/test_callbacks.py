"""Callbacks: known types move the call, unknown ones are kept, malformed ones are refused by name."""

import pytest

from shared.acs.callbacks import parse_callback
from shared.acs.shapes import MalformedMessage
from shared.calls.callbacks import applied
from shared.core.call import WrongConnection
from shared.core.call_state import CallState, Cause
from tests.support.records import CONNECTION_ID, call_record, data_bytes


def callback(name):
    (event,) = parse_callback(data_bytes(f"callbacks/{name}.json"))
    return event


def test_a_captured_callback_is_read():
    event = callback("call_disconnected")
    assert (event.name, event.code, event.sub_code) == ("CallDisconnected", 200, 7000)
    assert event.call_connection_id == CONNECTION_ID


def test_unknown_types_and_members_are_taken():
    event = callback("unknown_type")
    assert event.name == "SomethingNew"
    assert event.data["novelty"] == {"a": 1}
    assert applied(call_record(), event, owner_is_live=False).state is CallState.ANSWERING


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        (b"nonsense", "body: not valid JSON"),
        (b"[{}]", "event 0: 'data' must be an object"),
        (b'[{"data":{}}]', "event 0: 'time' must be"),
        (b'[{"data":{},"time":"2026-11-20T17:40:54Z"}]', "event 0: 'id' must be"),
        (b'[{"data":{},"time":"2026-11-20T17:40:54Z","id":"1","type":"x"}]', "'callConnectionId' must be"),
    ],
)
def test_a_malformed_callback_says_what_is_wrong(body, fault):
    with pytest.raises(MalformedMessage, match=fault):
        parse_callback(body)


def test_a_call_without_an_owner_is_moved_by_its_callbacks():
    record = applied(call_record(), callback("call_connected"), owner_is_live=False)
    assert (record.state, record.call_connection_id) == (CallState.CONNECTED, CONNECTION_ID)
    record = applied(record, callback("call_disconnected"), owner_is_live=False)
    assert (record.state, record.cause) == (CallState.ENDED, Cause.CALLER_HUNG_UP)


def test_a_call_with_a_live_owner_is_only_bound():
    record = applied(call_record(), callback("call_disconnected"), owner_is_live=True)
    assert (record.state, record.call_connection_id) == (CallState.ANSWERING, CONNECTION_ID)


def test_a_callback_that_comes_again_changes_nothing():
    record = applied(call_record(), callback("call_connected"), owner_is_live=False)
    assert applied(record, callback("call_connected"), owner_is_live=False) is record


def test_an_answer_that_failed_later_ends_the_call():
    record = applied(call_record(), callback("answer_failed"), owner_is_live=False)
    assert (record.state, record.cause) == (CallState.ENDED, Cause.ANSWER_FAILED)


def test_a_callback_about_another_connection_is_refused():
    with pytest.raises(WrongConnection):
        applied(call_record(call_connection_id="another"), callback("call_connected"), owner_is_live=False)
