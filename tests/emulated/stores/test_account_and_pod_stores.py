"""Accounts and pods in their tables."""

import uuid

import pytest

from shared.adapters.account_store import TableAccountStore
from shared.adapters.pod_store import TablePodStore
from shared.core.admission import PodLoad
from shared.errors import Conflict
from shared.security.accounts import Account, hash_secret


async def test_an_account_comes_back_and_its_api_id_is_taken(tables):
    store = TableAccountStore(tables)
    account = Account("demo", "Demo Ltd", f"id/{uuid.uuid4()}", (hash_secret("x" * 20),), created=1000.0)
    await store.create(account)
    assert await store.by_api_id(account.api_id) == account
    assert account in await store.all()
    with pytest.raises(Conflict):
        await store.create(account)


@pytest.mark.parametrize("api_id", ["nobody", "a/b\\c#d?e", "\x00\x7f", "\u00e9" * 5000, "\udcff"])
async def test_a_stranger_s_api_id_is_simply_not_there(tables, api_id):
    assert await TableAccountStore(tables).by_api_id(api_id) is None


async def test_a_pod_s_last_word_counts_until_it_leaves(tables):
    store, name = TablePodStore(tables), f"pod-{uuid.uuid4()}"
    await store.beat(PodLoad(name, 1, 10, 1000.0))
    await store.beat(PodLoad(name, 2, 10, 1001.0))
    assert [pod for pod in await store.since(0) if pod.name == name] == [PodLoad(name, 2, 10, 1001.0)]
    assert name not in [pod.name for pod in await store.since(1001.5)]
    await store.remove(name)
    assert name not in [pod.name for pod in await store.since(0)]
