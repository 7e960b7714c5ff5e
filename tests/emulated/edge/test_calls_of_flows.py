"""A number that leads to a flow: its calls have the account's places, and its overflow, as agents' calls have."""

import asyncio
import time
from collections import Counter
from dataclasses import replace

import pytest
from msgspec import structs

from emulator.faults import FaultRule, Reset, Status, When
from emulator.faults.rules import Drop
from shared.core.call_state import CallEvent
from shared.core.claims import given_up
from shared.core.ids import claim_key
from shared.core.ivr_call import BEGUN_WITHIN_S
from tests.support.gateway import EVENTS_PATH, incoming_call
from tests.support.ivr import AGENT, FLOW, GATEWAY, IVR, IVR_EVENTS_PATH, NUMBER, RESOURCE

ELSEWHERE = "4:+18005550111"
AWAY = Status(status=503)


@pytest.fixture
def start_flow(start_edge, tmp_path):
    """The app with a flow at a number, and the account as asked; nothing beyond the answer happens to a call."""

    async def start(*, account=None, connect_seconds=60.0):
        (tmp_path / "welcome.yaml").write_text(FLOW)
        gateway_file = tmp_path / "gateway.yaml"
        gateway_file.write_text(GATEWAY)
        edge = await start_edge(
            gateway_file=gateway_file,
            emulated={
                "connect_seconds": connect_seconds,
                "identities": (IVR, AGENT),
                "resource_id": RESOURCE,
            },
            COGNITIVE_SERVICES_ENDPOINT="https://ai.example.com",
        )
        if account:
            await edge.connections.accounts.change("demo", lambda known: replace(known, **account))
        return edge

    return start


async def rings(edge, *, to=f"4:{NUMBER}", age_s=0.0, correlation_id=None):
    """Let a call ring for the IVR; return its event."""
    event = await edge.ring()
    event["data"]["to"] = {"kind": "unknown", "rawId": to}
    event["eventTime"] = incoming_call("", age_s=age_s)["eventTime"]
    if correlation_id is not None:
        event["data"]["correlationId"] = correlation_id
    return event


async def told(edge, event, *, path=IVR_EVENTS_PATH):
    async with edge.http.post(edge.host.url + path, json=[event], headers=edge.credentials) as response:
        return (await response.json())[0]["outcome"] if response.status == 200 else response.status


def call_of(edge, event):
    return next(
        call
        for call in edge.emulator.calls
        if call.incoming_call_context == event["data"]["incomingCallContext"]
    )


async def claim_of(edge, event):
    return await edge.connections.claims.read(claim_key(event["data"]["incomingCallContext"]))


async def places(edge):
    table = edge.connections.tables.get_table_client("slots")
    return [row async for row in table.list_entities() if row["PartitionKey"] == "account-demo"]


async def test_calls_of_flows_take_the_account_s_places_exactly(start_flow):
    edge = await start_flow(account={"max_calls": 2})
    events = [await rings(edge) for _ in range(6)]
    outcomes = Counter(await asyncio.gather(*(told(edge, event) for event in events)))
    assert outcomes == {"answered": 2, "rejected": 4}
    # Those of agents are as many less.
    assert await told(edge, await rings(edge, to=AGENT), path=EVENTS_PATH) == "rejected"
    causes = Counter([(await claim_of(edge, event))[0].closed_by for event in events])
    assert causes == {(): 2, (CallEvent.ACCOUNT_FULL, CallEvent.REJECT_SENT): 4}


@pytest.mark.parametrize("when", ["before the answer", "after it"])
async def test_a_caller_who_hangs_up_makes_room_for_the_next(start_flow, when):
    edge = await start_flow(account={"max_calls": 1})
    gone = await rings(edge)
    if when == "after it":
        assert await told(edge, gone) == "answered"
    await edge.emulator.calls.caller_hangs_up(call_of(edge, gone))
    if when == "before the answer":
        assert await told(edge, gone) == "missed"
    async with asyncio.timeout(10):
        while await places(edge):
            await asyncio.sleep(0.02)
    assert await told(edge, await rings(edge)) == "answered"


async def test_a_call_whose_process_died_once_it_was_answered_keeps_its_place(start_flow):
    edge = await start_flow(account={"max_calls": 1})
    event = await rings(edge)
    for table in ("incoming", "slots"):
        edge.emulator.faults.add(FaultRule(f"storage.updateEntity:{table}", AWAY))
    assert await told(edge, event) == "answered"
    edge.emulator.faults.clear()
    claim, etag = await claim_of(edge, event)
    await edge.connections.claims.replace(given_up(claim), etag)
    [before] = await places(edge)
    assert await told(edge, event) == "answered"
    [place] = await places(edge)
    assert place["until"] > before["until"] + 3600


