"""Storage is away for so long that Event Grid would deliver again too late: the call goes where overflow goes.

A delivery that comes ten seconds after its event is the last in time. What it finds out of order, what the caller and
Event Grid hear of it, and what is counted.
"""

import asyncio
import sys
import time
from dataclasses import replace

import pytest

from emulator.faults import Cut, Delay, FaultRule, Hang, Reset, Status, When
from shared.core.admission import PodLoad
from shared.core.call_state import CallState
from shared.core.claims import Outcome, given_up
from shared.core.ids import claim_key
from tests.support.gateway import CALLER, incoming_call

ELSEWHERE = "4:+18005550111"
BUDGET = {"EVENT_BUDGET_S": "2.5", "CLAIM_LEASE_S": "2.5"}
AWAY = Status(status=503)
EVERYTHING = "storage.*"
FAULTS = {
    "401": Status(status=401),
    "429": Status(status=429, retry_after_seconds=0),
    "500": Status(status=500),
    "503": AWAY,
    "slow": Delay(ms=2000),
    "never": Hang(),
    "reset": Reset(),
    "lost": Reset(when=When.AFTER),
    "half": Cut(),
}
POLICIES = {
    "rejects": {},
    "redirects": {"overflow_to": ELSEWHERE},
    "blocks the caller": {"overflow_to": ELSEWHERE, "blocked_callers": frozenset({f"4:{CALLER}"})},
}


@pytest.fixture
def start_warm(start_edge, counted):
    """The app after a call, so that it knows what one needs, with the account as asked."""

    async def start(*, emulated=None, pods=1, account=None, **settings):
        edge = await start_edge(emulated={"connect_seconds": 60.0} | (emulated or {}), pods=pods, **settings)
        if account:
            await edge.connections.accounts.change("demo", lambda known: replace(known, **account))
        assert (await edge.deliver([await edge.ring()]))[0] == 200
        counted.since()
        return edge

    return start


def aged(event, age_s):
    """The event of a call that has rung for so long."""
    return event | {"eventTime": incoming_call("", age_s=age_s)["eventTime"]}


async def late(edge):
    """A call that has rung for so long that this delivery is the last in time."""
    return aged(await edge.ring(), 11)


async def told(edge, event):
    status, answer = await edge.deliver([event])
    return answer[0]["outcome"] if status == 200 else status


def is_away(edge, operation=EVERYTHING, action=AWAY, **more):
    return edge.emulator.faults.add(FaultRule(operation, action, **more))


def end_of(edge, event):
    call = edge.emulator.calls.find(event["data"]["correlationId"])
    return call.end


async def claim_of(edge, event):
    return await edge.connections.claims.read(claim_key(event["data"]["incomingCallContext"]))


def without_store(counted):
    return {
        labels.rpartition("outcome=")[2]: n
        for (name, labels), n in counted.since().items()
        if name == "gateway.calls.without_store"
    }


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_first_delivery_is_told_500_and_the_second_answers_the_call(start_warm, counted, fault):
    edge = await start_warm(**BUDGET)
    away, event = is_away(edge, action=FAULTS[fault]), await edge.ring()
    assert await told(edge, event) == 500
    edge.emulator.faults.remove(away)
    # Deliveries come at once here, and not ten seconds apart: a claim whose writer never heard of it may stand yet.
    async with asyncio.timeout(10):
        while (outcome := await told(edge, event)) == 500:
            pass
    assert (outcome, edge.answers_of(event), without_store(counted)) == ("answered", 1, {})


@pytest.mark.parametrize("policy", POLICIES)
async def test_the_last_delivery_in_time_does_what_the_account_s_overflow_says(start_warm, counted, policy):
    edge = await start_warm(account=POLICIES[policy], **BUDGET)
    expected = "redirected" if policy == "redirects" else "rejected"
    for fault, action in FAULTS.items():
        away, event = is_away(edge, action=action), await late(edge)
        assert await told(edge, event) == expected, fault
        edge.emulator.faults.remove(away)
        assert (end_of(edge, event), edge.answers_of(event)) == (expected, 0), fault
        assert without_store(counted) == {expected: 1}, fault
        assert await told(edge, event) == "duplicate", fault
        assert without_store(counted) == {}, fault
    reasons = {
        happening.detail["reason"]
        for call in edge.emulator.calls
        for happening in call.happenings
        if happening.name == "rejected"
    }
    assert reasons == {"rejects": {"busy"}, "redirects": set(), "blocks the caller": {"forbidden"}}[policy]


