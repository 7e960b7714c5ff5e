"""An ingress with quick timers, and pods behind it that do what a test says."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from http import HTTPStatus

import pytest
from picows import (
    WSFrame,
    WSListener,
    WSMsgType,
    WSTransport,
    WSUpgradeRequest,
    WSUpgradeResponse,
    WSUpgradeResponseWithListener,
    ws_connect,
    ws_create_server,
)

from emulator.ingress import Ingress, IngressSettings

WITHIN_S = 5.0
QUICK_PROBES = {"probe_s": 0.01, "probe_timeout_s": 0.5, "probe_failures": 1}


class Echo(WSListener):
    """A pod's end of a media socket: it sends back what it gets."""

    def __init__(self, pod: "FakePod") -> None:
        super().__init__()
        self._pod = pod

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._pod.sockets.append(transport)
        transport.send(WSMsgType.TEXT, self._pod.name.encode())

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type is WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code(), b"")
            transport.disconnect()
        else:
            transport.send(frame.msg_type, frame.get_payload_as_bytes())

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self._pod.sockets.remove(transport)


class FakePod:
    """A picows server, as the media gateway is: `/readyz` by plain GET, and sockets that echo."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.is_ready = True
        self.sockets: list[WSTransport] = []
        self.requests: list[WSUpgradeRequest] = []
        self._server: asyncio.Server | None = None
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        self._server = await ws_create_server(self._answer, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def refuse_connections(self) -> None:
        """Listen no more; sockets stay."""
        assert self._server is not None
        self._server.close()

    async def stop(self) -> None:
        await self.refuse_connections()
        for socket in tuple(self.sockets):
            socket.disconnect(graceful=False)

    def _answer(self, request: WSUpgradeRequest) -> WSListener | WSUpgradeResponseWithListener:
        if request.path == b"/readyz":
            status = HTTPStatus.OK if self.is_ready else HTTPStatus.SERVICE_UNAVAILABLE
            return _response(status, b'{"status":"%s"}' % (b"ready" if self.is_ready else b"not ready"))
        self.requests.append(request)
        if request.path == b"/name":
            return _response(HTTPStatus.OK, self.name.encode())
        return Echo(self)


def _response(status: HTTPStatus, body: bytes) -> WSUpgradeResponseWithListener:
    if status is HTTPStatus.OK:
        response = WSUpgradeResponse.create_ok_response(body, {})
    else:
        response = WSUpgradeResponse.create_error_response(status, body, {})
    return WSUpgradeResponseWithListener(response, None)


class Caller(WSListener):
    """The other end: a client that counts and keeps what it hears."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[bytes] = []
        self.close_code: int | None = None
        self.is_over = asyncio.Event()
        self._news = asyncio.Event()

    def on_ws_connected(self, transport: WSTransport) -> None:
        self.transport = transport

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type is WSMsgType.CLOSE:
            self.close_code = int(frame.get_close_code())
            transport.disconnect()
            return
        self.heard.append(frame.get_payload_as_bytes())
        self._news.set()

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self.is_over.set()

    def say(self, text: bytes) -> None:
        self.transport.send(WSMsgType.TEXT, text)

    async def hear(self, number: int) -> bytes:
        """Wait for the message of this number, from 0."""
        async with asyncio.timeout(WITHIN_S):
            while len(self.heard) <= number:
                self._news.clear()
                await self._news.wait()
        return self.heard[number]

    async def over(self) -> None:
        """Wait for the end of the connection."""
        async with asyncio.timeout(WITHIN_S):
            await self.is_over.wait()


StartIngress = Callable[..., Awaitable[Ingress]]
StartPods = Callable[[Ingress, int], Awaitable[list[FakePod]]]
Call = Callable[[Ingress], Awaitable[Caller]]


@pytest.fixture
async def start_ingress() -> AsyncIterator[StartIngress]:
    """Start an ingress with settings of the test's choice (fields of IngressSettings)."""
    started: list[Ingress] = []

    async def start(**changes: float) -> Ingress:
        ingress = Ingress(IngressSettings(**QUICK_PROBES | changes))
        await ingress.start()
        started.append(ingress)
        return ingress

    yield start
    for ingress in started:
        await ingress.stop()


@pytest.fixture
async def ingress(start_ingress: StartIngress) -> Ingress:
    """One with the usual idle limit."""
    return await start_ingress()


@pytest.fixture
async def start_pods() -> AsyncIterator[StartPods]:
    """Start so many pods behind an ingress, ready ones, named from `pod-0`."""
    started: list[FakePod] = []

    async def start(ingress: Ingress, count: int) -> list[FakePod]:
        pods = [FakePod(f"pod-{number}") for number in range(count)]
        for pod in pods:
            await pod.start()
            started.append(pod)
            ingress.add(pod.url)
            await ingress.ready(pod.url, WITHIN_S)
        return pods

    yield start
    for pod in started:
        await pod.stop()


@pytest.fixture
async def call() -> AsyncIterator[Call]:
    """Open a socket through an ingress; the pod's name is the first that is heard."""
    callers: list[Caller] = []

    async def connect(ingress: Ingress) -> Caller:
        _, caller = await ws_connect(Caller, f"ws://127.0.0.1:{ingress.port}/v1/media?token=t")
        callers.append(caller)
        await caller.hear(0)
        return caller

    yield connect
    for caller in callers:
        caller.transport.disconnect(graceful=False)


@pytest.fixture
def until() -> Callable[[Callable[[], object]], Awaitable[None]]:
    """Wait for something that nothing announces."""

    async def wait(condition: Callable[[], object]) -> None:
        async with asyncio.timeout(WITHIN_S):
            while not condition():
                await asyncio.sleep(0.002)

    return wait
