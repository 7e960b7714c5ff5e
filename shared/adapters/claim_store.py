"""Claims on ringing calls in Table storage: inserted once, changed only by who read them last."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from azure.core import MatchConditions
from azure.core.exceptions import ResourceExistsError, ResourceModifiedError, ResourceNotFoundError
from azure.data.tables import UpdateMode
from azure.data.tables.aio import TableServiceClient

from shared.adapters.tables import INSERT_AGAIN, delete_found, etag_of, key_of, store_faults
from shared.core.call_state import CallEvent
from shared.core.claims import Claim, Outcome

ROW = "claim"


class TableClaimStore:
    """The table `incoming`. All methods raise `StoreUnavailable`."""

    def __init__(self, service: TableServiceClient) -> None:
        self._table = service.get_table_client("incoming")

    async def insert(self, claim: Claim) -> str | None:
        """Insert the claim and return its ETag; None where another delivery was first."""
        async with store_faults():
            try:
                created = await self._table.create_entity(_to_entity(claim), **INSERT_AGAIN)
            except ResourceExistsError:
                return None
            etag: str = created["etag"]
            return etag

    async def read(self, key: str) -> tuple[Claim, str] | None:
        """Return the claim and its ETag."""
        async with store_faults():
            try:
                entity = await self._table.get_entity(key, ROW)
            except ResourceNotFoundError:
                return None
            return _to_claim(entity), etag_of(entity)

    async def replace(self, claim: Claim, etag: str) -> str | None:
        """Write the claim if nobody wrote it since; return the new ETag, or None for the loser."""
        async with store_faults():
            try:
                written = await self._table.update_entity(
                    _to_entity(claim),
                    mode=UpdateMode.REPLACE,
                    etag=etag,
                    match_condition=MatchConditions.IfNotModified,
                )
            except (ResourceModifiedError, ResourceNotFoundError):
                return None
            new_etag: str = written["etag"]
            return new_etag

    async def index_event(self, event_id: str, key: str) -> None:
        """Make the claim findable by the Event Grid event that brought the call (dead letters name it)."""
        entity = {"PartitionKey": f"event-{key_of(event_id)}", "RowKey": ROW, "claim_key": key}
        async with store_faults():
            await self._table.upsert_entity(entity, mode=UpdateMode.REPLACE)

    async def may_redirect(self, correlation_id: str, call_id: str) -> bool:
        """Whether the journey was not redirected yet, or by this very call; notes that it is now.

        A redirected call that comes back to one of our numbers keeps its correlation id.
        """
        key = f"redirected-{key_of(correlation_id)}"
        async with store_faults():
            try:
                await self._table.create_entity(
                    {"PartitionKey": key, "RowKey": ROW, "call_id": call_id}, **INSERT_AGAIN
                )
            except ResourceExistsError:
                found = await self._table.get_entity(key, ROW)
                return bool(found["call_id"] == call_id)
            return True

    async def key_of_event(self, event_id: str) -> str | None:
        """Return the key of the claim that an event led to."""
        async with store_faults():
            try:
                entity = await self._table.get_entity(f"event-{key_of(event_id)}", ROW)
            except ResourceNotFoundError:
                return None
            key: str = entity["claim_key"]
            return key

    def expire(self, before: float) -> AsyncIterator[int]:
        """Delete every row that was last written before `before` (Unix seconds); yield how many, page by page."""
        written = {"before": datetime.fromtimestamp(before, UTC)}
        return delete_found(self._table, "Timestamp lt @before", written)


def _to_entity(claim: Claim) -> dict[str, Any]:
    entity = {name: value for name, value in asdict(claim).items() if value is not None}
    entity["closed_by"] = " ".join(claim.closed_by)
    if claim.outcome is not None:
        entity["outcome"] = claim.outcome.value
    return {"PartitionKey": entity.pop("key"), "RowKey": ROW, **entity}


def _to_claim(entity: Mapping[str, Any]) -> Claim:
    outcome = entity.get("outcome")
    return Claim(
        key=entity["PartitionKey"],
        event_id=entity["event_id"],
        account_id=entity["account_id"],
        call_id=entity["call_id"],
        media_jti=entity["media_jti"],
        repeatability_id=entity["repeatability_id"],
        made_at=entity["made_at"],
        holder=entity["holder"],
        lease_until=entity["lease_until"],
        attempts=entity["attempts"],
        outcome=None if outcome is None else Outcome(outcome),
        closed_by=tuple(map(CallEvent, entity["closed_by"].split())),
    )
