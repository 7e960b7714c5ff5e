"""How connections end: drained, idle, killed, closed by either side."""

import asyncio
import socket
import struct
from contextlib import suppress

import pytest

UPGRADE = b"GET /v1/media HTTP/1.1\r\nHost: gateway\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
GET = b"GET /name HTTP/1.1\r\nHost: gateway\r\n\r\n"


@pytest.fixture
async def raw_pod(start_ingress):
    """Start a pod of a test's own: `ingress = await raw_pod(handle, idle_s=...)`; it says that it is ready."""
    servers, ingresses = [], []

    async def start(handle, **settings):
        async def serve(reader, writer):
            head = await reader.readuntil(b"\r\n\r\n")
            try:
                if head.startswith(b"GET /readyz"):
                    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                else:
                    await handle(head, reader, writer)
            finally:
                writer.close()
                with suppress(ConnectionError):
                    await writer.wait_closed()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        servers.append(server)
        ingress = await start_ingress(**settings)
        ingresses.append(ingress)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        ingress.add(url)
        await ingress.ready(url, 5)
        return ingress

    yield start
    for ingress in ingresses:
        await ingress.stop()
    for server in servers:
        server.close()
        await server.wait_closed()


async def exchange(ingress, *parts):
    """Send bytes, and read to the end; what came, and whether it ended by a reset."""
    reader, writer = await asyncio.open_connection("127.0.0.1", ingress.port)
    received = bytearray()
    try:
        async with asyncio.timeout(5):
            for part in parts:
                writer.write(part)
                await writer.drain()
            while piece := await reader.read(65536):
                received += piece
        return bytes(received), False
    except ConnectionResetError:
        return bytes(received), True
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


def reset(writer):
    """Close as a killed process does that has not read everything."""
    linger = struct.pack("ii", 1, 0)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    writer.transport.abort()


async def test_a_pod_that_drains_gets_no_new_socket_and_is_drained_when_the_last_one_has_ended(
    ingress, start_pods, call
):
    drained, _ = await start_pods(ingress, 2)
    running = await call(ingress)
    draining = asyncio.create_task(ingress.drain(drained.url, 60))
    await asyncio.sleep(0)

    assert [(await call(ingress)).heard for _ in range(2)] == [[b"pod-1"]] * 2
    running.say(b"still here")
    assert await running.hear(1) == b"still here"
    assert not draining.done()

    running.transport.send_close()
    assert await draining == 0
    assert ingress.counters["ended_finished"] == 1


async def test_what_has_not_ended_when_the_grace_period_is_over_is_cut(ingress, start_pods, call, until):
    (pod,) = await start_pods(ingress, 1)
    callers = [await call(ingress) for _ in range(3)]

    assert await ingress.drain(pod.url, 0.01) == 3

    for caller in callers:
        await caller.over()
        assert caller.close_code is None
    await until(lambda: not pod.sockets)
    assert ingress.counters["ended_cut"] == 3


async def test_a_pod_that_is_removed_is_forgotten_with_its_sockets(ingress, start_pods, call):
    (pod,) = await start_pods(ingress, 1)
    caller = await call(ingress)

    await ingress.remove(pod.url)

    await caller.over()
    assert list(ingress.backends) == []
    with pytest.raises(KeyError):
        await ingress.drain(pod.url, 0)
    ingress.add(pod.url)
    await ingress.ready(pod.url, 5)
    await call(ingress)


async def test_a_socket_is_cut_when_nothing_has_moved_for_the_idle_limit(start_ingress, start_pods, call):
    ingress = await start_ingress(idle_s=0.2)
    (pod,) = await start_pods(ingress, 1)
    idle, busy = await call(ingress), await call(ingress)
    started = asyncio.get_running_loop().time()

    while not idle.is_over.is_set():
        busy.say(b"audio")
        await busy.hear(len(busy.heard))

    assert asyncio.get_running_loop().time() - started < 2
    assert idle.close_code is None
    assert (ingress.counters["ended_idle"], len(pod.sockets)) == (1, 1)


async def test_what_one_side_alone_says_keeps_a_socket_too(raw_pod):
    async def talk(head, reader, writer):
        for _ in range(5):
            writer.write(b"audio")
            await asyncio.sleep(0.1)

    ingress = await raw_pod(talk, idle_s=0.3)

    assert await exchange(ingress, UPGRADE) == (b"audio" * 5, False)
    assert ingress.counters["ended_idle"] == 0


async def test_a_pod_that_never_answers_makes_a_504(raw_pod):
    async def keep_silent(head, reader, writer):
        with suppress(ConnectionError):
            await reader.read()

    ingress = await raw_pod(keep_silent, idle_s=0.05)

    answer, _ = await exchange(ingress, GET)
    assert answer.startswith(b"HTTP/1.1 504 Gateway Timeout\r\n")


async def test_a_pod_that_closes_without_an_answer_makes_a_503(raw_pod):
    async def leave(head, reader, writer):
        pass

    ingress = await raw_pod(leave)

    answer, _ = await exchange(ingress, GET)
    assert answer.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
    assert ingress.counters["ended_backend_lost"] == 1


async def test_a_reset_by_the_pod_is_a_reset_to_the_client(raw_pod):
    async def die(head, reader, writer):
        writer.write(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")
        await reader.readexactly(5)
        reset(writer)

    ingress = await raw_pod(die)

    _, is_reset = await exchange(ingress, UPGRADE, b"audio")
    assert is_reset
    assert ingress.counters["ended_backend_lost"] == 1


async def test_a_client_that_resets_is_reset_to_the_pod(raw_pod):
    seen = asyncio.get_running_loop().create_future()

    async def listen(head, reader, writer):
        writer.write(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")
        try:
            await reader.read()
        except ConnectionResetError as error:
            seen.set_result(error)

    ingress = await raw_pod(listen)
    reader, writer = await asyncio.open_connection("127.0.0.1", ingress.port)
    writer.write(UPGRADE)
    await reader.readline()
    reset(writer)

    async with asyncio.timeout(5):
        await seen
    assert ingress.counters["ended_client_lost"] == 1


async def test_a_client_may_stop_talking_and_still_hear_the_answer(raw_pod):
    async def answer_at_the_end(head, reader, writer):
        body = await reader.read()
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n" + body)

    ingress = await raw_pod(answer_at_the_end)
    reader, writer = await asyncio.open_connection("127.0.0.1", ingress.port)
    writer.write(GET + b"a body")
    writer.write_eof()

    async with asyncio.timeout(5):
        assert (await reader.read()).endswith(b"\r\n\r\na body")
    writer.close()
    await writer.wait_closed()


async def test_stopping_cuts_what_there_is(ingress, start_pods, call):
    await start_pods(ingress, 1)
    caller = await call(ingress)
    reader, writer = await asyncio.open_connection("127.0.0.1", ingress.port)
    writer.write(b"GET / HTTP/1.1\r\n")

    await ingress.stop()

    await caller.over()
    with suppress(ConnectionResetError):
        assert await reader.read() == b""
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()


async def test_a_client_that_does_not_send_its_request_is_told_408(ingress, monkeypatch):
    monkeypatch.setattr("emulator.ingress.arrival.HEAD_S", 0.02)

    answer, _ = await exchange(ingress, b"GET / HTTP/1.1\r\n")
    assert answer.startswith(b"HTTP/1.1 408 Request Timeout\r\n")
    assert ingress.counters["refused_408"] == 1
