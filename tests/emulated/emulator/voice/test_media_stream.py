"""The media stream against a real WebSocket server."""

import asyncio
import gc
import json

import picows
import pybase64
import pytest

from emulator.media.line import Line
from emulator.media.stream import MediaConnectFailed, MediaStream, StreamEnd, StreamOptions
from emulator.media.websocket import MESSAGE_LIMIT_BYTES
from tests.support.voice import MediaGateway, ramp, sounds, tone

HEADERS = {
    "x-ms-call-connection-id": "401f3500-62bd-46a9-8c09-9e1b06caca01",
    "x-ms-call-correlation-id": "ebd8bf1f-0794-494f-bdda-913042c06ef7",
    "Authorization": "Bearer x.y.z",
}


def options(gateway: MediaGateway, **changes) -> StreamOptions:
    values = {
        "url": gateway.url,
        "rate_hz": 16000,
        "unmixed": False,
        "bidirectional": True,
        "dtmf": True,
        "subscription_id": "89e8cb59-b991-48b0-b154-1db84f16a077",
        "participant_raw_id": "4:+14255550100",
    }
    return StreamOptions(**{**values, **changes})


class Caller:
    """A line and its stream; what ends and what is heard is kept."""

    def __init__(self, stream_options: StreamOptions, *, phone_hz: int = 16000) -> None:
        self.ends = []
        self.heard = []
        self.clears = 0
        self.line = Line(rate_hz=phone_hz, on_audio=self.heard.append, on_clear=self._cleared)
        self.stream = MediaStream(stream_options, self.line, headers=HEADERS, on_end=self.ends.append)

    def _cleared(self) -> None:
        self.clears += 1

    async def close(self) -> None:
        await self.stream.close()
        self.line.close()


@pytest.fixture
async def connect(media_gateway):
    """Open a stream to the gateway; closed at the end."""
    callers = []

    async def opened(*, phone_hz: int = 16000, **changes) -> Caller:
        caller = Caller(options(media_gateway, **changes), phone_hz=phone_hz)
        callers.append(caller)
        await caller.stream.open()
        return caller

    yield opened
    for caller in callers:
        await caller.close()


async def test_it_connects_as_acs_does(media_gateway, connect):
    await connect()
    await media_gateway.until(lambda: len(media_gateway.messages) >= 3)
    assert media_gateway.path == "/media/0198?token=abc"
    assert HEADERS.items() <= media_gateway.headers.items()
    assert media_gateway.kinds()[:3] == ["AudioMetadata", "AudioData", "AudioData"]


async def test_silence_is_sent_for_as_long_as_the_caller_says_nothing(media_gateway, connect):
    caller = await connect()
    await media_gateway.until(lambda: len(media_gateway.audio()) >= 5)
    frames = media_gateway.audio()
    assert all(frame["silent"] for frame in frames)
    assert not any("participantRawID" in frame for frame in frames)
    assert caller.stream.stats.silent_frames_sent >= 5


async def test_what_the_caller_says_arrives_unchanged_frame_by_frame(media_gateway, connect):
    caller = await connect()
    said = ramp(1, 640)
    caller.line.say(said)
    await media_gateway.until(lambda: sum(not frame["silent"] for frame in media_gateway.audio()) == 2)
    frames = [frame for frame in media_gateway.audio() if not frame["silent"]]
    assert b"".join(pybase64.b64decode(frame["data"]) for frame in frames) == said


async def test_an_unmixed_stream_names_the_caller_in_every_frame(media_gateway, connect):
    await connect(unmixed=True)
    await media_gateway.until(lambda: len(media_gateway.audio()) >= 3)
    assert {frame["participantRawID"] for frame in media_gateway.audio()} == {"4:+14255550100"}


async def test_a_24_khz_stream_of_a_16_khz_phone(media_gateway, connect):
    caller = await connect(phone_hz=16000, rate_hz=24000)
    media_gateway.send(
        {"Kind": "AudioData", "AudioData": {"Data": pybase64.b64encode(tone(60, 24000)).decode()}}
    )
    caller.line.say(tone(60, 16000))
    await media_gateway.until(lambda: sum(not frame["silent"] for frame in media_gateway.audio()) >= 4)
    assert media_gateway.messages[0]["audioMetadata"]["length"] == 960
    assert {len(pybase64.b64decode(frame["data"])) for frame in media_gateway.audio()} == {960}
    assert {len(frame) for frame in caller.heard} == {640}
    assert any(any(frame) for frame in caller.heard)


