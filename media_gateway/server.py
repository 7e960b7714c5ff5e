"""The one port of the media gateway: media WebSockets, and health by plain GET."""

import asyncio
import logging
from http import HTTPStatus

import msgspec
from picows import (
    WSAutoPingStrategy,
    WSListener,
    WSUpgradeRequest,
    WSUpgradeResponse,
    WSUpgradeResponseWithListener,
    ws_create_server,
)

from media_gateway.admission import Admission, Refused
from media_gateway.calls import Calls
from media_gateway.health import Health
from media_gateway.pod import Pod
from media_gateway.timing import MAX_MESSAGE_BYTES, READ_BUFFER_BYTES

logger = logging.getLogger(__name__)

HANDSHAKE_TIMEOUT_S = 5
CLOSE_S = 1.0


class MediaServer:
    """Listens until `close`."""

    def __init__(self, pod: Pod, calls: Calls, admission: Admission, health: Health) -> None:
        self._pod = pod
        self._calls = calls
        self._admission = admission
        self._health = health
        self._server: asyncio.Server | None = None

    async def listen(self, host: str, port: int) -> int:
        """Start, and return the port (a free one where `port` is 0). Raises `OSError`."""
        # picows sends a ping, waits for the pong, and only then counts the next interval: half and half makes
        # one ping each `ping_s`, and finds a dead peer within one and a half of them.
        half_s = self._pod.timing.ping_s / 2
        self._server = await ws_create_server(
            self._on_request,
            host,
            port,
            websocket_handshake_timeout=HANDSHAKE_TIMEOUT_S,
            enable_auto_ping=True,
            auto_ping_strategy=WSAutoPingStrategy.PING_PERIODICALLY,
            auto_ping_idle_timeout=half_s,
            auto_ping_reply_timeout=half_s,
            # Ours: picows's pongs heed no limit of what may wait for a peer that does not read.
            enable_auto_pong=False,
            max_frame_size=MAX_MESSAGE_BYTES,
            read_buffer_init_size=READ_BUFFER_BYTES,
        )
        listening_port: int = self._server.sockets[0].getsockname()[1]
        return listening_port

    async def close(self) -> None:
        """Stop listening. Sockets of calls are the calls' own."""
        if self._server is not None:
            self._server.close()
            try:
                async with asyncio.timeout(CLOSE_S):
                    await self._server.wait_closed()
            except TimeoutError:
                pass  # a handshake that somebody never finished; picows ends it, or the process does

    def _on_request(self, request: WSUpgradeRequest) -> WSListener | WSUpgradeResponseWithListener:
        """Answer a request (called by picows, which takes GET only and cannot wait)."""
        path = request.path.partition(b"?")[0]
        if path == b"/healthz":
            return _answer(HTTPStatus.OK, b'{"status":"alive"}')
        if path == b"/readyz":
            is_ready, document = self._health.report()
            return _answer(HTTPStatus.OK if is_ready else HTTPStatus.SERVICE_UNAVAILABLE, document)
        try:
            admitted = self._admission.check(request)
        except Refused as refused:
            self._pod.counters[f"upgrades_refused_{refused.status.value}"] += 1
            logger.info("an upgrade was refused", extra={"reason": refused.reason})
            return _problem(refused)
        _accept_list_of_connection_options(request)
        return self._calls.new(admitted).socket


def _accept_list_of_connection_options(request: WSUpgradeRequest) -> None:
    """Let `Connection: keep-alive, Upgrade` pass, as RFC 9110 has it and proxies send it; picows wants one word."""
    options = {option.strip().lower() for option in request.headers.get("Connection", "").split(",")}
    if "upgrade" in options:
        request.headers["Connection"] = "upgrade"


def _answer(
    status: HTTPStatus, body: bytes, content_type: str = "application/json"
) -> WSUpgradeResponseWithListener:
    headers = {"Content-Type": content_type, "Cache-Control": "no-store"}
    if status is HTTPStatus.OK:
        response = WSUpgradeResponse.create_ok_response(body, headers)
    else:
        response = WSUpgradeResponse.create_error_response(status, body, headers)
    return WSUpgradeResponseWithListener(response, None)


def _problem(refused: Refused) -> WSUpgradeResponseWithListener:
    document = {
        "type": "about:blank",
        "title": refused.status.phrase,
        "status": refused.status.value,
        "detail": refused.reason,
    }
    return _answer(refused.status, msgspec.json.encode(document), "application/problem+json")
