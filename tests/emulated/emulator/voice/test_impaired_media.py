"""Impairments on a real media socket."""

import asyncio
import base64
import hashlib

import pybase64
import pytest

from emulator.media.impairment import SOUND, Drop, Impairment, Jitter, Loss, SlowReader
from emulator.media.line import Line
from emulator.media.network import Network
from emulator.media.stream import MediaStream, StreamEnd, StreamOptions
from tests.support.voice import ramp, tone

WEBSOCKET_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
SECOND = {"Kind": "AudioData", "AudioData": {"Data": pybase64.b64encode(tone(1000, 16000)).decode()}}


class Caller:
    """A line with an impaired way to the gateway."""

    def __init__(self, url: str, impairment: Impairment) -> None:
        self.ends, self.notes = [], []
        self.line = Line(rate_hz=16000)
        self.network = Network(impairment, 1, lambda name, **detail: self.notes.append(name))
        options = StreamOptions(url, 16000, False, True, True, "89e8cb59", "4:+14255550100")
        self.stream = MediaStream(
            options, self.line, headers={}, on_end=self.ends.append, network=self.network
        )

    @property
    def stats(self):
        return self.stream.stats

    @property
    def done(self):
        return self.stream.stats.impairment


@pytest.fixture
async def connect(media_gateway):
    """Open an impaired stream, to the gateway unless told otherwise; closed at the end."""
    callers = []

    async def opened(*, url: str | None = None, **impairment) -> Caller:
        caller = Caller(url or media_gateway.url, Impairment(**impairment))
        callers.append(caller)
        await caller.stream.open()
        return caller

    yield opened
    for caller in callers:
        await caller.stream.close()
        caller.line.close()


def said(gateway) -> bytes:
    frames = [frame for frame in gateway.audio() if not frame["silent"]]
    return b"".join(pybase64.b64decode(frame["data"]) for frame in frames)


async def test_jitter_delays_frames_and_loses_none(media_gateway, connect):
    caller = await connect(jitter=Jitter(max_ms=60))
    words = ramp(1, 320 * 10)
    caller.line.say(words)
    caller.line.press("5")
    await media_gateway.until(lambda: len(said(media_gateway)) == len(words))
    assert said(media_gateway) == words
    assert "DtmfData" in media_gateway.kinds()
    assert caller.done.frames_delayed >= 10
    assert 0 < caller.done.delay_max_ms <= 120


async def test_what_is_held_back_is_sent_when_the_call_ends(media_gateway, connect, until):
    caller = await connect(jitter=Jitter(delays_ms=(9_000.0,)))
    await until(lambda: caller.stats.pacing.frames == 3)
    assert media_gateway.audio() == []
    await caller.stream.close()
    assert len(media_gateway.audio()) == caller.stats.frames_sent >= 3
    assert caller.done.frames_cut_off == 0


async def test_lost_frames_are_counted_and_never_sent(media_gateway, connect, until):
    caller = await connect(seed=4, loss=Loss(enter=0.3, mean_frames=3))
    await until(lambda: caller.done.loss_bursts >= 2 and caller.stats.frames_sent >= 2)
    await caller.stream.close()
    assert caller.done.frames_lost + caller.stats.frames_sent == caller.stats.pacing.frames
    assert len(media_gateway.audio()) == caller.stats.frames_sent
    assert caller.stats.summary()["impairment"]["frames_lost"] == caller.done.frames_lost


async def test_keys_come_through_where_every_frame_is_lost(media_gateway, connect):
    caller = await connect(loss=Loss(enter=1, mean_frames=1000))
    caller.line.press("7")
    await media_gateway.until(lambda: "DtmfData" in media_gateway.kinds())
    assert media_gateway.audio() == []


async def test_a_cut_looks_like_a_lost_connection_to_both_sides(media_gateway, connect, until):
    caller = await connect(drop=Drop(after_frames=3))
    await until(lambda: caller.ends)
    await media_gateway.until(lambda: media_gateway._transport is None)
    assert caller.ends == [StreamEnd(1006, "")]
    assert media_gateway.closed_with is None
    assert len(media_gateway.audio()) <= 3 == caller.stats.frames_sent
    assert caller.notes == ["impaired", "socket_dropped"]


async def test_frames_held_back_at_a_cut_are_lost_with_it(connect, until):
    caller = await connect(jitter=Jitter(delays_ms=(9_000.0,)), drop=Drop(after_frames=3))
    await until(lambda: caller.ends)
    assert (caller.done.frames_cut_off, caller.stats.frames_sent) == (3, 0)