async def test_an_echo_comes_back_to_the_caller_to_the_sample(media_gateway, connect, until):
    media_gateway.echo = True
    caller = await connect()
    said = ramp(1, 320 * 5)
    caller.line.say(said)
    await until(lambda: len(sounds(b"".join(caller.heard))) == len(said))
    assert sounds(b"".join(caller.heard)) == said


async def test_stop_audio_silences_the_caller_at_once(media_gateway, connect, until):
    caller = await connect()
    media_gateway.send(
        {"Kind": "AudioData", "AudioData": {"Data": pybase64.b64encode(tone(5000, 16000)).decode()}}
    )
    await until(lambda: any(any(frame) for frame in caller.heard))
    media_gateway.send({"Kind": "StopAudio", "AudioData": None, "StopAudio": {}})
    await until(lambda: caller.clears == 1)
    heard = len(caller.heard)
    await until(lambda: len(caller.heard) >= heard + 2)
    assert not any(b"".join(caller.heard[heard:]))
    assert caller.line.stopped_ms > 4000
    assert caller.stream.stats.stops == 1


async def test_digits_are_sent_where_the_answer_asked_for_them(media_gateway, connect):
    caller = await connect()
    caller.line.press("1")
    caller.line.press("#")
    await media_gateway.until(lambda: media_gateway.kinds().count("DtmfData") == 2)
    digits = [each["dtmfData"] for each in media_gateway.messages if each["kind"] == "DtmfData"]
    assert digits == [{"data": "1"}, {"data": "#"}]


async def test_digits_are_not_sent_where_it_did_not(media_gateway, connect):
    caller = await connect(dtmf=False)
    caller.line.press("1")
    await media_gateway.until(lambda: len(media_gateway.audio()) >= 2)
    assert "DtmfData" not in media_gateway.kinds()
    assert caller.stream.stats.digits_not_sent == 1


async def test_a_one_way_stream_ignores_the_agents_audio(media_gateway, connect, until):
    caller = await connect(bidirectional=False)
    media_gateway.send({"Kind": "AudioData", "AudioData": {"Data": "AAA="}})
    media_gateway.send({"Kind": "StopAudio"})
    await until(lambda: caller.stream.stats.ignored_messages == 2)
    assert caller.clears == 0


async def test_wrong_messages_are_counted_and_the_stream_goes_on(media_gateway, connect, until):
    caller = await connect()
    media_gateway.send_raw(b"{")
    media_gateway.send_raw(b'{"Kind":"AudioData","AudioData":{"Data":"AA=="}}')
    media_gateway.send_raw(b'{"Kind":"AudioData","AudioData":{"Data":"!"}}')
    media_gateway.send_raw(b"\0\0", picows.WSMsgType.BINARY)
    media_gateway.send({"Kind": "MarkData"})
    for n in range(30):
        media_gateway.send({"Kind": f"Kind{n}"})
    media_gateway.send(
        {"Kind": "AudioData", "AudioData": {"Data": pybase64.b64encode(tone(20, 16000)).decode()}}
    )
    await until(lambda: caller.stream.stats.audio_messages == 1)
    stats = caller.stream.stats
    assert stats.bad_messages == {"not JSON": 1, "odd size": 1, "not base64": 1, "binary": 1}
    assert stats.unknown_kinds["MarkData"] == 1
    assert len(stats.unknown_kinds) == 21
    assert stats.unknown_kinds["other"] == 11


async def test_fragments_are_put_together(media_gateway, connect, until):
    caller = await connect()
    message = b'{"Kind":"AudioData","AudioData":{"Data":"' + pybase64.b64encode(tone(40, 16000)) + b'"}}'
    media_gateway.send_raw(message[:100], fin=False)
    media_gateway.send_raw(message[100:200], picows.WSMsgType.CONTINUATION, fin=False)
    media_gateway.send_raw(b"", picows.WSMsgType.PING)
    media_gateway.send_raw(message[200:], picows.WSMsgType.CONTINUATION)
    await until(lambda: caller.stream.stats.audio_messages == 1)
    assert caller.stream.stats.audio_bytes == 1280


