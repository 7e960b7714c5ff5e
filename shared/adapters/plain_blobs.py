"""Blobs put, got, listed and deleted with little work: one request each, by aiohttp alone.

The SDK takes 1.4 ms of CPU for a part of a recording, five times what the request itself takes, and holds the event
loop up meanwhile. A pod that records puts one every few seconds for each of its calls, and reads all of them again
when a call is over, beside the audio of others. The requests are those of the Blob service's REST API: Put Blob, Put
Block, Put Block List, Get Blob, Delete Blob, List Blobs.
"""

import asyncio
import os
from base64 import b64encode
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import wraps
from http import HTTPStatus
from pathlib import Path
from typing import Any, ParamSpec, Self, TypeVar
from urllib.parse import quote, urlencode
from urllib.request import getproxies
from xml.etree import ElementTree as ET

import aiohttp
from azure.core.credentials_async import AsyncTokenCredential
from azure.core.exceptions import AzureError
from yarl import URL

from shared.adapters.blobs import BlobTooLarge, blob_fault
from shared.config import StorageSettings
from shared.errors import StoreRefused, StoreUnavailable

API_VERSION = "2024-11-04"
SCOPE = "https://storage.azure.com/.default"
CONNECT_S = 2.0
REQUEST_S = 5.0
"""For one request, its body included: half a megabyte of a part, or a block."""
CONNECTIONS = 16
SIGNATURE_LIFE = timedelta(days=7)
"""Of the signature that stands for the account's key, in memory only; renewed at half of it."""
BLOCK_BYTES = 1024 * 1024
"""Of a file, in one request and in memory."""
LISTED_AT_ONCE = 50
"""Names in one answer: to parse more would hold the event loop up."""
PIECE_BYTES = 128 * 1024
PIECE_PAUSE_S = 0.002
"""A block is sent piece by piece, 60 MB/s at most: to hand a whole one to the socket holds the event loop up for 1 ms
or more, and nobody waits for it."""

_P = ParamSpec("_P")
_T = TypeVar("_T")


def _tried_twice(
    ask: Callable[_P, Coroutine[Any, Any, _T]],
) -> Callable[_P, Coroutine[Any, Any, _T]]:
    """Ask again, at once, where storage did not answer: one request of the hundreds that a recording takes."""

    @wraps(ask)
    async def twice(*args: _P.args, **kwargs: _P.kwargs) -> _T:
        try:
            return await ask(*args, **kwargs)
        except StoreRefused:
            raise
        except StoreUnavailable:
            return await ask(*args, **kwargs)

    return twice


