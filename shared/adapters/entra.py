"""Tokens of this process's own identity, for services that know it by Entra."""

import asyncio

from azure.core.credentials_async import AsyncTokenCredential
from azure.core.exceptions import AzureError

from shared.errors import IdentityUnavailable

TOKEN_S = 5.0
"""For one token; the first one looks for the identity too."""


class EntraTokens:
    """Gives tokens; the credential keeps those of a managed identity, and asks for the next before they expire."""

    def __init__(self, credential: AsyncTokenCredential) -> None:
        self._credential = credential

    async def token(self, scope: str) -> str:
        """Return a bearer token for `scope` (`https://.../.default`) that is good for some minutes at least.

        Raises:
            IdentityUnavailable: there is no identity here, it may not have this scope, or Entra does not answer.
        """
        try:
            async with asyncio.timeout(TOKEN_S):
                return (await self._credential.get_token(scope)).token
        except TimeoutError as error:
            raise IdentityUnavailable("Entra gave no token in time") from error
        except AzureError as error:
            # Without the SDK's text: it names tenants and clients.
            raise IdentityUnavailable(f"Entra gave no token: {type(error).__name__}") from error
