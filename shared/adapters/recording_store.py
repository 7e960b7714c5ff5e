"""Recordings in blob storage: the container `recordings`. What lies in it, `docs/recording.md` says."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from azure.core.credentials_async import AsyncTokenCredential

from shared.adapters.blobs import BlobContainer
from shared.adapters.plain_blobs import PlainBlobs
from shared.config import StorageSettings

CONTAINER = "recordings"
DELETE_PAUSE_S = 0.002
"""After each blob that is deleted: nobody waits for it, and calls go on beside it."""


class BlobRecordings:
    """Parts of recordings, and what is made of them. All methods raise `StoreUnavailable`; also as `StoreRefused`."""

    def __init__(
        self, settings: StorageSettings, credential: AsyncTokenCredential, name: str = CONTAINER
    ) -> None:
        self._container = BlobContainer(settings, credential, name)
        self._blobs = PlainBlobs(settings, credential, name)
        self._is_made = False

    async def put(self, name: str, data: bytes) -> None:
        """Write a blob, over what was there; the container is made by the first who needs it."""
        if not self._is_made:
            await self._container.make()
            self._is_made = True
        await self._blobs.put(name, data)

    async def put_file(self, name: str, path: Path) -> None:
        """Write a blob from a file, over what was there; it appears when it is whole."""
        await self._blobs.put_file(name, path)

    async def read(self, name: str, *, max_bytes: int) -> bytes | None:
        """Return a blob; None where it is not there.

        Raises:
            BlobTooLarge: it holds more than `max_bytes`.
        """
        return await self._blobs.get(name, max_bytes=max_bytes)

    async def names(self, prefix: str) -> list[str]:
        """Return the name of every blob that begins with `prefix`."""
        return await self._blobs.names(prefix)

    async def folders(self, prefix: str) -> list[str]:
        """Return the folders right below `prefix`, each with the prefix and a `/` at its end."""
        return await self._blobs.folders(prefix)

    async def delete(self, names: Sequence[str]) -> None:
        """Delete blobs, one after the other; those that are not there are no matter."""
        for name in names:
            await self._blobs.delete(name)
            await asyncio.sleep(DELETE_PAUSE_S)

    async def close(self) -> None:
        """Close the connections."""
        await self._blobs.close()
        await self._container.close()
