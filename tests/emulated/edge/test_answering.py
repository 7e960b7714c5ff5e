"""A call that rings is answered once, whatever the delivery looks like and however often it comes."""

import asyncio
import json
import time
from dataclasses import replace
from io import BytesIO

import pytest

from emulator.event_grid.events import DeliverySchema
from emulator.event_grid.subscriptions import EventSubscription
from emulator.faults import Fault
from emulator.media.line import Line
from shared.core.call_state import CallState, Cause
from shared.core.claims import Outcome
from shared.core.ids import claim_key
from tests.support.gateway import CALLER, NUMBER, incoming_call
from tests.support.records import data_json


async def claim_of(edge, event):
    found = await edge.connections.claims.read(claim_key(event["data"]["incomingCallContext"]))
    assert found is not None
    return found[0]


async def call_of(edge, event):
    claim = await claim_of(edge, event)
    record = await edge.connections.calls.get(claim.call_id)
    assert record is not None
    return record


async def until(condition, timeout_s=10.0):
    async with asyncio.timeout(timeout_s):
        while not (value := await condition()):
            await asyncio.sleep(0.02)
    return value


async def test_a_call_announced_by_event_grid_is_answered_and_its_row_tells_the_story(edge):
    subscription = EventSubscription(name="calls", endpoint=edge.events_url, headers=edge.credentials)
    await edge.emulator.event_grid.subscribe(subscription)
    line = Line(rate_hz=16_000)
    edge.lines.append(line)
    placed = await edge.emulator.calls.place(to=NUMBER, from_=CALLER, line=line)
    (connection_id,) = await until(lambda: asyncio.sleep(0, edge.answered()))
    event = incoming_call(placed.incoming_call_context)

    async def connected():
        record = await call_of(edge, event)
        return record if record.state is CallState.CONNECTED else None

    record = await until(connected)
    assert record.call_connection_id == connection_id
    assert (record.account_id, record.profile.name) == ("demo", "echo")
    assert (record.caller, record.called) == (f"4:{CALLER}", f"4:{NUMBER}")
    assert record.correlation_id == placed.correlation_id
    assert (await claim_of(edge, event)).outcome is Outcome.ANSWERED


@pytest.mark.parametrize("schema", DeliverySchema)
@pytest.mark.parametrize("wrap", [lambda event: event, lambda event: [event]], ids=["object", "array"])
async def test_either_envelope_as_object_or_array(edge, schema, wrap):
    event = await edge.ring()
    body = event
    if schema is DeliverySchema.CLOUD_EVENTS:
        body = data_json("event_grid/incoming_call.cloud_event.json")
        body |= {"id": event["id"], "time": event["eventTime"], "data": event["data"]}
    assert await edge.deliver(wrap(body)) == (200, [{"id": event["id"], "outcome": "answered"}])
    assert len(edge.answered()) == 1


async def test_eight_deliveries_at_once_are_one_answer(edge):
    event = await edge.ring()
    answers = await asyncio.gather(*(edge.deliver([event]) for _ in range(8)))
    outcomes = sorted(answer[0]["outcome"] for _, answer in answers)
    assert {status for status, _ in answers} == {200}
    assert outcomes == ["answered"] + ["duplicate"] * 7
    assert len(edge.answered()) == 1


async def test_a_delivery_that_comes_again_later_is_acknowledged(edge):
    event = await edge.ring()
    await edge.deliver([event])
    assert (await edge.deliver([event]))[1][0]["outcome"] == "duplicate"
    claim = await claim_of(edge, event)
    assert await edge.connections.claims.key_of_event(event["id"]) == claim.key


async def test_every_event_of_a_batch_has_its_own_outcome(edge):
    first, second = await edge.ring(), await edge.ring()
    ended = data_json("event_grid/call_ended.json")[0]
    unrouted = incoming_call("nobody", to={"rawId": "4:+18005550100"})
    status, answer = await edge.deliver([first, ended, unrouted, second])
    assert status == 200
    assert [item["outcome"] for item in answer] == ["answered", "ignored", "unrouted", "answered"]


async def test_the_worst_outcome_of_a_batch_decides_and_the_rest_is_not_done_twice(edge):
    good = await edge.ring()
    broken = incoming_call("c")
    del broken["data"]["to"]
    status, answer = await edge.deliver([good, broken])
    assert (status, [item["outcome"] for item in answer]) == (400, ["answered", "malformed"])
    status, answer = await edge.deliver([good])
    assert (status, answer[0]["outcome"]) == (200, "duplicate")


