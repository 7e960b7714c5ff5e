"""Places that are held by one call at a time, whoever asks and however many at once."""

import asyncio
import uuid

import pytest

from shared.adapters.connect import LocalCredential
from shared.adapters.slot_store import TableSlotStore
from shared.adapters.tables import create_tables, open_tables
from shared.config import StorageSettings

NOW = 1000.0
LATER = 1100.0


@pytest.fixture
async def two_processes(azurite):
    """The store as two processes see it, each with a client of its own."""
    settings = StorageSettings(None, azurite.connection_string)
    async with (
        open_tables(settings, LocalCredential()) as first,
        open_tables(settings, LocalCredential()) as second,
    ):
        await create_tables(first)
        yield TableSlotStore(first), TableSlotStore(second)


@pytest.fixture
def pool():
    return f"pool-{uuid.uuid4()}"


async def test_of_twenty_calls_at_once_on_two_processes_as_many_are_let_in_as_there_are_places(
    two_processes, pool
):
    takes = (
        store.take(pool, 5, holder=f"{number}-{number_of_store}", now=NOW, until=LATER)
        for number_of_store, store in enumerate(two_processes)
        for number in range(10)
    )
    taken = [slot for slot in await asyncio.gather(*takes) if slot is not None]
    assert len(taken) == len(set(taken)) == 5


async def test_a_hundred_calls_at_once_in_one_process_look_together_and_are_let_in_exactly(
    two_processes, pool, monkeypatch
):
    """One look for each would keep the process busy for longer than a limit may take."""
    store, _ = two_processes
    query, looks = store._table.query_entities, []

    def looked(*asked, **parameters):
        looks.append(asked)
        return query(*asked, **parameters)

    monkeypatch.setattr(store._table, "query_entities", looked)
    for calls, expected in [(95, 95), (100, 5), (100, 0)]:
        looks.clear()
        takes = (store.take(pool, 100, holder=str(uuid.uuid4()), now=NOW, until=LATER) for _ in range(calls))
        taken = [slot for slot in await asyncio.gather(*takes) if slot is not None]
        assert len(taken) == len(set(taken)) == expected
        assert len(looks) <= 4


async def test_a_call_that_asks_again_gets_the_place_it_has(two_processes, pool):
    first, second = two_processes
    slot = await first.take(pool, 3, holder="call", now=NOW, until=LATER)
    assert await second.take(pool, 3, holder="call", now=NOW, until=LATER) == slot


async def test_a_place_given_back_is_free_and_one_whose_time_is_over_too(two_processes, pool):
    store, _ = two_processes
    slot = await store.take(pool, 1, holder="first", now=NOW, until=LATER)
    assert await store.take(pool, 1, holder="second", now=NOW, until=LATER) is None
    await store.release(slot, "first")
    assert await store.take(pool, 1, holder="second", now=NOW, until=LATER) == slot
    assert await store.take(pool, 1, holder="third", now=LATER, until=LATER + 100) == slot


async def test_who_lost_a_place_cannot_give_it_back_or_keep_it(two_processes, pool):
    store, _ = two_processes
    slot = await store.take(pool, 1, holder="first", now=NOW, until=LATER)
    await store.take(pool, 1, holder="second", now=LATER, until=LATER + 100)
    await store.release(slot, "first")
    await store.keep(slot, "first", LATER + 1000)
    assert await store.take(pool, 1, holder="third", now=LATER + 50, until=LATER + 100) is None
    assert await store.take(pool, 1, holder="third", now=LATER + 101, until=LATER + 200) == slot


async def test_a_place_that_is_kept_is_held_for_longer(two_processes, pool):
    store, _ = two_processes
    slot = await store.take(pool, 1, holder="first", now=NOW, until=LATER)
    await store.keep(slot, "first", LATER + 1000)
    assert await store.take(pool, 1, holder="second", now=LATER + 1, until=LATER + 100) is None


async def test_a_full_pool_is_looked_through_for_calls_that_ended_without_a_word(two_processes, pool):
    store, _ = two_processes
    for holder in ("ended", "alive"):
        await store.take(pool, 2, holder=holder, now=NOW, until=LATER)

    async def is_over(holder):
        return holder == "ended"

    assert await store.take(pool, 2, holder="new", now=NOW, until=LATER, is_over=is_over) is not None
    assert await store.take(pool, 2, holder="newer", now=NOW, until=LATER, is_over=is_over) is None


async def test_a_pool_made_smaller_lets_nobody_in_until_it_has_emptied_that_far(two_processes, pool):
    store, _ = two_processes
    slots = [await store.take(pool, 3, holder=f"call-{number}", now=NOW, until=LATER) for number in range(3)]
    await store.release(slots[0], "call-0")
    assert await store.take(pool, 2, holder="new", now=NOW, until=LATER) is None
    await store.release(slots[1], "call-1")
    assert await store.take(pool, 2, holder="new", now=NOW, until=LATER) is not None


async def test_a_pool_made_smaller_lets_nobody_in_for_a_call_that_ended_without_a_word_beyond_it(
    two_processes, pool
):
    store, _ = two_processes
    for number in range(4):
        await store.take(pool, 4, holder=f"call-{number}", now=NOW, until=LATER + number)

    async def is_over(holder):
        return holder in ended

    slots = {
        row["holder"]: row["RowKey"] async for row in store._table.query_entities(f"PartitionKey eq '{pool}'")
    }
    within = [holder for holder, name in slots.items() if int(name) < 2]
    ended = within[:1]
    assert await store.take(pool, 2, holder="new", now=NOW, until=LATER, is_over=is_over) is None


async def test_a_place_given_back_while_it_is_kept_for_longer_is_free(two_processes, pool, monkeypatch):
    """The call ends while whoever answered it still marks it."""
    ending, marking = two_processes
    slot = await ending.take(pool, 1, holder="call", now=NOW, until=LATER)
    read = ending._read

    async def read_before_it_is_kept(*place):
        row = await read(*place)
        monkeypatch.undo()
        await marking.keep(slot, "call", LATER + 1000)
        return row

    monkeypatch.setattr(ending, "_read", read_before_it_is_kept)
    await ending.release(slot, "call")
    assert await marking.take(pool, 1, holder="next", now=NOW, until=LATER) == slot


async def test_where_all_are_taken_a_call_gets_the_place_of_the_one_that_was_sent_on_to_it(
    two_processes, pool
):
    first, second = two_processes
    place = await first.take(pool, 1, holder="ivr", now=NOW, until=LATER, journey="journey")
    assert await second.take(pool, 1, holder="stranger", now=NOW, until=LATER, journey="another") is None
    assert await second.take(pool, 1, holder="agent", now=NOW, until=LATER, journey="journey") == place
    await first.keep(place, "agent", LATER + 100)
    await first.release(place, "ivr")
    assert await first.take(pool, 1, holder="ivr again", now=LATER + 1, until=LATER + 100, journey="journey")
    assert await first.take(pool, 1, holder="stranger", now=LATER + 1, until=LATER + 100) is None


async def test_a_call_without_a_journey_gets_nobody_s_place(two_processes, pool):
    store, _ = two_processes
    assert await store.take(pool, 1, holder="call-1", now=NOW, until=LATER)
    assert await store.take(pool, 1, holder="call-2", now=NOW, until=LATER) is None
