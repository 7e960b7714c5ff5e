"""An application for the emulator to talk to, an HTTP client, and the real SDKs."""

import asyncio
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest
from azure.communication.callautomation import CallAutomationClient
from azure.communication.callautomation.aio import CallAutomationClient as AsyncCallAutomationClient
from azure.core.credentials import AzureKeyCredential

from emulator.call import Call
from emulator.media.line import Line
from emulator.outside import OutsideParty
from emulator.service import Emulator
from tests.support.acs_application import Application
from tests.support.playing import Ear, Files

NUMBER = "+18005550199"
CALLER = "+14255550100"


@pytest.fixture
async def application() -> AsyncIterator[Application]:
    application = Application()
    await application.start()
    yield application
    await application.stop()


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@dataclass
class CallAutomation:
    """The real SDK, synchronous or asynchronous, called in one way."""

    client: Any

    async def answer(self, call: Call, application: Application, **options: Any) -> Any:
        return await self("answer_call", call.incoming_call_context, application.callback_url, **options)

    async def __call__(self, method: str, *arguments: Any, **options: Any) -> Any:
        return await run(getattr(self.client, method), *arguments, **options)

    async def on_call(self, call_connection_id: str, method: str, *arguments: Any, **options: Any) -> Any:
        connection = self.client.get_call_connection(call_connection_id)
        return await run(getattr(connection, method), *arguments, **options)


async def run(method: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """Call a method of a client, in a thread if it is not a coroutine function."""
    if inspect.iscoroutinefunction(method):
        return await method(*arguments, **options)
    result = await asyncio.to_thread(method, *arguments, **options)
    if hasattr(result, "__aiter__"):
        return [item async for item in result]
    if hasattr(result, "by_page"):
        return await asyncio.to_thread(list, result)
    return result


MakeClient = Callable[[Emulator], Awaitable[CallAutomation]]


@pytest.fixture(params=["sync", "aio"])
async def make_client(request: pytest.FixtureRequest) -> AsyncIterator[MakeClient]:
    """Clients for emulators that a test starts itself; the test runs with either SDK."""
    async with AsyncExitStack() as closing:

        async def make(emulator: Emulator) -> CallAutomation:
            credential = AzureKeyCredential(emulator.settings.access_key)
            if request.param == "aio":
                client = AsyncCallAutomationClient(emulator.base_url, credential, retry_total=0)
                await closing.enter_async_context(client)
                return CallAutomation(client)
            sync_client = CallAutomationClient(emulator.base_url, credential, retry_total=0)
            closing.callback(sync_client.close)
            return CallAutomation(sync_client)

        yield make


@pytest.fixture
async def client(acs_emulator: Emulator, make_client: MakeClient) -> CallAutomation:
    return await make_client(acs_emulator)


@pytest.fixture
async def aio_client(acs_emulator: Emulator) -> AsyncIterator[CallAutomation]:
    """For tests where it does not matter which SDK is used."""
    credential = AzureKeyCredential(acs_emulator.settings.access_key)
    async with AsyncCallAutomationClient(acs_emulator.base_url, credential, retry_total=0) as aio_client:
        yield CallAutomation(aio_client)


PlaceCall = Callable[..., Awaitable[Call]]


@pytest.fixture
def place_call(acs_emulator: Emulator) -> PlaceCall:
    """Place a call from a phone to the number of `acs_emulator`, unless told otherwise."""

    async def place(to: str = NUMBER, from_: str = CALLER, **options: Any) -> Call:
        return await acs_emulator.calls.place(to=to, from_=from_, line=Line(rate_hz=16_000), **options)

    return place


@pytest.fixture
def happened() -> Callable[[Call, str], Awaitable[None]]:
    """Wait until something has happened to a call."""

    async def wait(call: Call, name: str) -> None:
        seen = asyncio.Event()
        unwatch = call.watch(lambda happening: seen.set() if happening.name == name else None)
        if any(happening.name == name for happening in call.happenings):
            seen.set()
        async with asyncio.timeout(5):
            await seen.wait()
        unwatch()

    return wait


@pytest.fixture
async def call(place_call: PlaceCall) -> Call:
    return await place_call()


@pytest.fixture
async def connection_id(call: Call, aio_client: CallAutomation, application: Application, happened) -> str:
    """The call's, which is answered and connected."""
    answered = await aio_client.answer(call, application, operation_context="answer-7f3c")
    await happened(call, "connected")
    return answered.call_connection_id


@pytest.fixture
def outside(acs_emulator: Emulator) -> Callable[..., None]:
    """Set how somebody outside behaves, at once unless told otherwise: `outside(COLLEAGUE, does="busy")`."""

    def behaves(who: Any, **behaviour: Any) -> None:
        acs_emulator.calls.outside.put(who.raw_id, OutsideParty(**{"after_ms": 1.0, **behaviour}))

    return behaves


@pytest.fixture
def transfer(aio_client: CallAutomation) -> Callable[..., Awaitable[Any]]:
    """Ask for a transfer by the SDK: `await transfer(connection_id, COLLEAGUE, operation_context="xfer-1")`."""

    async def ask(connection_id: str, target: Any, **options: Any) -> Any:
        return await aio_client.on_call(connection_id, "transfer_call_to_participant", target, **options)

    return ask


@pytest.fixture
async def files() -> AsyncIterator[Files]:
    """Files for ACS to fetch."""
    files = Files()
    await files.start()
    yield files
    await files.stop()


@pytest.fixture
def ear() -> Ear:
    """What a caller hears, whose line is made with it."""
    return Ear()
