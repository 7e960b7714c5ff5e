"""The profile's own tools: one HTTP request each, whose answer is text for the model.

What a tool may reach is the operator's to say: see `shared/core/tool_hosts.py`. Arguments and answers are what
callers say and hear; nothing of them is logged.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Collection, Mapping
from enum import StrEnum
from typing import Any

import aiohttp
import msgspec
from aiohttp.abc import AbstractResolver
from yarl import URL

from media_gateway.secrets import Secrets
from shared.adapters.checked_resolver import AddressRefused, CheckedResolver
from shared.core.profiles import HttpTool
from shared.core.tool_hosts import LOOPBACK_HOSTS, ToolHosts, is_allowed_header
from shared.errors import GatewayError

logger = logging.getLogger(__name__)

MAX_TOOL_CALLS = 200
"""At once in this process, two for each call of a full pod. Past it a tool is not called, and the model told so."""
MAX_CONNECTIONS_A_HOST = 50
"""Past it a request waits for one, within its tool's time: a slow host does not take the others' room."""
MAX_TOOL_ARGUMENT_BYTES = 8 * 1024
"""As JSON; a model that sends more has gone astray, and no server takes more in a URL."""
MAX_TOOL_RESPONSE_BYTES = 64 * 1024
"""The model has to read it while the caller waits. A longer answer is none."""
ERROR_BODY_BYTES = 1024
"""Of the body of an error, for the model to learn what it did wrong."""
MIN_SECRET_CHARS = 8
"""A shorter one is not looked for in what comes back: it would be found everywhere."""


class Failure(StrEnum):
    """Why there is no result; what the model is told."""

    ARGUMENTS = "the arguments cannot be sent"
    BUSY = "too many requests at once, try again later"
    NOT_ALLOWED = "the gateway is not set up to let this tool call its service"
    CREDENTIALS = "the gateway has no credentials for the service at the moment"
    TIMED_OUT = "timed out"
    UNREACHABLE = "the service cannot be reached"
    REDIRECTED = "the service answered with a redirect, which is not followed"
    TOO_LARGE = "the answer is too large"
    NOT_TEXT = "the answer is not text"
    STATUS = "status"
    UNEXPECTED = "failed"


class ToolFailed(Exception):
    """A tool gave no result. `detail` is added to what the model is told; `body` is what the service said."""

    def __init__(self, failure: Failure, detail: str = "", *, body: str | None = None) -> None:
        super().__init__(failure.value)
        self.failure = failure
        self.detail = detail
        self.body = body

    @property
    def text(self) -> str:
        """What the model is told, as JSON."""
        error = {"error": f"{self.failure.value} {self.detail}".rstrip()}
        return msgspec.json.encode(error if self.body is None else error | {"body": self.body}).decode()


class HttpTools:
    """Calls the tools of all calls of the process. `close` it at the end.

    Args:
        hosts: What may be called.
        secrets: Of the tools' headers.
        counters: `tool_calls`, and `tool_calls_failed_*` by the name of the failure.
        resolver: Tells the addresses of names; by default the system does.
    """

    def __init__(
        self,
        hosts: ToolHosts,
        secrets: Secrets,
        counters: Counter[str],
        resolver: AbstractResolver | None = None,
    ) -> None:
        self._hosts = hosts
        self._secrets = secrets
        self._counters = counters
        self._resolver = resolver
        self._session: aiohttp.ClientSession | None = None
        self._running = 0

    async def call(self, tool: HttpTool, arguments: Mapping[str, Any], *, call_id: str) -> str:
        """Return what the tool's service answers, or a JSON object with `error`; raises nothing.

        Args:
            tool: What is asked, and how.
            arguments: What the model fills in: the members of one JSON object.
            call_id: For the log.
        """
        self._counters["tool_calls"] += 1
        if self._running >= MAX_TOOL_CALLS:
            return self._told(ToolFailed(Failure.BUSY), tool, call_id)
        self._running += 1
        try:
            async with asyncio.timeout(tool.timeout_ms / 1000):
                return await self._request(tool, arguments)
        except Exception as error:  # noqa: BLE001 - whatever it is, the conversation goes on
            return self._told(_failed(error), tool, call_id)
        finally:
            self._running -= 1

    async def close(self) -> None:
        """Close the connections that are kept."""
        if self._session is not None:
            await self._session.close()

    def _told(self, failed: ToolFailed, tool: HttpTool, call_id: str) -> str:
        self._counters[f"tool_calls_failed_{failed.failure.name.lower()}"] += 1
        logger.info(
            "a tool failed",
            extra={"call_id": call_id, "tool": tool.name, "failure": failed.failure.name.lower()},
        )
        return failed.text

    async def _request(self, tool: HttpTool, arguments: Mapping[str, Any]) -> str:
        url = self._checked(tool.url)
        content = _encoded(arguments)
        body = None
        if tool.method == "GET":
            url = url.update_query(_query(arguments, fixed=url.query))
        else:
            body = aiohttp.BytesPayload(content, content_type="application/json")
        secrets = await self._secrets_of(tool)
        headers = {**tool.headers, **secrets}
        if not all(map(is_allowed_header, headers)):
            raise ToolFailed(Failure.NOT_ALLOWED)
        headers["Accept-Encoding"] = "identity"  # nothing is unpacked, so that what is small stays so
        async with self._open_session().request(
            tool.method, url, data=body, headers=headers, allow_redirects=False
        ) as response:
            if response.status == 401:
                for name in tool.secret_headers.values():
                    self._secrets.forget(name)
            return await _result(response, secrets.values())

    def _checked(self, address: str) -> URL:
        """Return the tool's URL; the address that its host leads to is looked at later. Raises `ToolFailed`."""
        url = URL(address)
        host, port = url.raw_host or "", url.port or 0
        is_safe = url.scheme == "https" or (url.scheme == "http" and host in LOOPBACK_HOSTS)
        if not is_safe or url.raw_user is not None or not self._hosts.allows(host, port):
            raise ToolFailed(Failure.NOT_ALLOWED)
        return url

    async def _secrets_of(self, tool: HttpTool) -> Mapping[str, str]:
        try:
            # A file's last line break is no part of a secret, and would be none of a header.
            return {
                header: (await self._secrets.value(name)).strip()
                for header, name in tool.secret_headers.items()
            }
        except GatewayError:
            raise ToolFailed(Failure.CREDENTIALS) from None

    def _open_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            resolver = CheckedResolver(self._resolver or aiohttp.ThreadedResolver(), self._hosts)
            self._session = aiohttp.ClientSession(
                # Without a cache of names: each connection is to an address that was looked at for it.
                connector=aiohttp.TCPConnector(
                    resolver=resolver,
                    use_dns_cache=False,
                    limit=MAX_TOOL_CALLS,
                    limit_per_host=MAX_CONNECTIONS_A_HOST,
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None),
                auto_decompress=False,
                trust_env=False,
            )
        return self._session


