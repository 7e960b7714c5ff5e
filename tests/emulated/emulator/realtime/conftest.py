"""A client's socket without an SDK."""

import json
from contextlib import asynccontextmanager

import aiohttp
import pytest

QUERY = {"model": "gpt-realtime", "api-version": "2026-07-15"}


class Client:
    """Reads and writes events of one connection."""

    def __init__(self, socket):
        self.socket = socket

    async def send(self, kind, **members):
        await self.socket.send_str(json.dumps({"type": kind, **members}))

    async def next(self):
        """The next event."""
        return json.loads(await self.socket.receive_str(timeout=5))

    async def until(self, kind):
        """All events up to the first of this type."""
        events = [await self.next()]
        while events[-1]["type"] != kind:
            events.append(await self.next())
        return events

    async def end(self):
        """The code by which the connection is closed; 1006 where it breaks off."""
        while True:
            message = await self.socket.receive(timeout=5)
            if message.type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR):
                return self.socket.close_code


@pytest.fixture
async def dial():
    """Connect to a service: `async with dial(service) as client`, or with `dialect`, `query`, `headers`."""
    async with aiohttp.ClientSession() as http:

        @asynccontextmanager
        async def dialled(service, dialect="openai", query=QUERY, headers=None):
            url = service.url(dialect)
            async with http.ws_connect(url, params=query, headers=headers, max_msg_size=0) as socket:
                yield Client(socket)

        yield dialled
