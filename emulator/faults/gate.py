"""The gate before every emulated service: each request is remembered here, and struck by the rules."""

import asyncio
import socket
import struct
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final

from aiohttp import web
from multidict import CIMultiDictProxy

from emulator.faults.registry import Faults, Injected, Occasion
from emulator.faults.rules import Cut, Delay, Hang, Pause, RequestAction, Reset, Status, When

MAX_REQUESTS: Final = 1_000
"""Requests that can still be looked at; beyond that the oldest are forgotten."""

CLIENT_GONE_POLL_SECONDS: Final = 0.05
"""aiohttp does not tell a handler that its client has gone away."""

_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)


@dataclass(frozen=True)
class SeenRequest:
    """A request that came to a service.

    Attributes:
        operation: with its part, as rules name it.
        path: with the query.
    """

    operation: str
    method: str
    path: str
    headers: CIMultiDictProxy[str]


class Gate:
    """What the requests of all services go through.

    Args:
        faults: the rules that strike them.
    """

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._seen: deque[SeenRequest] = deque(maxlen=MAX_REQUESTS)

    def requests(self, operation: str = "*") -> list[SeenRequest]:
        """The latest requests of an operation (as in rules), the oldest first."""
        return [
            seen
            for seen in self._seen
            if fnmatchcase(seen.operation, operation)
            or fnmatchcase(seen.operation.partition(":")[0], operation)
        ]

    async def answer(
        self,
        request: web.Request,
        occasion: Occasion,
        perform: Callable[[], Awaitable[web.Response]],
        refuse: Callable[[Status], web.Response],
    ) -> web.StreamResponse:
        """Answer a request as the rules want it.

        Args:
            request: whose body has been read.
            occasion: what it is to the rules.
            perform: does what was asked for, and gives the answer.
            refuse: writes an error in the service's own shape.
        """
        self._seen.append(SeenRequest(occasion.name, request.method, request.raw_path, request.headers))
        strike = self._faults.take(occasion)
        if strike is None:
            return await perform()
        action = strike.action
        assert isinstance(action, RequestAction)  # noqa: S101 - rules strike only where their action fits
        reply = await perform() if action.when is When.AFTER else None
        match action:
            case Status():
                return refuse(action)
            case Delay():
                await asyncio.sleep(action.ms / 1000)
            case Hang():
                if not await _hangs(request, strike.injected):
                    return _lost(request)
            case Pause():
                if not await self._faults.hold(occasion, action.when):
                    return _lost(request)
            case Reset():
                return _lost(request)
            case Cut():
                assert reply is not None  # noqa: S101 - a cut strikes afterwards
                return await _cut(request, reply)
        return reply if reply is not None else await perform()


async def _hangs(request: web.Request, injected: Injected) -> bool:
    """Wait for the rule's removal; False when the client goes away before, or the emulator ends."""
    removed = injected.removed()
    try:
        while not removed.done():
            if request.transport is None or request.transport.is_closing():
                return False
            await asyncio.wait([removed], timeout=CLIENT_GONE_POLL_SECONDS)
        return removed.result()
    finally:
        removed.cancel()


def _lost(request: web.Request) -> web.Response:
    """Reset the connection; the response goes nowhere."""
    if request.transport is not None:
        _reset_on_close(request.transport)
        request.transport.abort()
    return web.Response()


async def _cut(request: web.Request, reply: web.Response) -> web.StreamResponse:
    body = reply.body if isinstance(reply.body, bytes) else b""
    if not body:
        return _lost(request)
    response = web.StreamResponse(status=reply.status, headers=reply.headers)
    response.content_length = len(body)
    await response.prepare(request)
    await response.write(body[: len(body) // 2])
    if request.transport is not None:
        _reset_on_close(request.transport)
        request.transport.close()
    return response


def _reset_on_close(transport: asyncio.Transport) -> None:
    """Make the system send RST instead of FIN, as for a process that died."""
    connection = transport.get_extra_info("socket")
    if connection is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
