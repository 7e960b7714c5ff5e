"""The real packages of Web PubSub, and clients without one, on an emulator."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import aiohttp
import pytest
from azure.messaging.webpubsubclient.aio import WebPubSubClient
from azure.messaging.webpubsubclient.models import CallbackType
from azure.messaging.webpubsubservice import WebPubSubServiceClient
from azure.messaging.webpubsubservice.aio import WebPubSubServiceClient as AsyncWebPubSubServiceClient

from emulator.service import Emulator
from tests.emulated.emulator.acs.conftest import run

HUB, GROUP = "gateway", "pod-1"
RELIABLE, PLAIN = "json.reliable.webpubsub.azure.v1", "json.webpubsub.azure.v1"
ALL_ROLES = ("webpubsub.joinLeaveGroup", "webpubsub.sendToGroup")
WITHIN_SECONDS = 5.0


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def until(condition: Callable[[], Any]) -> None:
    """Wait for something that nothing tells of."""
    async with asyncio.timeout(WITHIN_SECONDS):
        while not condition():
            await asyncio.sleep(0.002)


class Server:
    """The service package, synchronous or asynchronous, called in one way."""

    def __init__(self, client: Any) -> None:
        self.client = client

    async def __call__(self, method: str, *arguments: Any, **options: Any) -> Any:
        return await run(getattr(self.client, method), *arguments, **options)

    async def access(self, **options: Any) -> str:
        """URL with an access token for one client."""
        return (await self("get_client_access_token", **options))["url"]


MakeServer = Callable[..., Awaitable[Server]]


@pytest.fixture
async def make_server() -> AsyncIterator[MakeServer]:
    """Servers for emulators that a test starts itself: `make_server(emulator, package="sync", hub=...)`."""
    async with AsyncExitStack() as closing:

        async def make(emulator: Emulator, *, package: str = "aio", hub: str = HUB) -> Server:
            connection_string = emulator.web_pubsub_connection_string
            if package == "aio":
                client = AsyncWebPubSubServiceClient.from_connection_string(
                    connection_string, hub, retry_total=0
                )
                return Server(await closing.enter_async_context(client))
            sync = WebPubSubServiceClient.from_connection_string(connection_string, hub, retry_total=0)
            return Server(closing.enter_context(sync))

        yield make


@pytest.fixture
async def server(acs_emulator: Emulator, make_server: MakeServer) -> Server:
    """Where it does not matter which package is used."""
    return await make_server(acs_emulator)


class Pod:
    """The client package, with everything that it tells."""

    def __init__(self, client: WebPubSubClient) -> None:
        self.client = client
        self.ids: list[str] = []
        self.received: list[Any] = []
        self.disconnected: list[str | None] = []

    async def open(self) -> None:
        async def connected(event: Any) -> None:
            self.ids.append(event.connection_id)

        async def disconnected(event: Any) -> None:
            self.disconnected.append(event.message)

        async def received(event: Any) -> None:
            self.received.append(event)

        await self.client.subscribe(CallbackType.CONNECTED, connected)
        await self.client.subscribe(CallbackType.DISCONNECTED, disconnected)
        await self.client.subscribe(CallbackType.GROUP_MESSAGE, received)
        await self.client.subscribe(CallbackType.SERVER_MESSAGE, received)
        await self.client.open()
        await until(lambda: self.ids)

    @property
    def data(self) -> list[Any]:
        return [event.data for event in self.received]

    async def gets(self, *data: Any) -> None:
        """Wait until it has this many messages, and check that they are these."""
        await until(lambda: len(self.received) >= len(data))
        assert self.data == list(data)


OpenPod = Callable[..., Awaitable[Pod]]


@pytest.fixture
async def open_pod() -> AsyncIterator[OpenPod]:
    """Open a client of a server's hub: `open_pod(server, user_id="pod-1", groups=[...], protocol_type=...)`."""
    opened: list[Pod] = []

    async def open_(server: Server, *, protocol_type: str = RELIABLE, **access: Any) -> Pod:
        options = {"user_id": "pod-1", "roles": list(ALL_ROLES), "groups": [GROUP], **access}
        pod = Pod(WebPubSubClient(await server.access(**options), protocol_type=protocol_type))
        opened.append(pod)
        await pod.open()
        return pod

    yield open_
    await asyncio.gather(*(pod.client.close() for pod in opened))


class RawClient:
    """A WebSocket without a package, for what packages do not do."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket

    async def send(self, **frame: Any) -> None:
        await self.socket.send_str(json.dumps(frame))

    async def next(self) -> dict[str, Any]:
        return await self.socket.receive_json(timeout=WITHIN_SECONDS)

    async def ask(self, **frame: Any) -> dict[str, Any]:
        """Send a frame, and get its acknowledgement."""
        await self.send(**frame)
        return await self.next()

    async def closed_with(self) -> int | None:
        """Wait for the end of the socket; the code of its close frame, None if there was no such frame."""
        message = await self.socket.receive(timeout=WITHIN_SECONDS)
        return message.data if message.type is aiohttp.WSMsgType.CLOSE else None


OpenRaw = Callable[..., Awaitable[RawClient]]


@pytest.fixture
async def open_raw(http: aiohttp.ClientSession) -> AsyncIterator[OpenRaw]:
    """Open a WebSocket: `open_raw(url, PLAIN)`; without a subprotocol if none is named."""
    opened: list[RawClient] = []

    async def open_(url: str, *subprotocols: str, **options: Any) -> RawClient:
        client = RawClient(await http.ws_connect(url, protocols=subprotocols, **options))
        opened.append(client)
        return client

    yield open_
    for client in opened:
        await client.socket.close()
