"""Key Vault: the versions of a secret."""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime

from azure.core.exceptions import AzureError, HttpResponseError, ResourceNotFoundError
from azure.keyvault.secrets import SecretProperties
from azure.keyvault.secrets.aio import SecretClient

from shared.errors import VaultUnavailable
from shared.security.keyring import SecretVersion

logger = logging.getLogger(__name__)

MAX_VERSIONS = 128
"""The newest enabled ones whose values are read. Rotated each hour, a key needs five: a token lives three hours. So
more than this is a rotation run wild, and a cold start would have to fetch them all before its first call."""
READS_AT_ONCE = 16


class VaultSecrets:
    """Reads secrets of one vault. The client's time-outs and retries are set where it is made.

    A version's value never changes, so each is read once, and kept for as long as its version is read.
    """

    def __init__(self, client: SecretClient) -> None:
        self._client = client
        self._values: dict[str, Mapping[str, str]] = {}
        """By the secret's name, then by the version's."""

    async def enabled_versions(self, name: str) -> Sequence[SecretVersion]:
        """Return the enabled versions with their values, newest first, at most `MAX_VERSIONS`.

        Raises:
            VaultUnavailable: the vault does not answer, or refuses.
        """
        enabled = [version for version in await self.versions(name) if version.enabled]
        if len(enabled) > MAX_VERSIONS:
            logger.warning(
                "a token key has more enabled versions than are read; disable old ones",
                extra={"secret_name": name, "versions": len(enabled)},
            )
        newest = enabled[:MAX_VERSIONS]
        known = self._values.get(name, {})
        values = {v.version: known[v.version] for v in newest if v.version in known}
        unread = [v.version for v in newest if v.version not in known]
        for some in (unread[at : at + READS_AT_ONCE] for at in range(0, len(unread), READS_AT_ONCE)):
            reads = await asyncio.gather(
                *(self._client.get_secret(name, version) for version in some), return_exceptions=True
            )
            async with _faults_translated():
                for version, read in zip(some, reads, strict=True):
                    if isinstance(read, BaseException):
                        raise read
                    values[version] = read.value or ""
        self._values[name] = values
        return [replace(version, value=values[version.version]) for version in newest]

    async def versions(self, name: str) -> Sequence[SecretVersion]:
        """Return every version without its value, newest first; none where there is no such secret.

        Raises:
            VaultUnavailable: the vault does not answer, or refuses.
        """
        async with _faults_translated():
            try:
                listed = [p async for p in self._client.list_properties_of_secret_versions(name)]
            except ResourceNotFoundError:
                return []
        return sorted(map(_version, listed), key=lambda v: (v.created, v.version), reverse=True)

    async def value(self, name: str) -> str | None:
        """Return the value of the latest version; None where there is no such secret.

        Raises:
            VaultUnavailable: the vault does not answer, or refuses, as it does for a version that is disabled.
        """
        async with _faults_translated():
            try:
                secret = await self._client.get_secret(name)
            except ResourceNotFoundError:
                return None
        return secret.value

    async def add_version(self, name: str, value: str) -> str:
        """Set the secret anew and return the new version's name. Raises `VaultUnavailable`."""
        async with _faults_translated():
            secret = await self._client.set_secret(name, value)
        return secret.properties.version or ""

    async def disable_version(self, name: str, version: str) -> None:
        """Let a version verify nothing any more; it can be enabled again. Raises `VaultUnavailable`."""
        async with _faults_translated():
            await self._client.update_secret_properties(name, version, enabled=False)


@asynccontextmanager
async def _faults_translated() -> AsyncIterator[None]:
    try:
        yield
    except HttpResponseError as error:
        raise VaultUnavailable(f"Key Vault answered {error.status_code}") from error
    except (AzureError, TimeoutError) as error:
        raise VaultUnavailable("Key Vault did not answer") from error


def _version(properties: SecretProperties) -> SecretVersion:
    return SecretVersion(
        version=properties.version or "",
        created=_seconds(properties.created_on) or 0.0,
        value="",
        enabled=bool(properties.enabled),
        not_before=_seconds(properties.not_before),
        expires=_seconds(properties.expires_on),
    )


def _seconds(at: datetime | None) -> float | None:
    return None if at is None else at.timestamp()
