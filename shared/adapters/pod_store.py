"""Pods' heartbeats in Table storage: one partition, one row a pod."""

from collections.abc import AsyncIterator, Mapping
from math import inf
from typing import Any
from uuid import UUID

from azure.core.exceptions import ResourceNotFoundError
from azure.data.tables import UpdateMode
from azure.data.tables.aio import TableServiceClient

from shared.adapters.tables import delete_found, store_faults
from shared.core.admission import PodLoad

PARTITION = "pod"
ID_BYTES = 16
"""A call's id is a UUID."""
MAX_HELD = 64 * 1024 // ID_BYTES
"""Calls that a row names: a property holds 64 KiB. Those beyond are not named, and left to upkeep if the pod dies."""


class TablePodStore:
    """The table `pods`. All methods raise `StoreUnavailable`."""

    def __init__(self, service: TableServiceClient) -> None:
        self._table = service.get_table_client("pods")

    async def beat(self, load: PodLoad) -> None:
        """Write what a pod says of itself."""
        entity = {
            "PartitionKey": PARTITION,
            "RowKey": load.name,
            "calls": load.calls,
            "capacity": load.capacity,
            "at": load.at,
            "held": b"".join(UUID(call_id).bytes for call_id in load.held[:MAX_HELD]),
        }
        async with store_faults():
            await self._table.upsert_entity(entity, mode=UpdateMode.REPLACE)

    async def remove(self, name: str) -> None:
        """Forget a pod that stopped in order."""
        async with store_faults():
            await self._table.delete_entity(PARTITION, name)

    async def since(self, at: float) -> list[PodLoad]:
        """Return the last word of every pod that beat since `at` (Unix seconds); a row of another make is skipped."""
        async with store_faults():
            parameters = {"p": PARTITION, "at": at}
            query = self._table.query_entities(
                "PartitionKey eq @p and at ge @at",
                parameters=parameters,
                select=["RowKey", "calls", "capacity", "at"],
            )
            return [load for entity in [e async for e in query] if (load := _to_load(entity)) is not None]

    async def beats(self) -> dict[str, float]:
        """Return when every pod last beat, in Unix seconds.

        A row of another make counts as a beat that never grows old: its pod may be alive.
        """
        async with store_faults():
            query = self._table.query_entities(
                "PartitionKey eq @p", parameters={"p": PARTITION}, select=["RowKey", "at"]
            )
            return {entity["RowKey"]: _beat(entity) async for entity in query}

    async def held(self, name: str) -> list[str]:
        """Return the ids of the calls that a pod said last it owns; none where its row is gone."""
        async with store_faults():
            try:
                entity = await self._table.get_entity(PARTITION, name, select=["held"])
            except ResourceNotFoundError:
                return []
        ids = entity.get("held", b"")
        return [str(UUID(bytes=ids[at : at + ID_BYTES])) for at in range(0, len(ids), ID_BYTES)]

    def expire(self, before: float) -> AsyncIterator[int]:
        """Forget the pods that last beat before `before` (Unix seconds); yield how many, page by page."""
        return delete_found(
            self._table, "PartitionKey eq @p and at lt @before", {"p": PARTITION, "before": before}
        )


def _beat(entity: Mapping[str, Any]) -> float:
    try:
        return float(entity["at"])
    except (KeyError, TypeError, ValueError):
        return inf


def _to_load(entity: Mapping[str, Any]) -> PodLoad | None:
    try:
        return PodLoad(entity["RowKey"], int(entity["calls"]), int(entity["capacity"]), float(entity["at"]))
    except (KeyError, TypeError, ValueError):
        return None
