"""Pods as child processes behind an ingress: started, stopped and killed as Container Apps does it."""

import asyncio
import itertools
import json
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from emulator.ingress import Ingress
from emulator.ports import LOOPBACK, free_port_numbers
from emulator.processes import Process
from emulator.waiting import cancel_and_wait

MEDIA_GATEWAY: Final = (sys.executable, "-m", "media_gateway")
START_S: Final = 30.0
"""How long a pod may take until it is ready."""
GRACE_S: Final = 30.0
"""From SIGTERM to SIGKILL: the platform's `terminationGracePeriodSeconds`, where nobody sets another."""
KEEP_S: Final = 0.2
"""How often it is looked whether a pod has ended by itself."""


class PodError(Exception):
    """A pod did not start; `tail` holds its last lines."""

    def __init__(self, message: str, tail: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.tail = list(tail)


class PodProcess(Process):
    """A process with which one can do what befalls a pod."""

    def kill(self) -> None:
        """End it at once, without a word."""
        self._signal(signal.SIGKILL)

    def freeze(self) -> None:
        """Let it stand still, as on a node that is in trouble: its sockets stay, and nobody answers."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on, as if nothing had happened: a zombie."""
        self._signal(signal.SIGCONT)


@dataclass(eq=False)
class Pod:
    """One replica's process.

    Attributes:
        name: of the replica; one that is restarted keeps it.
        url: by HTTP, past the ingress.
        process: freeze and thaw it here; stopping and killing is the pool's.
        instance: as the process calls itself in `/readyz`, its rows and its log: no other process ever has that name.
            Empty until it was ready.
        is_stopping: it is about to end because somebody wants it to.
    """

    name: str
    url: str
    process: PodProcess
    instance: str = ""
    is_stopping: bool = False


class PodPool:
    """Owns pods behind an ingress. `close` is owed once one was started.

    A pod gets the environment with its own `POD_NAME`, `MEDIA_HOST`, `MEDIA_PORT` and `RECORDING_SPILL_DIR`.

    Args:
        ingress: started; pods are added to it and removed.
        environment: of every pod.
        folder: their current folder.
        volumes: a folder in which each replica has one of its own for recordings.
        on_line: called with a pod's name and each line of its output.
        command: what a pod runs; it must serve `/readyz`.
    """

    def __init__(
        self,
        ingress: Ingress,
        *,
        environment: Mapping[str, str],
        folder: Path,
        volumes: Path,
        on_line: Callable[[str, str], None],
        command: Sequence[str] = MEDIA_GATEWAY,
    ) -> None:
        self._ingress = ingress
        self._environment = environment
        self._folder = folder
        self._volumes = volumes
        self._on_line = on_line
        self._command = command
        self._numbers = itertools.count(1)
        self._pods: list[Pod] = []

    @property
    def pods(self) -> tuple[Pod, ...]:
        """Those that there are, the oldest first; also one that is starting, stopping, or has ended by itself."""
        return tuple(self._pods)

    async def start(self, count: int) -> None:
        """Start so many at once, and return when all are ready.

        Raises:
            PodError: one did not get ready.
        """
        starts = [asyncio.create_task(self.add()) for _ in range(count)]
        try:
            await asyncio.gather(*starts)
        finally:
            await cancel_and_wait(*starts)

    async def add(self) -> Pod:
        """Start one more, `pod-N`, and return it when it is ready.

        Raises:
            PodError: it did not get ready.
        """
        return await self._start(f"pod-{next(self._numbers)}")

    async def stop(self, pod: Pod, grace_s: float = GRACE_S) -> None:
        """End one as the platform does: no new connections at once, SIGTERM, and after the grace time SIGKILL."""
        pod.is_stopping = True
        # In this order: it is out of the turns before it hears of its end.
        await asyncio.gather(self._ingress.drain(pod.url, grace_s), pod.process.stop(grace_s))
        await self._forget(pod)

    async def kill(self, pod: Pod) -> None:
        """End one by SIGKILL at once, as the platform does out of memory; its connections are lost."""
        pod.is_stopping = True
        pod.process.kill()
        await pod.process.stop(0)
        await self._forget(pod)

    async def restart(self, pod: Pod, grace_s: float = GRACE_S) -> Pod:
        """Stop a pod, unless it has ended, and start another process in the same replica: with its name and volume.

        Raises:
            PodError: it did not get ready.
        """
        if pod in self._pods:
            await self.stop(pod, grace_s)
        return await self._start(pod.name)

    async def rolling_restart(self, grace_s: float = GRACE_S) -> None:
        """Replace all, one after the other: a new one is ready before an old one is stopped.

        Raises:
            PodError: a new one did not get ready; the old ones that are left go on.
        """
        for pod in self.pods:
            await self.add()
            await self.stop(pod, grace_s)

    async def keep(self) -> None:
        """Restart those that end by themselves, as the platform does, until cancelled.

        Raises:
            PodError: one did not get ready again.
        """
        while True:
            for pod in self.pods:
                if pod.instance and pod.process.exit_code is not None and not pod.is_stopping:
                    self._on_line(pod.name, f"ended with exit code {pod.process.exit_code}; it is restarted")
                    await self.restart(pod, 0)
            await asyncio.sleep(KEEP_S)

    async def close(self, grace_s: float = GRACE_S) -> None:
        """Stop all."""
        await asyncio.gather(*(self.stop(pod, grace_s) for pod in self.pods))

    async def _start(self, name: str) -> Pod:
        (port,) = free_port_numbers(1)
        own = {
            "POD_NAME": name,
            "MEDIA_HOST": LOOPBACK,
            "MEDIA_PORT": str(port),
            "RECORDING_SPILL_DIR": str(self._volumes / name),
        }
        process = PodProcess(
            name,
            self._command,
            environment={**self._environment, **own},
            folder=self._folder,
            on_line=lambda line: self._on_line(name, line),
        )
        try:
            await process.start()
        except OSError as error:
            raise PodError(f"{name} could not be started: {error}") from error
        pod = Pod(name, f"http://{LOOPBACK}:{port}", process)
        self._ingress.add(pod.url)
        self._pods.append(pod)
        try:
            await self._until_ready(pod)
        except PodError:
            await self.stop(pod, 0)
            raise
        return pod

    async def _until_ready(self, pod: Pod) -> None:
        ended = asyncio.create_task(pod.process.wait())
        ready = asyncio.create_task(self._ingress.ready(pod.url, START_S))
        try:
            await asyncio.wait({ended, ready}, return_when=asyncio.FIRST_COMPLETED)
            if ended.done():
                raise PodError(f"{pod.name} has ended with exit code {ended.result()}", pod.process.tail)
            pod.instance = _instance(ready.result().answer) or pod.name
        except TimeoutError as error:
            raise PodError(
                f"{pod.name} was not ready within {START_S:.0f} s: {error}", pod.process.tail
            ) from None
        finally:
            await cancel_and_wait(ended, ready)

    async def _forget(self, pod: Pod) -> None:
        if pod in self._pods:
            self._pods.remove(pod)
            await self._ingress.remove(pod.url)


def _instance(answer: str) -> str | None:
    """The name in a `/readyz` that is the media gateway's."""
    try:
        name = json.loads(answer)["pod"]
    except (ValueError, KeyError, TypeError):
        return None
    return name if isinstance(name, str) else None
