"""Pods in their table."""

import uuid

from shared.adapters.pod_store import TablePodStore
from shared.core.admission import PodLoad


async def test_a_pod_s_last_word_counts_until_it_leaves(tables):
    store, name = TablePodStore(tables), f"pod-{uuid.uuid4()}"
    await store.beat(PodLoad(name, 1, 10, 1000.0))
    await store.beat(PodLoad(name, 2, 10, 1001.0))
    assert [pod for pod in await store.since(0) if pod.name == name] == [PodLoad(name, 2, 10, 1001.0)]
    assert name not in [pod.name for pod in await store.since(1001.5)]
    await store.remove(name)
    assert name not in [pod.name for pod in await store.since(0)]
