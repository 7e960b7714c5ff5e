"""Processes of the media benchmark: each on its core, and what it has used so far."""

import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
START_S = 20.0
END_S = 30.0
LINE_BYTES = 1 << 20
"""A figure's JSON, or a log line with a traceback, fits."""


class Ended(Exception):
    """A process of the benchmark ended before its time; the text has its last words."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What a process has used."""

    cpu_s: float
    """Of all its threads, in nanoseconds' precision; the ticks of /proc are too coarse for a second's work."""
    rss_bytes: int
    waited_s: float
    """How long its main thread could have run, and another process had its core."""


@dataclass(slots=True)
class Server:
    """A process that serves."""

    pid: int
    port: int
    counters: dict[str, int] = field(default_factory=dict)
    """What it counted; known at its end."""


def usage_of(pid: int) -> Usage:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    # The clock of another process, as clock_getcpuclockid(3) makes its id on Linux.
    cpu_s = time.clock_gettime((~pid << 3) | 2)
    waited_s = int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) / 1e9
    return Usage(cpu_s, pages * os.sysconf("SC_PAGE_SIZE"), waited_s)


@contextlib.asynccontextmanager
async def server(*command: str, core: int, code: Path = ROOT) -> AsyncIterator[Server]:
    """Run a module that serves until SIGTERM; it writes JSON lines to stderr: its `port`, at its end `counters`.

    Args:
        command: The module and its arguments.
        core: What it runs on, alone or not.
        code: The folder that it is taken from.
    """
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", *command), cwd=code, stderr=asyncio.subprocess.PIPE, limit=LINE_BYTES
    )
    os.sched_setaffinity(process.pid, {core})
    words: list[str] = []

    async def until_port() -> int:
        while line := (await process.stderr.readline()).decode():
            words.append(line)
            with contextlib.suppress(ValueError):
                if isinstance(said := json.loads(line), dict) and "port" in said:
                    return said["port"]
        raise Ended(f"{command[0]} ended at its start:\n" + "".join(words[-20:]))

    async def listen(running: Server) -> None:
        while line := (await process.stderr.readline()).decode():
            if '"counters"' in line:
                running.counters.update(json.loads(line)["counters"])
            if '"level": "INFO"' not in line:
                print(line.rstrip(), file=sys.stderr)

    reading = None
    try:
        async with asyncio.timeout(START_S):
            port = await until_port()
        running = Server(process.pid, port)
        reading = asyncio.create_task(listen(running))
        yield running
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
            try:
                async with asyncio.timeout(END_S):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()
        if reading is not None:
            await reading


async def asked(*command: str, core: int, text: str) -> dict[str, float]:
    """Run a module that reads `text` and answers with one JSON object; return that."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", *command),
        cwd=ROOT, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    os.sched_setaffinity(process.pid, {core})
    try:
        output, _ = await process.communicate(text.encode())
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0:
        raise Ended(f"{command[0]} failed")
    answer: dict[str, float] = json.loads(output)
    return answer


async def until_stopped() -> None:
    """Wait for SIGTERM or SIGINT."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await stop.wait()
