"""Accounts in Table storage: one partition, a row for each account, and one that reserves its API id.

Both rows are written in one transaction, so neither an account id nor an API id is ever given out twice. The row
that reserves keeps a hash for a key, because an API id may be any text.
"""

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

from azure.core import MatchConditions
from azure.core.exceptions import HttpResponseError, ResourceModifiedError, ResourceNotFoundError
from azure.data.tables import TransactionOperation, UpdateMode
from azure.data.tables.aio import TableServiceClient

from shared.adapters.tables import etag_of, get_json, key_of, put_json, store_faults
from shared.errors import Conflict, NotFound, StoreUnavailable
from shared.security.accounts import Account

PARTITION = "account"
ROW = "id-"
ROWS_END = "id."
"""The first key that sorts after every key which begins with `ROW`."""
RESERVED = "api-"

MAX_CONFLICTS = 16
"""Writers are operators; more conflicts than this is no contention."""


class TableAccountStore:
    """Creates, reads and changes accounts. All methods raise `StoreUnavailable`."""

    def __init__(self, service: TableServiceClient) -> None:
        self._table = service.get_table_client("accounts")

    async def create(self, account: Account) -> None:
        """Add an account.

        Raises:
            Conflict: the account id or the API id is taken.
        """
        reserved = {
            "PartitionKey": PARTITION,
            "RowKey": RESERVED + key_of(account.api_id),
            "account_id": account.account_id,
        }
        async with store_faults():
            try:
                await self._table.submit_transaction(
                    [(TransactionOperation.CREATE, row) for row in (_to_entity(account), reserved)]
                )
            except HttpResponseError as error:
                if error.status_code != HTTPStatus.CONFLICT:
                    raise
                there = await self.get(account.account_id)
                if there is None:
                    raise Conflict("the API id is taken") from None
                # Where it is ours, the reply was lost, and the client's second try met the first.
                if there != account:
                    raise Conflict("the account exists already") from None

    async def get(self, account_id: str) -> Account | None:
        """Return the account, or None."""
        found = await self._read(account_id)
        return None if found is None else found[0]

    async def all(self) -> list[Account]:
        """Return every account."""
        async with store_faults():
            query = self._table.query_entities(
                "PartitionKey eq @partition and RowKey ge @first and RowKey lt @end",
                parameters={"partition": PARTITION, "first": ROW, "end": ROWS_END},
            )
            return [_to_account(entity) async for entity in query]

    async def change(self, account_id: str, mutate: Callable[[Account], Account]) -> Account:
        """Apply `mutate` to the account and return what was written; what `mutate` raises goes through.

        `mutate` may run several times, keeps both ids, and writes nothing where it returns an equal account.

        Raises:
            NotFound: there is no such account.
        """
        tried: Account | None = None
        for _ in range(MAX_CONFLICTS):
            found = await self._read(account_id)
            if found is None:
                raise NotFound("no such account")
            account, etag = found
            # A conflict with our own write: its reply was lost. To mutate again would rotate a secret twice.
            if account == tried:
                return account
            changed = mutate(account)
            if changed == account:
                return account
            async with store_faults():
                try:
                    await self._table.update_entity(
                        _to_entity(changed),
                        mode=UpdateMode.REPLACE,
                        etag=etag,
                        match_condition=MatchConditions.IfNotModified,
                    )
                except ResourceModifiedError:
                    tried = changed
                    continue
                return changed
        raise StoreUnavailable("the account's row changes too often")

    async def _read(self, account_id: str) -> tuple[Account, str] | None:
        async with store_faults():
            try:
                entity = await self._table.get_entity(PARTITION, ROW + account_id)
            except ResourceNotFoundError:
                return None
            return _to_account(entity), etag_of(entity)


def _to_entity(account: Account) -> dict[str, Any]:
    entity: dict[str, Any] = {
        "PartitionKey": PARTITION,
        "RowKey": ROW + account.account_id,
        "account_id": account.account_id,
        "name": account.name,
        "api_id": account.api_id,
        "enabled": account.enabled,
        "created": account.created,
        "api_id_header": account.api_id_header,
        "api_secret_header": account.api_secret_header,
    }
    optional = {"max_calls": account.max_calls, "pii_overflow_to": account.overflow_to}
    entity.update({name: value for name, value in optional.items() if value is not None})
    put_json(entity, "secret_hashes", account.secret_hashes)
    put_json(entity, "pii_blocked_callers", sorted(account.blocked_callers))
    return entity


def _to_account(entity: Mapping[str, Any]) -> Account:
    return Account(
        account_id=entity["account_id"],
        name=entity["name"],
        api_id=entity["api_id"],
        secret_hashes=get_json(entity, "secret_hashes", tuple[str, ...]),
        enabled=entity["enabled"],
        created=entity["created"],
        api_id_header=entity["api_id_header"],
        api_secret_header=entity["api_secret_header"],
        max_calls=entity.get("max_calls"),
        blocked_callers=get_json(entity, "pii_blocked_callers", frozenset[str]),
        overflow_to=entity.get("pii_overflow_to"),
    )
