"""Whatever a service answers, the pod goes on, connects again, and leaves nothing behind."""

import asyncio
import json
import time
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from media_gateway.signals import SignalTiming
from shared.core.ids import new_call_id
from shared.core.signals import EventsStored, encode
from tests.emulated.signals.conftest import Pod, running

CONNECTED = json.dumps(
    {"type": "system", "event": "connected", "connectionId": "c", "reconnectionToken": "r", "userId": None}
)
SUBPROTOCOL = "json.reliable.webpubsub.azure.v1"
TIMING = SignalTiming(connect_s=0.2, retry_min_s=0.02, retry_max_s=0.05, close_s=0.2)


def message(data, number):
    content = {"type": "message", "from": "group", "group": "pod", "dataType": "json", "data": data}
    return json.dumps({**content, "sequenceId": number})


@asynccontextmanager
async def service(behave, port):
    """A service whose sockets behave as told; gives the address of its clients."""

    async def handle(request):
        socket = web.WebSocketResponse(protocols=(SUBPROTOCOL,), timeout=0.1)
        await socket.prepare(request)
        await behave(request, socket)
        return socket

    app = web.Application()
    app.router.add_get("/client", handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()

    async def client_url():
        return f"ws://127.0.0.1:{port}/client?access_token=secret"

    try:
        yield client_url
    finally:
        await runner.cleanup()


async def says_nothing(request, socket):
    async for _ in socket:
        pass


async def closes_at_once(request, socket):
    await socket.close()


async def sends_no_json(request, socket):
    await socket.send_str("{")
    await says_nothing(request, socket)


async def breaks_the_websocket(request, socket):
    request.transport.write(b"\xff\xff\xff\xff\xff\xff\xff\xff")
    await says_nothing(request, socket)


@pytest.mark.parametrize("behave", [says_nothing, closes_at_once, sends_no_json, breaks_the_websocket])
async def test_a_connection_that_does_not_come_about_is_tried_again(behave, unused_tcp_port):
    async with service(behave, unused_tcp_port) as client_url, running(Pod(client_url, TIMING)) as pod:
        await pod.until(lambda pod: pod.counters["signal_connections_failed"] >= 3)
        assert (pod.joins, pod.receiver.is_joined) == (0, False)


@pytest.mark.parametrize("behave", [sends_no_json, breaks_the_websocket])
async def test_a_connection_that_goes_wrong_later_is_made_anew(behave, unused_tcp_port):
    async def connect_first(request, socket):
        await socket.send_str(CONNECTED)
        await pod.until(lambda pod: pod.receiver.is_joined or request.transport is None)
        if request.transport is not None:
            await behave(request, socket)

    async with service(connect_first, unused_tcp_port) as client_url, running(Pod(client_url, TIMING)) as pod:
        await pod.until(lambda pod: pod.joins >= 2)


async def test_a_service_that_does_not_say_goodbye_is_not_waited_for(unused_tcp_port):
    async def goes_deaf(request, socket):
        await socket.send_str(CONNECTED)
        request.transport.pause_reading()
        await asyncio.Event().wait()

    async with service(goes_deaf, unused_tcp_port) as client_url:
        async with running(Pod(client_url, TIMING)) as pod:
            await pod.until(lambda pod: pod.receiver.is_joined)
            began = time.monotonic()
        assert time.monotonic() - began < TIMING.close_s + 1


async def test_a_listener_that_fails_is_logged_and_the_next_signal_comes(unused_tcp_port, caplog):
    first, second = EventsStored(new_call_id()), EventsStored(new_call_id())

    async def tells(request, socket):
        await socket.send_str(CONNECTED)
        await socket.send_str(message(encode(first), 1))
        await socket.send_str(message(encode(second), 2))
        await says_nothing(request, socket)

    def take(signal):
        pod.signals.append(signal)
        if signal == first:
            raise LookupError

    async with service(tells, unused_tcp_port) as client_url:
        pod = Pod(client_url, TIMING)
        pod.receiver._on_signal = take
        async with running(pod):
            await pod.until(lambda pod: len(pod.signals) == 2)
    assert pod.signals == [first, second]
    assert caplog.text.count("a signal could not be followed") == 1


async def test_an_address_that_cannot_be_had_is_asked_for_again_less_and_less_often(caplog):
    asked = []

    async def client_url():
        asked.append(None)
        raise LookupError("with the address")

    timing = SignalTiming(retry_min_s=0.001, retry_max_s=0.004)
    async with running(Pod(client_url, timing)) as pod:
        await pod.until(lambda _: len(asked) >= 20)
    assert caplog.text.count("signals do not come") == 1
    assert "with the address" not in caplog.text
