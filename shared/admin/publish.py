"""Publishing the gateway document: what `profiles` and `numbers` have in common."""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from azure.identity.aio import DefaultAzureCredential

from shared.adapters.blobs import BlobContainer
from shared.adapters.profile_store import CONTAINER, BlobProfileStore, BlobSoundStore, Current
from shared.config import storage_settings
from shared.core.profiles import Routing
from shared.errors import BadRequest, NotConfigured, NotFound
from shared.gateway_document import (
    MAX_DOCUMENT_BYTES,
    DocumentInvalid,
    Fault,
    decode,
    encode,
    shared_numbers,
    to_routing,
)
from shared.gateway_file import GatewayFile
from shared.yaml_file import YamlFileInvalid


@dataclass(frozen=True, slots=True)
class Published:
    """What is in force now."""

    version: int
    is_new: bool
    """False: it was in force before, and nothing was written."""
    routing: Routing


@asynccontextmanager
async def config_container() -> AsyncIterator[BlobContainer]:
    """Open the container of the environment's storage account, with the rights of whoever runs the command."""
    async with DefaultAzureCredential() as credential:
        container = BlobContainer(storage_settings(), credential, CONTAINER)
        try:
            yield container
        finally:
            await container.close()


async def publish_file(container: BlobContainer, file: GatewayFile) -> Published:
    """Put a file in force, its sounds first; where it has no routes, those in force stay.

    Raises:
        YamlFileInvalid: a route that stays names a profile that the file does not have.
        Conflict: somebody else published at the same time.
        StoreUnavailable: storage is away.
    """
    await container.make()
    store, sounds = BlobProfileStore(container), BlobSoundStore(container)
    current = await store.current()
    document = file.document
    if "routes" not in document:
        kept = [] if current is None else (await _document(store, current)).get("routes", [])
        document = document | {"routes": kept}
    for name, content in file.sounds.items():
        await sounds.put(name, content)
    try:
        return await _publish(store, current, document)
    except DocumentInvalid as invalid:
        raise YamlFileInvalid([_kept_fault(document, fault) for fault in invalid.faults]) from None


async def read_current(store: BlobProfileStore) -> tuple[Current, dict[str, Any]]:
    """Return the document in force, to change it.

    Raises:
        NotConfigured: nothing was ever pushed, or what is in force is not good.
    """
    current = await store.current()
    if current is None:
        raise NotConfigured("there are no agent profiles yet: push a file first")
    return current, await _document(store, current)


async def publish_change(store: BlobProfileStore, current: Current, document: dict[str, Any]) -> Published:
    """Put a changed document in force, in place of `current`.

    Raises:
        BadRequest: the change makes no good document.
        Conflict: somebody else published at the same time.
    """
    try:
        return await _publish(store, current, document)
    except DocumentInvalid as invalid:
        raise BadRequest("; ".join(fault.text for fault in invalid.faults)) from None


def warn_of_shared_numbers(routing: Routing) -> None:
    """Say which calls several accounts route: meant while a number moves from one to the other, and never else."""
    for called, accounts in shared_numbers(routing):
        names = " and ".join(accounts)
        print(f"warning: {called} is routed by {names}; each would answer its calls", file=sys.stderr)


async def _publish(store: BlobProfileStore, current: Current | None, document: dict[str, Any]) -> Published:
    stored = encode(document)
    if len(stored) > MAX_DOCUMENT_BYTES:
        raise DocumentInvalid([Fault((), f"larger than {MAX_DOCUMENT_BYTES} bytes")])
    routing = to_routing(decode(stored))
    if current is not None and await _is_in_force(store, current, stored):
        return Published(current.version, is_new=False, routing=routing)
    version = await store.add(stored, profiles=len(routing.profiles), routes=len(routing.routes))
    await store.use(version, current)
    return Published(version, is_new=True, routing=routing)


async def _is_in_force(store: BlobProfileStore, current: Current, stored: bytes) -> bool:
    try:
        return await store.document(current.version) == stored
    except (NotFound, NotConfigured):
        return False


async def _document(store: BlobProfileStore, current: Current) -> dict[str, Any]:
    try:
        return decode(await store.document(current.version))
    except DocumentInvalid as invalid:
        raise NotConfigured(
            f"version {current.version} is not good at: {invalid}; push a whole file, or use another version"
        ) from None


def _kept_fault(document: dict[str, Any], fault: Fault) -> str:
    """Return a fault of a route that was kept: the file has no line for it."""
    match fault.place:
        case ("routes", int(index), *_):
            route = document["routes"][index]
            return f"the stored route of {route['account']} to {route['to']}: {fault.text}"
    return f"{fault.place_name}: {fault.text}"
