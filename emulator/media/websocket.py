"""A WebSocket client on picows: whole text messages in, close handshakes answered, sends bounded."""

import asyncio
import logging
import socket
import struct
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from picows import (
    WSCloseCode,
    WSError,
    WSFrame,
    WSHandshakeError,
    WSInvalidURL,
    WSListener,
    WSMsgType,
    WSProtocolError,
    WSTransport,
    ws_connect,
)

MESSAGE_LIMIT_BYTES: Final = 1 << 20
"""The largest message taken from the peer, 24 s of audio at 16 kHz; ACS's own limit is not documented."""

SEND_LIMIT_BYTES: Final = 256 << 10
"""How much may wait to be sent to a peer that does not read, some 4 s of audio; then frames are dropped."""

CLOSE_TIMEOUT_S: Final = 2.0

_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)
"""The value of SO_LINGER with which closing sends a TCP reset."""

logger = logging.getLogger(__name__)


class ConnectError(Exception):
    """No connection came about.

    Attributes:
        http_status: the answer to the upgrade request, None when there was none.
    """

    def __init__(self, reason: str, http_status: int | None = None) -> None:
        super().__init__(reason)
        self.http_status = http_status


@dataclass(frozen=True, slots=True)
class SocketEnd:
    """How a connection ended.

    `code` is the peer's, 1005 for a close frame without one, 1006 without a frame; or ours, when the peer broke the
    protocol or sent too much.
    """

    code: int
    reason: str


