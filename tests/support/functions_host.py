"""The Functions host for tests: on the test's own loop, or as a process of its own."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest

from emulator.functions_host import FunctionsHost
from emulator.functions_host.app import MODULE
from emulator.functions_host.command import READY_LINE

REPOSITORY = Path(__file__).resolve().parents[2]
SAMPLE_APPS = REPOSITORY / "tests" / "data" / "function_apps"
START_S = 20.0
STOP_S = 15.0


@pytest.fixture
async def functions_host() -> AsyncIterator[Callable[..., Awaitable[FunctionsHost]]]:
    """Start hosts on the test's loop: `host = await functions_host(root)`; settings come from `os.environ`.

    The entry module and the package `functions` are imported anew for each host, so that what they keep is not
    another test's; anything else that the app imports is shared with the test. The app folder comes first on
    `sys.path` here: only a process of its own can have it last.
    """
    path = sys.path[:]
    async with contextlib.AsyncExitStack() as stack:

        async def start(root: Path = REPOSITORY, *, port: int = 0, **options: object) -> FunctionsHost:
            _forget_app()
            sys.path.insert(0, str(root))
            host = FunctionsHost(root, **options)
            stack.push_async_callback(host.stop)
            await host.start(port=port)
            return host

        try:
            yield start
        finally:
            sys.path[:] = path
            _forget_app()


def _forget_app() -> None:
    for name in [
        name for name in sys.modules if name in (MODULE, "functions") or name.startswith("functions.")
    ]:
        del sys.modules[name]


@dataclass
class HostProcess:
    """A host in its own process."""

    url: str
    banner: list[str]
    process: asyncio.subprocess.Process
    log: Path

    async def stop(self) -> int:
        """Ask it to end as Ctrl-C does; return its exit code."""
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGINT)
        return await asyncio.wait_for(self.process.wait(), STOP_S)


@pytest.fixture
async def functions_process(tmp_path: Path) -> AsyncIterator[Callable[..., Awaitable[HostProcess]]]:
    """Start hosts as processes: `host = await functions_process(root, "--function-key", "k", BEHAVIOUR="x")`."""
    started: list[asyncio.subprocess.Process] = []

    async def start(root: Path = REPOSITORY, *options: str, **settings: str) -> HostProcess:
        log = tmp_path / f"functions-{len(started)}.log"
        with log.open("wb") as errors:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "emulator", "functions", "--root", str(root), "--port", "0", *options),
                stdout=asyncio.subprocess.PIPE, stderr=errors, cwd=REPOSITORY, env=os.environ | settings,
            )  # fmt: skip
        started.append(process)
        banner: list[str] = []
        async with asyncio.timeout(START_S):
            while not (banner and banner[-1].startswith(READY_LINE)):
                line = (await process.stdout.readline()).decode()
                assert line, f"the Functions host ended at its start:\n{log.read_text()}"
                banner.append(line.rstrip())
        return HostProcess(banner[-1].removeprefix(READY_LINE).strip(), banner, process, log)

    yield start
    for process in started:
        if process.returncode is None:
            process.kill()
        await process.wait()
        process._transport.close()


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    """A client session that is closed at the end of the test."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20)) as session:
        yield session


async def until_slow(http: aiohttp.ClientSession, host: FunctionsHost | HostProcess) -> None:
    """Wait until the sample app's `slow` function is at work on a request."""
    async with asyncio.timeout(START_S):
        while True:
            async with http.get(f"{host.url}/v1/slow/count") as response:
                if (await response.json())["count"]:
                    return
            await asyncio.sleep(0.005)
