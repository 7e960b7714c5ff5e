"""Both envelopes, single or many; and bad ones are refused by the name of what is wrong."""

import contextlib
import json

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shared.acs.event_grid import INCOMING_CALL, parse_delivery, read_incoming_call
from shared.acs.shapes import MalformedMessage
from shared.acs.times import parse_time
from tests.support.records import data_bytes, data_json


@pytest.mark.parametrize(
    "name", ["event_grid/incoming_call.event_grid.json", "event_grid/incoming_call.cloud_event.json"]
)
def test_both_envelopes_hold_the_same_call(name):
    (event,) = parse_delivery(data_bytes(name))
    call = read_incoming_call(event)
    assert event.type == INCOMING_CALL
    assert event.event_id == "d5546be8-227a-4db8-b2c3-4f06fd675fd6"
    assert event.at == pytest.approx(1795196452.241539)
    assert (call.caller.raw_id, call.called.raw_id) == ("4:+14255550100", "4:+18005550199")
    assert call.context.startswith("eyJhbGciOiJub25l")


def test_every_event_of_a_batch_is_read():
    batch = data_json("event_grid/incoming_call.event_grid.json") + data_json("event_grid/call_ended.json")
    events = parse_delivery(json.dumps(batch).encode())
    assert [event.type.rpartition(".")[2] for event in events] == ["IncomingCall", "CallEnded"]


def test_custom_context_is_read_where_it_is():
    (event,) = parse_delivery(data_bytes("event_grid/incoming_call.with_context.json"))
    call = read_incoming_call(event)
    assert call.voip_headers == {"sessionRef": "abc-123"}
    assert call.sip_headers["userToUser"].startswith("616d")
    assert call.called.kind == "communicationUser"


def test_a_context_that_is_no_map_of_strings_loses_no_call():
    (event,) = data_json("event_grid/incoming_call.with_context.json")
    event["data"]["customContext"] = {"voipHeaders": {"good": "1", "bad": 2}, "sipHeaders": None}
    (parsed,) = parse_delivery(json.dumps(event).encode())
    assert read_incoming_call(parsed).voip_headers == {"good": "1"}


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        (b"{", "body: not valid JSON"),
        (b"[]", "body: no event in it"),
        (b"\xff\xfe", "body: not valid JSON"),
        (b"[" * 100_000, "body: not valid JSON"),
        (b"[" + b"{}," * 5_000 + b"{}]", "body: more than 5000 events in it"),
        (b"[[" + b"[]," * 99_998 + b"[]]]", "body: more than 100000 objects and arrays in it"),
        (b"[" * 65 + b"]" * 65, None),
        (b"[" * 66 + b"]" * 66, "body: nested more than 64 deep"),
        (b'{"a":' * 65 + b"0" + b"}" * 65, "body: nested more than 64 deep"),
    ],
)
def test_a_malformed_delivery_says_what_is_wrong(body, fault):
    with pytest.raises(MalformedMessage, match=fault) if fault else contextlib.nullcontext():
        parse_delivery(body)


def test_the_faults_of_a_long_delivery_hold_no_stack():
    faults = parse_delivery(b"[" + b"{}," * 4_999 + b"{}]")
    assert [fault.__traceback__ for fault in faults] == [None] * 5_000


@pytest.mark.parametrize(
    ("event", "fault"),
    [
        (1, "event 1: must be an object"),
        ({"eventType": "x", "eventTime": "2026-11-20T17:40:52Z"}, "event 1: 'id' must be a non-empty string"),
        ({"id": "1", "eventType": "x"}, "event 1: 'eventTime' must be a non-empty string"),
        ({"id": "1", "eventType": "x", "eventTime": "noon"}, "event 1: 'eventTime' must be an ISO 8601 time"),
    ],
)
def test_a_malformed_event_is_named_and_takes_no_other_along(event, fault):
    good = data_json("event_grid/incoming_call.event_grid.json")[0]
    first, second, third = parse_delivery(json.dumps([good, event, good]).encode())
    assert (first.type, str(second), third.type) == (INCOMING_CALL, fault, INCOMING_CALL)


def test_an_event_of_another_type_may_carry_a_text():
    event = data_json("event_grid/incoming_call.cloud_event.json") | {"type": "Some.Event", "data": "a text"}
    (parsed,) = parse_delivery(json.dumps(event).encode())
    assert (parsed.type, parsed.data) == ("Some.Event", {})


@pytest.mark.parametrize("member", ["correlationId", "serverCallId", "customContext", "callerDisplayName"])
def test_a_member_that_answering_does_not_need_may_be_missing_or_odd(member):
    (event,) = data_json("event_grid/incoming_call.event_grid.json")
    event["data"].pop(member, None)
    if member == "customContext":
        event["data"][member] = "odd"
    (parsed,) = parse_delivery(json.dumps(event).encode())
    assert read_incoming_call(parsed).context


@pytest.mark.parametrize("member", ["to", "from", "incomingCallContext"])
def test_an_incoming_call_without_what_answering_needs_is_refused(member):
    (event,) = data_json("event_grid/incoming_call.event_grid.json")
    del event["data"][member]
    (parsed,) = parse_delivery(json.dumps(event).encode())
    with pytest.raises(MalformedMessage, match=member):
        read_incoming_call(parsed)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
    max_leaves=20,
)
MEMBERS = [
    "id",
    "type",
    "eventType",
    "time",
    "eventTime",
    "specversion",
    "data",
    "to",
    "from",
    "rawId",
    "customContext",
]


@given(st.binary(max_size=200) | json_values.map(lambda v: json.dumps(v).encode()))
def test_whatever_comes_is_read_or_refused(body):
    with contextlib.suppress(MalformedMessage):
        parse_delivery(body)


@given(st.dictionaries(st.sampled_from(MEMBERS), json_values))
@example({"id": "1", "type": "t", "specversion": "1.0", "time": "9999-12-31T23:59:59.9999999+00:00"})
@example({"id": "1", "eventType": "t", "eventTime": "0001-01-01T00:00:00+14:00"})
def test_whatever_members_an_event_has_it_is_read_or_refused(event):
    with contextlib.suppress(MalformedMessage):
        for parsed in parse_delivery(msgspec.json.encode([event])):
            if not isinstance(parsed, MalformedMessage):
                read_incoming_call(parsed)


def test_times_with_seven_digits_are_read():
    assert parse_time("2026-11-20T17:40:54.8174402+00:00") == pytest.approx(1795196454.81744)