class PlainBlobs:
    """Blobs of one container. All methods raise `StoreUnavailable`; also as `StoreRefused`.

    Args:
        settings: Where the storage is; a connection string is entered by a signature of its own.
        credential: The process's identity.
        container: The container's name.
        clock: Now, in UTC.
    """

    def __init__(
        self,
        settings: StorageSettings,
        credential: AsyncTokenCredential,
        container: str,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._settings = settings
        self._credential = credential
        self._container = container
        self._clock = clock
        self._session: aiohttp.ClientSession | None = None
        self._base_url = ""
        self._signature = ""
        self._signed_at: datetime | None = None

    async def put(self, name: str, data: bytes) -> None:
        """Write a blob, over what was there; tried once, for whoever puts parts has a volume for them."""
        async with self._asked("PUT", name, data, {"x-ms-blob-type": "BlockBlob"}) as answer:
            _expect(answer, HTTPStatus.CREATED)

    async def put_file(self, name: str, path: Path) -> None:
        """Write a blob from a file of any size, over what was there; it appears when it is whole.

        Raises:
            OSError: the file cannot be read.
        """
        blocks: list[str] = []
        with await asyncio.to_thread(path.open, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            while block := await asyncio.to_thread(file.read, BLOCK_BYTES):
                # The size tells apart what two processes make of one call at the same time, each of other parts.
                blocks.append(b64encode(f"{size:012}{len(blocks):06}".encode()).decode())
                await self._put_block(name, blocks[-1], block)
        listed = "".join(f"<Latest>{block}</Latest>" for block in blocks)
        await self._put_block_list(name, f"<BlockList>{listed}</BlockList>".encode())

    @_tried_twice
    async def get(self, name: str, *, max_bytes: int) -> bytes | None:
        """Return a blob; None where it is not there.

        Raises:
            BlobTooLarge: it holds more than `max_bytes`.
        """
        async with self._asked("GET", name) as answer:
            if answer.status == HTTPStatus.NOT_FOUND:
                return None
            _expect(answer, HTTPStatus.OK)
            if answer.content_length is None or answer.content_length > max_bytes:
                raise BlobTooLarge(f"a blob is larger than {max_bytes} bytes")
            return await answer.read()

    @_tried_twice
    async def delete(self, name: str) -> None:
        """Delete a blob; one that is not there is no matter."""
        async with self._asked("DELETE", name) as answer:
            _expect(answer, HTTPStatus.ACCEPTED, HTTPStatus.NOT_FOUND)

    async def names(self, prefix: str) -> list[str]:
        """Return the name of every blob that begins with `prefix`."""
        return [name async for name in self._listed(prefix, "Blobs/Blob/Name")]

    async def folders(self, prefix: str) -> list[str]:
        """Return what follows `prefix` up to the next `/`, prefix and `/` with it, of every blob that has both."""
        return [name async for name in self._listed(prefix, "Blobs/BlobPrefix/Name", "/")]

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    @_tried_twice
    async def _put_block(self, name: str, block: str, data: bytes) -> None:
        # Without its length the body would go in chunks, which the service does not take.
        headers = {"Content-Length": str(len(data))}
        query = f"comp=block&blockid={block}"
        async with self._asked("PUT", name, _Pieces(data), headers, query) as answer:
            _expect(answer, HTTPStatus.CREATED)

    @_tried_twice
    async def _put_block_list(self, name: str, blocks: bytes) -> None:
        async with self._asked("PUT", name, blocks, {}, "comp=blocklist") as answer:
            _expect(answer, HTTPStatus.CREATED)

    async def _listed(self, prefix: str, found: str, delimiter: str = "") -> AsyncIterator[str]:
        """Yield what stands at the path `found` in the pages of a listing."""
        marker = ""
        while True:
            query = {
                "restype": "container", "comp": "list", "maxresults": str(LISTED_AT_ONCE),
                "prefix": prefix, "delimiter": delimiter, "marker": marker,
            }  # fmt: skip
            said = {name: value for name, value in query.items() if value}
            page = await self._page(urlencode(said, quote_via=quote))
            for name in page.iterfind(found):
                yield name.text or ""
            marker = page.findtext("NextMarker") or ""
            if not marker:
                return

    @_tried_twice
    async def _page(self, query: str) -> ET.Element:
        """Return a page of a listing; an empty one where there is no container."""
        async with self._asked("GET", query=query) as answer:
            if answer.status == HTTPStatus.NOT_FOUND:
                return ET.Element("EnumerationResults")
            _expect(answer, HTTPStatus.OK)
            return ET.fromstring(await answer.read())  # noqa: S314 - of our own storage

    @asynccontextmanager
    async def _asked(
        self,
        method: str,
        name: str = "",
        data: "bytes | _Pieces | None" = None,
        headers: dict[str, str] | None = None,
        query: str = "",
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Send a request, and yield its answer; whatever goes wrong meanwhile is `StoreUnavailable`."""
        now = self._clock()
        headers = {
            "x-ms-version": API_VERSION,
            "x-ms-date": format_datetime(now, usegmt=True),
            "Content-Type": "application/octet-stream",
            **(headers or {}),
        }
        try:
            if self._settings.connection_string is None:
                token = await self._credential.get_token(SCOPE)
                headers["Authorization"] = f"Bearer {token.token}"
                self._base_url = f"{self._settings.blob_endpoint}/{self._container}"
            else:
                self._sign(self._settings.connection_string, now)
            path = f"{self._base_url}/{quote(name)}".removesuffix("/")
            query = "&".join(filter(None, (query, self._signature)))
            url = URL(f"{path}?{query}" if query else path, encoded=True)
            async with self._open().request(method, url, data=data, headers=headers) as answer:
                yield answer
        except (aiohttp.ClientError, AzureError, TimeoutError, OSError) as error:
            raise StoreUnavailable("blob storage did not answer") from error

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=CONNECTIONS),
                timeout=aiohttp.ClientTimeout(total=REQUEST_S, sock_connect=CONNECT_S),
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=bool(getproxies()),
            )
        return self._session

    def _sign(self, connection_string: str, now: datetime) -> None:
        """Make the URL and the signature of a connection string, now and then."""
        if self._signed_at is not None and now - self._signed_at < SIGNATURE_LIFE / 2:
            return
        # Here: it takes some 50 ms, and only a laptop and its tests enter by a connection string.
        from azure.storage.blob import ContainerClient, ContainerSasPermissions, generate_container_sas

        with ContainerClient.from_connection_string(connection_string, self._container) as container:
            url, _, signature = container.url.partition("?")
            if not signature:
                signature = generate_container_sas(
                    container.account_name or "",
                    self._container,
                    account_key=container.credential.account_key,
                    permission=ContainerSasPermissions(
                        read=True, write=True, create=True, delete=True, list=True
                    ),
                    expiry=now + SIGNATURE_LIFE,
                )
        self._base_url, self._signature, self._signed_at = url, signature, now


class _Pieces:
    """A block in pieces, each after a pause. No generator, for aiohttp leaves what it has not sent unfinished."""

    def __init__(self, block: bytes) -> None:
        self._rest = memoryview(block)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> memoryview:
        if not self._rest:
            raise StopAsyncIteration
        await asyncio.sleep(PIECE_PAUSE_S)
        piece, self._rest = self._rest[:PIECE_BYTES], self._rest[PIECE_BYTES:]
        return piece


def _expect(answer: aiohttp.ClientResponse, *statuses: HTTPStatus) -> None:
    if answer.status not in statuses:
        raise blob_fault(answer.status)