@pytest.mark.parametrize(
    ("age_s", "budget_s", "deadline_s", "expected"),
    [
        (11, 8, 25, "rejected"),
        (9, 8, 25, "rejected"),
        (5, 8, 25, 500),
        (9, 2, 25, 500),
        (0, 8, 15, "rejected"),
    ],
    ids=["the second", "a first that is late", "a first", "a quick first", "calls ring briefly"],
)
async def test_which_delivery_is_the_last_in_time(start_warm, age_s, budget_s, deadline_s, expected):
    edge = await start_warm(
        EVENT_BUDGET_S=str(budget_s), CLAIM_LEASE_S=str(budget_s), RING_DEADLINE_S=str(deadline_s)
    )
    is_away(edge)
    assert await told(edge, aged(await edge.ring(), age_s)) == expected


async def test_deliveries_at_the_same_time_turn_the_call_away_once(start_warm, counted):
    edge = await start_warm()
    is_away(edge)
    event = await late(edge)
    outcomes = await asyncio.gather(*(told(edge, event) for _ in range(8)))
    assert sorted(outcomes) == ["duplicate"] * 7 + ["rejected"]
    assert len(edge.emulator.requests("reject")) == 1
    assert without_store(counted) == {"rejected": 1}


async def test_processes_that_know_nothing_of_one_another_ask_acs_for_the_same(start_warm, counted):
    edge = await start_warm()
    away, event = is_away(edge), await late(edge)
    assert await told(edge, event) == "rejected"
    await forget(edge)
    assert await told(edge, event) == "rejected"
    first, second = [request.headers for request in edge.emulator.requests("reject")]
    for name in ("Repeatability-Request-ID", "Repeatability-First-Sent"):
        assert first[name] == second[name]
    edge.emulator.faults.remove(away)
    await forget(edge)
    # A third one that has the store finds nothing to answer.
    assert await told(edge, event) == "missed"
    assert edge.answers_of(event) == 0


async def forget(edge):
    """Let the app remember no call, as another process that has read accounts and profiles."""
    gateway = await sys.modules["functions.process"].PROCESS.gateway()
    deliveries = gateway.answerer._deliveries
    deliveries._store_away = type(deliveries._store_away)(
        gateway.connections.call_control, gateway.metrics, event_budget_s=gateway.settings.event_budget_s
    )


@pytest.mark.parametrize("process", ["the same", "another"])
async def test_a_call_that_was_answered_and_is_delivered_again_stays_as_it_is(start_warm, counted, process):
    edge = await start_warm()
    event = await late(edge)
    assert await told(edge, event) == "answered"
    if process == "another":
        await forget(edge)
    away = is_away(edge)
    assert await told(edge, event) == 500
    assert without_store(counted) == {"unknown": 1}
    # ACS is not even asked where it is known; where it is not, it says that the call rings no more.
    assert len(edge.emulator.requests("reject")) == (process == "another")
    assert (end_of(edge, event), edge.answers_of(event)) == (None, 1)
    edge.emulator.faults.remove(away)
    assert await told(edge, event) == "duplicate"


async def test_a_call_that_may_have_been_answered_is_not_turned_away(start_warm, counted):
    edge = await start_warm()
    lost = is_away(edge, "answer", Reset(when=When.AFTER))
    event = await edge.ring()
    assert await told(edge, event) == 500
    edge.emulator.faults.remove(lost)
    is_away(edge)
    assert await told(edge, aged(event, 11)) == 500
    assert (edge.emulator.requests("reject"), without_store(counted)) == ([], {"unknown": 1})
    assert edge.answers_of(event) == 1


async def test_a_call_that_somebody_else_has_claimed_is_left_to_them(start_warm, counted):
    edge = await start_warm()
    away, event = is_away(edge, "storage.*Entity:calls"), await edge.ring()
    assert await told(edge, event) == 500
    await forget(edge)
    # The claim stands, and only its row tells whether its holder has asked ACS for an answer.
    assert await told(edge, aged(event, 11)) == 500
    assert (edge.emulator.requests("reject"), without_store(counted)) == ([], {"unknown": 1})
    edge.emulator.faults.remove(away)
    assert await told(edge, aged(event, 12)) == "answered"


async def test_a_call_that_this_very_delivery_has_claimed_is_turned_away(start_warm, counted):
    edge = await start_warm()
    away, event = is_away(edge, "storage.insertEntity:calls"), await late(edge)
    assert await told(edge, event) == "rejected"
    assert (end_of(edge, event), without_store(counted)) == ("rejected", {"rejected": 1})
    edge.emulator.faults.remove(away)
    assert await told(edge, event) == "duplicate"


