"""Calls that nobody holds any more are hung up and ended, once, by whichever run comes; all others are left alone."""

import asyncio
from collections import Counter
from dataclasses import replace

import pytest

from shared.calls.lost_calls import LOOKED_AT_ONCE
from shared.core.call import CallTimes, HistoryEntry, advance
from shared.core.call_state import CallEvent, CallState, Cause
from shared.core.ids import partition_of
from shared.core.ownership import OwnershipLost, require_epoch
from shared.core.upkeep import OVER_AFTER_S
from shared.errors import AcsUnavailable, CallGone, StoreUnavailable
from tests.emulated.upkeep.conftest import LIMITS, NOW, beat, call_id_at
from tests.support.records import CONNECTION_ID, call_record

CREATED = NOW - 600


@pytest.fixture
def lay(connections):
    """Put a call that pod-1 held until a minute and more ago; or changed as asked."""

    async def laid(state=CallState.STREAMING, number=0, **changes):
        entry = HistoryEntry(CREATED, CallEvent.MEDIA_STARTED, state)
        record = call_record(
            state,
            call_id=call_id_at(CREATED, number),
            times=CallTimes(created=CREATED, answered=CREATED),
            call_connection_id=CONNECTION_ID,
            owner="pod-1",
            epoch=3,
            history=(entry,),
        )
        record = replace(record, **changes)
        await connections.calls.create(record)
        return record

    return laid


async def close(lost_calls):
    done = Counter()
    await lost_calls.close(done)
    return dict(done)


@pytest.mark.parametrize("fault", [None, CallGone("ACS answered 404")])
async def test_a_call_whose_pod_died_is_hung_up_and_ended(connections, lost_calls, acs, lay, fault):
    acs.fault = fault
    record = await lay()
    await connections.pods.beat(beat("pod-1", NOW - 61))
    assert await close(lost_calls) == {"owner_lost": 1}
    ended = await connections.calls.get(record.call_id)
    assert (ended.state, ended.cause, ended.times.ended) == (CallState.ENDED, Cause.OWNER_LOST, NOW)
    assert acs.hung_up == [CONNECTION_ID]
    assert await close(lost_calls) == {}


async def test_an_owner_that_comes_back_writes_nothing_more(connections, lost_calls, acs, lay):
    record = await lay()
    acs.answers.clear()
    closing = asyncio.create_task(lost_calls.close(Counter()))
    while not acs.hung_up:
        await asyncio.sleep(0.005)

    def write(found):
        return advance(require_epoch(found, record.epoch), CallEvent.AGENT_ENDED, NOW)

    with pytest.raises(OwnershipLost):
        await connections.calls.change(record.call_id, write)
    acs.answers.set()
    await closing


async def test_the_place_of_the_call_is_free_again(connections, lost_calls, lay):
    held = {"now": NOW, "until": NOW + 3600}
    slot = await connections.slots.take("account-demo", 1, holder=call_id_at(CREATED), **held)
    await lay(slot=slot)
    assert await connections.slots.take("account-demo", 1, holder="next", **held) is None
    await close(lost_calls)
    assert await connections.slots.take("account-demo", 1, holder="next", **held) == slot


async def test_a_call_that_nobody_answered_is_missed_and_nothing_is_hung_up(
    connections, lost_calls, acs, lay
):
    record = await lay(CallState.ANSWERING, owner=None, call_connection_id=None)
    assert await close(lost_calls) == {"ring_expired": 1}
    assert (await connections.calls.get(record.call_id)).state is CallState.MISSED
    assert acs.hung_up == []


async def test_a_call_that_is_answered_and_that_no_pod_took_is_hung_up(connections, lost_calls, acs, lay):
    record = await lay(CallState.CONNECTED, owner=None)
    assert await close(lost_calls) == {"abandoned": 1}
    assert (await connections.calls.get(record.call_id)).cause is Cause.ABANDONED
    assert acs.hung_up == [CONNECTION_ID]


async def test_calls_with_a_live_owner_or_over_or_just_begun_are_left_alone(
    connections, lost_calls, acs, lay
):
    await connections.pods.beat(beat("pod-1", NOW - 1))
    lately = HistoryEntry(NOW - 59, CallEvent.MEDIA_STARTED, CallState.STREAMING)
    records = [
        await lay(),
        await lay(CallState.ENDED, 1, owner="pod-2"),
        await lay(CallState.STREAMING, 2, owner="pod-2", history=(lately,)),
        await lay(CallState.ANSWERING, 3, owner=None, times=CallTimes(created=NOW - 80)),
    ]
    assert await close(lost_calls) == {}
    assert acs.hung_up == []
    assert [await connections.calls.get(record.call_id) for record in records] == records


