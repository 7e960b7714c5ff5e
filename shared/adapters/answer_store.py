"""Calls of late in Table storage, so that every process counts the answers of all of them: a partition a minute."""

from collections.abc import AsyncIterator

from azure.data.tables import UpdateMode
from azure.data.tables.aio import TableServiceClient

from shared.adapters.tables import delete_found, store_faults

MINUTE_S = 60


class TableAnswerStore:
    """The table `answers`. All methods raise `StoreUnavailable`."""

    def __init__(self, service: TableServiceClient) -> None:
        self._table = service.get_table_client("answers")

    async def add(self, call_id: str, at: float) -> None:
        """Note that a call is being answered at `at` (Unix seconds)."""
        entity = {"PartitionKey": _minute(at), "RowKey": call_id, "at": at}
        async with store_faults():
            await self._table.upsert_entity(entity, mode=UpdateMode.REPLACE)

    async def since(self, at: float) -> dict[str, float]:
        """Return the calls answered after `at` (Unix seconds), each with its time."""
        async with store_faults():
            query = self._table.query_entities(
                # A range, for storage may go through the whole table for partitions that are named with `or`.
                "PartitionKey ge @first and at gt @at",
                parameters={"first": _minute(at), "at": at},
            )
            return {entity["RowKey"]: entity["at"] async for entity in query}

    def expire(self, before: float) -> AsyncIterator[int]:
        """Delete the calls of minutes before that of `before` (Unix seconds); yield how many, page by page."""
        return delete_found(self._table, "PartitionKey lt @minute", {"minute": _minute(before)})


def _minute(at: float) -> str:
    return f"{int(at // MINUTE_S):010}"
