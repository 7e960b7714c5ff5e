"""A call that rings is answered once, whatever the delivery looks like and however often it comes."""

import asyncio
import json
import sys
import time
from dataclasses import replace
from io import BytesIO

import pytest

from emulator.event_grid.events import DeliverySchema
from emulator.event_grid.subscriptions import EventSubscription
from emulator.faults import Cut, FaultRule, Pause, Reset, Status, When
from emulator.media.line import Line
from shared.core.admission import PodLoad
from shared.core.ai_link import advice_of
from shared.core.call_state import CallState, Cause
from shared.core.claims import Outcome
from shared.core.ids import claim_key
from tests.support.gateway import CALLER, NUMBER, incoming_call
from tests.support.records import data_json

LOST_REPLY = FaultRule("answer", Reset(when=When.AFTER), times=1)


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

    async def over():
        record = await call_of(edge, event)
        return record if record.state.is_final else None

    # No pod listens in these tests: ACS cannot stream, and nobody would ever speak to the caller.
    record = await until(over)
    assert (record.state, record.cause) == (CallState.ENDED, Cause.MEDIA_LOST)
    await placed.ended.wait()
    assert placed.end == "gateway_hung_up"
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
    assert status == 400
    assert [item["outcome"] for item in answer["events"]] == [
        "answered",
        "IncomingCall: 'to' must be an object",
    ]
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
    edge.emulator.faults.fail_next("answer", Status(status=429, code="8516"), times=2)
    event = await edge.ring()
    status, answer = await edge.deliver([event])
    assert (status, answer["detail"]) == (500, "acs_unavailable")
    before = await claim_of(edge, event)
    assert (await edge.deliver([event]))[1][0]["outcome"] == "answered"
    after = await claim_of(edge, event)
    assert (after.call_id, after.repeatability_id) == (before.call_id, before.repeatability_id)
    assert (after.attempts, len(edge.answered())) == (2, 1)


async def test_a_reply_that_is_lost_is_asked_for_again_as_the_same_request(edge):
    edge.emulator.faults.add(LOST_REPLY)
    assert (await edge.deliver([await edge.ring()]))[1][0]["outcome"] == "answered"
    first, second = [request.headers for request in edge.emulator.requests("answer")]
    for name in ("Repeatability-Request-ID", "Repeatability-First-Sent"):
        assert first[name] == second[name]
    assert len(edge.answered()) == 1


async def test_a_call_that_may_have_been_answered_is_never_taken_for_a_missed_one(start_edge):
    """ACS that does not replay replies says "gone" to the second try, though the first has answered."""
    edge = await start_edge(pods=1, emulated={"repeatability": False})
    edge.emulator.faults.add(LOST_REPLY)
    edge.emulator.faults.add(FaultRule("callback.deliver", Pause()))
    event = await edge.ring()
    status, answer = await edge.deliver([event])
    assert (status, answer["detail"]) == (500, "acs_unavailable")
    for pod in await edge.connections.pods.since(0):
        await edge.connections.pods.remove(pod.name)
    # Until something proves the answer the call stays unknown, even while there is no room for another.
    assert (await edge.deliver([event]))[0] == 500
    edge.emulator.faults.clear()

    async def bound():
        return (await call_of(edge, event)).call_connection_id

    await until(bound)
    assert (await edge.deliver([event]))[1][0]["outcome"] == "answered"
    assert len(edge.answered()) == 1


async def test_a_call_that_turns_out_to_be_answered_after_its_ringing_was_over_is_hung_up(edge):
    """Its row is final: no pod takes it, and the caller would hear nothing for ever."""
    edge.emulator.faults.add(FaultRule("answer", Reset(when=When.AFTER)))
    edge.emulator.faults.add(FaultRule("callback.deliver", Pause()))
    event = await edge.ring()
    assert (await edge.deliver([event]))[0] == 500
    late = event | {"eventTime": incoming_call("", age_s=30)["eventTime"]}
    assert (await edge.deliver([late]))[1][0]["outcome"] == "missed"
    edge.emulator.faults.clear()
    (call,) = edge.emulator.calls
    async with asyncio.timeout(10):
        await call.ended.wait()
    assert call.end == "gateway_hung_up"


async def test_a_call_whose_row_an_earlier_holder_wrote_just_now_may_be_answered(start_edge):
    """Their clocks differ: the claim was taken over while its holder was still at work."""
    edge = await start_edge(emulated={"repeatability": False})
    edge.emulator.faults.add(FaultRule("answer", Reset(when=When.AFTER), times=2))
    edge.emulator.faults.add(FaultRule("callback.deliver", Pause()))
    event = await edge.ring()
    assert (await edge.deliver([event]))[0] == 500
    gateway = await sys.modules["functions.process"].PROCESS.gateway()
    calls = gateway.connections.calls
    looks = []

    class Earlier:
        """Storage at which the first look comes before the other holder's row."""

        def __getattr__(self, name):
            return getattr(calls, name)

        async def read(self, call_id):
            looks.append(call_id)
            return None if len(looks) == 1 else await calls.read(call_id)

    gateway.answerer._calls = Earlier()
    assert (await edge.deliver([event]))[0] == 500
    assert (await call_of(edge, event)).state is CallState.ANSWERING


async def test_a_process_that_died_between_the_answer_and_its_mark_leaves_a_call_that_is_found_out(edge):
    event = await edge.ring()
    await edge.deliver([event])
    await reopen(edge, event, lease_until=time.time() - 1)
    assert (await edge.deliver([event]))[1][0]["outcome"] == "answered"
    assert len(edge.answered()) == 1