async def test_while_acs_is_away_the_call_waits_for_the_next_run_but_not_for_ever(
    connections, lost_calls, acs, clock, lay
):
    record = await lay()
    acs.fault = AcsUnavailable("ACS did not answer")
    assert await close(lost_calls) == {"not_hung_up": 1}
    waiting = await connections.calls.get(record.call_id)
    assert (waiting.state, waiting.cause) == (CallState.ENDING, Cause.OWNER_LOST)
    assert await close(lost_calls) == {}
    clock.now += LIMITS.lost_after_s + 1
    assert await close(lost_calls) == {"not_hung_up": 1}
    clock.now = CREATED + OVER_AFTER_S + 1
    assert await close(lost_calls) == {"owner_lost": 1}
    assert (await connections.calls.get(record.call_id)).state is CallState.ENDED
    assert len(acs.hung_up) == 3


async def test_what_a_killed_run_left_the_next_one_ends(connections, lost_calls, acs, clock, lay):
    record = await lay()
    acs.answers.clear()
    closing = asyncio.create_task(lost_calls.close(Counter()))
    while not acs.hung_up:
        await asyncio.sleep(0.005)
    closing.cancel()
    await asyncio.wait((closing,))
    acs.answers.set()
    assert (await connections.calls.get(record.call_id)).state is CallState.ENDING
    clock.now += LIMITS.lost_after_s + 1
    assert await close(lost_calls) == {"owner_lost": 1}
    assert (await connections.calls.get(record.call_id)).state is CallState.ENDED


async def test_two_runs_at_once_end_each_call_once(connections, lost_calls, acs, lay):
    count = 3 * LOOKED_AT_ONCE
    for number in range(count):
        await lay(number=number, call_connection_id=f"connection-{number}")
    done = Counter()
    await asyncio.gather(lost_calls.close(done), lost_calls.close(done))
    assert done == {"owner_lost": count}
    assert sorted(acs.hung_up) == sorted(f"connection-{number}" for number in range(count))


async def test_a_pod_that_takes_the_call_over_meanwhile_keeps_it(
    connections, lost_calls, acs, lay, monkeypatch
):
    record = await lay()
    found = lost_calls.open_calls

    async def then_taken_over():
        ids = await found()
        await connections.calls.change(
            record.call_id,
            lambda r: advance(replace(r, owner="pod-2", epoch=r.epoch + 1), CallEvent.TAKEN_OVER, NOW),
        )
        return ids

    monkeypatch.setattr(lost_calls, "open_calls", then_taken_over)
    assert await close(lost_calls) == {}
    taken = await connections.calls.get(record.call_id)
    assert (taken.owner, taken.state) == ("pod-2", CallState.STREAMING)
    assert acs.hung_up == []


async def test_a_row_that_cannot_be_read_keeps_no_other_from_its_end(connections, lost_calls, lay):
    record = await lay()
    unreadable = call_id_at(CREATED, 1)
    await connections.tables.get_table_client("calls").create_entity(
        {"PartitionKey": partition_of(unreadable), "RowKey": unreadable, "state": "streaming"}
    )
    assert await close(lost_calls) == {"failed": 1, "owner_lost": 1}
    assert (await connections.calls.get(record.call_id)).state is CallState.ENDED


async def test_a_pod_of_another_release_whose_row_cannot_be_read_counts_as_alive(
    connections, lost_calls, lay
):
    record = await lay()
    row = {"PartitionKey": "pod", "RowKey": "pod-1", "beat_at": "another word for it"}
    await connections.tables.get_table_client("pods").create_entity(row)
    assert await close(lost_calls) == {}
    assert await connections.calls.get(record.call_id) == record


async def test_when_nobody_can_say_which_pods_live_nothing_is_closed(
    connections, lost_calls, lay, monkeypatch
):
    record = await lay()

    async def away():
        raise StoreUnavailable("table storage did not answer")

    monkeypatch.setattr(connections.pods, "beats", away)
    with pytest.raises(StoreUnavailable):
        await close(lost_calls)
    assert await connections.calls.get(record.call_id) == record