async def test_only_so_many_sockets_of_a_call_are_cut(media_gateway, connect, until):
    caller = await connect(drop=Drop(after_ms=0, times=1))
    await until(lambda: caller.ends)
    options = caller.stream._options
    second = MediaStream(options, caller.line, headers={}, on_end=caller.ends.append, network=caller.network)
    await second.open()
    await until(lambda: second.stats.frames_sent >= 3)
    assert second.stats.impairment.sockets_dropped == 0
    await second.close()


@pytest.fixture
async def bare_server():
    """A WebSocket server that keeps the bytes after its handshake, and how the connection ended."""

    async def take(reader, writer):
        request = (await reader.readuntil(b"\r\n\r\n")).decode()
        [key] = [line.split(": ")[1] for line in request.split("\r\n") if "websocket-key" in line.lower()]
        accept = base64.b64encode(hashlib.sha1(key.encode() + WEBSOCKET_GUID).digest())
        head = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        writer.write(head + b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n")
        try:
            while data := await reader.read(65_536):
                server.received += data
        except OSError as error:
            server.error = error
        writer.close()
        server.over.set()

    server = await asyncio.start_server(take, "127.0.0.1", 0)
    server.received, server.error, server.over = bytearray(), None, asyncio.Event()
    yield server
    server.close()
    await server.wait_closed()


def frames_of(stream: bytes) -> tuple[int, int]:
    """Count the whole client frames in a byte stream, and the bytes after the last one."""
    at = whole = 0
    while at + 2 <= len(stream):
        length, head = stream[at + 1] & 0x7F, 6
        if length == 126:
            length, head = int.from_bytes(stream[at + 2 : at + 4], "big"), 8
        if at + head + length > len(stream):
            break
        at, whole = at + head + length, whole + 1
    return whole, len(stream) - at


async def test_a_cut_in_mid_frame_leaves_half_a_frame_and_a_reset(bare_server, connect):
    port = bare_server.sockets[0].getsockname()[1]
    caller = await connect(url=f"ws://127.0.0.1:{port}/", drop=Drop(after_frames=2, mid_frame=True))
    await asyncio.wait_for(bare_server.over.wait(), 5)
    whole, rest = frames_of(bytes(bare_server.received))
    assert whole == 1 + 2  # AudioMetadata and two frames
    assert 400 < rest < 800  # of some 980 bytes
    assert isinstance(bare_server.error, ConnectionResetError)
    assert caller.stats.frames_sent == 2


async def test_a_reader_that_stops_holds_the_gateway_back_until_it_goes_on(media_gateway, connect, until):
    caller = await connect(slow_reader=SlowReader())
    await until(lambda: caller.notes == ["impaired", "reader_slowed"])
    for _ in range(100):
        media_gateway.send(SECOND)
    waiting = media_gateway._transport.underlying_transport.get_write_buffer_size
    await until(lambda: caller.stats.frames_sent >= 10)
    assert caller.stats.audio_messages < 100
    assert waiting() > 0
    caller.network.impair(SOUND)
    await until(lambda: caller.stats.audio_messages == 100)
    assert waiting() == 0
    assert caller.notes[2:] == ["impaired", "reader_recovered"]
    assert caller.done.reader_stopped_ms > 0


async def test_a_throttled_reader_reads_at_its_rate(media_gateway, connect, until):
    message = len(SECOND["AudioData"]["Data"])
    caller = await connect(slow_reader=SlowReader(bytes_per_second=4 * message))
    await until(lambda: "reader_slowed" in caller.notes)
    for _ in range(40):
        media_gateway.send(SECOND)
    loop = asyncio.get_running_loop()
    started = loop.time()
    await until(lambda: caller.stats.audio_messages >= 4)
    elapsed_s = loop.time() - started
    # What one read of the socket brings, some messages at once, is ahead of the rate.
    assert elapsed_s > 0.4
    assert caller.stats.audio_messages < 12
    assert caller.done.reader_stopped_ms > 200


async def test_a_call_under_a_reader_that_has_stopped_still_ends_in_order(media_gateway, connect, until):
    caller = await connect(slow_reader=SlowReader())
    await until(lambda: "reader_slowed" in caller.notes)
    await caller.stream.close()
    assert media_gateway.closed_with == 1000
    assert caller.ends == []