class ClientSocket(WSListener):
    """One client connection.

    Args:
        on_text: called with each whole text message.
        on_binary: called for each binary message, which carries no meaning on a media stream.
        on_end: called once when the peer or the network ends the connection; not after `close`.
    """

    def __init__(
        self,
        *,
        on_text: Callable[[bytes], None],
        on_binary: Callable[[], None],
        on_end: Callable[[SocketEnd], None],
    ) -> None:
        super().__init__()
        self._on_text = on_text
        self._on_binary = on_binary
        self._on_end = on_end
        self._first = b""
        self._transport: WSTransport | None = None
        self._disconnected = asyncio.Event()
        self._watch: asyncio.Task[None] | None = None
        self._closing = False
        self._congested = False
        self._part_type = WSMsgType.TEXT
        self._parts: list[bytes] = []
        self._parts_bytes = 0
        self._end = SocketEnd(1006, "")

    @property
    def is_open(self) -> bool:
        """Whether the connection stands and nobody is closing it."""
        return self._transport is not None and not self._closing

    async def connect(self, url: str, *, headers: Mapping[str, str], first: bytes, timeout_s: float) -> None:
        """Connect, and send `first` at once.

        Raises:
            ConnectError: refused, unreachable, no WebSocket server, or not in time.
        """
        self._first = first
        connected = False
        try:
            async with asyncio.timeout(timeout_s):
                transport, _ = await ws_connect(
                    lambda: self,
                    url,
                    extra_headers=headers,
                    websocket_handshake_timeout=timeout_s,
                    max_frame_size=MESSAGE_LIMIT_BYTES,
                    max_redirects=0,
                )
            connected = self._transport is not None or self._disconnected.is_set()
            if connected:
                self._watch = asyncio.create_task(transport.wait_disconnected(), name="media socket end")
                self._watch.add_done_callback(self._ended)
        except WSHandshakeError as error:
            status = int(error.response.status) if error.response is not None else None
            raise ConnectError(str(error), status) from error
        except WSInvalidURL:
            # Its text has the whole URL, and that has a token.
            raise ConnectError("not the URL of a WebSocket") from None
        except (WSError, OSError, ValueError) as error:
            raise ConnectError(str(error) or type(error).__name__) from error
        finally:
            if not connected:
                self._abandon()
        if not connected:
            raise ConnectError("the server closed the connection during the handshake")

    def send(self, text: bytes) -> bool:
        """Send a text message; False when it was dropped because the peer does not read or is gone."""
        if self._congested or self._transport is None or self._closing:
            return False
        self._transport.send(WSMsgType.TEXT, text)
        return True

    def pause_reading(self) -> None:
        """Let what the peer sends wait."""
        if self._transport is not None:
            self._transport.underlying_transport.pause_reading()

    def resume_reading(self) -> None:
        """Read again."""
        if self._transport is not None:
            self._transport.underlying_transport.resume_reading()

    def reset(self, unfinished: bytes | None) -> None:
        """Cut the connection by a TCP reset, after half a frame of this text where there is one."""
        if self._transport is None:
            return
        connection = self._transport.underlying_transport
        if unfinished is not None:
            connection.write(_half_a_frame(unfinished))
        connection.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self._transport.disconnect(graceful=False)

    async def close(self) -> None:
        """Close normally; the peer has `CLOSE_TIMEOUT_S` to answer. Idempotent, also after the end."""
        self._closing = True
        if self._transport is not None:
            transport = self._transport
            transport.send_close(WSCloseCode.OK)
            try:
                with suppress(TimeoutError):
                    async with asyncio.timeout(CLOSE_TIMEOUT_S):
                        await self._disconnected.wait()
            finally:
                transport.disconnect(graceful=False)
            await self._disconnected.wait()
        if self._watch is not None:
            await asyncio.wait({self._watch})

    def on_ws_connected(self, transport: WSTransport) -> None:
        """Send the first message (called by picows)."""
        self._transport = transport
        if self._closing:
            self._abandon()
            return
        transport.underlying_transport.set_write_buffer_limits(high=SEND_LIMIT_BYTES)
        transport.send(WSMsgType.TEXT, self._first)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Put fragments together, and answer a close frame, as picows does not (called by picows)."""
        kind = frame.msg_type
        if kind == WSMsgType.CLOSE:
            code, reason = frame.get_close_code(), frame.get_close_reason()
            self._end = SocketEnd(int(code.value) or 1005, reason or "")
            transport.send_close(WSCloseCode.OK)
            transport.disconnect()
        elif kind == WSMsgType.CONTINUATION or not frame.fin:
            self._fragment(transport, frame)
        elif kind in (WSMsgType.TEXT, WSMsgType.BINARY):
            self._message(kind, frame.get_payload_as_bytes())

    def on_ws_disconnected(self, transport: WSTransport) -> None:  # noqa: ARG002 - picows' signature
        """Note that the connection is gone (called by picows); why is known right after, in `_ended`."""
        self._transport = None
        self._disconnected.set()

    def pause_writing(self) -> None:
        """Drop frames from here on: the peer does not read (called by picows)."""
        self._congested = True

    def resume_writing(self) -> None:
        """Send again (called by picows)."""
        self._congested = False

    def _ended(self, watch: asyncio.Task[None]) -> None:
        """Tell the owner, unless it closed the connection itself."""
        error = None if watch.cancelled() else watch.exception()
        if isinstance(error, WSProtocolError):
            self._end = SocketEnd(int(error.code), str(error))
        elif error is not None:
            logger.error("The media socket failed", exc_info=error)
        if not self._closing:
            self._closing = True
            self._on_end(self._end)

    def _abandon(self) -> None:
        # After a cancellation the handshake may still succeed: `on_ws_connected` comes back here then.
        self._closing = True
        if self._transport is not None:
            self._transport.disconnect(graceful=False)

    def _fragment(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type != WSMsgType.CONTINUATION:
            self._part_type = frame.msg_type
        self._parts.append(frame.get_payload_as_bytes())
        self._parts_bytes += frame.payload_size
        if self._parts_bytes > MESSAGE_LIMIT_BYTES:
            self._parts.clear()
            self._end = SocketEnd(int(WSCloseCode.MESSAGE_TOO_BIG.value), "message too big")
            transport.send_close(WSCloseCode.MESSAGE_TOO_BIG, self._end.reason)
            transport.disconnect()
        elif frame.fin:
            message = b"".join(self._parts)
            self._parts.clear()
            self._parts_bytes = 0
            self._message(self._part_type, message)

    def _message(self, kind: WSMsgType, payload: bytes) -> None:
        if self._closing:
            return
        if kind == WSMsgType.TEXT:
            self._on_text(payload)
        else:
            self._on_binary()


def _half_a_frame(text: bytes) -> bytes:
    """Begin a client's text frame (RFC 6455, 5.2), masked with zeros, and break off in the midst of its payload."""
    is_long = len(text) > 125
    length = bytes([0x80 | 126]) + len(text).to_bytes(2, "big") if is_long else bytes([0x80 | len(text)])
    return b"\x81" + length + bytes(4) + text[: len(text) // 2]
