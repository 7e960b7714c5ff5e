"""A whole local stack to examine, an agent behind one number, an IVR behind another; and stand-ins that do as told."""

import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web

from emulator.ports import LOOPBACK, free_ports
from emulator.realtime.settings import WELL_KNOWN_KEY, Behaviour
from emulator.routed import Addresses
from emulator.stack import Stack, StackOptions
from shared.admin.checks.catalogue import NAMES, examine_all
from shared.admin.checks.contract import Finding
from tests.support.ivr import FLOW

REPOSITORY = Path(__file__).resolve().parents[3]
SECRET = "realtime-key"
GATEWAY_FILE = """
version: 1
profiles:
  concierge:
    kind: realtime
    dialect: openai
    endpoint: ws://127.0.0.1:{port}/v1/realtime
    model: gpt-realtime
    auth: {{kind: key, secret: realtime-key}}
    instructions: Be short.
    prompts: {{apology: apology.wav}}
  echo: {{kind: echo}}
flows: {{welcome: welcome.yaml}}
routes:
  - {{account: demo, to: "+18005550199", profile: concierge}}
  - {{account: demo, to: "+18005550100", flow: welcome}}
"""
ADDRESSES = Addresses(("+18005550199", "+18005550100"), of_flows=frozenset({"4:+18005550100"}))


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def stack(tmp_path_factory) -> AsyncIterator[Stack]:
    """One stack for all tests here that need one; whoever breaks something of it mends it again."""
    ports, folder = free_ports(), tmp_path_factory.mktemp("doctor")
    shutil.copy(REPOSITORY / "prompts/goodbye.wav", folder / "apology.wav")
    file = folder / "gateway.yaml"
    file.write_text(GATEWAY_FILE.format(port=ports.realtime))
    (folder / "welcome.yaml").write_text(FLOW)
    options = StackOptions(
        root=REPOSITORY,
        ports=ports,
        gateway_file=file,
        addresses=ADDRESSES,
        realtime=Behaviour.PARROT,
        secrets={SECRET: WELL_KNOWN_KEY},
    )
    stack = Stack(options, lambda part, line: None)
    try:
        await stack.start()
        yield stack
    finally:
        await stack.stop()


@asynccontextmanager
async def answering(answer: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> AsyncIterator[str]:
    """Run a server that answers whatever it is asked; gives its address, as `127.0.0.1:1234`."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, LOOPBACK, 0)
        await site.start()
        yield f"{LOOPBACK}:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


StandIn = Callable[..., Awaitable[str]]


@pytest.fixture
async def stand_in() -> AsyncIterator[StandIn]:
    """Start servers: `address = await stand_in(status, document)`, the same to whatever is asked."""
    async with AsyncExitStack() as servers:

        async def start(status: int = 404, document: Any = None) -> str:
            async def answer(_: web.Request) -> web.Response:
                return web.json_response(document, status=status)

            return await servers.enter_async_context(answering(answer))

        yield start


async def finding(env: dict[str, str], name: str) -> Finding:
    """What one check finds."""
    findings = await examine_all(env, without=[other for other in NAMES if other != name])
    return next(found for found in findings if found.check == name)