async def test_a_call_that_stopped_ringing_is_recorded_as_missed(edge):
    event = incoming_call("a context that rang long ago", age_s=30)
    assert (await edge.deliver([event]))[1][0]["outcome"] == "missed"
    record = await call_of(edge, event)
    assert (record.state, record.cause) == (CallState.MISSED, Cause.RING_EXPIRED)
    assert edge.answered() == []


async def test_a_caller_who_gave_up_is_recorded_as_missed(edge):
    event = incoming_call("a context that acs does not know")
    assert (await edge.deliver([event]))[1][0]["outcome"] == "missed"
    record = await call_of(edge, event)
    assert (record.state, record.cause) == (CallState.MISSED, Cause.CALLER_GONE)


async def test_a_temporary_fault_of_acs_is_a_500_and_the_next_delivery_answers_the_same_call(edge):
    edge.emulator.faults.fail_next("answer", Fault(429, "8516"))
    event = await edge.ring()
    status, answer = await edge.deliver([event])
    assert (status, answer[0]["outcome"]) == (500, "acs_unavailable")
    before = await claim_of(edge, event)
    assert (await edge.deliver([event]))[1][0]["outcome"] == "answered"
    after = await claim_of(edge, event)
    assert (after.call_id, after.repeatability_id) == (before.call_id, before.repeatability_id)
    assert (after.attempts, len(edge.answered())) == (2, 1)


async def test_an_answer_whose_return_was_lost_is_found_out_and_not_repeated(edge):
    event = await edge.ring()
    await edge.deliver([event])
    # The process died between the answer and its mark: the claim is as before, with its lease over.
    claim = await claim_of(edge, event)
    key = claim_key(event["data"]["incomingCallContext"])
    found = await edge.connections.claims.read(key)
    assert found is not None
    await edge.connections.claims.replace(replace(claim, outcome=None, lease_until=time.time() - 1), found[1])
    assert (await edge.deliver([event]))[1][0]["outcome"] == "answered"
    assert len(edge.answered()) == 1


async def test_a_claim_in_hand_is_waited_for_within_the_budget_and_then_retried(start_edge):
    edge = await start_edge(EVENT_BUDGET_S="0.4", CLAIM_LEASE_S="30")
    event = await edge.ring()
    edge.emulator.faults.fail_next("answer", Fault(503))
    status, _ = await edge.deliver([event])
    claim = await claim_of(edge, event)
    found = await edge.connections.claims.read(claim.key)
    assert found is not None
    await edge.connections.claims.replace(
        replace(claim, outcome=None, lease_until=time.time() + 30), found[1]
    )
    status, answer = await edge.deliver([event])
    assert (status, answer["detail"]) == (500, "not done in time")


async def test_no_room_on_any_pod_turns_the_caller_away_as_busy(start_edge):
    edge = await start_edge(pods=0)
    event = await edge.ring()
    assert (await edge.deliver([event]))[1][0]["outcome"] == "rejected"
    record = await call_of(edge, event)
    assert (record.state, record.cause) == (CallState.REJECTED, Cause.NO_ROOM)
    (call,) = edge.emulator.calls
    assert call.end == "rejected"


async def test_storage_that_is_away_is_a_500_that_event_grid_tries_again(start_edge, unused_tcp_port_factory):
    port = unused_tcp_port_factory()
    gone = (
        "DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;AccountKey=a2V5;"
        f"TableEndpoint=http://127.0.0.1:{port}/devstoreaccount1;"
    )
    edge = await start_edge(STORAGE_CONNECTION_STRING=gone)
    status, answer = await edge.deliver([await edge.ring()])
    assert (status, answer["status"]) == (500, 500)


@pytest.mark.parametrize(
    ("body", "status", "detail"),
    [
        (b"{", 400, "body: not valid JSON"),
        (b"[1]", 400, "event 0: must be an object"),
        (b"", 411, "a body with a Content-Length is required"),
        (b"[" + b" " * (1 << 20) + b"]", 413, "the body is larger than 1048576 bytes"),
    ],
)
async def test_bad_input_gets_a_clear_problem(edge, body, status, detail):
    async with edge.http.post(edge.events_url, data=BytesIO(body), headers=edge.credentials) as response:
        assert response.status == status
        assert response.content_type == "application/problem+json"
        problem = json.loads(await response.read())
    assert (problem["status"], problem["detail"]) == (status, detail)


@pytest.mark.parametrize("headers", [{}, {"asapp-api-id": "x", "asapp-api-secret": "y"}])
async def test_a_stranger_delivers_nothing(edge, headers):
    event = await edge.ring()
    async with edge.http.post(edge.events_url, json=[event], headers=headers) as response:
        assert response.status == 401
    assert edge.answered() == []
