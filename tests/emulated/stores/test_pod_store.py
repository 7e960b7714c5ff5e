"""Pods in their table."""

import uuid

from shared.adapters.pod_store import MAX_HELD, TablePodStore
from shared.core.admission import PodLoad
from shared.core.ids import new_call_id


async def test_a_pod_s_last_word_counts_until_it_leaves(tables):
    store, name = TablePodStore(tables), f"pod-{uuid.uuid4()}"
    await store.beat(PodLoad(name, 1, 10, 1000.0))
    await store.beat(PodLoad(name, 2, 10, 1001.0))
    assert [pod for pod in await store.since(0) if pod.name == name] == [PodLoad(name, 2, 10, 1001.0)]
    assert name not in [pod.name for pod in await store.since(1001.5)]
    await store.remove(name)
    assert name not in [pod.name for pod in await store.since(0)]


async def test_a_pod_names_the_calls_it_holds_to_who_asks_for_them(tables):
    store, name = TablePodStore(tables), f"pod-{uuid.uuid4()}"
    held = tuple(new_call_id() for _ in range(3))
    await store.beat(PodLoad(name, 3, 10, 1000.0, held))

    assert await store.held(name) == list(held)
    assert (await store.beats())[name] == 1000.0
    assert [pod.held for pod in await store.since(0) if pod.name == name] == [()]
    await store.remove(name)
    assert await store.held(name) == []


async def test_a_pod_that_holds_more_than_a_row_takes_names_as_many_as_it_does(tables):
    store, name = TablePodStore(tables), f"pod-{uuid.uuid4()}"
    held = tuple(new_call_id() for _ in range(MAX_HELD + 1))
    await store.beat(PodLoad(name, len(held), len(held), 1000.0, held))

    assert await store.held(name) == list(held[:MAX_HELD])
    await store.remove(name)
