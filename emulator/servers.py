"""Ending HTTP servers without leaving a socket behind."""

import asyncio
import socket
from typing import Final

from aiohttp import web

ACCEPTING_TURNS: Final = 20
"""Turns of the loop until a connection that was accepted is one that its server knows."""


def listen(host: str, port: int) -> socket.socket:
    """Take a port of an address; port 0 takes a free one.

    Raises:
        OSError: the port is taken, or the address is none of this machine's.
    """
    return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)


async def close_server(runner: web.AppRunner, listener: socket.socket) -> None:
    """Stop listening, let requests under way end within the runner's time limit, and close all connections.

    A TLS client that does not say goodbye would hold its own for 30 s.

    Args:
        runner: of the server.
        listener: the socket of its one site.
    """
    # In this order: asyncio loses a connection, open, that it has accepted when its server is closed a turn later.
    asyncio.get_running_loop().remove_reader(listener.fileno())
    for _ in range(ACCEPTING_TURNS):
        await asyncio.sleep(0)
    for site in tuple(runner.sites):
        await site.stop()
    connections = runner.server.connections if runner.server is not None else []
    transports = [connection.transport for connection in connections]
    await runner.cleanup()
    for transport in transports:
        if transport is not None:
            transport.abort()
    await asyncio.sleep(0)
