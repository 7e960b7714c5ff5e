"""Accounts in their table: ids are given out once, and no change of one operator is lost to another's."""

import asyncio
import uuid
from dataclasses import replace

import pytest

from emulator.faults import Status, When
from shared.adapters.account_store import TableAccountStore
from shared.adapters.connect import LocalCredential
from shared.adapters.tables import open_tables
from shared.config import StorageSettings
from shared.errors import Conflict, NotFound
from shared.security.accounts import Account, hash_secret
from tests.support.gateway import behind_proxies, running_emulator

HASH = hash_secret("a-good-secret-of-a-subscription")


def account(**changes):
    return Account(**{"account_id": f"a-{uuid.uuid4()}", "name": "Demo Ltd", "api_id": f"id/{uuid.uuid4()}",
                      "secret_hashes": (HASH,), "created": 1000.0} | changes)  # fmt: skip


LOST = Status(status=503, when=When.AFTER)


@pytest.fixture
async def faulty(tables, azurite):
    """A store behind the emulator's storage faults, and the faults."""
    async with running_emulator(**behind_proxies(azurite)) as emulator:
        settings = StorageSettings(None, emulator.storage_connection_string)
        async with open_tables(settings, LocalCredential()) as service:
            yield TableAccountStore(service), emulator.faults


async def test_an_account_comes_back_with_all_that_is_set(tables):
    store = TableAccountStore(tables)
    made = account(
        enabled=False, api_id_header="x-id", api_secret_header="x-secret", max_calls=3,
        blocked_callers=frozenset(f"4:+1425555{n:04}" for n in range(1000)), overflow_to="4:+14255550100",
    )  # fmt: skip
    await store.create(made)
    assert await store.get(made.account_id) == made
    assert made in await store.all()
    plain = await store.change(
        made.account_id, lambda a: replace(a, max_calls=None, blocked_callers=frozenset(), overflow_to=None)
    )
    assert await store.get(made.account_id) == plain
    assert plain.blocked_callers == frozenset()


@pytest.mark.parametrize("api_id", ["a/b\\c#d?e", "\x00\x7f", "\u00e9" * 2000])
async def test_an_api_id_is_any_text(tables, api_id):
    store, api_id = TableAccountStore(tables), f"{api_id}{uuid.uuid4()}"
    made = account(api_id=api_id)
    await store.create(made)
    assert await store.get(made.account_id) == made


async def test_personal_data_stands_in_columns_that_say_so(tables):
    made = account(blocked_callers=frozenset({"4:+14255550100"}), overflow_to="4:+14255550177")
    await TableAccountStore(tables).create(made)
    row = await tables.get_table_client("accounts").get_entity("account", f"id-{made.account_id}")
    assert {name for name, value in row.items() if "4255550" in str(value)} == {
        "pii_blocked_callers_0", "pii_overflow_to",
    }  # fmt: skip


async def test_neither_id_is_given_out_twice(tables):
    store, first = TableAccountStore(tables), account()
    await store.create(first)
    with pytest.raises(Conflict, match="the account exists already"):
        await store.create(account(account_id=first.account_id))
    second = account(api_id=first.api_id)
    with pytest.raises(Conflict, match="the API id is taken"):
        await store.create(second)
    assert await store.get(second.account_id) is None


async def test_of_accounts_made_at_once_with_one_id_a_single_one_is_made(tables):
    store, account_id = TableAccountStore(tables), f"a-{uuid.uuid4()}"
    made = [account(account_id=account_id, name=str(n)) for n in range(8)]
    results = await asyncio.gather(*map(store.create, made), return_exceptions=True)
    (winner,) = [item for item, result in zip(made, results, strict=True) if result is None]
    assert await store.get(account_id) == winner
    assert sum(isinstance(result, Conflict) for result in results) == 7


async def test_changes_made_at_once_all_count(tables):
    store, made = TableAccountStore(tables), account()
    await store.create(made)
    await asyncio.gather(
        *(
            store.change(
                made.account_id, lambda a, n=n: replace(a, blocked_callers=a.blocked_callers | {f"4:+{n}"})
            )
            for n in range(8)
        )
    )
    changed = await store.get(made.account_id)
    assert changed is not None
    assert changed.blocked_callers == {f"4:+{n}" for n in range(8)}


async def test_what_does_not_exist_is_not_changed(tables):
    with pytest.raises(NotFound, match="no such account"):
        await TableAccountStore(tables).change("nobody", lambda a: a)


async def test_an_account_whose_creation_lost_its_reply_is_created(faulty):
    (store, faults), made = faulty, account()
    faults.fail_next("storage.batch:accounts", LOST)
    await store.create(made)
    assert await store.get(made.account_id) == made


async def test_a_change_whose_reply_is_lost_is_made_once(faulty):
    (store, faults), made = faulty, account()
    await store.create(made)
    runs = []

    def longer(a):
        runs.append(a)
        if len(runs) == 1:
            faults.fail_next("storage.updateEntity:accounts", LOST)
        return replace(a, name=a.name + "!")

    assert (await store.change(made.account_id, longer)).name == "Demo Ltd!"
    assert await store.get(made.account_id) == replace(made, name="Demo Ltd!")
    assert len(runs) == 1