async def test_too_much_agent_audio_is_reported(media_gateway, connect, until):
    caller = await connect()
    data = pybase64.b64encode(tone(20_000, 16000)).decode()
    media_gateway.send({"Kind": "AudioData", "AudioData": {"Data": data}})
    media_gateway.send({"Kind": "AudioData", "AudioData": {"Data": data}})
    await until(lambda: caller.stream.stats.audio_messages == 2)
    assert 9_000 < caller.stream.stats.overflow_ms <= 10_000
    assert caller.line.playout_overflow_ms == caller.stream.stats.overflow_ms


async def test_closing_is_normal_and_tells_nobody(media_gateway, connect):
    caller = await connect()
    await caller.stream.close()
    await caller.stream.close()
    assert media_gateway.closed_with == 1000
    assert caller.ends == []


async def test_a_gateway_that_never_answers_the_close_is_left(media_gateway, connect, monkeypatch):
    monkeypatch.setattr("emulator.media.websocket.CLOSE_TIMEOUT_S", 0.05)
    caller = await connect()
    deaf = media_gateway._transport.underlying_transport
    deaf.pause_reading()
    await caller.stream.close()
    assert caller.ends == []
    deaf.resume_reading()


@pytest.mark.parametrize(
    ("code", "reason"), [(1000, "agent done"), (1001, ""), (1011, "no agent"), (4001, "own")]
)
async def test_the_gateways_close_is_told_once(media_gateway, connect, until, code, reason):
    caller = await connect()
    media_gateway.close(code, reason)
    await until(lambda: caller.ends)
    assert caller.ends == [StreamEnd(code, reason)]
    assert caller.ends[0].clean == (code == 1000)
    await caller.stream.close()
    assert len(caller.ends) == 1
    assert media_gateway.closed_with == 1000


async def test_a_lost_connection_is_told_once(media_gateway, connect, until):
    caller = await connect()
    media_gateway.drop()
    await until(lambda: caller.ends)
    assert caller.ends == [StreamEnd(1006, "")]


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (b"\xff\x00", 1002),  # reserved bits and an opcode that there is not
        (b"\x82\x7f" + (MESSAGE_LIMIT_BYTES + 1).to_bytes(8, "big"), 1009),
    ],
)
async def test_a_gateway_that_breaks_the_protocol_is_closed_and_it_is_told_why(
    media_gateway, connect, until, caplog, sent, code
):
    caller = await connect()
    media_gateway._transport.underlying_transport.write(sent)
    await until(lambda: caller.ends)
    (end,) = caller.ends
    assert end.code == code
    assert end.reason
    assert not end.clean
    await caller.stream.close()
    gc.collect()  # a future whose exception nobody looked at complains when it goes
    assert "never retrieved" not in caplog.text


async def test_a_message_in_too_many_fragments_is_too_big(media_gateway, connect, until):
    caller = await connect()
    media_gateway.send_raw(bytes(MESSAGE_LIMIT_BYTES - 1), fin=False)
    media_gateway.send_raw(bytes(2), picows.WSMsgType.CONTINUATION, fin=False)
    await until(lambda: caller.ends)
    assert caller.ends == [StreamEnd(1009, "message too big")]


async def test_a_second_stream_takes_the_line_over(media_gateway, connect, until):
    caller = await connect()
    media_gateway.drop()
    await until(lambda: caller.ends)
    media_gateway.messages.clear()
    second = MediaStream(options(media_gateway), caller.line, headers=HEADERS, on_end=caller.ends.append)
    await second.open()
    await media_gateway.until(lambda: len(media_gateway.audio()) >= 2)
    assert media_gateway.kinds()[0] == "AudioMetadata"
    await second.close()


async def test_a_gateway_that_does_not_read_costs_frames_and_not_memory(
    media_gateway, connect, until, monkeypatch
):
    monkeypatch.setattr("emulator.media.websocket.SEND_LIMIT_BYTES", 2000)
    caller = await connect()
    gateway_side = media_gateway._transport.underlying_transport
    gateway_side.pause_reading()
    socket = caller.stream._socket._transport.underlying_transport
    socket.write(b"\x8a\x00" * (4 << 20))
    await until(lambda: caller.stream.stats.frames_dropped >= 2)
    assert caller.stream.stats.frames_sent < 50
    gateway_side.abort()
    await until(lambda: caller.ends)


