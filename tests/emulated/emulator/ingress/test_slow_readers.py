"""A side that does not read: the other one is held up, and little waits between them."""

import asyncio
import socket

from picows import WSMsgType

from emulator.ingress.relay import SOCKET_BUFFER_BYTES, WRITE_BUFFER_BYTES
from tests.emulated.emulator.ingress.conftest import WITHIN_S

MESSAGE = bytes(8 * 1024)
READ_BYTES = 256 * 1024
"""The most that asyncio reads at once."""
BETWEEN_BYTES = WRITE_BUFFER_BYTES + READ_BYTES + 4 * 2 * SOCKET_BUFFER_BYTES
"""What may lie in the ingress and in the kernel's buffers around it: Linux doubles what is asked for."""
MOST_BYTES = 32 * 1024 * 1024


def limit(transport):
    """Let next to nothing wait at an end of the test's own."""
    connection = transport.underlying_transport.get_extra_info("socket")
    for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
        connection.setsockopt(socket.SOL_SOCKET, option, 16 * 1024)


async def fill(transport):
    """Send until something stays here; return how many bytes have left."""
    waits = transport.underlying_transport.get_write_buffer_size
    sent = 0
    while not waits():
        assert sent < MOST_BYTES, "nothing holds the sender up"
        transport.send(WSMsgType.BINARY, MESSAGE)
        sent += len(MESSAGE)
        for _ in range(50):  # all that can move moves meanwhile
            await asyncio.sleep(0)
    return sent - waits()


async def test_a_client_that_does_not_read_holds_its_pod_up(ingress, start_pods, call):
    (pod,) = await start_pods(ingress, 1)
    caller = await call(ingress)
    limit(caller.transport)
    limit(pod.sockets[0])
    caller.transport.underlying_transport.pause_reading()

    left = await fill(pod.sockets[0])

    print(f"{left // 1024} KiB left the pod, {ingress.counters['held_up']} times held up")
    assert left < BETWEEN_BYTES
    assert ingress.counters["held_up"] == 1


async def test_a_pod_that_does_not_read_holds_its_client_up_and_goes_on_where_it_was(
    ingress, start_pods, call
):
    (pod,) = await start_pods(ingress, 1)
    caller = await call(ingress)
    limit(caller.transport)
    limit(pod.sockets[0])
    pod.sockets[0].underlying_transport.pause_reading()
    left = await fill(caller.transport)
    assert left < BETWEEN_BYTES
    caller.say(b"the last word")

    pod.sockets[0].underlying_transport.resume_reading()

    async with asyncio.timeout(WITHIN_S):
        while not caller.heard or caller.heard[-1] != b"the last word":
            await caller.hear(len(caller.heard))
    assert sum(map(len, caller.heard)) > left


async def test_one_slow_client_holds_nobody_else_up(ingress, start_pods, call):
    (pod,) = await start_pods(ingress, 1)
    slow, quick = await call(ingress), await call(ingress)
    slow.transport.underlying_transport.pause_reading()
    await fill(pod.sockets[0])

    for number in range(100):
        quick.say(b"frame %d" % number)

    assert await quick.hear(100) == b"frame 99"
    assert ingress.counters["held_up"] == 1
