"""The stand-in's server: one port for all three services."""

import asyncio
import logging
import time
import uuid
from collections import Counter, deque
from http import HTTPStatus
from typing import Final

import msgspec
from picows import (
    WSListener,
    WSUpgradeRequest,
    WSUpgradeResponse,
    WSUpgradeResponseWithListener,
    ws_create_server,
)

from emulator.realtime.access import Access, NotAdmitted
from emulator.realtime.core import SessionCore
from emulator.realtime.dialects import PATHS, Dialect
from emulator.realtime.session import EXPECT_S, MESSAGE_LIMIT_BYTES, RealtimeSession
from emulator.realtime.settings import RealtimeSettings

HANDSHAKE_S: Final = 5
KEPT_SESSIONS: Final = 500
"""Sessions that tests can look at, the open ones among them; then the oldest are forgotten."""
STOP_S: Final = 2.0

logger = logging.getLogger(__name__)


class RealtimeService:
    """Listens from `start` to `stop`.

    Attributes:
        sessions: in the order in which they were opened, those that have ended too.
        counters: refusals by HTTP status (`refused_401`), and `opened`.
    """

    def __init__(self, settings: RealtimeSettings | None = None) -> None:
        self._settings = settings or RealtimeSettings()
        self._access = Access(self._settings)
        self._server: asyncio.Server | None = None
        self._open: set[RealtimeSession] = set()
        self._changed = asyncio.Event()
        self.sessions: deque[RealtimeSession] = deque(maxlen=KEPT_SESSIONS)
        self.counters: Counter[str] = Counter()
        self.port = 0

    async def start(self) -> None:
        """Listen.

        Raises:
            OSError: the port is taken, or the address is none of this machine's.
        """
        self._server = await ws_create_server(
            self._on_request,
            self._settings.host,
            self._settings.port,
            websocket_handshake_timeout=HANDSHAKE_S,
            max_frame_size=MESSAGE_LIMIT_BYTES,
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Stop listening, and lose the connections that there are."""
        if self._server is not None:
            self._server.close()
        for session in tuple(self._open):
            session.drop()
        try:
            async with asyncio.timeout(STOP_S):
                while self._open:
                    self._changed.clear()
                    await self._changed.wait()
                if self._server is not None:
                    await self._server.wait_closed()
        except TimeoutError:
            pass  # a handshake that somebody never finished; picows ends it, or the process does

    @property
    def base_url(self) -> str:
        """The address, by HTTP."""
        return f"http://{self._settings.host}:{self.port}"

    def url(self, dialect: Dialect | str) -> str:
        """Return the WebSocket URL of a service, to which a client adds its query."""
        path = next(path for path, known in PATHS.items() if known == dialect)
        return f"ws://{self._settings.host}:{self.port}{path}"

    async def session(self, number: int = 0, *, within_s: float = EXPECT_S) -> RealtimeSession:
        """Return the session of this number, from 0; wait until it is opened.

        Raises:
            TimeoutError: it is not.
        """
        async with asyncio.timeout(within_s):
            while len(self.sessions) <= number:
                self._changed.clear()
                await self._changed.wait()
        return self.sessions[number]

    def _on_request(self, request: WSUpgradeRequest) -> WSListener | WSUpgradeResponseWithListener:
        """Answer a request (called by picows, which takes GET only and cannot wait)."""
        if request.path == b"/healthz":
            return _answer(HTTPStatus.OK, {"status": "alive"})
        try:
            upgrade = self._access.admit(request, time.monotonic())
        except NotAdmitted as refused:
            self.counters[f"refused_{refused.status.value}"] += 1
            logger.info("an upgrade was refused", extra={"reason": str(refused)})
            document = {"error": {"code": str(refused.status.value), "message": str(refused)}}
            return _answer(refused.status, document, refused.retry_after_s)
        label = uuid.uuid4().hex[:8]
        lasts_s = self._settings.session_s
        expires_at = None if lasts_s is None else round(time.time() + lasts_s)
        core = SessionCore(upgrade.dialect, label, upgrade.query, self._settings, expires_at)
        return RealtimeSession(upgrade, core, self._settings, on_open=self._opened, on_end=self._ended)

    def _opened(self, session: RealtimeSession) -> None:
        self.counters["opened"] += 1
        self.sessions.append(session)
        self._open.add(session)
        self._changed.set()

    def _ended(self, session: RealtimeSession) -> None:
        self._open.discard(session)
        self._changed.set()


def _answer(
    status: HTTPStatus, document: object, retry_after_s: int | None = None
) -> WSUpgradeResponseWithListener:
    headers = {"Content-Type": "application/json", "Cache-Control": "no-store"}
    if retry_after_s is not None:
        headers["Retry-After"] = str(retry_after_s)
    body = msgspec.json.encode(document)
    if status is HTTPStatus.OK:
        response = WSUpgradeResponse.create_ok_response(body, headers)
    else:
        response = WSUpgradeResponse.create_error_response(status, body, headers)
    return WSUpgradeResponseWithListener(response, None)
