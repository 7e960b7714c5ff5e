"""Agent profiles and routes in blob storage: immutable versions, a pointer to the current one, sounds by content.

gateway/<number>.json   one version of the gateway document, written once
gateway/current         the number of the version in force, replaced by its ETag
sounds/<sha256>.wav     one sound, written once
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from shared.adapters.blobs import Blob, BlobContainer, BlobEntry, BlobTooLarge
from shared.errors import Conflict, NotConfigured, NotFound
from shared.gateway_document import MAX_DOCUMENT_BYTES
from shared.wav import MAX_WAV_BYTES, SoundUnusable

CONTAINER = "config"
POINTER = "gateway/current"
VERSIONS = "gateway/"
SOUNDS = "sounds/"
VERSION = re.compile(r"gateway/([1-9][0-9]{0,8})\.json")
NUMBER = re.compile(rb"\s*([1-9][0-9]{0,8})\s*")
MAX_POINTER_BYTES = 1024
LOST_RACE = "somebody else has just changed the profiles; look at `profiles list`, and do it again"


@dataclass(frozen=True, slots=True)
class Current:
    """Which version is in force."""

    blob: Blob

    @property
    def version(self) -> int:
        """Its number.

        Raises:
            NotConfigured: the pointer was written by hand, and holds none.
        """
        number = NUMBER.fullmatch(self.blob.data)
        if number is None:
            raise NotConfigured(f"{POINTER} holds no version; `profiles use` mends it")
        return int(number[1])


@dataclass(frozen=True, slots=True)
class Version:
    """A stored version of the document, and how many profiles and routes it has."""

    number: int
    created: datetime
    changed: datetime
    """When it was pushed, or last put in force."""
    profiles: int
    routes: int
    etag: str = field(repr=False)


class BlobProfileStore:
    """The container `config`. All methods raise `StoreUnavailable`."""

    def __init__(self, container: BlobContainer) -> None:
        self._container = container

    async def current(self, known: Current | None = None) -> Current | None:
        """Return which version is in force, `known` itself where it still is; None where nothing was ever pushed."""
        try:
            blob = await self._container.read(
                POINTER, max_bytes=MAX_POINTER_BYTES, known=None if known is None else known.blob
            )
        except BlobTooLarge:
            raise NotConfigured(f"{POINTER} holds no version") from None
        if known is not None and blob is known.blob:
            return known
        return None if blob is None else Current(blob)

    async def document(self, version: int) -> bytes:
        """Return one version.

        Raises:
            NotFound: there is no such version.
            NotConfigured: it was written by hand, and is too large.
        """
        try:
            blob = await self._container.read(_name(version), max_bytes=MAX_DOCUMENT_BYTES)
        except BlobTooLarge:
            raise NotConfigured(f"version {version} of the profiles is too large") from None
        if blob is None:
            raise NotFound(f"there is no version {version} of the profiles")
        return blob.data

    async def add(self, document: bytes, *, profiles: int, routes: int) -> int:
        """Store a document as the newest version, which nobody uses yet; return its number.

        Raises:
            Conflict: somebody else did so at the same time.
        """
        number = max((version.number for version in await self.versions()), default=0) + 1
        counts = {"profiles": str(profiles), "routes": str(routes)}
        if not await self._container.create(_name(number), document, counts):
            raise Conflict(LOST_RACE)
        return number

    async def use(self, version: int, current: Current | None) -> None:
        """Put a version in force, in place of `current`.

        It is touched first, so that upkeep does not take it for an old one in the meantime.

        Raises:
            NotFound: there is no such version.
            Conflict: another than `current` is in force by now.
        """
        if not await self._container.touch(_name(version)):
            raise NotFound(f"there is no version {version} of the profiles")
        number = str(version).encode()
        if current is None:
            done = await self._container.create(POINTER, number)
        else:
            done = await self._container.replace(POINTER, number, current.blob.etag)
        if not done:
            raise Conflict(LOST_RACE)

    async def versions(self) -> list[Version]:
        """Return every version, oldest first."""
        found = [
            Version(
                int(match[1]), entry.created, entry.changed,
                _count(entry.metadata, "profiles"), _count(entry.metadata, "routes"), entry.etag,
            )
            for entry in await self._container.entries(VERSIONS)
            if (match := VERSION.fullmatch(entry.name))
        ]  # fmt: skip
        return sorted(found, key=lambda version: version.number)

    async def remove(self, version: Version) -> bool:
        """Delete a version, unless it was put in force since it was listed."""
        return await self._container.delete(_name(version.number), version.etag)


class BlobSoundStore:
    """Sounds of the container `config`, by content. All methods raise `StoreUnavailable`."""

    def __init__(self, container: BlobContainer) -> None:
        self._container = container

    async def put(self, name: str, content: bytes) -> None:
        """Store a sound; one that is there already is touched, so that upkeep does not take it for an old one."""
        if not await self._container.touch(name):
            await self._container.create(name, content)

    async def all(self) -> list[BlobEntry]:
        """Return every sound."""
        return await self._container.entries(SOUNDS)

    async def remove(self, sound: BlobEntry) -> bool:
        """Delete a sound, unless it was pushed again since it was listed."""
        return await self._container.delete(sound.name, sound.etag)

    async def read(self, name: str) -> bytes:
        """Return the WAV file of a name.

        Raises:
            SoundUnusable: it is not there, or too large.
        """
        try:
            blob = await self._container.read(name, max_bytes=MAX_WAV_BYTES)
        except BlobTooLarge:
            raise SoundUnusable("is too large") from None
        if blob is None:
            raise SoundUnusable("is not stored")
        return blob.data


def _name(version: int) -> str:
    return f"{VERSIONS}{version}.json"


def _count(metadata: Mapping[str, str], name: str) -> int:
    text = metadata.get(name, "")
    return int(text) if text.isdecimal() else 0
