"""Blob storage: one client for one container, its faults as ours, writes that never overwrite unseen.

The SDK is imported off the event loop at the first use: that takes some 50 ms of a cold start, while the app waits for
other answers anyway.
"""

import asyncio
import importlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from azure.core import MatchConditions
from azure.core.credentials_async import AsyncTokenCredential
from azure.core.exceptions import (
    AzureError,
    HttpResponseError,
    ResourceExistsError,
    ResourceModifiedError,
    ResourceNotFoundError,
)

from shared.config import StorageSettings
from shared.errors import StoreRefused, StoreUnavailable

if TYPE_CHECKING:
    from azure.storage.blob.aio import ContainerClient

SDK = "azure.storage.blob.aio"
CONNECT_TIMEOUT_S = 2
READ_TIMEOUT_S = 3
FIRST_READ_BYTES = 8 * 1024 * 1024
"""What is fetched of a blob before its size is known; nothing that is kept here is larger."""
BLOCK_BYTES = 1024 * 1024
"""What is sent in one request: more would hold the event loop up, and a slow line longer than the time-out."""
RETRIES = 1
"""At once: whoever waits has little time, and asks again later."""
PASSING = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS})
"""Of all 4xx, those that may help to ask again after."""


@dataclass(frozen=True, slots=True)
class Blob:
    """What a blob holds, and the ETag to write it by."""

    data: bytes
    etag: str


@dataclass(frozen=True, slots=True)
class BlobEntry:
    """A blob of a listing."""

    name: str
    created: datetime
    changed: datetime
    """When it was last written, or touched."""
    etag: str
    metadata: Mapping[str, str]


class BlobTooLarge(Exception):
    """A blob holds more than whoever reads it takes."""


def blob_fault(status: int) -> StoreUnavailable:
    """Return what an answer with this status means that nobody expects: refused, or away."""
    is_refused = HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR and status not in PASSING
    kind = StoreRefused if is_refused else StoreUnavailable
    return kind(f"blob storage answered {status}")


def load_sdk() -> None:
    """Import the SDK now, in a process that must not do so later."""
    importlib.import_module(SDK)


class BlobContainer:
    """One container. All methods raise `StoreUnavailable`; also as `StoreRefused`."""

    def __init__(self, settings: StorageSettings, credential: AsyncTokenCredential, name: str) -> None:
        self._settings = settings
        self._credential = credential
        self._name = name
        self._client: ContainerClient | None = None
        self._opening = asyncio.Lock()

    async def make(self) -> None:
        """Create the container if it is not there yet."""
        client = await self._open()
        async with _blob_faults():
            try:
                await client.create_container()
            except ResourceExistsError:
                return

    async def read(self, name: str, *, max_bytes: int, known: Blob | None = None) -> Blob | None:
        """Return a blob, and `known` itself where nobody wrote since; None where the blob is not there.

        Raises:
            BlobTooLarge: it holds more than `max_bytes`.
        """
        client = await self._open()
        unless: dict[str, Any] = {}
        if known is not None:
            unless = {"etag": known.etag, "match_condition": MatchConditions.IfModified}
        async with _blob_faults():
            try:
                # As it is stored: four compressed megabytes may be four gigabytes.
                download = await client.download_blob(name, decompress=False, **unless)
                if download.size > max_bytes:
                    raise BlobTooLarge(f"a blob is larger than {max_bytes} bytes")
                return Blob(await download.readall(), download.properties.etag)
            except ResourceNotFoundError:
                return None
            except HttpResponseError as error:
                if error.status_code != HTTPStatus.NOT_MODIFIED:
                    raise
                return known

    async def create(self, name: str, data: bytes, metadata: Mapping[str, str] | None = None) -> bool:
        """Write a blob that is not there yet; False where it is."""
        client = await self._open()
        async with _blob_faults():
            try:
                await client.upload_blob(name, data, metadata=dict(metadata or {}), overwrite=False)
            except (ResourceExistsError, ResourceModifiedError):
                return False
            return True

    async def replace(self, name: str, data: bytes, etag: str) -> bool:
        """Write a blob if nobody wrote it since `etag`; False for the loser."""
        client = await self._open()
        async with _blob_faults():
            try:
                await client.upload_blob(
                    name, data, overwrite=True, etag=etag, match_condition=MatchConditions.IfNotModified
                )
            except (ResourceModifiedError, ResourceNotFoundError):
                return False
            return True

    async def touch(self, name: str) -> bool:
        """Make a blob look as if it was written just now: another ETag and time; False where it is not there."""
        client = (await self._open()).get_blob_client(name)
        async with _blob_faults():
            try:
                properties = await client.get_blob_properties()
                await client.set_blob_metadata(properties.metadata)
            except ResourceNotFoundError:
                return False
            return True

    async def delete(self, name: str, etag: str) -> bool:
        """Delete a blob if nobody wrote or touched it since `etag`; False where somebody did, or it is gone."""
        client = await self._open()
        async with _blob_faults():
            try:
                await client.delete_blob(name, etag=etag, match_condition=MatchConditions.IfNotModified)
            except (ResourceModifiedError, ResourceNotFoundError):
                return False
            return True

    async def entries(self, prefix: str, *, limit: int | None = None) -> list[BlobEntry]:
        """Return every blob whose name begins with `prefix`, the first `limit` of them, with their metadata."""
        client = await self._open()
        found: list[BlobEntry] = []
        async with _blob_faults():
            try:
                async for blob in client.list_blobs(name_starts_with=prefix, include=["metadata"]):
                    found.append(
                        BlobEntry(
                            blob.name, blob.creation_time, blob.last_modified, blob.etag, blob.metadata or {}
                        )
                    )
                    if len(found) == limit:
                        break
            except ResourceNotFoundError:
                return []
        return found

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.close()

    async def _open(self) -> "ContainerClient":
        async with self._opening:
            if self._client is None:
                sdk = await asyncio.to_thread(importlib.import_module, SDK)
                self._client = self._connect(sdk)
            return self._client

    def _connect(self, sdk: Any) -> "ContainerClient":
        """Return a client, not yet connected; a connection string needs no credential."""
        settings = self._settings
        options = {
            "retry_policy": sdk.LinearRetry(backoff=0, random_jitter_range=0, retry_total=RETRIES),
            "connection_timeout": CONNECT_TIMEOUT_S,
            "read_timeout": READ_TIMEOUT_S,
            "max_single_get_size": FIRST_READ_BYTES,
            "max_single_put_size": BLOCK_BYTES,
            "max_block_size": BLOCK_BYTES,
        }
        client: ContainerClient
        if settings.connection_string is not None:
            client = sdk.ContainerClient.from_connection_string(
                settings.connection_string, self._name, **options
            )
        else:
            client = sdk.ContainerClient(
                settings.blob_endpoint or "", self._name, credential=self._credential, **options
            )
        return client


@asynccontextmanager
async def _blob_faults() -> AsyncIterator[None]:
    """Turn whatever storage says that the code inside does not handle into `StoreUnavailable`."""
    try:
        yield
    except HttpResponseError as error:
        if error.status_code is not None:
            raise blob_fault(error.status_code) from error
        raise StoreUnavailable("blob storage could not be asked: no token, or no answer") from error
    except (AzureError, TimeoutError) as error:
        raise StoreUnavailable("blob storage did not answer") from error
