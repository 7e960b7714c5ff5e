"""A connection that has come, until its request's head is there."""

import asyncio
from collections.abc import Callable
from http import HTTPStatus
from typing import Final, cast

from emulator.ingress.head import END, MAX_HEAD_BYTES, HeadRefused, forwarded, refusal
from emulator.ingress.relay import limit_kernel_buffers

HEAD_S: Final = 10.0
"""For the whole head to come; later the client is told 408."""


class Arrival(asyncio.Protocol):
    """Reads a head, and then nothing until somebody takes over.

    Args:
        on_open: called with this arrival.
        on_head: called with this arrival and what a backend gets first: the head as it is passed on, and what came
            with it.
        on_end: called when the connection was closed before it was handed over; with the status, if it was refused.
    """

    transport: asyncio.Transport

    def __init__(
        self,
        *,
        on_open: Callable[["Arrival"], None],
        on_head: Callable[["Arrival", bytes], None],
        on_end: Callable[["Arrival"], None],
        on_refused: Callable[[HTTPStatus], None],
    ) -> None:
        self._on_open, self._on_head, self._on_end, self._on_refused = on_open, on_head, on_end, on_refused
        self._received = bytearray()
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the head (called by the loop)."""
        self.transport = cast("asyncio.Transport", transport)
        limit_kernel_buffers(self.transport)
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(HEAD_S, self.refuse, HTTPStatus.REQUEST_TIMEOUT, "no request came")
        self._on_open(self)

    def data_received(self, data: bytes) -> None:
        """Gather the head (called by the loop)."""
        if self.transport.is_closing():
            return
        searched = max(0, len(self._received) - len(END) + 1)
        self._received += data
        at = self._received.find(END, searched)
        length = at + len(END) if at >= 0 else len(self._received)
        if length > MAX_HEAD_BYTES:
            self.refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "the request's head is too long")
        elif at >= 0:
            self._stop_timer()
            self._pass(bytes(self._received[:length]), bytes(self._received[length:]))

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """End (called by the loop)."""
        self._stop_timer()
        self._on_end(self)

    def refuse(self, status: HTTPStatus, text: str) -> None:
        """Answer in place of a backend, and close."""
        self._stop_timer()
        self._on_refused(status)
        self.transport.write(refusal(status, text))
        self.transport.close()

    def _pass(self, head: bytes, rest: bytes) -> None:
        address, *_ = self.transport.get_extra_info("peername")
        try:
            first = forwarded(head, address)
        except HeadRefused as refused:
            self.refuse(refused.status, "no request that could be passed on")
            return
        self.transport.pause_reading()
        self._on_head(self, first + rest)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
