"""Calls and their callback events in Table storage.

A call's row is changed only by reading it, applying a pure function, and writing the result if nobody wrote in
between; otherwise the function runs again on what is there now.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import asdict, dataclass, field
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
from shared.core.call import CallRecord, CallTimes, HistoryEntry
from shared.core.call_state import FINAL, CallState, Cause
from shared.core.callbacks import AcsResult
from shared.core.ids import first_call_id, partition_of
from shared.core.profiles import AgentProfile
from shared.errors import StoreUnavailable

IS_OPEN = " and ".join(f"state ne '{state}'" for state in sorted(FINAL))


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """A callback event as it was appended; `at` is Unix seconds, `data` ACS's own object."""

    event_id: str
    name: str
    at: float
    data: Mapping[str, Any] = field(repr=False)


CallRow: TypeAlias = Row[CallRecord]


class TableCallStore:
    """The tables `calls` and `callevents`. All methods raise `StoreUnavailable`."""

    def __init__(self, service: TableServiceClient, slots: TableSlotStore) -> None:
        self._slots = slots
        self._calls = service.get_table_client("calls")
        self._events = service.get_table_client("callevents")

    async def create(self, record: CallRecord) -> CallRow | None:
        """Insert the row of a new call; None where it is there already (an earlier attempt wrote it)."""
        async with store_faults():
            try:
                created = await self._calls.create_entity(_to_entity(record), **INSERT_AGAIN)
            except ResourceExistsError:
                return None
            return Row(record, created["etag"])

    async def get(self, call_id: str) -> CallRecord | None:
        """Return the call, or None."""
        found = await self.read(call_id)
        return None if found is None else found.record

    async def read(self, call_id: str) -> CallRow | None:
        """Return the call's row, to be changed soon, or None."""
        async with store_faults():
            try:
                entity = await self._calls.get_entity(partition_of(call_id), call_id)
            except ResourceNotFoundError:
                return None
            return Row(_to_record(entity), etag_of(entity))

    async def change(
        self, call_id: str, mutate: Callable[[CallRecord], CallRecord], *, known: CallRow | None = None
    ) -> CallRecord:
        """Apply `mutate` to the call and return what was written; what `mutate` raises goes through.

        `mutate` may run several times, and writes nothing where it returns the record it got. A call that ends
        gives its place back. `known` is the row as it was read or written a moment ago, which saves reading it.

        Raises:
            NotFound: there is no such call.
        """
        row = await change_row(self._calls, lambda: self.read(call_id), mutate, _to_entity, known=known)
        changed = row.record
        # Though nothing was left to change: the write that ended the call may be ours, its reply lost.
        if changed.state.is_final and changed.slot is not None:
            await self._slots.give_back(changed.slot, call_id)
        return changed

    async def append_event(self, call_id: str, event: StoredEvent) -> bool:
        """Append a callback event once; False where its id is there already."""
        entity: dict[str, Any] = {
            "PartitionKey": call_id,
            "RowKey": key_of(event.event_id),
            "event_id": event.event_id,
            "name": event.name,
            "at": event.at,
        }
        put_json(entity, "pii_data", event.data)
        async with store_faults():
            try:
                await self._events.create_entity(entity, **INSERT_AGAIN)
            except ResourceExistsError:
                return False
            return True

    async def events(self, call_id: str) -> list[StoredEvent]:
        """Return the call's callback events in the order of their own time."""
        async with store_faults():
            query = self._events.query_entities("PartitionKey eq @p", parameters={"p": call_id})
            found = [
                StoredEvent(e["event_id"], e["name"], e["at"], get_json(e, "pii_data", dict[str, Any]))
                async for e in query
            ]
        return sorted(found, key=lambda event: event.at)

    async def open_calls(self, partition: str, since: float) -> list[str]:
        """Return the ids of a partition's calls that were made at `since` (Unix seconds) or later, and are not over."""
        async with store_faults():
            query = self._calls.query_entities(
                f"PartitionKey eq @p and RowKey ge @first and {IS_OPEN}",
                parameters={"p": partition, "first": first_call_id(since)},
                select=["RowKey"],
            )
            return [entity["RowKey"] async for entity in query]

    def expire(self, partition: str, before: float) -> AsyncIterator[int]:
        """Delete a partition's calls that were made before `before` (Unix seconds); yield how many, page by page."""
        parameters = {"p": partition, "first": first_call_id(before)}
        return delete_found(self._calls, "PartitionKey eq @p and RowKey lt @first", parameters)

    def expire_events(self, before: float) -> AsyncIterator[int]:
        """Delete the callback events of calls that were made before `before`, likewise."""
        return delete_found(self._events, "PartitionKey lt @first", {"first": first_call_id(before)})


