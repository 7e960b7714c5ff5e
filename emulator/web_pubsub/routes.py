"""The side of Web PubSub that servers talk to: messages, groups, connections, permissions and tokens."""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from aiohttp import web
from yarl import URL

from emulator.faults.gate import Gate
from emulator.faults.operations import WEB_PUBSUB_PREFIX
from emulator.faults.registry import Occasion
from emulator.faults.rules import Status
from emulator.request_body import BodyRefused, read_body
from emulator.web_pubsub.connections import Connection, Permission, Target
from emulator.web_pubsub.content import Content, ContentRefused, DataType
from emulator.web_pubsub.errors import PubSubError, refused
from emulator.web_pubsub.frames import MAX_GROUP_NAME
from emulator.web_pubsub.pubsub import WebPubSub
from emulator.web_pubsub.tokens import Claims, TokenRefused, check_request_token, client_token

DEFAULT_TOKEN_MINUTES: Final = 60

_HUB: Final = re.compile(r"[A-Za-z][A-Za-z0-9_`,.\[\]]{0,127}")
_BEARER: Final = "Bearer "
_NOT_DONE: Final = ("filter", "messageTtlSeconds")
_TYPES: Final[Mapping[str, DataType]] = {
    "application/json": DataType.JSON,
    "text/plain": DataType.TEXT,
    "application/octet-stream": DataType.BINARY,
}

Perform = Callable[[web.Request, Target, bytes], web.Response]
"""Performs an operation on what its path names, and the body; raises PubSubError to refuse."""


class WebPubSubApi:
    """Routes over the service.

    Args:
        pubsub: the service.
        gate: where requests are remembered, and struck by faults.
        access_key: that signs requests and clients' tokens.
        entra_token: bearer token that is accepted too; none is when None.
    """

    def __init__(self, pubsub: WebPubSub, gate: Gate, *, access_key: str, entra_token: str | None) -> None:
        self._pubsub = pubsub
        self._gate = gate
        self._access_key = access_key
        self._entra_token = entra_token

    def routes(self) -> list[web.RouteDef]:
        """All routes."""
        group, user, connection = "/groups/{group}", "/users/{userId}", "/connections/{connectionId}"
        permission = "/permissions/{permission}" + connection
        send, close = "/:send", "/:closeConnections"
        return [
            self._route("POST", send, "sendToAll", self._send),
            self._route("POST", group + send, "sendToGroup", self._send),
            self._route("POST", user + send, "sendToUser", self._send),
            self._route("POST", connection + send, "sendToConnection", self._send),
            self._route("POST", close, "closeAllConnections", self._close),
            self._route("POST", group + close, "closeGroupConnections", self._close),
            self._route("POST", user + close, "closeUserConnections", self._close),
            self._route("DELETE", connection, "closeConnection", self._close),
            self._route("HEAD", group, "groupExists", self._exists),
            self._route("HEAD", user, "userExists", self._exists),
            self._route("HEAD", connection, "connectionExists", self._exists),
            self._route("GET", group + "/connections", "listConnections", self._list),
            self._route("PUT", group + connection, "addConnectionToGroup", self._join),
            self._route("DELETE", group + connection, "removeConnectionFromGroup", self._leave),
            self._route("DELETE", connection + "/groups", "removeConnectionFromAllGroups", self._leave_all),
            self._route("PUT", user + group, "addUserToGroup", self._join),
            self._route("DELETE", user + group, "removeUserFromGroup", self._leave),
            self._route("DELETE", user + "/groups", "removeUserFromAllGroups", self._leave_all),
            self._route("PUT", permission, "grantPermission", self._grant),
            self._route("DELETE", permission, "revokePermission", self._revoke),
            self._route("HEAD", permission, "hasPermission", self._has_permission),
            self._route("POST", "/:generateToken", "generateToken", self._generate_token),
        ]

    def _route(self, method: str, path: str, operation: str, perform: Perform) -> web.RouteDef:
        async def handle(request: web.Request) -> web.StreamResponse:
            try:
                body = await self._admit(request)
                target = _target(request)
            except PubSubError as error:
                return refused(error)

            async def performed() -> web.Response:
                try:
                    return perform(request, target, body)
                except PubSubError as error:
                    return refused(error)

            return await self._gate.answer(request, _occasion(operation, request, target), performed, _fault)

        return web.route(method, "/api/hubs/{hub}" + path, handle)

    async def _admit(self, request: web.Request) -> bytes:
        """The body of a request that may pass."""
        try:
            body = await read_body(request)
        except BodyRefused as refusal:
            raise PubSubError(refusal.status, refusal.code, str(refusal)) from None
        authorization = request.headers.get("Authorization", "")
        token = authorization.removeprefix(_BEARER)
        if not authorization.startswith(_BEARER):
            raise PubSubError(401, "Unauthorized", "The Authorization header is not 'Bearer ...'.")
        if self._entra_token is None or token != self._entra_token:
            try:
                check_request_token(token, _origin(request) + request.raw_path, access_key=self._access_key)
            except TokenRefused as refusal:
                raise PubSubError(401, "Unauthorized", str(refusal)) from None
        if not request.query.get("api-version"):
            raise _bad_request("The api-version query parameter is missing.")
        return body

    def _send(self, request: web.Request, target: Target, body: bytes) -> web.Response:
        for name in _NOT_DONE:
            if request.query.get(name, "0") != "0":
                raise PubSubError(501, "NotImplemented", f"The query parameter {name} is not emulated.")
        kind = _TYPES.get(request.content_type)
        if kind is None:
            raise PubSubError(
                415, "UnsupportedMediaType", f"The Content-Type is none of: {', '.join(_TYPES)}."
            )
        try:
            content = Content.of_body(kind, body)
        except ContentRefused as error:
            raise _bad_request(f"The body is not {request.content_type}: {error}.") from None
        self._pubsub.send(request.match_info["hub"], target, content)
        return web.Response(status=202)

    def _close(self, request: web.Request, target: Target, _: bytes) -> web.Response:
        self._pubsub.close_connections(target, request.query.get("reason", ""))
        return web.Response(status=204)

    def _exists(self, _: web.Request, target: Target, __: bytes) -> web.Response:
        return web.Response(status=200 if self._pubsub.of(target) else 404)

    def _list(self, request: web.Request, target: Target, _: bytes) -> web.Response:
        members = self._pubsub.of(target)
        top = request.query.get("top", str(len(members)))
        if not top.isdecimal():
            raise _bad_request("top is not a number.")
        return web.json_response(
            {"value": [_shown(member) for member in members[: int(top)]], "nextLink": None}
        )

    def _join(self, request: web.Request, target: Target, _: bytes) -> web.Response:
        for connection in self._found(target):
            connection.groups[request.match_info["group"]] = None
        return web.Response(status=200)

    def _leave(self, request: web.Request, target: Target, _: bytes) -> web.Response:
        for connection in self._pubsub.of(target):
            connection.groups.pop(request.match_info["group"], None)
        return web.Response(status=204)

    def _leave_all(self, _: web.Request, target: Target, __: bytes) -> web.Response:
        for connection in self._pubsub.of(target):
            connection.groups.clear()
        return web.Response(status=204)

    def _grant(self, request: web.Request, target: Target, _: bytes) -> web.Response:
        for connection in self._found(target):
            connection.grant(_permission(request), request.query.get("targetName"))
        return web.Response(status=200)

    def _revoke(self, request: web.Request, target: Target, _: bytes) -> web.Response:
        for connection in self._pubsub.of(target):
            connection.revoke(_permission(request), request.query.get("targetName"))
        return web.Response(status=204)

    def _has_permission(self, request: web.Request, target: Target, _: bytes) -> web.Response:
        permission, group = _permission(request), request.query.get("targetName")
        has = any(connection.may(permission, group) for connection in self._pubsub.of(target))
        return web.Response(status=200 if has else 404)

    def _generate_token(self, request: web.Request, _: Target, __: bytes) -> web.Response:
        minutes = request.query.get("minutesToExpire", str(DEFAULT_TOKEN_MINUTES))
        if not minutes.isdecimal() or int(minutes) < 1:
            raise _bad_request("minutesToExpire is not a number of at least 1.")
        if request.query.get("clientType", "Default").lower() != "default":
            raise PubSubError(501, "NotImplemented", "Only clients of the type Default are emulated.")
        claims = Claims(
            request.query.get("userId"),
            roles=request.query.getall("role", []),
            groups=request.query.getall("group", []),
        )
        url = f"{_origin(request)}/client/hubs/{request.match_info['hub']}"
        token = client_token(claims, url, access_key=self._access_key, lifetime_seconds=int(minutes) * 60)
        return web.json_response({"token": token})

    def _found(self, target: Target) -> list[Connection]:
        """The clients that are meant; a connection has to exist, a user may have none."""
        found = self._pubsub.of(target)
        if target.connection_id is not None and not found:
            raise PubSubError(404, "NotFound", "There is no connection of this id.")
        return found