async def _result(response: aiohttp.ClientResponse, secrets: Collection[str]) -> str:
    if 300 <= response.status < 400:
        raise ToolFailed(Failure.REDIRECTED)
    if response.status >= 400:
        content = await _read(response, ERROR_BODY_BYTES)
        body = _text(content[:ERROR_BODY_BYTES], secrets) if content and _is_text(response) else None
        raise ToolFailed(Failure.STATUS, str(response.status), body=body)
    content = await _read(response, MAX_TOOL_RESPONSE_BYTES)
    if len(content) > MAX_TOOL_RESPONSE_BYTES:
        raise ToolFailed(Failure.TOO_LARGE)
    if not content:
        return msgspec.json.encode({"status": response.status}).decode()
    if not _is_text(response):
        raise ToolFailed(Failure.NOT_TEXT)
    return _text(content, secrets)


async def _read(response: aiohttp.ClientResponse, limit: int) -> bytes:
    """Return the body, or as much of it as shows that it is longer than `limit`."""
    content = bytearray()
    async for some in response.content.iter_any():
        content += some
        if len(content) > limit:
            break
    return bytes(content)


def _is_text(response: aiohttp.ClientResponse) -> bool:
    kind = response.content_type
    is_plain = response.headers.get("Content-Encoding", "identity") == "identity"
    return is_plain and (
        kind.startswith("text/")
        or kind in ("application/json", "application/xml")
        or kind.endswith(("+json", "+xml"))
    )


def _text(content: bytes, secrets: Collection[str]) -> str:
    """Return a body as text, without the secrets that a service may send back when it shows what it was asked."""
    text = content.decode(errors="replace")
    for secret in secrets:
        for word in (secret, secret.rpartition(" ")[2]):
            if len(word) >= MIN_SECRET_CHARS:
                text = text.replace(word, "***")
    return text


def _encoded(arguments: Mapping[str, Any]) -> bytes:
    try:
        content = msgspec.json.encode(dict(arguments))
    except (TypeError, ValueError, RecursionError, msgspec.MsgspecError):
        raise ToolFailed(Failure.ARGUMENTS, "(not a JSON object)") from None
    if len(content) > MAX_TOOL_ARGUMENT_BYTES:
        raise ToolFailed(Failure.ARGUMENTS, f"(more than {MAX_TOOL_ARGUMENT_BYTES} bytes)")
    return content


def _query(arguments: Mapping[str, Any], *, fixed: Collection[str]) -> Mapping[str, str]:
    """Return the arguments as a query; what the profile's URL says already is not the model's to change."""
    if any(isinstance(value, (dict, list, tuple)) for value in arguments.values()):
        raise ToolFailed(Failure.ARGUMENTS, "(only texts, numbers, true and false)")
    return {
        name: value if isinstance(value, str) else msgspec.json.encode(value).decode()
        for name, value in arguments.items()
        if value is not None and name not in fixed
    }


def _failed(error: Exception) -> ToolFailed:
    """Return what an error means to the model; its text may hold the URL with the arguments, and stays out."""
    match error:
        case ToolFailed():
            return error
        case TimeoutError():
            return ToolFailed(Failure.TIMED_OUT)
        case aiohttp.ClientConnectorDNSError() if isinstance(error.os_error, AddressRefused):
            return ToolFailed(Failure.NOT_ALLOWED)
        case aiohttp.ClientError():
            return ToolFailed(Failure.UNREACHABLE)
    logger.error("a tool failed in an unexpected way", extra={"error": type(error).__name__})
    return ToolFailed(Failure.UNEXPECTED)
