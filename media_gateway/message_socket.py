"""A WebSocket of text messages, on picows: whole messages in, messages out, one end. ACS's media, or an agent's.

What picows leaves to its user is done here: fragments are put together, close frames answered, and nothing is
delivered after we have begun to close. Pings, pongs and masking are picows's own.
"""

import asyncio
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from picows import WSCloseCode, WSFrame, WSListener, WSMsgType, WSTransport

from media_gateway.outlet import Outlet, nowhere
from shared.acs.media import Flaw

TEXT, CLOSE = WSMsgType.TEXT, WSMsgType.CLOSE

NO_CODE = 1005
"""Stands for a close frame without a code."""
ABNORMAL_CODE = 1006
"""Stands for the lack of a close frame."""
NORMAL_CODES = frozenset({1000, NO_CODE})

CLOSE_CODES: Mapping[Flaw, WSCloseCode] = {
    Flaw.BAD_JSON: WSCloseCode.INVALID_TEXT,
    Flaw.BAD_MESSAGE: WSCloseCode.INVALID_TEXT,
    Flaw.BAD_BASE64: WSCloseCode.INVALID_TEXT,
    Flaw.ODD_SIZE: WSCloseCode.INVALID_TEXT,
    Flaw.TOO_LARGE: WSCloseCode.MESSAGE_TOO_BIG,
    Flaw.NOT_TEXT: WSCloseCode.UNSUPPORTED_DATA,
    Flaw.BAD_FRAMING: WSCloseCode.PROTOCOL_ERROR,
    Flaw.BAD_METADATA: WSCloseCode.POLICY_VIOLATION,
    Flaw.FORMAT_MISMATCH: WSCloseCode.POLICY_VIOLATION,
    Flaw.NO_METADATA: WSCloseCode.POLICY_VIOLATION,
}
"""What the peer is told; the close reason is the flaw's name."""


@dataclass(frozen=True, slots=True)
class SocketLimits:
    """What one socket may hold, in bytes."""

    message: int
    """The longest message that is taken, its fragments together."""
    write_buffer: int
    """What may wait in this process for the peer to read."""
    kernel_buffer: int
    """What the kernel may hold beyond that."""


@dataclass(frozen=True, slots=True)
class SocketEnd:
    """How a socket ended: the peer's close code, or 1006 where none came."""

    code: int

    @property
    def is_normal(self) -> bool:
        """Whether the peer said that it is done, rather than vanished."""
        return self.code in NORMAL_CODES


class SocketOwner(Protocol):
    """Who is told. All of it synchronously, from the event loop."""

    def on_open(self) -> None:
        """The upgrade is done; it may send."""

    def on_message(self, message: bytes) -> None:
        """A whole text message came."""

    def on_flaw(self, flaw: Flaw) -> None:
        """The peer broke the WebSocket protocol, or our limits; the owner closes the socket."""

    def on_writable(self) -> None:
        """The peer reads again."""

    def on_closed(self) -> None:
        """The socket is gone; called once, and the last."""


