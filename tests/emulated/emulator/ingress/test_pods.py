"""Pods as child processes: started, drained, killed, frozen, restarted, and replaced while sockets are open."""

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

import pytest

from emulator.pods import PodError, PodPool
from emulator.waiting import cancel_and_wait
from shared.adapters.connect import connect
from shared.config import functions_settings
from tests.emulated.emulator.ingress.conftest import WITHIN_S
from tests.support.functions_host import REPOSITORY
from tests.support.gateway import behind_proxies, local_settings, running_emulator, seed

POD = """
import asyncio, json, os, signal
async def serve(reader, writer):
    calls.append(1)
    try:
        await answer(reader, writer)
    finally:
        calls.pop()
        writer.close()
async def answer(reader, writer):
    head = await reader.readuntil(b"\\r\\n\\r\\n")
    if b"/readyz" in head:
        status = b"503 Not now" if stopping.is_set() else b"200 OK"
        body = json.dumps({"pod": os.environ["POD_NAME"] + f"-{os.getpid()}"}).encode()
        writer.write(b"HTTP/1.1 " + status + b"\\r\\nConnection: close\\r\\n\\r\\n" + body)
    else:
        writer.write(b"HTTP/1.1 101 Switching Protocols\\r\\n\\r\\n" + os.environ["POD_NAME"].encode() + b"\\n")
        while word := await reader.readline():
            writer.write(word)
async def main():
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    server = await asyncio.start_server(serve, os.environ["MEDIA_HOST"], int(os.environ["MEDIA_PORT"]))
    print("volume", os.environ["RECORDING_SPILL_DIR"], flush=True)
    await stopping.wait()
    print("asked to end", flush=True)
    quiet = 0
    while quiet < 20:
        quiet = 0 if calls else quiet + 1
        await asyncio.sleep(0.01)
calls, stopping = [], asyncio.Event()
asyncio.run(main())
"""
"""A small pod: it takes sockets, and ends after SIGTERM when the last one has ended.

It waits a little then: a connection that was on its way to it when it heard of its end still comes.
"""
UPGRADE = b"GET / HTTP/1.1\r\nHost: gateway\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"


@pytest.fixture
async def pool(ingress, tmp_path):
    """A pool of small pods; `pool.lines` has their output."""
    lines = []
    pool = PodPool(
        ingress,
        environment=os.environ,
        folder=tmp_path,
        volumes=Path("volumes"),
        on_line=lambda name, line: lines.append((name, line)),
        command=[sys.executable, "-c", POD],
    )
    pool.lines = lines
    yield pool
    await pool.close(0)


class Socket:
    """A connection through the ingress."""

    def __init__(self):
        self.writer = None

    async def open(self, ingress):
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", ingress.port)
        self.writer.write(UPGRADE)
        async with asyncio.timeout(WITHIN_S):
            await self.reader.readuntil(b"\r\n\r\n")
            self.pod = (await self.reader.readline()).decode().strip()

    async def ask(self):
        """Say a word; whether it came back."""
        self.writer.write(b"word\n")
        async with asyncio.timeout(WITHIN_S):
            try:
                return await self.reader.readline() == b"word\n"
            except ConnectionResetError:
                return False

    def close(self):
        if self.writer is not None:
            self.writer.transport.abort()


@pytest.fixture
async def sockets(ingress):
    """Open so many sockets: `await sockets(2)`."""
    opened = []

    async def open_(count):
        new = [Socket() for _ in range(count)]
        for socket in new:
            opened.append(socket)
            await socket.open(ingress)
        return new

    yield open_
    for socket in opened:
        socket.close()


async def test_pods_have_names_ports_and_volumes_of_their_own(pool, sockets):
    await pool.start(2)

    assert sorted(pod.name for pod in pool.pods) == ["pod-1", "pod-2"]
    assert len({pod.url for pod in pool.pods}) == 2
    assert all(pod.instance.startswith(f"{pod.name}-") for pod in pool.pods)
    assert ("pod-2", f"volume {Path('volumes/pod-2')}") in pool.lines
    assert {socket.pod for socket in await sockets(2)} == {"pod-1", "pod-2"}


async def test_a_pod_that_is_stopped_ends_its_calls_first(pool, sockets, ingress, until):
    await pool.start(2)
    stopped = pool.pods[0]
    running = next(socket for socket in await sockets(2) if socket.pod == stopped.name)

    stopping = asyncio.create_task(pool.stop(stopped))
    await until(lambda: (stopped.name, "asked to end") in pool.lines)
    assert {socket.pod for socket in await sockets(2)} == {pool.pods[1].name}
    assert await running.ask()
    assert not stopping.done()

    running.close()
    async with asyncio.timeout(WITHIN_S):
        await stopping
    assert stopped.process.exit_code == 0
    assert [backend.url for backend in ingress.backends] == [pool.pods[0].url]


