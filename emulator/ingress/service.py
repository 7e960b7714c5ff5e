"""The ingress itself: one port, and behind it those backends that say that they are ready."""

import asyncio
import contextlib
import logging
import socket
from collections import Counter
from collections.abc import Callable
from http import HTTPStatus
from typing import Final

import aiohttp

from emulator.ingress.arrival import Arrival
from emulator.ingress.backends import Backend, Backends
from emulator.ingress.probe import Probe
from emulator.ingress.relay import End, Relay
from emulator.ingress.settings import IngressSettings
from emulator.servers import ACCEPTING_TURNS, listen
from emulator.tasks import Tasks

CONNECT_S: Final = 2.0
"""For a backend to take a connection; then the next one is tried."""
CLOSE_S: Final = 2.0
"""For connections that were cut to be gone."""
BACKLOG: Final = 1024
"""Connections that may wait to be accepted."""

logger = logging.getLogger(__name__)


class Ingress:
    """Listens from `start` to `stop`.

    A connection goes to the ready backends in turn, and stays with its own to its end, whatever becomes of that one's
    readiness.

    Args:
        settings: how it behaves.
        on_change: called when a backend has become ready, and when it is so no more.

    Attributes:
        backends: those that there are.
        counters: `accepted`; `passed_on`; `connect_failed` (a ready backend took no connection); `refused_{status}`,
            by the ingress itself; `held_up` (a side was not read because the other one did not read); `ended_{end}`
            for each `End`.
        port: where it listens.
    """

    def __init__(
        self,
        settings: IngressSettings | None = None,
        *,
        on_change: Callable[[Backend], None] = lambda _: None,
    ) -> None:
        self._settings = settings or IngressSettings()
        self._on_change = on_change
        self._listener: socket.socket | None = None
        self._server: asyncio.Server | None = None
        self._session: aiohttp.ClientSession | None = None
        self._arrivals: set[Arrival] = set()
        self._tasks = Tasks()
        self._probes: dict[Backend, asyncio.Task[None]] = {}
        self._changed = asyncio.Event()
        self.backends = Backends()
        self.counters: Counter[str] = Counter()
        self.port = 0

    @property
    def url(self) -> str:
        """The address, by HTTP."""
        return f"http://{self._settings.host}:{self.port}"

    async def start(self) -> None:
        """Listen.

        Raises:
            OSError: the port is taken, or the address is none of this machine's.
        """
        self._listener = listen(self._settings.host, self._settings.port)
        self._server = await asyncio.get_running_loop().create_server(
            self._arrival, sock=self._listener, backlog=BACKLOG
        )
        self.port = self._listener.getsockname()[1]
        self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True))

    async def stop(self) -> None:
        """Stop listening, and cut the connections that there are. Idempotent."""
        if self._server is None or self._listener is None or self._session is None:
            return
        # First, for asyncio loses a connection that it has accepted when its server is closed a turn later.
        asyncio.get_running_loop().remove_reader(self._listener.fileno())
        for _ in range(ACCEPTING_TURNS):
            await asyncio.sleep(0)
        self._server.close()
        await self._tasks.close()
        for arrival in tuple(self._arrivals):
            arrival.transport.abort()
        for backend in tuple(self.backends):
            await self.remove(backend.url)
        await self._until(lambda: not self._arrivals, CLOSE_S)
        await self._session.close()
        self._server = None

    def add(self, url: str) -> Backend:
        """Take a backend in; it gets connections once it says that it is ready.

        Args:
            url: `http://host:port`.

        Raises:
            ValueError: it is there already, or no such URL.
        """
        assert self._session is not None, "the ingress was not started"  # noqa: S101 - the caller's mistake
        backend = self.backends.add(url)
        probe = Probe(backend, self._settings, self._session, self._readiness_changed)
        self._probes[backend] = self._tasks.start(probe.run(), name=f"probe of {url}")
        return backend

    async def ready(self, url: str, within_s: float) -> Backend:
        """Wait until a backend is ready.

        Raises:
            KeyError: there is none of this URL.
            TimeoutError: it was not ready in time; its `answer` may say why.
        """
        backend = self.backends[url]
        if not await self._until(lambda: backend.is_ready, within_s):
            raise TimeoutError(f"{url} is not ready: {backend.answer}")
        return backend

    async def drain(self, url: str, grace_s: float) -> int:
        """Give a backend no new connection, let those that it has end, and cut what is left when the time is over.

        Returns:
            How many were cut.

        Raises:
            KeyError: there is none of this URL.
        """
        backend = self.backends[url]
        backend.is_draining = True
        if await self._until(lambda: not backend.relays, grace_s):
            return 0
        return await self._cut(backend)

    async def remove(self, url: str) -> None:
        """Forget a backend, and cut its connections.

        Raises:
            KeyError: there is none of this URL.
        """
        backend = self.backends[url]
        self.backends.remove(backend)
        self._probes.pop(backend).cancel()
        await self._cut(backend)

    async def _cut(self, backend: Backend) -> int:
        relays = tuple(backend.relays)
        for relay in relays:
            relay.cut()
        await self._until(lambda: not backend.relays, CLOSE_S)
        return len(relays)

    async def _until(self, condition: Callable[[], bool], within_s: float) -> bool:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while not condition():
                    self._changed.clear()
                    await self._changed.wait()
        return condition()

    def _arrival(self) -> Arrival:
        return Arrival(
            on_open=self._opened, on_head=self._head_came, on_end=self._left, on_refused=self._refused
        )

    def _opened(self, arrival: Arrival) -> None:
        self.counters["accepted"] += 1
        self._arrivals.add(arrival)

    def _left(self, arrival: Arrival) -> None:
        self._arrivals.discard(arrival)
        self._changed.set()

    def _refused(self, status: HTTPStatus) -> None:
        self.counters[f"refused_{status.value}"] += 1

    def _readiness_changed(self, backend: Backend) -> None:
        logger.info("a backend's readiness changed", extra={"url": backend.url, "is_ready": backend.is_ready})
        self._changed.set()
        self._on_change(backend)

    def _head_came(self, arrival: Arrival, head: bytes) -> None:
        self._tasks.start(self._pass_on(arrival, head), name="connection to a backend")

    async def _pass_on(self, arrival: Arrival, head: bytes) -> None:
        """Have the bytes pumped to the backend whose turn it is, or to the next one that takes the connection."""
        tried: set[Backend] = set()
        while (backend := self.backends.next(tried)) is not None:
            tried.add(backend)
            if await self._connect(arrival, head, backend):
                return
        arrival.refuse(HTTPStatus.SERVICE_UNAVAILABLE, "no backend is ready")

    async def _connect(self, arrival: Arrival, head: bytes, backend: Backend) -> bool:
        def ended(relay: Relay, how: End) -> None:
            self.counters[f"ended_{how}"] += 1
            self._forget(backend, relay)

        idle_s, loop = self._settings.idle_s, asyncio.get_running_loop()
        relay = Relay(arrival.transport, head, idle_s=idle_s, counters=self.counters, on_end=ended)
        # It counts from here on, so that who drains the backend waits for it too.
        backend.relays.add(relay)
        connected = False
        try:
            async with asyncio.timeout(CONNECT_S):
                await loop.create_connection(lambda: relay.backend, backend.host, backend.port)
            connected = True
        except (OSError, TimeoutError):
            self.counters["connect_failed"] += 1
            return False
        finally:
            if not connected:
                self._forget(backend, relay)
        self._arrivals.discard(arrival)
        self.counters["passed_on"] += 1
        backend.taken += 1
        relay.begin()
        return True

    def _forget(self, backend: Backend, relay: Relay) -> None:
        backend.relays.discard(relay)
        self._changed.set()
