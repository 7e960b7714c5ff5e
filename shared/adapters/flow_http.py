"""The requests of flows' HTTP steps: the operator's hosts alone, no redirects, and answers of bounded size.

What they may reach is said by `shared/core/tool_hosts.py`. What is sent and answered is callers', and in no log.
"""

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

import aiohttp
import msgspec
from aiohttp.abc import AbstractResolver
from yarl import URL

from shared.adapters.checked_resolver import CheckedResolver
from shared.adapters.key_vault import VaultSecrets
from shared.core.flow_actions import CallHttp
from shared.core.flow_events import Failed, HttpAnswered
from shared.core.tool_hosts import LOOPBACK_HOSTS, ToolHosts, is_allowed_header
from shared.errors import GatewayError
from shared.security.keyring import CALLBACK_KEY_SECRET, MEDIA_KEY_SECRET

logger = logging.getLogger(__name__)

MAX_CONNECTIONS = 100
"""Of this process; a request waits for one within its own time."""
MAX_ANSWER_BYTES = 64 * 1024
"""A longer answer is none."""
OWN_KEYS = frozenset({MEDIA_KEY_SECRET, CALLBACK_KEY_SECRET})
"""Whoever may push a flow may send its secrets to a host of his choice: not these."""


class _NotAllowed(Exception):
    """The operator does not allow the request, or there is no secret for it."""


class FlowHttp:
    """Sends the requests of all calls of the process. `close` it at the end.

    Args:
        hosts: What may be called.
        vault: Holds the secrets of headers.
        resolver: Tells the addresses of names; by default the system does.
    """

    def __init__(
        self, hosts: ToolHosts, vault: VaultSecrets, resolver: AbstractResolver | None = None
    ) -> None:
        self._hosts = hosts
        self._vault = vault
        self._resolver = resolver
        self._session: aiohttp.ClientSession | None = None

    async def call(self, action: CallHttp, *, call_id: str) -> HttpAnswered | Failed:
        """Return what the API answers; raises nothing."""
        try:
            async with asyncio.timeout(action.timeout_ms / 1000):
                return await self._request(action)
        except (_NotAllowed, GatewayError, TimeoutError, aiohttp.ClientError) as error:
            failure = type(error).__name__
        except Exception as error:  # noqa: BLE001 - whatever it is, the flow goes on
            failure = f"unexpected: {type(error).__name__}"
        logger.info("a request of a flow failed", extra={"call_id": call_id, "failure": failure})
        return Failed(action.id)

    async def close(self) -> None:
        """Close the connections that are kept."""
        if self._session is not None:
            await self._session.close()

    async def _request(self, action: CallHttp) -> HttpAnswered | Failed:
        url, body = self._checked(action.url), None
        if action.method == "GET":
            url = url.update_query(action.arguments)
        else:
            body = msgspec.json.encode(action.arguments)
        headers = {**action.headers, **await self._secrets(action.secret_headers)}
        if not all(map(is_allowed_header, headers)):
            raise _NotAllowed
        headers["Accept-Encoding"] = "identity"  # nothing is unpacked, so that what is small stays so
        if body is not None:
            headers["Content-Type"] = "application/json"
        async with self._open_session().request(
            action.method, url, data=body, headers=headers, allow_redirects=False
        ) as response:
            content = bytearray()
            async for some in response.content.iter_any():
                content += some
                if len(content) > MAX_ANSWER_BYTES:
                    return Failed(action.id)
            return HttpAnswered(action.id, response.status, _json(bytes(content)))

    def _checked(self, address: str) -> URL:
        url = URL(address)
        host, port = url.raw_host or "", url.port or 0
        is_safe = url.scheme == "https" or (url.scheme == "http" and host in LOOPBACK_HOSTS)
        if not is_safe or url.raw_user is not None or not self._hosts.allows(host, port):
            raise _NotAllowed
        return url

    async def _secrets(self, names: Mapping[str, str]) -> dict[str, str]:
        values = {}
        for header, name in names.items():
            value = None if name in OWN_KEYS else await self._vault.value(name)
            if value is None:
                raise _NotAllowed
            # A file's last line break is no part of a secret, and would be none of a header.
            values[header] = value.strip()
        return values

    def _open_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            resolver = CheckedResolver(self._resolver or aiohttp.ThreadedResolver(), self._hosts)
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(resolver=resolver, use_dns_cache=False, limit=MAX_CONNECTIONS),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None),
                auto_decompress=False,
                trust_env=False,
            )
        return self._session


def _json(content: bytes) -> Any:
    try:
        return msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
