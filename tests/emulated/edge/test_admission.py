"""Who is answered when not everybody can be, and what becomes of the others."""

import asyncio
import time
from collections import Counter
from dataclasses import replace

import pytest

from emulator.faults import FaultRule, Reset, Status, When
from shared.core.admission import PodLoad
from shared.core.call_state import CallEvent, CallState, Cause
from shared.core.claims import given_up
from shared.core.ids import claim_key
from shared.security.accounts import Account, hash_secret, new_api_id
from tests.support.gateway import API_SECRET, CALLER, NUMBER

ELSEWHERE = "4:+18005550111"
QUOTA = """\
version: 1
profiles:
  echo: {{kind: echo, connections_per_minute: {quota}}}
routes:
  - {{account: demo, to: "{number}", profile: echo}}
"""


async def outcome(edge, event):
    status, answer = await edge.deliver([event])
    return answer[0]["outcome"] if status == 200 else status


async def record_of(edge, event):
    claim, _ = await edge.connections.claims.read(claim_key(event["data"]["incomingCallContext"]))
    return await edge.connections.calls.get(claim.call_id)


def call_of(edge, event):
    return edge.emulator.calls.find(event["data"]["correlationId"])


async def limit(edge, **limits):
    await edge.connections.accounts.change("demo", lambda account: replace(account, **limits))


async def places(edge):
    table = edge.connections.tables.get_table_client("slots")
    return [row async for row in table.list_entities() if row["PartitionKey"] == "account-demo"]


async def until(condition):
    async with asyncio.timeout(10):
        while not (found := await condition()):
            await asyncio.sleep(0.02)
    return found


async def test_of_twenty_calls_at_once_an_account_has_exactly_as_many_as_it_may(start_edge):
    edge = await start_edge(emulated={"connect_seconds": 60.0})
    await limit(edge, max_calls=5)
    events = [await edge.ring() for _ in range(20)]
    outcomes = Counter(await asyncio.gather(*(outcome(edge, event) for event in events)))
    assert outcomes == {"answered": 5, "rejected": 15}
    records = [await record_of(edge, event) for event in events]
    assert Counter(record.cause for record in records) == {None: 5, Cause.ACCOUNT_FULL: 15}
    assert len({record.slot for record in records} - {None}) == 5


async def test_a_call_that_ends_makes_room_for_the_account_s_next(start_edge):
    edge = await start_edge(emulated={"connect_seconds": 60.0})
    await limit(edge, max_calls=1)
    first, second, third = [await edge.ring() for _ in range(3)]
    assert await outcome(edge, first) == "answered"
    assert await outcome(edge, second) == "rejected"
    await edge.emulator.calls.caller_hangs_up(call_of(edge, first))

    async def has_ended():
        return (await record_of(edge, first)).state.is_final

    await until(has_ended)
    assert await outcome(edge, third) == "answered"


async def test_a_call_that_is_missed_gives_its_place_back(start_edge):
    edge = await start_edge(emulated={"connect_seconds": 60.0})
    await limit(edge, max_calls=1)
    gone = await edge.ring()
    await edge.emulator.calls.caller_hangs_up(call_of(edge, gone))
    assert await outcome(edge, gone) == "missed"
    assert await outcome(edge, await edge.ring()) == "answered"


async def test_a_call_whose_end_was_written_but_the_reply_lost_gives_its_place_back(start_edge):
    edge = await start_edge(emulated={"connect_seconds": 60.0})
    await limit(edge, max_calls=1)
    event = await edge.ring()
    assert await outcome(edge, event) == "answered"
    lost = edge.emulator.faults.add(FaultRule("storage.updateEntity:calls", Reset(when=When.AFTER), times=1))
    await edge.emulator.calls.caller_hangs_up(call_of(edge, event))

    async def is_given_back():
        return not await places(edge)

    await until(is_given_back)
    assert lost.applied == 1


async def test_a_call_whose_process_died_once_it_was_answered_keeps_its_place(start_edge):
    edge = await start_edge(emulated={"connect_seconds": 60.0})
    await limit(edge, max_calls=1)
    event = await edge.ring()
    for table in ("incoming", "slots"):
        edge.emulator.faults.add(FaultRule(f"storage.updateEntity:{table}", Status(status=503)))
    assert await outcome(edge, event) == "answered"
    edge.emulator.faults.clear()
    claim, etag = await edge.connections.claims.read(claim_key(event["data"]["incomingCallContext"]))
    await edge.connections.claims.replace(given_up(claim), etag)
    assert await outcome(edge, event) == "answered"
    (place,) = await places(edge)
    record = await record_of(edge, event)
    assert place["until"] > time.time() + record.profile.max_duration_s


async def test_a_caller_who_gave_up_takes_no_room_from_the_next(start_edge):
    edge = await start_edge(pods=0)
    await edge.connections.pods.beat(PodLoad("small", 0, 1, time.time()))
    gone = await edge.ring()
    await edge.emulator.calls.caller_hangs_up(call_of(edge, gone))
    assert [await outcome(edge, event) for event in (gone, await edge.ring())] == ["missed", "answered"]


async def test_a_rejected_call_whose_row_could_not_be_written_gets_it_from_the_next_delivery(start_edge):
    edge = await start_edge()
    await limit(edge, blocked_callers=frozenset({f"4:{CALLER}"}))
    event = await edge.ring()
    edge.emulator.faults.add(FaultRule("storage.insertEntity:calls", Status(status=503)))
    assert await outcome(edge, event) == 500
    edge.emulator.faults.clear()
    assert await outcome(edge, event) == "duplicate"
    record = await record_of(edge, event)
    assert (record.state, record.cause) == (CallState.REJECTED, Cause.CALLER_BLOCKED)


