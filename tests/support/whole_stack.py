"""All of the gateway as processes: two Functions hosts, two pods behind an ingress, and what they talk to around them.

The pods say each second what they hold (`watched_pod.py`), which is kept, as are the warnings and errors that they log.
"""

import asyncio
import contextlib
import json
import os
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from bench.processes import usage_of
from emulator.azurite import azurite_in_memory, connection_string
from emulator.event_grid.subscriptions import EventSubscription
from emulator.ingress import Ingress, IngressSettings
from emulator.pods import Pod, PodPool
from tests.support.azurite import Azurite
from tests.support.cluster import REPOSITORY, Cluster, running_cluster
from tests.support.gateway import push
from tests.support.short_calls import NUMBERS, running_agents, write_gateway_file

WATCHED_POD = (sys.executable, "-m", "tests.support.watched_pod")
GRACE_S = 25.0
IDLE_S = 10.0
HUB = "gateway"


@dataclass(frozen=True)
class Held:
    """What a process held at one time."""

    at: float
    tasks: int
    files: int
    rss_kb: int


@dataclass
class PodLines:
    """What the pods have said."""

    log: Path
    held: dict[str, list[Held]] = field(default_factory=dict)
    """By pod; one that was killed and is restarted begins anew."""
    warnings: Counter[str] = field(default_factory=Counter)
    errors: list[str] = field(default_factory=list)

    def take(self, name: str, line: str) -> None:
        """Take a line of a pod's output."""
        try:
            said = json.loads(line)
        except ValueError:
            said = {"level": "ERROR", "message": line}
        if "watched" in said:
            self.held.setdefault(name, []).append(Held(time.monotonic(), **said["watched"]))
            return
        with self.log.open("a") as log:
            log.write(f"{name} {line}\n")
        if said["level"] == "WARNING":
            self.warnings[said["message"]] += 1
        elif said["level"] != "INFO":
            self.errors.append(line)


@dataclass
class WholeStack:
    """The running parts, and what is known of them."""

    cluster: Cluster
    ingress: Ingress
    pool: PodPool
    lines: PodLines
    killed: dict[str, float] = field(default_factory=dict)
    """Names of the processes that were, and when (Unix seconds)."""
    workers_rss_kb: dict[str, list[tuple[float, int]]] = field(default_factory=dict)
    """By process: when it was looked at, and what it held."""
    _counters: Counter[str] = field(default_factory=Counter)
    """Of pods that were killed, when they were last asked."""

    async def until_idle(self) -> Held:
        """Wait until every pod has said what it holds, and return what the last one has."""
        async with asyncio.timeout(IDLE_S):
            while len(self.lines.held) < len(self.pool.pods):
                await asyncio.sleep(0.1)
        return max((said[-1] for said in self.lines.held.values()), key=lambda held: held.tasks)

    async def report_of(self, pod: Pod) -> dict[str, Any]:
        """What a pod says at `/readyz`."""
        async with self.cluster.http.get(f"{pod.url}/readyz") as response:
            report: dict[str, Any] = await response.json()
            return report

    async def kill_and_restart(self, pod: Pod, after_s: float) -> None:
        """Kill a pod under load, and let the platform bring it back so much later."""
        self._counters.update((await self.report_of(pod))["counters"])
        self.killed[pod.instance] = time.time()
        await self.pool.kill(pod)
        self.lines.held.pop(pod.name, None)
        await asyncio.sleep(after_s)
        await self.pool.restart(pod)

    async def counted(self) -> Counter[str]:
        """The counters of all pods, those that were killed as far as they are known."""
        found = Counter(self._counters)
        for pod in self.pool.pods:
            found.update((await self.report_of(pod))["counters"])
        return found

    def look_at_workers(self) -> None:
        """Note what the Functions processes hold of memory."""
        for number, worker in enumerate(self.cluster.workers, 1):
            rss_kb = usage_of(worker.process.pid).rss_bytes // 1024
            self.workers_rss_kb.setdefault(f"functions-{number}", []).append((time.monotonic(), rss_kb))

    def growth_kb_per_s(self) -> dict[str, float]:
        """By how much each process has grown, in the second half of its life."""
        pods = {name: [(held.at, held.rss_kb) for held in said] for name, said in self.lines.held.items()}
        grown = {}
        for name, seen in (pods | self.workers_rss_kb).items():
            times, sizes = zip(*seen[len(seen) // 2 :], strict=True)
            grown[name] = float(np.polyfit(times, sizes, 1)[0])
        return grown


@contextlib.asynccontextmanager
async def running_whole_stack(
    folder: Path, *, emulated: dict[str, Any], pods: int = 2, workers: int = 2, **settings: str
) -> AsyncIterator[WholeStack]:
    """Start all of it on a storage emulator of its own; `settings` override the usual ones of all processes."""
    async with contextlib.AsyncExitStack() as stack:
        ports = await asyncio.to_thread(stack.enter_context, azurite_in_memory())
        agents = await stack.enter_async_context(running_agents())
        ingress = Ingress(IngressSettings(probe_s=0.5))
        await ingress.start()
        stack.push_async_callback(ingress.stop)
        cluster = await stack.enter_async_context(
            running_cluster(
                Azurite(connection_string(**ports), ports),
                folder,
                workers=workers,
                emulated={"phone_numbers": tuple(NUMBERS.values())} | emulated,
                MEDIA_BASE_URL=f"ws{ingress.url.removeprefix('http')}",
                **settings,
            )
        )
        # The one of other tests, which is never there.
        await cluster.connections.pods.remove("pod")
        await push(cluster.connections, write_gateway_file(folder, agents))
        lines = PodLines(folder / "pods.log")
        pool = PodPool(
            ingress,
            environment=os.environ | cluster.settings,
            folder=REPOSITORY,
            volumes=folder / "volumes",
            on_line=lines.take,
            command=WATCHED_POD,
        )
        try:
            await pool.start(pods)
            await cluster.emulator.event_grid.subscribe(
                EventSubscription(name="calls", endpoint=cluster.events_url, headers=cluster.credentials)
            )
            yield WholeStack(cluster, ingress, pool, lines)
        finally:
            cluster.emulator.faults.clear()
            await pool.close(GRACE_S)
