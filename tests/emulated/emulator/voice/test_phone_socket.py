"""The phone socket end to end, over a real WebSocket."""

import asyncio
import contextlib
import json

import aiohttp
import pytest
from aiohttp import web

from emulator import phone as phone_module
from emulator.call import CallEnd
from tests.support.voice import ramp, sounds, tone

TO, FROM = "%2B18005550199", "%2B14255550100"


class Phone:
    """A caller's program."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self.heard = []
        self.messages = []
        self.close = None

    def states(self) -> list[str]:
        return [each["state"] for each in self.messages if each["type"] == "state"]

    def ended(self) -> dict:
        return next(each for each in self.messages if each.get("state") == "ended")

    def has(self, sound: bytes) -> bool:
        return sound in b"".join(self.heard)

    async def until(self, condition=lambda: False) -> "Phone":
        """Take messages until the condition holds or the socket is closed."""
        async with asyncio.timeout(5):
            while not condition():
                message = await self.socket.receive()
                if message.type is aiohttp.WSMsgType.BINARY:
                    self.heard.append(message.data)
                elif message.type is aiohttp.WSMsgType.TEXT:
                    self.messages.append(json.loads(message.data))
                else:
                    self.close = (self.socket.close_code, message.extra)
                    break
        return self

    async def until_state(self, name: str) -> "Phone":
        return await self.until(lambda: name in self.states())


@pytest.fixture
async def dial(exchange):
    """Open phones: `phone = await dial()`; closed at the end."""
    async with contextlib.AsyncExitStack() as stack:
        session = await stack.enter_async_context(aiohttp.ClientSession())

        async def opened(query: str = f"to={TO}&from={FROM}") -> Phone:
            socket = await stack.enter_async_context(session.ws_connect(f"{exchange.url}?{query}"))
            return Phone(socket)

        yield opened


async def test_a_call_from_ringing_to_the_callers_hanging_up(dial, exchange):
    phone = await (await dial()).until_state("media_connected")
    assert phone.states() == ["ringing", "answered", "connected", "media_connected"]
    await phone.socket.send_json({"type": "hangup"})
    await phone.until()
    assert phone.ended()["reason"] == "caller_hung_up"
    assert phone.close[0] == 1000
    assert exchange.call.end is CallEnd.CALLER_HUNG_UP


async def test_states_carry_the_time_since_the_call_was_placed(dial):
    phone = await (await dial()).until_state("answered")
    times = [each["at_ms"] for each in phone.messages]
    assert times == sorted(times)
    assert 15 < times[-1] < 2000


@pytest.mark.parametrize("chunk", [2, 638, 640, 5000])
async def test_the_caller_hears_their_echo_to_the_sample_whatever_the_chunks(dial, chunk):
    phone = await (await dial()).until_state("media_connected")
    said = ramp(1, 1600)
    for start in range(0, len(said), chunk):
        await phone.socket.send_bytes(said[start : start + chunk])
    await phone.until(lambda: len(sounds(b"".join(phone.heard))) == len(said))
    assert sounds(b"".join(phone.heard)) == said
    assert {len(frame) for frame in phone.heard} == {640}
    assert "first_audio" in phone.states()


async def test_silence_is_sent_too_from_the_first_moment(dial):
    phone = await dial()
    await phone.until(lambda: len(phone.heard) >= 3)
    assert phone.heard == [bytes(640)] * 3


@pytest.mark.parametrize(("rate", "size"), [(8000, 320), (24000, 960)])
async def test_other_rates_of_phones(dial, exchange, rate, size):
    phone = await dial(f"to={TO}&from={FROM}&rate={rate}")
    await phone.until(lambda: phone.heard)
    assert len(phone.heard[0]) == size
    assert exchange.call.line.rate_hz == rate


async def test_two_tracks_show_what_was_said_and_heard_in_each_tick(dial):
    phone = await (await dial(f"to={TO}&from={FROM}&tracks=2")).until_state("media_connected")
    said = ramp(1, 320)
    await phone.socket.send_bytes(said)
    await phone.until(lambda: any(any(frame[2::4]) for frame in phone.heard))
    frames = phone.heard
    assert {len(frame) for frame in frames} == {1280}
    left = [b"".join(frame[at : at + 2] for at in range(0, 1280, 4)) for frame in frames]
    right = [b"".join(frame[at : at + 2] for at in range(2, 1280, 4)) for frame in frames]
    assert said in left
    assert said in right


async def test_digits_reach_the_agent(dial, exchange):
    phone = await (await dial()).until_state("media_connected")
    for digit in ("1", "#", "a"):
        await phone.socket.send_json({"type": "dtmf", "digit": digit})
    await phone.until(lambda: phone.states().count("dtmf") == 3)
    assert exchange.agents[0].digits == ["1", "#", "A"]


async def test_a_barge_in_clears_what_the_phone_plays(dial):
    phone = await (await dial()).until_state("media_connected")
    await phone.socket.send_json({"type": "dtmf", "digit": "8"})
    await phone.until(lambda: phone.has(tone(20, 16000)))
    await phone.socket.send_json({"type": "dtmf", "digit": "0"})
    await phone.until(lambda: {"type": "clear"} in phone.messages)
    heard = len(phone.heard)
    await phone.until(lambda: len(phone.heard) > heard + 2)
    assert not any(phone.heard[-1])
    assert "stop_audio" in phone.states()


async def test_the_agents_hanging_up_ends_the_socket(dial):
    phone = await (await dial()).until_state("media_connected")
    await phone.socket.send_json({"type": "dtmf", "digit": "9"})
    await phone.until()
    assert phone.ended()["reason"] == "gateway_hung_up"
    assert phone.close[0] == 1000


async def test_the_last_state_reports_gaps_and_pacing(dial):
    phone = await (await dial()).until_state("media_connected")
    await phone.socket.send_bytes(tone(60, 16000))
    await phone.until(lambda: sum(any(frame) for frame in phone.heard) >= 3)
    await phone.socket.send_json({"type": "hangup"})
    report = (await phone.until()).ended()["report"]
    assert report["agent_audio_ms"] == 60
    assert report["gaps"]["count"] == 0
    assert report["pacing"]["frames"] >= len(phone.heard)
    assert report["phone_dropped_frames"] == 0


async def test_closing_the_socket_is_hanging_up(dial, exchange):
    phone = await (await dial()).until_state("media_connected")
    await phone.socket.close()
    async with asyncio.timeout(5):
        await exchange.call.ended.wait()
    assert exchange.call.end is CallEnd.CALLER_HUNG_UP


async def test_a_caller_may_give_up_while_it_rings(dial, exchange):
    exchange.manner = "ring"
    phone = await (await dial()).until_state("ringing")
    await phone.socket.close()
    async with asyncio.timeout(5):
        await exchange.call.ended.wait()
    assert exchange.call.end is CallEnd.CALLER_HUNG_UP


@pytest.mark.parametrize(("manner", "reason"), [("reject", "rejected"), ("ring", "not_answered")])
async def test_a_call_that_is_not_answered_says_so(dial, exchange, manner, reason):
    exchange.manner = manner
    phone = await (await dial()).until()
    assert phone.ended()["reason"] == reason
    assert "answered" not in phone.states()


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (b"\0\0\0", "3 bytes"),
        ("nonsense", "JSON"),
        ("[]", "objects"),
        ('{"type":"sing"}', "dtmf or hangup"),
        ('{"type":"dtmf"}', "digit"),
        ('{"type":"dtmf","digit":"12"}', "digit"),
    ],
)
async def test_what_the_protocol_does_not_have_closes_the_socket_with_the_reason(
    dial, exchange, message, reason
):
    phone = await (await dial()).until_state("media_connected")
    await (phone.socket.send_bytes(message) if isinstance(message, bytes) else phone.socket.send_str(message))
    await phone.until()
    assert phone.close[0] == 1003
    assert reason in phone.close[1]
    assert exchange.call.end is CallEnd.CALLER_HUNG_UP


@pytest.mark.parametrize(
    ("query", "reason", "message"),
    [
        ("from=%2B14255550100", "refused", "to and from"),
        (f"to={TO}", "refused", "to and from"),
        (f"to={TO}&from={FROM}&rate=44100", "refused", "rate"),
        (f"to={TO}&from={FROM}&tracks=3", "refused", "tracks"),
        (f"to=%2B18005550111&from={FROM}", "unknown_number", "does not belong"),
        (f"to=nobody&from={FROM}", "refused", ""),
    ],
)
async def test_a_call_that_cannot_be_placed_says_why(dial, query, reason, message):
    phone = await (await dial(query)).until()
    assert phone.ended()["reason"] == reason
    assert message in phone.ended()["message"]
    assert phone.close[0] == 1008


async def test_a_plus_sign_may_be_left_unescaped(dial):
    phone = await (await dial("to=+18005550199&from=+14255550100")).until_state("answered")
    assert phone.states()[0] == "ringing"


async def test_custom_context_goes_along(dial, exchange):
    await (await dial(f"to={TO}&from={FROM}&voip.customer=42&sip.User-To-User=x&voip.tier=gold")).until_state(
        "ringing"
    )
    context = exchange.call.custom_context
    assert context.voip_headers == {"customer": "42", "tier": "gold"}
    assert context.sip_headers == {"User-To-User": "x"}


async def test_a_program_that_does_not_read_loses_frames_and_it_is_counted(
    dial, exchange, until, monkeypatch
):
    monkeypatch.setattr(phone_module, "OUTBOX_FRAMES", 2)
    phone = await dial()
    stuck = asyncio.Event()

    async def send_bytes(self, data):
        await stuck.wait()

    with monkeypatch.context() as patched:
        patched.setattr("aiohttp.web.WebSocketResponse.send_bytes", send_bytes)
        await phone.until_state("ringing")
        await until(lambda: exchange.call.line.pacing.frames >= 8)
        stuck.set()
    await phone.until_state("media_connected")
    await phone.socket.send_json({"type": "hangup"})
    report = (await phone.until()).ended()["report"]
    assert report["phone_dropped_frames"] >= 2


async def test_a_program_that_reads_no_messages_loses_the_call(dial, exchange, until, monkeypatch):
    monkeypatch.setattr(phone_module, "OUTBOX_TEXTS", 5)
    stuck, send_bytes = asyncio.Event(), web.WebSocketResponse.send_bytes

    async def wait_and_send(self, data):
        await stuck.wait()
        await send_bytes(self, data)

    monkeypatch.setattr(web.WebSocketResponse, "send_bytes", wait_and_send)
    phone = await dial()
    await until(lambda: exchange.agents and exchange.call.line.pacing.frames >= 2)
    for _ in range(8):
        exchange.call.note("callback")
    async with asyncio.timeout(5):
        await exchange.call.ended.wait()
    stuck.set()
    await phone.until()
    assert phone.ended()["reason"] == "caller_hung_up"
    assert phone.ended()["report"]["phone_dropped_messages"] >= 3
    assert phone.close == (1008, "messages about the call were not read")


async def test_a_program_that_never_reads_again_does_not_hold_the_phone(exchange, until, monkeypatch):
    monkeypatch.setattr(phone_module, "OUTBOX_TEXTS", 5)
    monkeypatch.setattr(phone_module, "CLOSE_TIMEOUT_S", 0.1)
    host, port = exchange.url.removeprefix("ws://").removesuffix("/phone").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    upgrade = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    writer.write(f"GET /phone?to={TO}&from={FROM} HTTP/1.1\r\nHost: {host}\r\n{upgrade}{key}".encode())
    await reader.readuntil(b"\r\n\r\n")
    writer.transport.pause_reading()
    await until(lambda: exchange.agents)
    for _ in range(900):  # more than what sockets hold
        exchange.call.note("callback", text="x" * 100_000)
        await asyncio.sleep(0)
    await until(lambda: exchange.call.end)
    await until(lambda: not [task for task in asyncio.all_tasks() if task.get_name().startswith("phone ")])
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()


async def test_the_end_has_its_time_however_much_happened_before(dial, exchange, monkeypatch):
    monkeypatch.setattr("emulator.call.MAX_HAPPENINGS", 2)
    phone = await (await dial()).until_state("media_connected")
    await phone.socket.send_json({"type": "hangup"})
    ended = (await phone.until()).ended()
    assert ended["at_ms"] >= phone.messages[-2]["at_ms"] > 0


async def test_phones_do_not_hear_one_another(dial):
    first, second = await dial(), await dial()
    for phone in (first, second):
        await phone.until_state("media_connected")
    await first.socket.send_bytes(tone(60, 16000, hz=300))
    await second.socket.send_bytes(tone(60, 16000, hz=700))
    await first.until(lambda: first.has(tone(60, 16000, hz=300)))
    await second.until(lambda: second.has(tone(60, 16000, hz=700)))
    assert not first.has(tone(20, 16000, hz=700))
    assert not second.has(tone(20, 16000, hz=300))