async def test_an_agent_opens_no_more_sessions_in_a_minute_than_its_service_does(start_edge, tmp_path):
    gateway_file = tmp_path / "gateway.yaml"
    gateway_file.write_text(QUOTA.format(quota=3, number=NUMBER))
    edge = await start_edge(gateway_file=gateway_file, emulated={"connect_seconds": 60.0})
    events = [await edge.ring() for _ in range(5)]
    outcomes = Counter(await asyncio.gather(*(outcome(edge, event) for event in events)))
    assert outcomes == {"answered": 3, "rejected": 2}
    causes = Counter([(await record_of(edge, event)).cause for event in events])
    assert causes == {None: 3, Cause.AGENT_BUSY: 2}


async def test_a_call_that_the_agent_has_no_session_for_leaves_the_account_s_place_free(start_edge, tmp_path):
    gateway_file = tmp_path / "gateway.yaml"
    gateway_file.write_text(QUOTA.format(quota=1, number=NUMBER))
    edge = await start_edge(gateway_file=gateway_file, emulated={"connect_seconds": 60.0})
    await limit(edge, max_calls=2)
    assert [await outcome(edge, await edge.ring()) for _ in range(2)] == ["answered", "rejected"]
    assert len(await places(edge)) == 1


@pytest.mark.parametrize("asserted", ["", "_2"], ids=["plain", "asserted"])
async def test_a_blocked_caller_is_rejected_whatever_the_overflow_policy(start_edge, asserted):
    edge = await start_edge()
    await limit(edge, blocked_callers=frozenset({f"4:{CALLER}"}), overflow_to=ELSEWHERE)
    event = await edge.ring()
    event["data"]["from"]["rawId"] = f"4:{CALLER}{asserted}"
    assert await outcome(edge, event) == "rejected"
    record = await record_of(edge, event)
    assert (record.state, record.cause) == (CallState.REJECTED, Cause.CALLER_BLOCKED)
    (rejected,) = [happening for happening in call_of(edge, event).happenings if happening.name == "rejected"]
    assert rejected.detail["reason"] == "forbidden"


async def test_without_room_a_call_goes_where_the_account_s_overflow_leads(start_edge):
    edge = await start_edge(pods=0)
    await limit(edge, overflow_to=ELSEWHERE)
    event = await edge.ring()
    assert await outcome(edge, event) == "redirected"
    record = await record_of(edge, event)
    assert (record.state, record.cause) == (CallState.REDIRECTED, Cause.NO_ROOM)
    assert [entry.event for entry in record.history] == [CallEvent.NO_ROOM, CallEvent.REDIRECT_SENT]
    assert call_of(edge, event).end == "redirected"
    assert await outcome(edge, event) == "duplicate"


async def test_a_call_that_did_not_come_from_a_phone_is_rejected_and_not_redirected(start_edge):
    edge = await start_edge(pods=0)
    await limit(edge, overflow_to=ELSEWHERE)
    event = await edge.ring()
    event["data"]["from"] = {"kind": "communicationUser", "rawId": "8:acs:resource_user"}
    assert await outcome(edge, event) == "rejected"


async def test_overflow_never_leads_to_a_number_of_ours(start_edge):
    edge = await start_edge(pods=0)
    await limit(edge, overflow_to="4:+18005550198")  # routed to the profile `reception`
    assert await outcome(edge, await edge.ring()) == "rejected"


async def test_a_redirected_call_that_comes_back_by_another_way_is_rejected_then(start_edge):
    edge = await start_edge(pods=0, emulated={"phone_numbers": (NUMBER, ELSEWHERE.removeprefix("4:"))})
    await limit(edge, overflow_to=ELSEWHERE)
    first = await edge.ring()
    assert await outcome(edge, first) == "redirected"
    again = await edge.ring()
    again["data"]["correlationId"] = first["data"]["correlationId"]
    assert await outcome(edge, again) == "rejected"


async def test_a_call_that_two_accounts_subscriptions_deliver_is_the_first_ones_and_the_overlap_shows(
    start_edge, counted, caplog, tmp_path
):
    gateway_file = tmp_path / "gateway.yaml"
    both = "".join(f'  - {{account: {name}, to: "{NUMBER}", profile: echo}}\n' for name in ("demo", "rival"))
    gateway_file.write_text(f"version: 1\nprofiles:\n  echo: {{kind: echo}}\nroutes:\n{both}")
    edge = await start_edge(gateway_file=gateway_file)
    rival = Account("rival", "Rival", new_api_id(), (hash_secret(API_SECRET),))
    await edge.connections.accounts.create(rival)
    event = await edge.ring()
    assert await outcome(edge, event) == "answered"
    _, answer = await edge.deliver([event], **{"asapp-api-id": rival.api_id})
    assert answer[0]["outcome"] == "overlapping"
    assert counted.since()["gateway.accounts.overlapping", "account=rival"] == 1
    assert "two subscriptions deliver the same call" in caplog.text
    assert (await record_of(edge, event)).account_id == "demo"
    assert len(edge.answered()) == 1


async def test_a_target_that_acs_refuses_is_no_reason_to_let_the_caller_ring_out(start_edge, caplog):
    edge = await start_edge(pods=0)
    await limit(edge, overflow_to=ELSEWHERE)
    edge.emulator.faults.fail_next("redirect", Status(status=400, code="8523"))
    assert await outcome(edge, await edge.ring()) == "rejected"
    assert "ACS refuses the account's overflow target" in caplog.text