@pytest.mark.parametrize(
    ("status", "detail"),
    [
        (400, "badRequest"),
        (401, "authenticationFailure"),
        (403, "forbidden"),
        (404, "streamConnectionUnsuccessful"),
        (429, "tooManyRequests"),
        (503, "streamConnectionUnsuccessful"),
    ],
)
async def test_a_refused_upgrade_says_why(media_gateway, status, detail):
    response = picows.WSUpgradeResponse.create_error_response(status, b"no")
    media_gateway.answer = picows.WSUpgradeResponseWithListener(response, None)
    caller = Caller(options(media_gateway))
    with pytest.raises(MediaConnectFailed) as failed:
        await caller.stream.open()
    assert (failed.value.detail, failed.value.http_status) == (detail, status)
    assert caller.ends == []
    await caller.close()


@pytest.mark.parametrize(
    ("url", "detail"),
    [
        ("", "streamUrlMissing"),
        ("http://127.0.0.1:1/x", "initialWebSocketConnectionFailed"),
        ("ws://127.0.0.1:1/x", "initialWebSocketConnectionFailed"),
        ("nonsense?token=secret", "initialWebSocketConnectionFailed"),
    ],
)
async def test_an_unusable_url_says_so(media_gateway, url, detail):
    caller = Caller(options(media_gateway, url=url))
    with pytest.raises(MediaConnectFailed) as failed:
        await caller.stream.open()
    assert (failed.value.detail, failed.value.http_status) == (detail, None)
    assert "secret" not in str(failed.value)
    await caller.close()


@pytest.fixture
async def mute_server():
    """A server that takes connections; it keeps them and never says anything, unless told to close."""
    writers, gone = [], asyncio.Event()

    async def taken(reader, writer):
        writers.append(writer)
        await reader.read()
        gone.set()

    server = await asyncio.start_server(taken, "127.0.0.1", 0)
    server.writers, server.gone = writers, gone
    server.url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    yield server
    for writer in writers:
        writer.close()
    server.close()
    await server.wait_closed()


async def test_a_server_that_never_answers_is_given_up(media_gateway, mute_server, monkeypatch):
    monkeypatch.setattr("emulator.media.stream.CONNECT_TIMEOUT_S", 0.1)
    caller = Caller(options(media_gateway, url=mute_server.url))
    with pytest.raises(MediaConnectFailed) as failed:
        await caller.stream.open()
    assert failed.value.detail == "initialWebSocketConnectionFailed"


async def test_a_server_that_hangs_up_in_the_handshake_is_a_failure(media_gateway, mute_server, until):
    caller = Caller(options(media_gateway, url=mute_server.url))
    opening = asyncio.create_task(caller.stream.open())
    await until(lambda: mute_server.writers)
    mute_server.writers[0].close()
    with pytest.raises(MediaConnectFailed):
        await opening
    assert caller.ends == []


async def test_a_cancelled_connect_leaves_nothing_open(media_gateway, mute_server, until, monkeypatch):
    monkeypatch.setattr("emulator.media.stream.CONNECT_TIMEOUT_S", 0.2)
    caller = Caller(options(media_gateway, url=mute_server.url))
    opening = asyncio.create_task(caller.stream.open())
    await until(lambda: mute_server.writers)
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    await caller.close()
    async with asyncio.timeout(2):
        await mute_server.gone.wait()


async def test_frames_keep_to_the_real_clock(media_gateway, connect):
    caller = await connect()
    await media_gateway.until(lambda: len(media_gateway.audio()) >= 12)
    pacing = caller.stream.stats.pacing
    assert pacing.frames == caller.stream.stats.frames_sent
    assert pacing.frames >= 12
    assert pacing.drift_ms < 1000
    summary = json.loads(json.dumps(caller.stream.stats.summary()))
    assert summary["frames_sent"] == pacing.frames
    assert summary["pacing"]["frames"] == pacing.frames
