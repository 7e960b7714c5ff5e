"""The gateway on the emulator's bad networks: memory stays bounded, and no call suffers from another's."""

import socket as sockets
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from emulator.media.impairment import SOUND, Drop, Impairment, Jitter, Loss, SlowReader
from emulator.media.line import Line
from emulator.media.network import Network
from emulator.media.stream import MediaStream, StreamOptions
from media_gateway.arrival import MEDIA_SOCKET
from media_gateway.timing import WRITE_BUFFER_BYTES
from shared.core.call_state import CallState, Cause
from tests.support.media import RecordingAgent

SECOND = b"\1\0" * 24_000
LARGEST_MESSAGE_BYTES = 16 * 1024


@pytest.fixture
def agents(monkeypatch):
    """The agents of the test's calls, one each, in the order of the calls."""
    made = []

    def make(settings, base_dir):
        made.append(RecordingAgent())
        return made[-1]

    monkeypatch.setattr("media_gateway.runtime.make_agent", make)
    return made


@asynccontextmanager
async def emulated_call(gateway, impairment, *, line=None):
    """A call from the emulator's own media stream; yields the call, its stream and its network."""
    call = gateway.answer()
    line = line or Line(rate_hz=24_000)
    network = Network(impairment, 1, lambda name, **detail: None)
    options = StreamOptions(
        f"ws://{gateway.url}/media/{call.call_id}?token={call.token}", 24_000, False, True, True, "s", "4:+1"
    )
    ends = []
    headers = {
        "x-ms-call-connection-id": call.call_connection_id,
        "x-ms-call-correlation-id": "c",
    }
    stream = MediaStream(options, line, headers=headers, on_end=ends.append, network=network)
    await stream.open()
    # A little of the system's own buffer, so that the test need not fill it in real time.
    connection = stream._socket._transport.underlying_transport
    connection.get_extra_info("socket").setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 4 * 1024)
    try:
        yield call, stream, network
        assert bool(ends) == bool(stream.stats.impairment.sockets_dropped)
    finally:
        await stream.close()
        line.close()


async def test_slow_reader_costs_bounded_memory_and_no_call(gateway, agents, monkeypatch):
    # What the kernel holds fills in real time: less of it.
    monkeypatch.setattr("media_gateway.arrival.MEDIA_SOCKET", replace(MEDIA_SOCKET, kernel_buffer=4 * 1024))
    impairment = Impairment(slow_reader=SlowReader())
    async with emulated_call(gateway, impairment) as (call, stream, network):
        await gateway.until_streaming(call)
        (slow,) = gateway.core.calls._live.values()
        agents[0].sink.audio("endless", SECOND * 130)
        await gateway.until(lambda: not slow.socket.out.is_writable, seconds=20)
        connection = slow.socket._transport.underlying_transport
        held_bytes = connection.get_write_buffer_size()

        # Another call, meanwhile.
        other = await gateway.place()
        await gateway.until_streaming(other)
        agents[1].sink.audio("speech", SECOND[:9600])
        await other.socket.until_heard(SECOND[:9600])

        assert connection.get_write_buffer_size() == held_bytes
        assert held_bytes < WRITE_BUFFER_BYTES + LARGEST_MESSAGE_BYTES
        assert slow._parts.speaker.counts()["overflow_samples"] == 10 * 24_000
        assert gateway.row(call).state is CallState.STREAMING
        heard_before = len(agents[0].audio)
        await gateway.until(lambda: len(agents[0].audio) > heard_before)  # the caller is heard all the time

        agents[0].sink.clear()
        network.impair(SOUND)
        await gateway.until(lambda: stream.stats.stops == 1)
        before = stream.stats.audio_bytes
        agents[0].sink.audio("answer", SECOND[:960])
        await gateway.until(lambda: stream.stats.audio_bytes == before + 960)
        assert stream.stats.bad_messages == {}
        assert slow.socket.write_pauses == 1


@pytest.mark.parametrize("mid_frame", [False, True])
async def test_socket_that_is_cut_is_the_end_of_its_call_only(gateway, agents, mid_frame):
    other = await gateway.place()
    await gateway.until_streaming(other)
    impairment = Impairment(drop=Drop(after_frames=10, mid_frame=mid_frame))
    async with emulated_call(gateway, impairment) as (call, _, _):
        await gateway.until_streaming(call)
        await gateway.until(lambda: gateway.row(call).state is CallState.INTERRUPTED)
        await gateway.until(lambda: len(gateway.core.calls) == 1)
    gateway.assert_ended(call, Cause.MEDIA_LOST, hung_up=True)
    agents[0].sink.audio("speech", SECOND[:9600])
    await other.socket.until_heard(SECOND[:9600])


async def test_late_and_lost_frames_are_what_the_agent_hears_and_nothing_worse(gateway, agents):
    impairment = Impairment(seed=3, jitter=Jitter(max_ms=100), loss=Loss(enter=0.2, mean_frames=2))
    async with emulated_call(gateway, impairment) as (call, stream, _):
        await gateway.until_streaming(call)
        await gateway.until(lambda: stream.stats.impairment.frames_lost >= 3 and agents[0].audio)
        await gateway.until(lambda: len(agents[0].audio) >= 960 * 10)
        assert gateway.row(call).state is CallState.STREAMING
        assert len(agents[0].audio) <= 960 * stream.stats.frames_sent
        gateway.calls.add_event(call.call_id, "CallDisconnected")
    await gateway.until_over()
    gateway.assert_ended(call, Cause.CALLER_HUNG_UP, hung_up=False)


async def test_caller_who_hangs_up_on_a_slow_reader_ends_the_call(gateway, agents):
    async with emulated_call(gateway, Impairment(slow_reader=SlowReader())) as (call, stream, _):
        await gateway.until_streaming(call)
        agents[0].sink.audio("endless", SECOND * 10)
        await gateway.until(lambda: stream.stats.impairment.reader_stopped_ms or stream._path._slow)
        gateway.calls.add_event(call.call_id, "CallDisconnected")
        await stream.close()
        await gateway.until_over()
    assert gateway.row(call).state is CallState.ENDED