def _to_entity(record: CallRecord) -> dict[str, Any]:
    entity: dict[str, Any] = {
        "PartitionKey": partition_of(record.call_id),
        "RowKey": record.call_id,
        "account_id": record.account_id,
        "state": record.state.value,
        "profile_name": record.profile.name,
        "pii_caller": record.caller,
        "pii_called": record.called,
        "correlation_id": record.correlation_id,
        "server_call_id": record.server_call_id,
        "media_jti": record.media_jti,
        "media_jti_used": record.media_jti_used,
        "media_asked": record.media_asked,
        "epoch": record.epoch,
        "traceparent": record.traceparent,
        "history_dropped": record.history_dropped,
    }
    optional: dict[str, str | int | float | None] = {
        "cause": record.cause and record.cause.value,
        "call_connection_id": record.call_connection_id,
        "owner": record.owner,
        "slot": record.slot,
        "media_grant_until": record.media_grant_until,
        "pii_return_to": record.return_to,
        "pii_task": record.task or None,
    }
    if record.acs_result is not None:
        optional |= {f"acs_{name}": value for name, value in asdict(record.acs_result).items()}
    entity.update({name: value for name, value in optional.items() if value is not None})
    put_json(entity, "profile", record.profile)
    put_json(entity, "pii_variables", record.variables)
    put_json(entity, "pii_output", record.output)
    put_json(entity, "times", record.times)
    put_json(entity, "history", record.history)
    return entity


def _to_record(entity: Mapping[str, Any]) -> CallRecord:
    cause = entity.get("cause")
    try:
        return CallRecord(
            call_id=entity["RowKey"],
            account_id=entity["account_id"],
            profile=get_json(entity, "profile", AgentProfile),
            caller=entity["pii_caller"],
            called=entity["pii_called"],
            correlation_id=entity["correlation_id"],
            server_call_id=entity["server_call_id"],
            variables=get_json(entity, "pii_variables", dict[str, str]),
            media_jti=entity["media_jti"],
            traceparent=entity["traceparent"],
            times=get_json(entity, "times", CallTimes),
            state=CallState(entity["state"]),
            cause=None if cause is None else Cause(cause),
            acs_result=_to_result(entity),
            call_connection_id=entity.get("call_connection_id"),
            media_jti_used=entity["media_jti_used"],
            owner=entity.get("owner"),
            slot=entity.get("slot"),
            output=get_json(entity, "pii_output", dict[str, str]),
            return_to=entity.get("pii_return_to"),
            task=entity.get("pii_task", ""),
            epoch=entity["epoch"],
            media_asked=entity.get("media_asked", ""),
            media_grant_until=entity.get("media_grant_until"),
            history=get_json(entity, "history", tuple[HistoryEntry, ...]),
            history_dropped=entity["history_dropped"],
        )
    except (KeyError, ValueError, msgspec.MsgspecError) as error:
        raise StoreUnavailable("a call's row cannot be read") from error


def _to_result(entity: Mapping[str, Any]) -> AcsResult | None:
    if "acs_code" not in entity:
        return None
    return AcsResult(entity["acs_code"], entity["acs_sub_code"], entity["acs_sip_code"])
