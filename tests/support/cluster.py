"""Several Functions processes behind one address, as Azure runs them; any of them may be killed."""

import asyncio
import contextlib
import itertools
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from emulator.functions_host.command import READY_LINE
from emulator.ports import free_ports
from emulator.service import Emulator
from shared.adapters.connect import Connections, connect
from shared.config import functions_settings
from shared.core.admission import PodLoad
from tests.support.azurite import Azurite
from tests.support.gateway import (
    API_SECRET,
    EVENTS_PATH,
    behind_proxies,
    local_settings,
    running_emulator,
    seed,
)

REPOSITORY = Path(__file__).resolve().parents[2]
HOP_BY_HOP = {"connection", "content-length", "host", "transfer-encoding"}
START_S = 30.0


@dataclass
class Worker:
    """One Functions process."""

    url: str
    process: asyncio.subprocess.Process
    requests: int = 0

    @property
    def is_running(self) -> bool:
        """Whether it was not killed yet."""
        return self.process.returncode is None

    async def kill(self) -> None:
        """End it as the platform does when it has to: at once."""
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGKILL)
        await self.process.wait()


class Front:
    """Takes every request to the next running process; a process that dies meanwhile makes it a 502."""

    def __init__(self) -> None:
        self.workers: list[Worker] = []
        self.url = ""
        self._turn = itertools.count()
        self._runner: web.AppRunner | None = None
        self._session: aiohttp.ClientSession | None = None
        self.next_event: Worker | None = None
        """Takes the next delivery of Event Grid, instead of the one whose turn it is."""

    async def start(self, port: int) -> None:
        """Listen."""
        app = web.Application(client_max_size=4 * 1024 * 1024)
        app.router.add_route("*", "/{path:.*}", self._forward)
        self._session = aiohttp.ClientSession(
            auto_decompress=False, connector=aiohttp.TCPConnector(limit=0, force_close=True)
        )
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", port).start()
        self.url = f"http://127.0.0.1:{port}"

    async def stop(self) -> None:
        """Listen no more."""
        assert self._runner is not None
        assert self._session is not None
        await self._runner.cleanup()
        await self._session.close()

    async def _forward(self, request: web.Request) -> web.Response:
        assert self._session is not None
        running = [worker for worker in self.workers if worker.is_running]
        worker = running[next(self._turn) % len(running)]
        if self.next_event is not None and request.path == EVENTS_PATH:
            worker, self.next_event = self.next_event, None
        worker.requests += 1
        headers = {k: v for k, v in request.headers.items() if k.lower() not in HOP_BY_HOP}
        try:
            async with self._session.request(
                request.method, worker.url + request.raw_path, data=await request.read(), headers=headers
            ) as reply:
                body = await reply.read()
                kept = {k: v for k, v in reply.headers.items() if k.lower() not in HOP_BY_HOP}
                return web.Response(status=reply.status, body=body, headers=kept)
        except aiohttp.ClientError:
            return web.Response(status=502)


@dataclass
class Cluster:
    """The running processes, and what is around them."""

    front: Front
    emulator: Emulator
    connections: Connections
    http: aiohttp.ClientSession
    api_id: str
    settings: dict[str, str] = field(repr=False)
    log: Path = field(repr=False)

    @property
    def workers(self) -> list[Worker]:
        """The processes that run."""
        return [worker for worker in self.front.workers if worker.is_running]

    @property
    def events_url(self) -> str:
        """Where Event Grid delivers."""
        return self.front.url + EVENTS_PATH

    @property
    def credentials(self) -> dict[str, str]:
        """The headers of the account's subscription."""
        return {"asapp-api-id": self.api_id, "asapp-api-secret": API_SECRET}

    async def add_worker(self) -> Worker:
        """Start one more process."""
        with self.log.open("ab") as errors:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "emulator", "functions", "--root", str(REPOSITORY), "--port", "0"),
                stdout=asyncio.subprocess.PIPE, stderr=errors, cwd=REPOSITORY, env=os.environ | self.settings,
            )  # fmt: skip
        assert process.stdout is not None
        async with asyncio.timeout(START_S):
            while not (line := (await process.stdout.readline()).decode()).startswith(READY_LINE):
                assert line, f"a Functions process ended at its start:\n{self.log.read_text()}"
        worker = Worker(line.removeprefix(READY_LINE).strip(), process)
        self.front.workers.append(worker)
        return worker


@contextlib.asynccontextmanager
async def running_cluster(
    azurite: Azurite, folder: Path, *, workers: int, emulated: dict[str, Any] | None = None, **settings: str
) -> AsyncIterator[Cluster]:
    """Start so many processes on an emulator of their own; `settings` override the usual ones."""
    async with contextlib.AsyncExitStack() as stack:
        emulator = await stack.enter_async_context(
            running_emulator(**behind_proxies(azurite) | (emulated or {}))
        )
        front = Front()
        await front.start(free_ports().functions)
        stack.push_async_callback(front.stop)
        env = (
            local_settings(emulator, emulator.storage_connection_string)
            | {"CALLBACK_BASE_URL": front.url}
            | settings
        )
        connections = await stack.enter_async_context(connect(functions_settings(env).common))
        api_id = await seed(connections)
        await connections.pods.beat(PodLoad("pod", 0, 100_000, time.time() + 3600))
        http = await stack.enter_async_context(
            aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=30), connector=aiohttp.TCPConnector(limit=0)
            )
        )
        cluster = Cluster(front, emulator, connections, http, api_id, env, folder / "functions.log")
        try:
            await asyncio.gather(*(cluster.add_worker() for _ in range(workers)))
            yield cluster
        finally:
            # First: it sends callbacks, and nothing new may come while the processes end.
            await emulator.stop()
            await asyncio.gather(*(worker.kill() for worker in front.workers))
            for worker in front.workers:
                worker.process._transport.close()
