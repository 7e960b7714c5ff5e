"""Web PubSub as its own API shows it: who is connected, what was sent; and sockets that break on purpose."""

from typing import Any

import msgspec
from aiohttp import web

from emulator.request_body import BodyRefused, read_body
from emulator.web_pubsub.connections import Connection
from emulator.web_pubsub.pubsub import WebPubSub


class _Cut(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """Whose sockets are to break; everybody's when nothing is given."""

    hub: str | None = None
    group: str | None = None
    connection_id: str | None = None
    recoverable: bool = True


def pubsub_routes(pubsub: WebPubSub) -> list[web.RouteDef]:
    """The routes under `/emulator`; open to everybody, since the emulator serves one machine."""

    async def connections(request: web.Request) -> web.Response:
        found = pubsub.connections(request.query.get("hub"), group=request.query.get("group"))
        return web.json_response(
            {"value": [_shown(pubsub, each) for each in found], "overflowed": pubsub.overflowed}
        )

    async def groups(request: web.Request) -> web.Response:
        found = pubsub.groups(request.query.get("hub"))
        return web.json_response(
            {
                "value": [
                    {"hub": hub, "group": group, "connections": [member.id for member in members]}
                    for (hub, group), members in found.items()
                ]
            }
        )

    async def messages(request: web.Request) -> web.Response:
        return web.json_response(
            {
                "value": [sent.shown() for sent in pubsub.messages(request.query.get("hub"))],
                "forgotten": pubsub.forgotten_messages,
                "droppedDeliveries": pubsub.dropped_deliveries,
            }
        )

    async def cut(request: web.Request) -> web.Response:
        try:
            wanted = msgspec.json.decode(await read_body(request) or b"{}", type=_Cut)
        except BodyRefused as refusal:
            return _error(refusal.status, refusal.code, str(refusal))
        except (ValueError, RecursionError) as error:
            return _error(400, "InvalidRequest", str(error))
        broken = pubsub.cut(
            wanted.hub,
            group=wanted.group,
            connection_id=wanted.connection_id,
            recoverable=wanted.recoverable,
        )
        return web.json_response({"cut": broken})

    return [
        web.get("/emulator/web-pubsub/connections", connections),
        web.get("/emulator/web-pubsub/groups", groups),
        web.get("/emulator/web-pubsub/messages", messages),
        web.post("/emulator/web-pubsub/cut", cut),
    ]


def _shown(pubsub: WebPubSub, connection: Connection) -> dict[str, Any]:
    return {
        "connectionId": connection.id,
        "hub": connection.hub,
        "userId": connection.user_id,
        "subprotocol": str(connection.subprotocol),
        "groups": list(connection.groups),
        "connected": pubsub.is_connected(connection),
        "unacknowledged": len(connection.unacknowledged),
    }


def _error(status: int, code: str, message: str) -> web.Response:
    return web.json_response({"error": {"code": code, "message": message}}, status=status)
