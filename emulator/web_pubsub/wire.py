"""What is to go out on one client's socket, in order and without waiting for the client."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from emulator.web_pubsub.frames import Frame

MAX_QUEUED_FRAMES: Final = 2_000
"""Frames that wait for one client; more cut its socket, and are counted by who put them there.

More than a reliable client can have unconfirmed, since another socket starts with all of those.
"""

SEND_SECONDS: Final = 30.0
"""How long a client may take to read what is in the way of one frame, before its socket is cut."""


@dataclass(frozen=True)
class Close:
    """The end of a socket.

    Attributes:
        code: of the WebSocket's close frame.
    """

    code: int
    reason: str


class Wire:
    """Frames on their way to one socket.

    Args:
        abort: breaks the socket's connection at once, without a goodbye.
    """

    def __init__(self, abort: Callable[[], None]) -> None:
        self._abort = abort
        self._queue: asyncio.Queue[Frame | Close] = asyncio.Queue(MAX_QUEUED_FRAMES)

    def put(self, item: Frame | Close) -> bool:
        """Have a frame sent, or the socket closed after the frames before; False when the wire is cut for it."""
        try:
            self._queue.put_nowait(item)
        except asyncio.QueueFull:
            self.cut()
            return False
        return True

    def cut(self) -> None:
        """Break the connection, as a network does."""
        self._abort()

    async def pump(self, socket: web.WebSocketResponse) -> Close | None:
        """Send what is put here until the socket is to be closed, or cannot be written any more (None)."""
        try:
            while True:
                item = await self._queue.get()
                if isinstance(item, Close):
                    return item
                async with asyncio.timeout(SEND_SECONDS):
                    await (socket.send_str(item) if isinstance(item, str) else socket.send_bytes(item))
        except (ConnectionError, TimeoutError):
            self.cut()
            return None
