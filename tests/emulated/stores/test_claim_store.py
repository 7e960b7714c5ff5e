"""A claim is inserted by one, and changed only by who read it last."""

import asyncio
import uuid

import pytest

from shared.adapters.claim_store import TableClaimStore
from shared.core.claims import Outcome, finished, taken_over
from tests.support.records import claim


@pytest.fixture
def store(tables):
    return TableClaimStore(tables)


def fresh_claim(**changes):
    return claim(key=uuid.uuid4().hex, **changes)


async def test_a_claim_comes_back_as_it_was_written(store):
    mine = fresh_claim()
    etag = await store.insert(mine)
    assert await store.read(mine.key) == (mine, etag)
    done = finished(mine, Outcome.ANSWERED)
    assert await store.replace(done, etag)
    found = await store.read(mine.key)
    assert found is not None
    assert found[0] == done


async def test_of_many_deliveries_at_once_one_wins(store):
    claims = [fresh_claim() for _ in range(8)]
    claims = [claim(key=claims[0].key) for _ in claims]
    etags = await asyncio.gather(*(store.insert(each) for each in claims))
    assert sum(etag is not None for etag in etags) == 1


async def test_of_many_that_take_over_one_wins(store):
    mine = fresh_claim()
    etag = await store.insert(mine)
    written = await asyncio.gather(
        *(store.replace(taken_over(mine, "x", 2000.0, 8.0), etag) for _ in range(6))
    )
    assert sum(new is not None for new in written) == 1


async def test_a_claim_nobody_made_is_not_there(store):
    assert await store.read(uuid.uuid4().hex) is None


@pytest.mark.parametrize("event_id", ["d5546be8-227a", "odd/#?\\ id \u00e9", "x" * 900])
async def test_a_claim_is_found_by_its_event_whatever_the_id_looks_like(store, event_id):
    event_id = f"{uuid.uuid4().hex}{event_id}"
    await store.index_event(event_id, "the-key")
    assert await store.key_of_event(event_id) == "the-key"
    assert await store.key_of_event("another") is None
