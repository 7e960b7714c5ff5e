"""Calls at the IVR in Table storage.

<end of call id>, <call id>            a call
journey-<hash of correlation id>, <call id>   one for each call of a journey
open, <call id>                               one for each call that is not known to be over
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import UTC, datetime
from typing import Any, TypeAlias

import msgspec
from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError
from azure.data.tables.aio import TableServiceClient

from shared.adapters.slot_store import TableSlotStore
from shared.adapters.tables import (
    INSERT_AGAIN,
    Row,
    change_row,
    delete_found,
    etag_of,
    get_json,
    key_of,
    put_json,
    store_faults,
)
from shared.core.ids import partition_of
from shared.core.ivr_call import IvrCall
from shared.errors import StoreUnavailable

OPEN = "open"
MAX_JOURNEY_ROWS = 100
"""That are read of one journey: more than any has that is not refused."""


IvrRow: TypeAlias = Row[IvrCall]


class TableIvrStore:
    """The table `ivrcalls`. All methods raise `StoreUnavailable`."""

    def __init__(self, service: TableServiceClient, slots: TableSlotStore) -> None:
        self._slots = slots
        self._table = service.get_table_client("ivrcalls")

    async def create(self, call: IvrCall) -> bool:
        """Insert the rows of a new call; False where they are there already (an earlier attempt wrote them)."""
        found_by = [{"PartitionKey": OPEN, "RowKey": call.call_id}]
        if call.correlation_id:
            found_by.append({"PartitionKey": _journey(call.correlation_id), "RowKey": call.call_id})
        await asyncio.gather(*(self._insert(each) for each in found_by))
        return await self._insert(_to_entity(call))

    async def read(self, call_id: str) -> IvrRow | None:
        """Return the call's row, or None."""
        async with store_faults():
            try:
                entity = await self._table.get_entity(partition_of(call_id), call_id)
            except ResourceNotFoundError:
                return None
            return Row(_to_call(entity), etag_of(entity))

    async def change(
        self, call_id: str, mutate: Callable[[IvrCall], IvrCall], *, known: IvrRow | None = None
    ) -> IvrRow:
        """Apply `mutate` to the call and return what was written; what `mutate` raises goes through.

        `mutate` may run several times, and writes nothing where it returns the call it got. A call that ends gives its
        place back. `known` is the row as it was read or written a moment ago.

        Raises:
            NotFound: there is no such call.
        """
        row = await change_row(self._table, lambda: self.read(call_id), mutate, _to_entity, known=known)
        if row.record.ended is not None and row.record.slot is not None:
            await self._slots.give_back(row.record.slot, call_id)
        return row

    async def journey(self, correlation_id: str) -> list[IvrCall]:
        """Return the calls of a journey, the oldest first."""
        async with store_faults():
            query = self._table.query_entities(
                "PartitionKey eq @p", parameters={"p": _journey(correlation_id)}, select=["RowKey"]
            )
            ids = sorted([entity["RowKey"] async for entity in query])
        rows = [await self.read(call_id) for call_id in ids[-MAX_JOURNEY_ROWS:]]
        return [row.record for row in rows if row is not None]

    async def open_calls(self) -> list[str]:
        """Return the ids of the calls that are not known to be over."""
        async with store_faults():
            query = self._table.query_entities(
                "PartitionKey eq @p", parameters={"p": OPEN}, select=["RowKey"]
            )
            return [entity["RowKey"] async for entity in query]

    async def close(self, call_id: str) -> None:
        """Take a call out of those that `open_calls` finds."""
        async with store_faults():
            await self._table.delete_entity(OPEN, call_id)

    def expire(self, before: float) -> AsyncIterator[int]:
        """Delete every row that was last written before `before` (Unix seconds); yield how many, page by page."""
        return delete_found(
            self._table, "Timestamp lt @before", {"before": datetime.fromtimestamp(before, UTC)}
        )

    async def _insert(self, entity: dict[str, Any]) -> bool:
        async with store_faults():
            try:
                await self._table.create_entity(entity, **INSERT_AGAIN)
            except ResourceExistsError:
                return False
            return True


def _journey(correlation_id: str) -> str:
    return f"journey-{key_of(correlation_id)}"


def _to_entity(call: IvrCall) -> dict[str, Any]:
    entity: dict[str, Any] = {
        "PartitionKey": partition_of(call.call_id),
        "RowKey": call.call_id,
        "account_id": call.account_id,
        "flow": call.flow,
        "step": call.state.step,
        "correlation_id": call.correlation_id,
    }
    if call.state.outcome is not None:
        entity["outcome"] = call.state.outcome.value
    put_json(entity, "pii_call", call)
    return entity


def _to_call(entity: Mapping[str, Any]) -> IvrCall:
    try:
        return get_json(entity, "pii_call", IvrCall)
    except msgspec.MsgspecError as error:
        raise StoreUnavailable("a call's row cannot be read") from error
