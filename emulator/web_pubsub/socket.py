"""Where clients of Web PubSub open their WebSockets."""

import asyncio
from typing import Final

from aiohttp import WSMessage, WSMsgType, web

from emulator.faults.gate import Gate
from emulator.faults.operations import WEB_PUBSUB_PREFIX
from emulator.faults.registry import Occasion
from emulator.faults.rules import Status
from emulator.web_pubsub.connections import Connection, Target
from emulator.web_pubsub.content import Content, DataType
from emulator.web_pubsub.errors import PubSubError, refused
from emulator.web_pubsub.frames import FrameRefused, Subprotocol, read_frame
from emulator.web_pubsub.operations import CONNECT, RECOVER
from emulator.web_pubsub.pubsub import POLICY_VIOLATION, WebPubSub
from emulator.web_pubsub.tokens import Claims, TokenRefused, read_client_token
from emulator.web_pubsub.wire import Close, Wire

MAX_MESSAGE_BYTES: Final = 1024 * 1024
"""Of a client's message; a longer one closes its socket, as in Azure."""

CLOSE_SECONDS: Final = 1.0
"""How long a client may take to answer a close frame."""

MAX_REASON_BYTES: Final = 123
"""Of the reason in a close frame, as of every control frame's body but the code."""

_BEARER: Final = "Bearer "
_SUBPROTOCOLS: Final = (Subprotocol.RELIABLE, Subprotocol.JSON)


class ClientEndpoint:
    """The route of all hubs' clients.

    Args:
        pubsub: the service.
        gate: where connection requests are remembered, and struck by faults.
        access_key: that signs access tokens.
    """

    def __init__(self, pubsub: WebPubSub, gate: Gate, *, access_key: str) -> None:
        self._pubsub = pubsub
        self._gate = gate
        self._access_key = access_key

    def routes(self) -> list[web.RouteDef]:
        """The one route."""
        return [web.get("/client/hubs/{hub}", self._handle)]

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        returning = request.query.get("awps_connection_id")
        claims = Claims()
        try:
            if returning is None:
                claims = self._claims(request)
        except TokenRefused as refusal:
            return refused(PubSubError(401, "Unauthorized", str(refusal)))
        if self._pubsub.is_closed:
            return refused(PubSubError(503, "ServiceUnavailable", "The service goes away."))
        if not web.WebSocketResponse(protocols=_SUBPROTOCOLS).can_prepare(request):
            return refused(PubSubError(400, "BadRequest", "The request opens no WebSocket."))
        passed = web.Response()

        async def pass_on() -> web.Response:
            return passed

        occasion = _occasion(CONNECT if returning is None else RECOVER, request)
        reply = await self._gate.answer(request, occasion, pass_on, _fault)
        return reply if reply is not passed else await self._serve(request, returning, claims)

    def _claims(self, request: web.Request) -> Claims:
        authorization = request.headers.get("Authorization", "")
        token = request.query.get("access_token") or authorization.removeprefix(_BEARER)
        url = f"http://{request.host}{request.rel_url.raw_path}"
        return read_client_token(token, url, access_key=self._access_key)

    async def _serve(
        self, request: web.Request, returning: str | None, claims: Claims
    ) -> web.WebSocketResponse:
        hub = request.match_info["hub"]
        socket = web.WebSocketResponse(
            protocols=_SUBPROTOCOLS, max_msg_size=MAX_MESSAGE_BYTES, timeout=CLOSE_SECONDS, compress=False
        )
        await socket.prepare(request)
        transport = request.transport
        wire = Wire(transport.abort if transport is not None else lambda: None)
        if returning is None:
            subprotocol = Subprotocol(socket.ws_protocol or "")
            connection: Connection | None = self._pubsub.connect(hub, subprotocol, claims, wire)
        else:
            token = request.query.get("awps_reconnection_token", "")
            connection = self._pubsub.recover(hub, returning, token, wire)
        if connection is None:
            await socket.close(code=POLICY_VIOLATION, message=b"The connection cannot be recovered.")
            return socket
        try:
            close = await self._until_over(connection, socket, wire)
        finally:
            self._pubsub.lost(connection, wire)
        if close is not None:
            await socket.close(code=close.code, message=_short(close.reason))
        return socket

    async def _until_over(
        self, connection: Connection, socket: web.WebSocketResponse, wire: Wire
    ) -> Close | None:
        """Send and receive at the same time; whichever ends first ends both."""
        sending = asyncio.create_task(wire.pump(socket), name="web-pubsub-sending")
        receiving = asyncio.create_task(self._receive(connection, socket, wire), name="web-pubsub-receiving")
        halves = {sending, receiving}
        try:
            await asyncio.wait(halves, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for half in halves:
                half.cancel()
            await asyncio.wait(halves)
        ended = next((half for half in (sending, receiving) if not half.cancelled()), None)
        return ended.result() if ended is not None else None

    async def _receive(
        self, connection: Connection, socket: web.WebSocketResponse, wire: Wire
    ) -> Close | None:
        while True:
            message = await socket.receive()
            match message.type:
                case WSMsgType.TEXT | WSMsgType.BINARY:
                    try:
                        self._take(connection, message)
                    except FrameRefused as refusal:
                        self._pubsub.close_connections(
                            Target(connection_id=connection.id), f"The frame is not valid: {refusal}."
                        )
                case WSMsgType.CLOSE:
                    self._pubsub.left(connection, wire)
                    return None
                case _:
                    return None

    def _take(self, connection: Connection, message: WSMessage) -> None:
        is_text = message.type is WSMsgType.TEXT
        if connection.subprotocol is not Subprotocol.NONE:
            if not is_text:
                raise FrameRefused("it is binary")
            self._pubsub.receive(connection, read_frame(message.data))
        elif is_text:
            self._pubsub.receive_event(connection, "message", Content(DataType.TEXT, message.data.encode()))
        else:
            self._pubsub.receive_event(connection, "message", Content(DataType.BINARY, message.data))


def _short(reason: str) -> bytes:
    """As much of a reason as a close frame takes."""
    return reason.encode()[:MAX_REASON_BYTES].decode(errors="ignore").encode()


def _occasion(operation: str, request: web.Request) -> Occasion:
    operation = WEB_PUBSUB_PREFIX + operation
    return Occasion(
        operation, thing=f"{operation} {request.match_info['hub'].lower()}", about=f"GET {request.path}"
    )


def _fault(fault: Status) -> web.Response:
    return refused(
        PubSubError(fault.status, fault.code or "InternalServerError", fault.message), fault.headers()
    )
