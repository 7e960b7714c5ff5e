"""Getting through to a realtime service: credentials, the WebSocket, and what a refusal means."""

import asyncio
import logging
import ssl
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import cast

from picows import WSAutoPingStrategy, WSError, WSHandshakeError, WSListener, ws_connect

from media_gateway.agents.contract import AgentFailed
from media_gateway.agents.realtime.dialects import headers_of, url_of
from media_gateway.message_socket import MessageSocket, SocketLimits, SocketOwner
from media_gateway.outside import IdentityTokens
from media_gateway.secrets import Secrets
from shared.core.profiles import EntraAuth, KeyAuth, RealtimeAgent
from shared.errors import GatewayError

logger = logging.getLogger(__name__)

HANDSHAKE_S = 2.5
"""For TCP, TLS and the upgrade together; a service that is well takes a fifth of it. All tries fit into what an agent
has to open."""
CLOSE_S = 1.0
"""For the service to answer our close."""
PING_S = 10.0
"""After so long without a word a ping is sent, and as long its answer is waited for."""
TRIES_AGAIN = (0.2, 0.8)
"""Pauses before a second and a third try, where one may help: the caller waits. Seconds."""
READ_BUFFER_BYTES = 16 * 1024

AGENT_SOCKET = SocketLimits(message=4 * 1024 * 1024, write_buffer=1024 * 1024, kernel_buffer=64 * 1024)
"""A service sends long speech in pieces of up to some hundred KB. While it does not read, 16 s of the caller's audio
wait here: more than the caller may have said before it listened, which goes in one piece."""

_REASONS: Mapping[int, str] = {
    HTTPStatus.UNAUTHORIZED: "unauthorized",
    HTTPStatus.FORBIDDEN: "unauthorized",
    HTTPStatus.NOT_FOUND: "no_such_model",
    HTTPStatus.TOO_MANY_REQUESTS: "quota",
}
"""What a status before the upgrade means; every other one is `refused`, from 500 on `unavailable`."""


@dataclass(frozen=True, slots=True)
class Connector:
    """Opens connections for all calls of the process."""

    secrets: Secrets
    tokens: IdentityTokens
    counters: Counter[str]
    tls: ssl.SSLContext = field(default_factory=ssl.create_default_context)
    """Made once: reading the system's authorities takes 10 to 20 ms."""

    async def connect(self, settings: RealtimeAgent, owner: Callable[[], SocketOwner]) -> MessageSocket:
        """Return an open socket, after further tries where they may help.

        Args:
            settings: The profile's.
            owner: Makes who is told of a socket; of several tries, each gets its own.

        Raises:
            AgentFailed: with the reason: `unauthorized`, `no_such_model`, `quota`, `refused`, `unavailable`,
                `unreachable`, `no_credential`.
        """
        pauses_s = list(TRIES_AGAIN)
        is_key_fresh = False
        while True:
            try:
                return await self._try(settings, owner())
            except AgentFailed as failed:
                self.counters[f"agent_connections_{failed.reason}"] += 1
                if (
                    failed.reason == "unauthorized"
                    and isinstance(settings.auth, KeyAuth)
                    and not is_key_fresh
                ):
                    self.secrets.forget(settings.auth.secret)  # it may just have been rotated
                    is_key_fresh = True
                elif not pauses_s or failed.reason not in ("unavailable", "unreachable"):
                    raise
                else:
                    await asyncio.sleep(pauses_s.pop(0))

    async def _try(self, settings: RealtimeAgent, owner: SocketOwner) -> MessageSocket:
        credential = await self._credential(settings.auth)
        socket = MessageSocket(owner, close_s=CLOSE_S, limits=AGENT_SOCKET)
        is_connected = False
        try:
            async with asyncio.timeout(HANDSHAKE_S):
                await ws_connect(
                    lambda: cast("WSListener", socket),
                    url_of(settings),
                    ssl_context=self.tls,
                    extra_headers=headers_of(settings.dialect, settings.auth, credential),
                    websocket_handshake_timeout=HANDSHAKE_S,
                    enable_auto_ping=True,
                    auto_ping_strategy=WSAutoPingStrategy.PING_WHEN_IDLE,
                    auto_ping_idle_timeout=PING_S,
                    auto_ping_reply_timeout=PING_S,
                    enable_auto_pong=False,
                    max_frame_size=AGENT_SOCKET.message,
                    read_buffer_init_size=READ_BUFFER_BYTES,
                    max_redirects=0,  # the headers hold a credential
                )
        except WSHandshakeError as error:
            raise AgentFailed(_reason(error)) from error
        except (OSError, TimeoutError, WSError) as error:
            raise AgentFailed("unreachable") from error
        else:
            is_connected = True
            return socket
        finally:
            if not is_connected:
                # picows goes on with a handshake that nobody waits for any more, and would keep the connection.
                socket.abort()

    async def _credential(self, auth: KeyAuth | EntraAuth | None) -> str:
        try:
            match auth:
                case KeyAuth(secret=name):
                    # A file's last line break is no part of a secret, and would be none of a header.
                    return (await self.secrets.value(name)).strip()
                case EntraAuth(scope=scope):
                    return await self.tokens.token(scope)
        except GatewayError as error:
            # The text is ours, and says which secret or scope: what the operator needs.
            logger.error(  # noqa: TRY400 - where it was raised tells nothing more
                "an agent's credential cannot be had", extra={"fault": str(error)}
            )
            raise AgentFailed("no_credential") from error
        return ""


def _reason(error: WSHandshakeError) -> str:
    if error.response is None:
        return "refused"
    status = int(error.response.status)
    return "unavailable" if status >= HTTPStatus.INTERNAL_SERVER_ERROR else _REASONS.get(status, "refused")
