"""Key Vault: the versions of a secret."""

import asyncio
from collections.abc import Sequence

from azure.core.exceptions import AzureError, HttpResponseError
from azure.keyvault.secrets import SecretProperties
from azure.keyvault.secrets.aio import SecretClient

from shared.errors import VaultUnavailable
from shared.security.keyring import SecretVersion

MAX_VERSIONS = 8
"""The newest enabled ones that are read; tokens live three hours at most, so older keys verify nothing."""


class VaultSecrets:
    """Reads secrets of one vault. The client's time-outs and retries are set where it is made."""

    def __init__(self, client: SecretClient) -> None:
        self._client = client

    async def enabled_versions(self, name: str) -> Sequence[SecretVersion]:
        """Return every enabled version, newest first, at most `MAX_VERSIONS`.

        Raises:
            VaultUnavailable: the vault does not answer, refuses, or has no such secret.
        """
        try:
            listed = [p async for p in self._client.list_properties_of_secret_versions(name)]
            newest = sorted((p for p in listed if p.enabled), key=_created, reverse=True)[:MAX_VERSIONS]
            secrets = await asyncio.gather(*(self._client.get_secret(name, p.version) for p in newest))
        except HttpResponseError as error:
            raise VaultUnavailable(f"Key Vault answered {error.status_code}") from error
        except (AzureError, TimeoutError) as error:
            raise VaultUnavailable("Key Vault did not answer") from error
        return [
            SecretVersion(p.version or "", _created(p), s.value or "")
            for p, s in zip(newest, secrets, strict=True)
        ]

    async def add_version(self, name: str, value: str) -> str:
        """Set the secret anew and return the new version's name. Raises `VaultUnavailable`."""
        try:
            secret = await self._client.set_secret(name, value)
        except (AzureError, TimeoutError) as error:
            raise VaultUnavailable("Key Vault did not take the secret") from error
        return secret.properties.version or ""


def _created(properties: SecretProperties) -> float:
    return properties.created_on.timestamp() if properties.created_on else 0.0
