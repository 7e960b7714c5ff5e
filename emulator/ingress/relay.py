"""The pump: bytes from a client to a backend and back; nothing is kept but what waits for a slow reader."""

import asyncio
import contextlib
import socket
import struct
from collections import Counter
from collections.abc import Callable
from enum import StrEnum
from http import HTTPStatus
from typing import Final, cast

from emulator.ingress.head import refusal

WRITE_BUFFER_BYTES: Final = 64 * 1024
"""What may wait in this process for a side that does not read. Past it the other side is not read, until what waits
has shrunk; one read, of 256 KB at most, may lie on top."""
SOCKET_BUFFER_BYTES: Final = 64 * 1024
"""What the kernel may hold beyond that, for each side and direction. Its default would swallow megabytes: a pod
behind the ingress would find out late that its peer does not read."""

_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)
"""The value of SO_LINGER with which closing sends a TCP reset."""


class End(StrEnum):
    """How a connection ended."""

    FINISHED = "finished"
    """One side closed in order."""
    CLIENT_LOST = "client_lost"
    """By a reset."""
    BACKEND_LOST = "backend_lost"
    """By a reset, or without any answer."""
    IDLE = "idle"
    CUT = "cut"
    """The time for draining was over, the backend was removed, or the ingress has stopped."""


class Relay:
    """One connection, once its backend is known.

    Args:
        client: its reading is paused.
        head: what the backend gets first.
        idle_s: without a byte for so long it is cut.
        counters: `held_up` is counted: how often a side was not read because the other one did not read.
        on_end: called once, when both sides are closed.
    """

    def __init__(
        self,
        client: asyncio.Transport,
        head: bytes,
        *,
        idle_s: float,
        counters: Counter[str],
        on_end: Callable[["Relay", End], None],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._head = head
        self._idle_s = idle_s
        self._counters = counters
        self._on_end = on_end
        self._end: End | None = None
        self._begun = False
        self._moved_at = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self.is_answered = False
        self._client: _Side = _Client(self, client)
        self.backend: _Side = _Backend(self)
        """The protocol of the connection to the backend."""
        self._client.other, self.backend.other = self.backend, self._client

    def begin(self) -> None:
        """Pump, now that the backend is connected."""
        self._begun = True
        self._client.transport.set_write_buffer_limits(high=WRITE_BUFFER_BYTES)
        self._client.transport.set_protocol(self._client)
        self.moved()
        self._watch()
        if self.backend.is_closed:
            self.backend_closed(None)
        elif self._end is not None:
            self.cut()
        else:
            self.backend.transport.write(self._head)
            self._client.transport.resume_reading()

    def cut(self, how: End = End.CUT) -> None:
        """Reset both sides; before `begin`, as soon as that is called."""
        self._end = self._end or how
        if self._begun:
            self._client.reset()
            self.backend.reset()

    def moved(self) -> None:
        """Note that the connection is not idle (called by a side)."""
        self._moved_at = self._loop.time()

    def hold(self, side: "_Side") -> None:
        """Stop reading a side whose peer does not read (called by the peer)."""
        if not side.transport.is_closing():
            self._counters["held_up"] += 1
            side.transport.pause_reading()

    def release(self, side: "_Side") -> None:
        """Read it again (called by its peer)."""
        self.moved()
        if not side.transport.is_closing():
            side.transport.resume_reading()

    def client_closed(self, error: Exception | None) -> None:
        """End (called by the side)."""
        self._end = self._end or (End.CLIENT_LOST if error else End.FINISHED)
        if error:
            self.backend.reset()
        else:
            self.backend.transport.close()
        self._closed()

    def backend_closed(self, error: Exception | None) -> None:
        """End, and tell the client in the way of the backend (called by the side)."""
        if not self._begun:
            return  # `begin` will see it
        is_lost = error is not None or not self.is_answered
        self._end = self._end or (End.BACKEND_LOST if is_lost else End.FINISHED)
        if not self.is_answered:
            self._refuse(
                HTTPStatus.SERVICE_UNAVAILABLE, "the backend closed the connection without an answer"
            )
        elif error:
            self._client.reset()
        else:
            self._client.transport.close()
        self._closed()

    def _closed(self) -> None:
        if self._client.is_closed and self.backend.is_closed:
            if self._timer is not None:
                self._timer.cancel()
            self._on_end(self, self._end or End.FINISHED)

    def _watch(self) -> None:
        """Cut the connection when it has been idle; one timer for all bytes, set anew when it is due."""
        left_s = self._moved_at + self._idle_s - self._loop.time()
        if left_s > 0:
            self._timer = self._loop.call_later(left_s, self._watch)
            return
        self._end = self._end or End.IDLE
        if not self.is_answered:
            self._refuse(HTTPStatus.GATEWAY_TIMEOUT, "the backend did not answer in time")
            self.backend.reset()
        else:
            self.cut()

    def _refuse(self, status: HTTPStatus, text: str) -> None:
        if not self._client.transport.is_closing():
            self._client.transport.write(refusal(status, text))
            self._client.transport.close()


class _Side(asyncio.Protocol):
    """What it reads goes to the other side."""

    other: "_Side"
    transport: asyncio.Transport

    def __init__(self, relay: Relay) -> None:
        self.is_closed = False
        self._relay = relay

    def reset(self) -> None:
        """Close at once by a TCP reset, and forget what waits."""
        if not self.is_closed:  # else uvloop's socket may be another connection's by now
            connection = self.transport.get_extra_info("socket")
            with contextlib.suppress(OSError):
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            self.transport.abort()

    def data_received(self, data: bytes) -> None:
        self._relay.moved()
        self.other.transport.write(data)

    def pause_writing(self) -> None:
        self._relay.hold(self.other)

    def resume_writing(self) -> None:
        self._relay.release(self.other)


class _Client(_Side):
    def __init__(self, relay: Relay, transport: asyncio.Transport) -> None:
        super().__init__(relay)
        self.transport = transport

    def eof_received(self) -> bool:
        """HTTP lets a client say no more, and listen on."""
        if not self.other.transport.is_closing():
            self.other.transport.write_eof()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_closed = True
        self._relay.client_closed(exc)


class _Backend(_Side):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.transport.set_write_buffer_limits(high=WRITE_BUFFER_BYTES)
        limit_kernel_buffers(self.transport)

    def data_received(self, data: bytes) -> None:
        self._relay.is_answered = True
        super().data_received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_closed = True
        self._relay.backend_closed(exc)


def limit_kernel_buffers(transport: asyncio.Transport) -> None:
    """Let the kernel hold `SOCKET_BUFFER_BYTES` of a connection, each way."""
    connection = transport.get_extra_info("socket")
    for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
        connection.setsockopt(socket.SOL_SOCKET, option, SOCKET_BUFFER_BYTES)