async def test_a_call_that_was_rejected_but_not_written_down_is_rejected_by_the_same_request(
    start_warm, counted
):
    edge = await start_warm()
    for pod in await edge.connections.pods.since(0):
        await edge.connections.pods.remove(pod.name)
    gateway = await sys.modules["functions.process"].PROCESS.gateway()
    await gateway.answerer._pods.refresher.read_anew()
    is_away(edge, "storage.updateEntity:incoming")
    event = await late(edge)
    assert await told(edge, event) == "rejected"
    ids = {request.headers["Repeatability-Request-ID"] for request in edge.emulator.requests("reject")}
    assert (len(ids), without_store(counted)) == (1, {"rejected": 1})


@pytest.mark.parametrize("action", [Status(status=503), Status(status=400), Hang(), Reset()], ids=repr)
async def test_a_call_that_acs_does_not_turn_away_either_is_a_miss(start_warm, counted, action):
    edge = await start_warm(**BUDGET)
    is_away(edge)
    acs, event = is_away(edge, "reject", action), await late(edge)
    assert [await told(edge, event) for _ in range(2)] == [500, 500]
    assert (end_of(edge, event), without_store(counted)) == (None, {"missed": 1})
    # Should one more delivery come in time all the same, it is tried again.
    edge.emulator.faults.remove(acs)
    assert await told(edge, event) == "rejected"


async def test_a_call_that_has_rung_out_is_a_miss_that_the_store_hears_of_when_it_is_back(
    start_warm, counted
):
    edge = await start_warm()
    away, event = is_away(edge), aged(await edge.ring(), 26)
    assert [await told(edge, event) for _ in range(2)] == [500, 500]
    assert (edge.emulator.requests("reject"), without_store(counted)) == ([], {"missed": 1})
    edge.emulator.faults.remove(away)
    assert await told(edge, event) == "missed"
    claim, _ = await claim_of(edge, event)
    record = await edge.connections.calls.get(claim.call_id)
    assert (claim.outcome, record.state) == (Outcome.MISSED, CallState.MISSED)
    assert counted.since()["gateway.calls", "account=demo outcome=missed"] == 1


async def test_a_redirected_call_that_comes_back_is_rejected(start_warm, counted):
    edge = await start_warm(account={"overflow_to": ELSEWHERE})
    is_away(edge)
    first, again = await late(edge), await late(edge)
    again["data"]["correlationId"] = first["data"]["correlationId"]
    assert [await told(edge, event) for event in (first, again)] == ["redirected", "rejected"]


async def test_a_call_is_never_redirected_to_a_number_of_ours(start_warm):
    edge = await start_warm(account={"overflow_to": "4:+18005550198"})
    is_away(edge)
    assert await told(edge, await late(edge)) == "rejected"


async def test_a_process_that_never_read_the_accounts_has_no_policy_to_go_by(start_edge, counted):
    edge = await start_edge()
    is_away(edge)
    event = await late(edge)
    assert await told(edge, event) == 500
    assert edge.emulator.requests("reject") == []
    assert counted.since()["gateway.events", "outcome=store_unavailable status=500"] == 1


async def test_a_claim_given_up_by_a_delivery_that_was_turned_down_is_answered_when_the_store_is_back(
    start_warm,
):
    edge = await start_warm()
    event = await edge.ring()
    away = is_away(edge, "storage.insertEntity:calls")
    assert await told(edge, event) == 500
    edge.emulator.faults.remove(away)
    claim, _ = await claim_of(edge, event)
    assert claim == given_up(claim)
    assert await told(edge, aged(event, 11)) == "answered"


async def test_a_call_turned_away_takes_no_room_from_the_next(start_warm):
    edge = await start_warm()
    gateway = await sys.modules["functions.process"].PROCESS.gateway()
    # With the call that it began with, the pod has room for one more.
    await edge.connections.pods.beat(PodLoad("pod-0", 0, 2, time.time()))
    await gateway.answerer._pods.refresher.read_anew()
    away = is_away(edge, "storage.insertEntity:calls")
    assert await told(edge, await late(edge)) == "rejected"
    edge.emulator.faults.remove(away)
    assert await told(edge, await edge.ring()) == "answered"


async def test_of_more_calls_than_a_process_remembers_the_oldest_is_forgotten_and_counted(
    start_warm, counted, monkeypatch
):
    monkeypatch.setattr("shared.calls.store_away.MAX_REMEMBERED", 2)
    edge = await start_warm()
    oldest = await late(edge)
    assert [await told(edge, event) for event in (oldest, await late(edge), await late(edge))] == [
        "answered"
    ] * 3
    assert counted.since()["gateway.calls.forgotten", ""] == 2
    is_away(edge)
    # ACS alone tells now that it was answered.
    assert await told(edge, oldest) == 500
    assert (without_store(counted), end_of(edge, oldest)) == ({"unknown": 1}, None)
