"""An application as ACS sees it: a webhook, a callback endpoint and a media endpoint, all of which remember."""

import asyncio
import json
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from aiohttp import WSMsgType, web

PATIENCE_SECONDS = 5.0


@dataclass(frozen=True)
class Received:
    """One request as it arrived."""

    method: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Socket:
    """One media socket."""

    headers: Mapping[str, str]
    query: Mapping[str, str]
    response: web.WebSocketResponse
    messages: list[dict[str, Any]] = field(default_factory=list)
    closed_with: int | None = None


class Application:
    """Answers what it is told to; by default it consents to subscriptions and accepts everything.

    Attributes:
        deliveries: Event Grid notifications, handshakes apart.
        handshakes: validation events and OPTIONS requests.
        callbacks: callback requests.
        sockets: media sockets that were opened.
        delivery_statuses: what the next deliveries are answered with; 200 when empty.
        callback_statuses: what the next callbacks are answered with; 200 when empty.
        media_statuses: what the next upgrades are refused with; accepted when empty.
    """

    def __init__(self) -> None:
        self.base_url = ""
        self.deliveries: list[Received] = []
        self.handshakes: list[Received] = []
        self.callbacks: list[Received] = []
        self.sockets: list[Socket] = []
        self.delivery_statuses: deque[int] = deque()
        self.callback_statuses: deque[int] = deque()
        self.media_statuses: deque[int] = deque()
        self.answer_handshake: Callable[[Received], web.Response] = consent
        self._changed = asyncio.Condition()
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        app = web.Application()
        app.add_routes(
            [
                web.route("*", "/events", self._events),
                web.post("/callbacks/{call}", self._callback),
                web.get("/media", self._media),
            ]
        )
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        host, port = self._runner.addresses[0][:2]
        self.base_url = f"http://{host}:{port}"

    async def stop(self) -> None:
        for socket in self.sockets:
            await socket.response.close()
        if self._runner is not None:
            await self._runner.cleanup()

    @property
    def events_url(self) -> str:
        return self.base_url + "/events"

    @property
    def callback_url(self) -> str:
        return self.base_url + "/callbacks/main?secret=7f3c"

    @property
    def media_url(self) -> str:
        return self.base_url.replace("http", "ws", 1) + "/media?token=abc"

    async def until(self, condition: Callable[[], Any]) -> None:
        """Wait until something received makes the condition true."""
        async with asyncio.timeout(PATIENCE_SECONDS), self._changed:
            await self._changed.wait_for(condition)

    def events(self) -> list[dict[str, Any]]:
        """All callback events so far."""
        return [event for callback in self.callbacks for event in callback.json]

    def event_types(self) -> list[str]:
        """Their types without the prefix."""
        return [event["type"].removeprefix("Microsoft.Communication.") for event in self.events()]

    async def event(self, event_type: str) -> dict[str, Any]:
        """Wait for a callback event of a type, and return the first one."""
        await self.until(lambda: event_type in self.event_types())
        return self.events()[self.event_types().index(event_type)]

    async def media_sockets(self, count: int = 1) -> list[Socket]:
        """Wait until so many media sockets have been opened and have got their first message."""
        await self.until(lambda: len([socket for socket in self.sockets if socket.messages]) >= count)
        return self.sockets

    async def _events(self, request: web.Request) -> web.Response:
        received = Received(request.method, request.headers, await request.read())
        validates = request.headers.get("aeg-event-type") == "SubscriptionValidation"
        if request.method == "OPTIONS" or validates:
            await self._remember(self.handshakes, received)
            return self.answer_handshake(received)
        await self._remember(self.deliveries, received)
        return web.Response(status=self.delivery_statuses.popleft() if self.delivery_statuses else 200)

    async def _callback(self, request: web.Request) -> web.Response:
        status = self.callback_statuses.popleft() if self.callback_statuses else 200
        await self._remember(self.callbacks, Received(request.path_qs, request.headers, await request.read()))
        return web.Response(status=status)

    async def _media(self, request: web.Request) -> web.StreamResponse:
        if self.media_statuses:
            return web.Response(status=self.media_statuses.popleft())
        response = web.WebSocketResponse()
        await response.prepare(request)
        socket = Socket(request.headers, request.query, response)
        await self._remember(self.sockets, socket)
        with suppress(ConnectionError):
            async for message in response:
                if message.type is WSMsgType.TEXT:
                    await self._remember(socket.messages, json.loads(message.data))
        socket.closed_with = response.close_code
        await self._notify()
        return response

    async def _remember(self, where: list[Any], what: Any) -> None:
        where.append(what)
        await self._notify()

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()


def consent(received: Received) -> web.Response:
    """What an endpoint answers that wants the events."""
    if received.method == "OPTIONS":
        return web.Response(headers={"WebHook-Allowed-Origin": received.headers["WebHook-Request-Origin"]})
    return web.json_response({"validationResponse": received.json[0]["data"]["validationCode"]})