async def reopen(edge, event, **changes):
    """Put the claim on a call back to where it has no outcome."""
    found = await edge.connections.claims.read(claim_key(event["data"]["incomingCallContext"]))
    assert found is not None
    await edge.connections.claims.replace(replace(found[0], outcome=None, **changes), found[1])


async def test_a_claim_taken_over_by_a_write_whose_reply_was_lost_is_known_as_one_s_own(edge):
    event = incoming_call("a context that rang long ago", age_s=30)
    await edge.deliver([event])
    await reopen(edge, event, lease_until=time.time() - 1, holder="a process that died")
    gateway = await sys.modules["functions.process"].PROCESS.gateway()
    claims = gateway.connections.claims
    writes = []

    class Forgetful:
        """Storage whose first reply to a write is lost; the SDK's second try then meets the first."""

        def __getattr__(self, name):
            return getattr(claims, name)

        async def replace(self, claim, etag):
            writes.append(await claims.replace(claim, etag))
            return None if len(writes) == 1 else writes[-1]

    gateway.answerer._claiming._claims = Forgetful()
    started = time.monotonic()
    assert (await edge.deliver([event]))[1][0]["outcome"] == "missed"
    assert time.monotonic() - started < 4, "it waited for its own lease"
    assert len(writes) > 1


@pytest.mark.parametrize("code", ["8523", "8567", "8582", "BadRequest"])
async def test_a_400_that_blames_our_request_is_a_fault_of_ours_and_said_so(edge, code, caplog):
    edge.emulator.faults.fail_next("answer", Status(status=400, code=code), times=2)
    event = await edge.ring()
    status, answer = await edge.deliver([event])
    assert (status, answer["detail"]) == (500, "acs_refused")
    assert f"ACS answered 400/{code}" in caplog.text or any(
        f"ACS answered 400/{code}" in str(getattr(record, "fault", "")) for record in caplog.records
    )
    assert (await call_of(edge, event)).state is CallState.ANSWERING


@pytest.mark.parametrize(("status", "code"), [(400, "8567"), (400, "8568"), (403, "7606")])
async def test_a_broken_link_to_azure_ai_loses_no_call(start_edge, status, code, caplog):
    edge = await start_edge(COGNITIVE_SERVICES_ENDPOINT="https://ai.example.com")
    edge.emulator.faults.fail_next("answer", Status(status=status, code=code))
    event = await edge.ring()
    assert (await edge.deliver([event]))[1][0]["outcome"] == "answered"
    [said] = [each for each in caplog.records if each.msg.startswith("a call is answered without Azure AI")]
    # As fields, or by the app's filter in the message.
    assert advice_of(status, int(code)).do in f"{said.msg} {vars(said)}"
    assert edge.answers_of(event) == 1


@pytest.mark.parametrize(("status", "code"), [(404, "8522"), (400, "8501"), (400, "8528"), (400, "8585")])
async def test_an_answer_to_a_call_past_answering_is_a_missed_call(edge, status, code):
    edge.emulator.faults.fail_next("answer", Status(status=status, code=code))
    event = await edge.ring()
    assert (await edge.deliver([event]))[1][0]["outcome"] == "missed"


async def test_a_pod_s_row_of_another_make_stops_no_call(edge):
    table = edge.connections.tables.get_table_client("pods")
    await table.upsert_entity({"PartitionKey": "pod", "RowKey": "odd", "at": time.time() + 60.0})
    assert (await edge.deliver([await edge.ring()]))[1][0]["outcome"] == "answered"


async def test_calls_answered_at_once_do_not_outnumber_the_places(start_edge):
    edge = await start_edge(pods=0)
    await edge.connections.pods.beat(PodLoad("small", 0, 2, time.time()))
    events = [await edge.ring() for _ in range(4)]
    outcomes = [(await edge.deliver([event]))[1][0]["outcome"] for event in events]
    assert outcomes == ["answered", "answered", "rejected", "rejected"]


async def test_a_batch_with_an_unreadable_event_loses_no_other(edge):
    good = await edge.ring()
    status, answer = await edge.deliver([{"id": "1", "eventType": "x"}, good])
    assert status == 400
    assert [item["outcome"] for item in answer["events"]] == [
        "event 0: 'eventTime' must be a non-empty string",
        "answered",
    ]


async def test_a_claim_in_hand_is_waited_for_within_the_budget_and_then_retried(start_edge):
    edge = await start_edge(EVENT_BUDGET_S="0.4", CLAIM_LEASE_S="30")
    event = await edge.ring()
    await edge.deliver([event])
    await reopen(edge, event, lease_until=time.time() + 30)
    status, answer = await edge.deliver([event])
    assert (status, answer["detail"]) == (500, "timeout")


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


@pytest.mark.parametrize("table", ["incoming", "calls"])
@pytest.mark.parametrize(
    "broken", [Reset(), Reset(when=When.AFTER), Cut()], ids=["before", "after", "half-way"]
)
async def test_an_insert_whose_connection_breaks_is_sent_again_at_once(edge, table, broken):
    """The caller would else hear ten seconds more of ringing, until Event Grid delivers again."""
    edge.emulator.faults.add(FaultRule(f"storage.insertEntity:{table}", broken, times=1))
    event = await edge.ring()
    assert (await edge.deliver([event]))[1][0]["outcome"] == "answered"
    assert len(edge.answered()) == 1