async def test_a_call_that_a_flow_sends_on_needs_no_second_place_and_nor_does_its_way_back(start_flow):
    edge = await start_flow(account={"max_calls": 1})
    first = await rings(edge)
    journey = first["data"]["correlationId"]
    assert await told(edge, first) == "answered"
    to_agent = await rings(edge, to=AGENT, correlation_id=journey)
    assert await told(edge, to_agent, path=EVENTS_PATH) == "answered"
    # The IVR's leg ends: the place is another's by now, and stays taken.
    await edge.emulator.calls.caller_hangs_up(call_of(edge, first))
    assert await told(edge, await rings(edge)) == "rejected"
    back = await rings(edge, to=IVR, correlation_id=journey)
    assert await told(edge, back) == "answered"
    [place] = await places(edge)
    assert place["holder"] == (await claim_of(edge, back))[0].call_id


async def test_a_full_account_redirects_as_it_says_and_a_blocked_caller_is_rejected(start_flow):
    edge = await start_flow(
        account={"max_calls": 1, "overflow_to": ELSEWHERE, "blocked_callers": frozenset({"4:+1"})}
    )
    assert [await told(edge, await rings(edge)) for _ in range(2)] == ["answered", "redirected"]
    blocked = await rings(edge)
    blocked["data"]["from"]["rawId"] = "4:+1"
    assert await told(edge, blocked) == "rejected"
    [rejected] = [each for each in call_of(edge, blocked).happenings if each.name == "rejected"]
    assert rejected.detail["reason"] == "forbidden"


async def test_an_answer_that_acs_refuses_for_a_moment_is_asked_for_again_at_once(start_flow):
    edge = await start_flow()
    edge.emulator.faults.fail_next("answer", AWAY)
    assert await told(edge, await rings(edge)) == "answered"


async def test_a_caller_whose_call_nobody_told_is_connected_is_asked_within_a_minute(start_flow):
    edge = await start_flow(connect_seconds=0.01)
    edge.emulator.faults.add(FaultRule("callback.deliver:CallConnected", Drop()))
    event = await rings(edge)
    assert await told(edge, event) == "answered"
    call = call_of(edge, event)
    call_id = (await claim_of(edge, event))[0].call_id
    async with asyncio.timeout(10):
        while not any(each.name == "connected" for each in call.happenings):
            await asyncio.sleep(0.02)
    earlier = {"created": time.time() - BEGUN_WITHIN_S - 1}
    await edge.connections.ivr_calls.change(call_id, lambda call: structs.replace(call, **earlier))
    async with edge.http.post(f"{edge.host.url}/admin/functions/ivr_upkeep", json={"input": ""}) as response:
        assert response.status == 202
    async with asyncio.timeout(10):
        while not any(each.name == "recognize_started" for each in call.happenings):
            await asyncio.sleep(0.02)


# While storage is away.


@pytest.fixture
async def warm(start_flow, counted):
    """The app after a call, so that it knows what one needs."""
    edge = await start_flow(account={"overflow_to": ELSEWHERE})
    assert await told(edge, await rings(edge)) == "answered"
    counted.since()
    return edge


def without_store(counted):
    return {
        labels: n for (name, labels), n in counted.since().items() if name == "gateway.calls.without_store"
    }


async def test_a_first_delivery_is_told_500_and_the_second_answers(warm, counted):
    away, event = warm.emulator.faults.add(FaultRule("storage.*", AWAY)), await rings(warm)
    assert await told(warm, event) == 500
    warm.emulator.faults.remove(away)
    assert await told(warm, event) == "answered"
    assert (warm.answers_of(event), without_store(counted)) == (1, {})


async def test_the_last_delivery_in_time_does_what_the_account_s_overflow_says(warm, counted):
    warm.emulator.faults.add(FaultRule("storage.*", AWAY))
    event = await rings(warm, age_s=11)
    assert [await told(warm, event) for _ in range(2)] == ["redirected", "duplicate"]
    assert call_of(warm, event).end == "redirected"
    assert without_store(counted) == {"account=ivr/demo outcome=redirected": 1}


async def test_what_acs_does_not_turn_away_either_is_a_miss(warm, counted):
    for operation in ("storage.*", "redirect"):
        warm.emulator.faults.add(FaultRule(operation, AWAY))
    event = await rings(warm, age_s=11)
    assert [await told(warm, event) for _ in range(2)] == [500, 500]
    assert without_store(counted) == {"account=ivr/demo outcome=missed": 1}


async def test_a_call_that_may_have_been_answered_is_left_to_whoever_answered_it(warm, counted):
    lost = warm.emulator.faults.add(FaultRule("answer", Reset(when=When.AFTER)))
    event = await rings(warm)
    assert await told(warm, event) == 500
    warm.emulator.faults.remove(lost)
    warm.emulator.faults.add(FaultRule("storage.*", AWAY))
    event["eventTime"] = incoming_call("", age_s=11)["eventTime"]
    assert await told(warm, event) == 500
    assert (warm.emulator.requests("redirect"), call_of(warm, event).end) == ([], None)
    assert without_store(counted) == {"account=ivr/demo outcome=unknown": 1}


async def test_the_same_call_at_both_endpoints_is_turned_away_once(warm, counted):
    warm.emulator.faults.add(FaultRule("storage.*", AWAY))
    event = await rings(warm, age_s=11)
    assert await told(warm, event) == "redirected"
    event["data"]["to"]["rawId"] = AGENT
    assert await told(warm, event, path=EVENTS_PATH) == "duplicate"
    assert len(warm.emulator.requests("redirect")) == 1