class MessageSocket(WSListener):
    """Our end of one WebSocket, whichever side opened it.

    Args:
        owner: Who is told.
        close_s: How long the peer has to answer our close frame.
        limits: What it may hold.
    """

    # Not to save memory: with a dictionary, attributes of a picows class are looked up the slow way, for every frame.
    __slots__ = (
        "_close_s",
        "_closing",
        "_killer",
        "_limits",
        "_owner",
        "_parts",
        "_parts_bytes",
        "_transport",
        "closed",
        "end",
        "out",
        "write_pauses",
    )

    def __init__(self, owner: SocketOwner, *, close_s: float, limits: SocketLimits) -> None:
        super().__init__()
        self.out = Outlet()
        """What is sent goes through it."""
        self.write_pauses = 0
        self.end = SocketEnd(ABNORMAL_CODE)
        """How the socket ended; of use once it is closed."""
        self.closed = asyncio.Event()
        self._owner = owner
        self._close_s = close_s
        self._limits = limits
        self._transport: WSTransport | None = None
        self._closing = False
        self._parts: list[bytes] = []
        self._parts_bytes = 0
        self._killer: asyncio.TimerHandle | None = None

    def hand_to(self, owner: SocketOwner) -> None:
        """Tell somebody else from now on."""
        self._owner = owner

    def close(self, code: WSCloseCode = WSCloseCode.OK, reason: str = "") -> None:
        """Begin to close, once; the peer may take `close_s` to answer, and is cut off then."""
        if self._closing or self._transport is None:
            return
        self._begin_to_close()
        self._transport.send_close(code, reason)

    def abort(self) -> None:
        """Cut the connection; one that is still being made is cut when it is."""
        self._end_sending()
        if self._transport is not None:
            self._transport.disconnect(graceful=False)

    def on_ws_connected(self, transport: WSTransport) -> None:
        """Bound what may wait to be sent (called by picows)."""
        self._transport = transport
        if self._closing:
            self.abort()
            return
        connection = transport.underlying_transport
        connection.set_write_buffer_limits(high=self._limits.write_buffer)
        connection.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_SNDBUF, self._limits.kernel_buffer
        )
        self.out.send = partial(transport.send, TEXT)  # picows's own: no step of ours between
        self.out.is_writable = True
        self._owner.on_open()

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Deliver a message, or what is wrong with it (called by picows, for every frame)."""
        kind = frame.msg_type
        if transport.is_close_frame_sent:
            # By us, or by picows over a frame that breaks the protocol; it goes on reading in the midst of it.
            if kind is CLOSE:
                self._on_close_frame(transport, frame)
        elif kind is TEXT and frame.fin and not self._parts:
            self._owner.on_message(frame.get_payload_as_bytes())
        elif kind is CLOSE:
            self._on_close_frame(transport, frame)
        else:
            self._on_other_frame(kind, frame)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        """Tell the owner how it ended (called by picows)."""
        flaw = None if self._closing else _flaw_seen_by_picows(transport)
        self._end_sending()
        self._transport = None
        if self._killer is not None:
            self._killer.cancel()
        if flaw is not None:
            self._owner.on_flaw(flaw)
        self.closed.set()
        self._owner.on_closed()

    def pause_writing(self) -> None:
        """Note that the peer does not read (called by picows)."""
        self.write_pauses += 1
        self.out.is_writable = False

    def resume_writing(self) -> None:
        """Note that it does again (called by picows)."""
        if not self._closing:
            self.out.is_writable = True
            self._owner.on_writable()

    def _on_close_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        self.end = SocketEnd(int.from_bytes(frame.get_payload_as_bytes()[:2], "big") or NO_CODE)
        if not transport.is_close_frame_sent:
            self._begin_to_close()
            transport.send_close(WSCloseCode.OK)
        # Graceful: what is on its way out goes first, for as long as the time to close lasts.
        transport.disconnect()

    def _on_other_frame(self, kind: WSMsgType, frame: WSFrame) -> None:
        if kind is WSMsgType.BINARY:
            self._owner.on_flaw(Flaw.NOT_TEXT)
        elif kind is WSMsgType.PING:
            if self.out.is_writable and self._transport is not None:
                self._transport.send_pong(frame.get_payload_as_bytes())
        elif kind in (TEXT, WSMsgType.CONTINUATION):
            self._on_fragment(is_first=kind is TEXT, frame=frame)

    def _on_fragment(self, *, is_first: bool, frame: WSFrame) -> None:
        if is_first == bool(self._parts):
            self._owner.on_flaw(Flaw.BAD_FRAMING)
            return
        part = frame.get_payload_as_bytes()
        self._parts.append(part)
        self._parts_bytes += len(part)
        # An empty fragment adds no bytes, but a list of them would grow all the same.
        if self._parts_bytes > self._limits.message or len(self._parts) > self._limits.message:
            self._parts.clear()
            self._owner.on_flaw(Flaw.TOO_LARGE)
        elif frame.fin:
            message = b"".join(self._parts)
            self._parts.clear()
            self._parts_bytes = 0
            self._owner.on_message(message)

    def _begin_to_close(self) -> None:
        self._end_sending()
        if self._killer is None:
            self._killer = asyncio.get_running_loop().call_later(self._close_s, self.abort)

    def _end_sending(self) -> None:
        self._closing = True
        self.out.is_writable = False
        self.out.send = nowhere


def _flaw_seen_by_picows(transport: WSTransport) -> Flaw | None:
    """Say why picows closed the connection by itself, if it did so because of what the peer sent."""
    handshake = transport.close_handshake
    if handshake is not None and handshake.sent is not None:
        if handshake.sent.code == WSCloseCode.MESSAGE_TOO_BIG:
            return Flaw.TOO_LARGE
        # "Going away" is what picows says when a ping was not answered: that peer is lost, not wrong.
        if handshake.sent.code != WSCloseCode.GOING_AWAY:
            return Flaw.BAD_FRAMING
    return None
