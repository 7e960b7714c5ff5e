"""A call at the IVR is kept once, is found while it is open, and gives its place back."""

import asyncio
import uuid

import pytest
from msgspec.structs import replace

from shared.adapters.ivr_store import TableIvrStore
from shared.adapters.slot_store import TableSlotStore
from shared.core.ids import new_call_id
from shared.core.ivr_call import IvrCall
from shared.errors import NotFound


@pytest.fixture
def slots(tables):
    return TableSlotStore(tables)


@pytest.fixture
def store(tables, slots):
    return TableIvrStore(tables, slots)


def ivr_call(**changes):
    return IvrCall(
        call_id=new_call_id(), account_id="demo", flow="welcome", flow_version=1, caller="4:+14255550100",
        called="4:+18005550100", server_call_id="", traceparent="", created=1000.0,
        **{"correlation_id": str(uuid.uuid4()), "context": {"topic": "\u00e9" * 20_000}} | changes,
    )  # fmt: skip


async def test_a_call_comes_back_as_it_was_written_and_by_its_journey(store):
    first = ivr_call()
    second = ivr_call(correlation_id=first.correlation_id)
    assert [await store.create(call) for call in (first, second, first)] == [True, True, False]
    assert (await store.read(first.call_id)).record == first
    assert await store.journey(first.correlation_id) == [first, second]


async def test_no_change_is_lost_among_many_writers(store):
    call = ivr_call()
    await store.create(call)

    def one_more(found):
        return replace(found, history_dropped=found.history_dropped + 1)

    await asyncio.gather(*(store.change(call.call_id, one_more) for _ in range(8)))
    assert (await store.read(call.call_id)).record.history_dropped == 8


async def test_a_call_is_open_until_it_is_closed(store):
    call = ivr_call()
    await store.create(call)
    assert call.call_id in await store.open_calls()
    for _ in range(2):
        await store.close(call.call_id)
    assert call.call_id not in await store.open_calls()
    assert (await store.read(call.call_id)).record == call


async def test_a_call_that_ends_gives_its_place_back(store, slots):
    call = ivr_call()
    pool = str(uuid.uuid4())
    place = await slots.take(pool, 1, holder=call.call_id, now=1000.0, until=2000.0)
    await store.create(replace(call, slot=place))
    await store.change(call.call_id, lambda found: replace(found, ended=1001.0))
    assert await slots.take(pool, 1, holder="next", now=1001.0, until=2000.0) == place


async def test_a_call_that_is_not_there_is_not_changed(store):
    assert await store.read(new_call_id()) is None
    with pytest.raises(NotFound):
        await store.change(new_call_id(), lambda call: call)
