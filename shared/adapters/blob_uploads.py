"""Putting small blobs with little work: one PUT, by aiohttp alone.

The SDK takes 1.4 ms of CPU for a part of a recording, five times what the request itself takes (`docs/performance.md`).
A pod that records sends one every few seconds for each of its calls, beside their audio. The request is Put Blob of
the Blob service's REST API; everything else goes by the SDK (`blobs.py`).
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http import HTTPStatus
from urllib.parse import quote
from urllib.request import getproxies

import aiohttp
from azure.core.credentials_async import AsyncTokenCredential
from azure.core.exceptions import AzureError
from yarl import URL

from shared.config import StorageSettings
from shared.errors import StoreUnavailable

API_VERSION = "2024-11-04"
SCOPE = "https://storage.azure.com/.default"
CONNECT_S = 2.0
PUT_S = 5.0
"""For one request, its body of half a megabyte included."""
CONNECTIONS = 16
SIGNATURE_LIFE = timedelta(days=7)
"""Of the signature that stands for the account's key, in memory only; renewed at half of it."""


class BlobUploads:
    """Puts blobs into one container, over what was there.

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
        """Write a blob. Raises `StoreUnavailable`."""
        now = self._clock()
        headers = {
            "x-ms-version": API_VERSION,
            "x-ms-date": format_datetime(now, usegmt=True),
            "x-ms-blob-type": "BlockBlob",
            "Content-Type": "application/octet-stream",
        }
        try:
            if self._settings.connection_string is None:
                token = await self._credential.get_token(SCOPE)
                headers["Authorization"] = f"Bearer {token.token}"
                self._base_url = f"{self._settings.blob_endpoint}/{self._container}"
            else:
                self._sign(self._settings.connection_string, now)
            url = f"{self._base_url}/{quote(name)}{self._signature}"
            async with self._open().put(URL(url, encoded=True), data=data, headers=headers) as response:
                if response.status != HTTPStatus.CREATED:
                    raise StoreUnavailable(f"blob storage answered {response.status}")
        except (aiohttp.ClientError, AzureError, TimeoutError, OSError) as error:
            raise StoreUnavailable("blob storage did not answer") from error

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=CONNECTIONS),
                timeout=aiohttp.ClientTimeout(total=PUT_S, sock_connect=CONNECT_S),
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
                    permission=ContainerSasPermissions(write=True, create=True),
                    expiry=now + SIGNATURE_LIFE,
                )
        self._base_url, self._signature, self._signed_at = url, f"?{signature}", now