def _target(request: web.Request) -> Target:
    """Whom the path names; where it names a group with a connection or user, the group is not a part of it."""
    path = request.match_info
    if not _HUB.fullmatch(path["hub"]):
        raise _bad_request("The hub's name is not valid.")
    group, user_id, connection_id = (path.get(name) for name in ("group", "userId", "connectionId"))
    if group is not None and not 0 < len(group) <= MAX_GROUP_NAME:
        raise _bad_request(f"The group's name is longer than {MAX_GROUP_NAME} characters.")
    is_of_group = user_id is None and connection_id is None
    return Target(
        path["hub"],
        group if is_of_group else None,
        user_id,
        connection_id,
        frozenset(request.query.getall("excluded", [])),
    )


def _permission(request: web.Request) -> Permission:
    try:
        return Permission(request.match_info["permission"])
    except ValueError:
        raise _bad_request(f"The permission is none of: {', '.join(Permission)}.") from None


def _occasion(operation: str, request: web.Request, target: Target) -> Occasion:
    operation = WEB_PUBSUB_PREFIX + operation
    group = request.match_info.get("group", "")
    thing = " ".join((operation, str(target.hub).lower(), group))
    return Occasion(operation, group, thing=thing, about=f"{request.method} {request.path}")


def _origin(request: web.Request) -> str:
    return str(URL.build(scheme="http", authority=request.host))


def _shown(connection: Connection) -> dict[str, Any]:
    return {"connectionId": connection.id, "userId": connection.user_id}


def _bad_request(message: str) -> PubSubError:
    return PubSubError(400, "BadRequest", message)


def _fault(fault: Status) -> web.Response:
    return refused(
        PubSubError(fault.status, fault.code or "InternalServerError", fault.message), fault.headers()
    )
