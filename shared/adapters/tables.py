"""Table storage: one client for all tables, its faults as ours, and text longer than a property may be."""

import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any, Generic, TypeVar

import msgspec
from azure.core import MatchConditions
from azure.core.credentials_async import AsyncTokenCredential
from azure.core.exceptions import AzureError, HttpResponseError, ResourceModifiedError
from azure.data.tables import TableEntity, UpdateMode
from azure.data.tables.aio import TableClient, TableServiceClient

from shared.adapters.transport import transport_options
from shared.config import StorageSettings
from shared.errors import BodyTooLarge, NotFound, StoreUnavailable
from shared.in_turns import in_turns

T = TypeVar("T")

TABLES = ("accounts", "incoming", "calls", "callevents", "ivrcalls", "pods", "answers", "slots")

CONNECT_TIMEOUT_S = 2
READ_TIMEOUT_S = 3
RETRIES = 1
"""A caller is waiting: one quick second try, and then the fault goes up to who can decide."""

INSERT_AGAIN: Mapping[str, Any] = MappingProxyType({"retry_on_methods": frozenset({"POST"})})
"""Options of an insert: the client sends it again after a lost connection or reply, as it does all else but POSTs.
The second then meets the first, which whoever inserts has to know for their own."""

PIECE_CHARS = 16_000
"""A string property holds 64 KiB of UTF-16, so 16 K characters of any kind; longer text is cut into pieces."""

DELETED_AT_ONCE = 16
"""Rows of a page, all of which are deleted at the same time: calls are answered beside it."""

MAX_JSON_BYTES = 480 * 1024
"""A row holds 1 MiB, of UTF-16 where it is text, which is at most twice as long as UTF-8."""

MAX_CONFLICTS = 16
"""Writers of a call's row are the pod that owns it and a few callbacks; more conflicts than this is no contention."""


@dataclass(frozen=True, slots=True)
class Row(Generic[T]):
    """What a row holds, and its ETag when it was read or written."""

    record: T
    etag: str


def open_tables(settings: StorageSettings, credential: AsyncTokenCredential) -> TableServiceClient:
    """Return a client, not yet connected, for one storage account; a connection string needs no credential."""
    options: dict[str, Any] = {
        "retry_total": RETRIES,
        "retry_backoff_factor": 0.1,
        "connection_timeout": CONNECT_TIMEOUT_S,
        "read_timeout": READ_TIMEOUT_S,
        **transport_options(),
    }
    if settings.connection_string is not None:
        return TableServiceClient.from_connection_string(settings.connection_string, **options)
    return TableServiceClient(endpoint=settings.table_endpoint or "", credential=credential, **options)


async def create_tables(service: TableServiceClient) -> None:
    """Create the tables that are not there yet."""
    async with store_faults():
        for name in TABLES:
            await service.create_table_if_not_exists(name)


@asynccontextmanager
async def store_faults() -> AsyncIterator[None]:
    """Turn whatever storage says that the code inside does not handle into `StoreUnavailable`."""
    try:
        yield
    except HttpResponseError as error:
        if error.status_code is not None:
            raise StoreUnavailable(f"table storage answered {error.status_code}") from error
        raise StoreUnavailable("table storage could not be asked: no token, or no answer") from error
    except (AzureError, TimeoutError) as error:
        raise StoreUnavailable("table storage did not answer") from error
    except AttributeError as error:
        # The SDK looks for the headers of an answer that broke off half-way, and has none.
        if not isinstance(error.__context__, AzureError):
            raise
        raise StoreUnavailable("table storage broke off its answer") from error


async def change_row(
    table: TableClient,
    read: Callable[[], Awaitable[Row[T] | None]],
    mutate: Callable[[T], T],
    to_entity: Callable[[T], dict[str, Any]],
    *,
    known: Row[T] | None,
) -> Row[T]:
    """Apply `mutate` to a call, and write that if nobody wrote in between; else do so again.

    Args:
        table: where the row is.
        read: returns the row; None where there is none.
        mutate: writes nothing where it returns what it got; what it raises goes through.
        to_entity: makes the entity to write.
        known: the row as it was read or written a moment ago, which saves reading it.

    Raises:
        NotFound: there is no such call.
        StoreUnavailable: also where somebody else always writes first.
    """
    for _ in range(MAX_CONFLICTS):
        found, known = known or await read(), None
        if found is None:
            raise NotFound("no such call")
        changed = mutate(found.record)
        if changed is found.record:
            return found
        async with store_faults():
            try:
                written = await table.update_entity(
                    to_entity(changed),
                    mode=UpdateMode.REPLACE,
                    etag=found.etag,
                    match_condition=MatchConditions.IfNotModified,
                )
            except ResourceModifiedError:
                continue
        return Row(changed, written["etag"])
    raise StoreUnavailable("the call's row changes too often")


async def delete_found(table: TableClient, query: str, parameters: Mapping[str, Any]) -> AsyncIterator[int]:
    """Delete the rows that a query finds, page by page, and yield how many went with each.

    A row that somebody wrote since it was found stays; one that is gone by now counts, for the client does not tell.
    Whoever breaks this off leaves the rest, to be found again.
    Raises `StoreUnavailable`.
    """
    found = table.query_entities(
        query,
        parameters=dict(parameters),
        select=["PartitionKey", "RowKey"],
        results_per_page=DELETED_AT_ONCE,
    )
    async with store_faults():
        async for page in found.by_page():
            rows = [row async for row in page]
            yield sum(await in_turns(partial(_delete, table), rows, at_once=DELETED_AT_ONCE))


async def _delete(table: TableClient, row: TableEntity) -> bool:
    try:
        await table.delete_entity(
            row["PartitionKey"],
            row["RowKey"],
            etag=etag_of(row),
            match_condition=MatchConditions.IfNotModified,
        )
    except ResourceModifiedError:
        return False
    return True


def key_of(text: str) -> str:
    """Return a key for text that others made: of any length, with characters that no key may hold."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def etag_of(entity: Mapping[str, Any]) -> str:
    """Return the ETag of an entity that was read."""
    etag: str = entity.metadata["etag"]  # type: ignore[attr-defined]  # TableEntity, typed as a dict by the SDK
    return etag


def put_json(entity: dict[str, Any], name: str, value: object) -> None:
    """Put `value` into the entity as JSON, in pieces where it is long.

    Raises:
        BodyTooLarge: no row holds it, and none ever will; storage's own answer would look like a fault that passes.
    """
    encoded = msgspec.json.encode(value)
    if len(encoded) > MAX_JSON_BYTES:
        raise BodyTooLarge(f"more than {MAX_JSON_BYTES} bytes to keep")
    text = encoded.decode()
    for number, start in enumerate(range(0, len(text), PIECE_CHARS)):
        entity[f"{name}_{number}"] = text[start : start + PIECE_CHARS]


def get_json(entity: Mapping[str, Any], name: str, kind: type[T]) -> T:
    """Return the value that `put_json` put there."""
    pieces: list[str] = []
    while (piece := entity.get(f"{name}_{len(pieces)}")) is not None:
        pieces.append(piece)
    return msgspec.json.decode("".join(pieces), type=kind)
