"""Accounts in Table storage: one partition, keyed by API id."""

from collections.abc import Mapping
from typing import Any

from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError
from azure.data.tables.aio import TableServiceClient

from shared.adapters.tables import get_json, key_of, put_json, store_faults
from shared.errors import Conflict
from shared.security.accounts import Account

PARTITION = "account"


class TableAccountStore:
    """Reads and creates accounts."""

    def __init__(self, service: TableServiceClient) -> None:
        self._table = service.get_table_client("accounts")

    async def by_api_id(self, api_id: str) -> Account | None:
        """Return the account of an API id, or None. Raises `StoreUnavailable`."""
        async with store_faults():
            try:
                return _to_account(await self._table.get_entity(PARTITION, key_of(api_id)))
            except ResourceNotFoundError:
                return None

    async def create(self, account: Account) -> None:
        """Add an account. Raises `Conflict` where the API id is taken, and `StoreUnavailable`."""
        async with store_faults():
            try:
                await self._table.create_entity(_to_entity(account))
            except ResourceExistsError:
                raise Conflict("the API id is taken") from None

    async def all(self) -> list[Account]:
        """Return every account. Raises `StoreUnavailable`."""
        async with store_faults():
            query = self._table.query_entities("PartitionKey eq @p", parameters={"p": PARTITION})
            return [_to_account(entity) async for entity in query]


def _to_entity(account: Account) -> dict[str, Any]:
    entity: dict[str, Any] = {
        "PartitionKey": PARTITION,
        "RowKey": key_of(account.api_id),
        "account_id": account.account_id,
        "name": account.name,
        "api_id": account.api_id,
        "enabled": account.enabled,
        "created": account.created,
    }
    put_json(entity, "secret_hashes", account.secret_hashes)
    return entity


def _to_account(entity: Mapping[str, Any]) -> Account:
    return Account(
        account_id=entity["account_id"],
        name=entity["name"],
        api_id=entity["api_id"],
        secret_hashes=get_json(entity, "secret_hashes", tuple[str, ...]),
        enabled=entity["enabled"],
        created=entity["created"],
    )