async def test_what_has_not_ended_after_the_grace_time_is_killed_with_its_sockets(pool, sockets, ingress):
    await pool.start(1)
    (pod,) = pool.pods
    (running,) = await sockets(1)

    await pool.stop(pod, 0.2)

    assert pod.process.exit_code == -signal.SIGKILL
    assert not await running.ask()
    assert list(ingress.backends) == []


async def test_a_killed_pod_loses_its_sockets_and_no_other_does(pool, sockets, ingress):
    await pool.start(2)
    killed, left = pool.pods
    running = await sockets(4)

    await pool.kill(killed)

    assert (killed.process.exit_code, pool.pods) == (-signal.SIGKILL, (left,))
    assert [await socket.ask() for socket in running] == [socket.pod == left.name for socket in running]
    assert {socket.pod for socket in await sockets(2)} == {left.name}


async def test_a_frozen_pod_gets_no_new_sockets_and_wakes_with_those_it_has(pool, sockets, ingress, until):
    await pool.start(2)
    frozen, left = pool.pods
    running = next(socket for socket in await sockets(2) if socket.pod == frozen.name)

    frozen.process.freeze()
    await until(lambda: not ingress.backends[frozen.url].is_ready)
    assert {socket.pod for socket in await sockets(2)} == {left.name}

    frozen.process.thaw()
    assert await running.ask()
    await ingress.ready(frozen.url, WITHIN_S)


async def test_a_restarted_pod_is_another_process_of_the_same_replica(pool):
    await pool.start(1)
    (before,) = pool.pods
    await pool.kill(before)

    after = await pool.restart(before)

    assert (after.name, pool.pods) == (before.name, (after,))
    assert after.instance != before.instance
    assert [line for line in pool.lines if line[1].startswith("volume")] == [
        ("pod-1", f"volume {Path('volumes/pod-1')}")
    ] * 2


async def test_a_rolling_restart_replaces_all_and_is_never_without_a_ready_pod(pool, sockets, ingress):
    await pool.start(2)
    before = pool.pods
    asked = []

    async def call_on():
        while True:
            (socket,) = await sockets(1)
            asked.append(await socket.ask())
            socket.close()

    calling = asyncio.create_task(call_on())
    await pool.rolling_restart()
    await cancel_and_wait(calling)

    assert [pod.name for pod in pool.pods] == ["pod-3", "pod-4"]
    assert [pod.process.exit_code for pod in before] == [0, 0]
    assert asked
    assert all(asked)
    assert ingress.counters["refused_503"] == 0


async def test_a_pod_that_ends_by_itself_is_restarted_while_somebody_keeps_the_pool(pool, until):
    await pool.start(1)
    (pod,) = pool.pods
    keeping = asyncio.create_task(pool.keep())

    os.kill(pod.process._process.pid, signal.SIGKILL)
    await until(lambda: pool.pods and pool.pods[0] is not pod and pool.pods[0].instance)

    await cancel_and_wait(keeping)
    assert pool.pods[0].name == pod.name
    assert (pod.name, "ended with exit code -9; it is restarted") in pool.lines


async def test_a_pod_that_does_not_start_is_named_with_its_last_lines(pool, ingress):
    pool._command = [sys.executable, "-c", "print('why not'); raise SystemExit(3)"]

    with pytest.raises(PodError, match="pod-1 has ended with exit code 3") as error:
        await pool.add()

    assert error.value.tail == ["why not"]
    assert (pool.pods, list(ingress.backends)) == ((), [])


async def test_a_program_that_is_not_there_is_an_error(pool):
    pool._command = ["/nowhere/pod"]
    with pytest.raises(PodError, match="pod-1 could not be started"):
        await pool.add()
    assert pool.pods == ()


async def test_media_gateways_come_up_behind_it_and_are_replaced_one_by_one(ingress, azurite, tmp_path):
    lines = []
    async with running_emulator(**behind_proxies(azurite)) as emulator:
        settings = local_settings(emulator, emulator.storage_connection_string)
        async with connect(
            functions_settings(settings | {"CALLBACK_BASE_URL": "http://127.0.0.1:9"}).common
        ) as stores:
            await seed(stores)
            pool = PodPool(
                ingress,
                environment=os.environ | settings,
                folder=REPOSITORY,
                volumes=tmp_path,
                on_line=lambda name, line: lines.append((name, line)),
            )
            try:
                await pool.start(1)
                await pool.rolling_restart()
                (pod,) = pool.pods
                report = json.loads(ingress.backends[pod.url].answer)
                rows = [row.name for row in await stores.pods.since(0)]
            finally:
                await pool.close()
    assert (report["status"], report["pod"]) == ("ready", pod.instance)
    # The one that was stopped in order has taken its row along.
    assert rows == [pod.instance]
    ends = [name for name, line in lines if "media gateway stopped" in line]
    assert ends == ["pod-1", "pod-2"]
