"""Signals over Azure Web PubSub: one group a pod, of one hub. Sending them, and where a pod receives its own."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from types import MappingProxyType
from typing import Any

from azure.core.credentials_async import AsyncTokenCredential
from azure.core.exceptions import AzureError, HttpResponseError
from azure.messaging.webpubsubservice.aio import WebPubSubServiceClient

from shared.adapters.transport import transport_options
from shared.config import WebPubSubSettings
from shared.core.signals import Signal, encode
from shared.errors import SignalsUnavailable

HUB = "gateway"

SEND_S = 1.0
"""For one signal, its second try included: a callback's answer waits for it, and the pod reads the store anyway."""
ADDRESS_S = 5.0
"""For the address of a pod's group. With Entra the service makes it, and the process's identity may be asked for."""
RETRIES = 1
CONNECT_TIMEOUT_S = 1
READ_TIMEOUT_S = 4

SEND_AGAIN: Mapping[str, Any] = MappingProxyType({"retry_on_methods": frozenset({"POST"})})
"""Options of a request: the client sends it again after a lost connection too, one that was idle for too long for
instance. By default it does not repeat a POST, but a signal that comes twice is harmless."""

TOKEN_MINUTES = 5
"""How long an address is good for: whoever found it in a log could listen. It is used at once."""


class Signals:
    """Sends signals to pods, and gives pods the address at which they receive theirs.

    Args:
        settings: Where the service is.
        credential: This process's identity; not used with a connection string.
    """

    def __init__(self, settings: WebPubSubSettings, credential: AsyncTokenCredential) -> None:
        options: dict[str, Any] = {
            "retry_total": RETRIES,
            "retry_backoff_factor": 0.1,
            "connection_timeout": CONNECT_TIMEOUT_S,
            "read_timeout": READ_TIMEOUT_S,
            **transport_options(),
        }
        self._request: dict[str, Any] = {**SEND_AGAIN}
        if settings.connection_string is not None:
            self._client = WebPubSubServiceClient.from_connection_string(
                settings.connection_string, HUB, **options
            )
            return
        endpoint = settings.endpoint or ""
        self._client = WebPubSubServiceClient(endpoint, HUB, credential, **options)
        if endpoint.startswith("http://"):
            # Only on loopback; the client gives tokens to no plain connection unless told so.
            self._request["enforce_https"] = False

    async def send(self, pod: str, signal: Signal) -> None:
        """Send a signal to whoever listens as this pod; nobody listening is no fault.

        Raises:
            SignalsUnavailable: the service did not take it within a second.
        """
        async with _faults_translated(SEND_S):
            await self._client.send_to_group(group_of(pod), dict(encode(signal)), **self._request)

    async def client_url(self, pod: str) -> str:
        """Return the WebSocket URL at which the signals of a pod come, and where nothing can be sent.

        It holds a token: it must be used within minutes, and logged nowhere.

        Raises:
            SignalsUnavailable: the service or Entra gave none.
        """
        async with _faults_translated(ADDRESS_S):
            # With a key nothing is sent, and the options are those of a token's signature.
            access = await self._client.get_client_access_token(
                groups=[group_of(pod)], minutes_to_expire=TOKEN_MINUTES, **self._request
            )
            url: str = access["url"]
            return url

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()


def group_of(pod: str) -> str:
    """Return the name of a pod's group."""
    return f"pod.{pod}"


@asynccontextmanager
async def _faults_translated(limit_s: float) -> AsyncIterator[None]:
    """Turn what the SDK raises, and a lack of time, into `SignalsUnavailable`; never with the SDK's text."""
    try:
        async with asyncio.timeout(limit_s):
            yield
    except HttpResponseError as error:
        if error.status_code is not None:
            raise SignalsUnavailable(f"Web PubSub answered {error.status_code}") from error
        raise SignalsUnavailable("Web PubSub could not be asked: no token, or no answer") from error
    except (AzureError, TimeoutError) as error:
        raise SignalsUnavailable("Web PubSub did not answer") from error
