"""Ending HTTP servers without leaving a socket behind."""

import asyncio
from typing import Final

from aiohttp import web

ACCEPTING_TURNS: Final = 20
"""Turns of the loop until a connection that was accepted is one that its server knows."""


async def close_server(runner: web.AppRunner) -> None:
    """Stop listening, let requests under way end within the runner's time limit, and close all connections.

    A TLS client that does not say goodbye would hold its own for 30 s.
    """
    for site in tuple(runner.sites):
        await site.stop()
    for _ in range(ACCEPTING_TURNS):
        await asyncio.sleep(0)
    connections = runner.server.connections if runner.server is not None else []
    transports = [connection.transport for connection in connections]
    await runner.cleanup()
    for transport in transports:
        if transport is not None:
            transport.abort()
    await asyncio.sleep(0)
