"""The HTTP side of the emulated Event Grid: subscriptions, publishing, dead letters, late consent."""

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from aiohttp import web

from emulator.event_grid.events import PublishedEvent
from emulator.event_grid.grid import EventGrid, LiveSubscription
from emulator.event_grid.handshake import VALIDATION_PATH
from emulator.event_grid.subscriptions import SubscriptionRefused, read_subscription
from emulator.request_body import BodyRefused, read_body
from emulator.wire.json_text import NotJson, decode_json


def event_grid_routes(grid: EventGrid) -> list[web.RouteDef]:
    """All routes; open to everybody, since the emulator serves one machine."""
    handlers = _Handlers(grid)
    subscription = "/eventgrid/subscriptions/{name}"
    return [
        web.get("/eventgrid/subscriptions", handlers.list_subscriptions),
        web.put(subscription, _readable(handlers.put_subscription)),
        web.get(subscription, handlers.get_subscription),
        web.delete(subscription, handlers.delete_subscription),
        web.post("/eventgrid/publish", _readable(handlers.publish)),
        web.get("/eventgrid/deadletters", handlers.list_dead_letters),
        web.get(VALIDATION_PATH, handlers.validate),
    ]


class _Handlers:
    def __init__(self, grid: EventGrid) -> None:
        self._grid = grid

    async def list_subscriptions(self, _: web.Request) -> web.Response:
        return web.json_response({"value": [_shown(live) for live in self._grid.subscriptions()]})

    async def put_subscription(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        existed = self._grid.find(name) is not None
        try:
            definition = read_subscription(name, decode_json(await read_body(request)))
        except SubscriptionRefused as refusal:
            return _error(400, "InvalidRequest", str(refusal))
        try:
            live = await self._grid.subscribe(definition)
        except SubscriptionRefused as refusal:
            return _error(400, "EndpointValidationFailed", str(refusal))
        return web.json_response(_shown(live), status=200 if existed else 201)

    async def get_subscription(self, request: web.Request) -> web.Response:
        live = self._grid.find(request.match_info["name"])
        return web.json_response(_shown(live)) if live is not None else _no_such_subscription()

    async def delete_subscription(self, request: web.Request) -> web.Response:
        if not await self._grid.unsubscribe(request.match_info["name"]):
            return _no_such_subscription()
        return web.Response(status=204)

    async def publish(self, request: web.Request) -> web.Response:
        content = decode_json(await read_body(request))
        try:
            published = msgspec.convert(
                content if isinstance(content, list) else [content], list[PublishedEvent]
            )
            events = [one.event() for one in published]
        except ValueError as error:
            return _error(400, "InvalidRequest", f"The events are not valid: {error}.")
        reached = self._grid.publish(events)
        return web.json_response({"published": len(events), "subscriptions": reached})

    async def list_dead_letters(self, _: web.Request) -> web.Response:
        letters = self._grid.dead_letters
        return web.json_response(
            {
                "value": letters.all(),
                "droppedLetters": letters.dropped,
                "droppedEvents": self._grid.dropped_events,
            }
        )

    async def validate(self, request: web.Request) -> web.Response:
        if not await self._grid.consent(request.query.get("id", ""), request.query.get("token", "")):
            return _error(404, "NotFound", "No subscription waits for this validation.")
        return web.Response(text="Webhook successfully validated as a subscription endpoint.")


def _shown(live: LiveSubscription) -> dict[str, Any]:
    return {**msgspec.to_builtins(live.definition), "provisioningState": str(live.state)}


def _readable(
    handler: Callable[[web.Request], Awaitable[web.Response]],
) -> Callable[[web.Request], Awaitable[web.Response]]:
    """The handler, with an answer to bodies that cannot be read or are not JSON."""

    async def handle(request: web.Request) -> web.Response:
        try:
            return await handler(request)
        except BodyRefused as refusal:
            return _error(refusal.status, refusal.code, str(refusal))
        except NotJson as error:
            return _error(400, "InvalidRequest", f"The request's body is not valid: {error}.")

    return handle


def _no_such_subscription() -> web.Response:
    return _error(404, "ResourceNotFound", "There is no subscription of this name.")


def _error(status: int, code: str, message: str) -> web.Response:
    return web.json_response({"error": {"code": code, "message": message}}, status=status)
