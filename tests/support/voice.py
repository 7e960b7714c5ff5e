"""What the emulator's voice is tested with: a clock moved by hand, a small media gateway, an exchange."""

import asyncio
import json
import math
from array import array
from collections.abc import AsyncIterator, Awaitable, Callable

import picows
import pytest
from aiohttp import web

from emulator.call import Call, CallEnd
from emulator.calls import CALLS, Calls
from emulator.media.pacing import FRAME_S, Ticker
from emulator.phone import TICKER, phone
from emulator.transfers import Transfer, TransferOutcome
from emulator.wire.identifiers import from_dialled

WAIT_S = 5.0


class HandTicker(Ticker):
    """A clock that the test moves: `await`-free, one call a tick."""

    def __init__(self) -> None:
        super().__init__(clock=lambda: 0.0)
        self._ticks = []
        self._now_s = 0.0

    def add(self, tick):
        self._ticks.append(tick)

    def remove(self, tick):
        self._ticks.remove(tick)

    @property
    def lines(self) -> int:
        return len(self._ticks)

    def run(self, frames: int = 1) -> None:
        for _ in range(frames):
            for tick in list(self._ticks):
                tick(self._now_s, 0.0)
            self._now_s += FRAME_S


class MediaGateway(picows.WSListener):
    """A server that takes one media stream at a time and keeps what it was sent."""

    def __init__(self) -> None:
        super().__init__()
        self.headers = {}
        self.path = ""
        self.messages = []
        self.closed_with = None
        self.echo = False
        self.answer = None
        self.port = 0
        self._transport = None
        self._changed = asyncio.Event()

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/media/0198?token=abc"

    def kinds(self) -> list[str]:
        return [message["kind"] for message in self.messages]

    def audio(self) -> list[dict]:
        return [message["audioData"] for message in self.messages if message["kind"] == "AudioData"]

    def accept(self, request):
        self.headers, self.path = dict(request.headers), request.path.decode()
        return self.answer if self.answer is not None else self

    def on_ws_connected(self, transport):
        self._transport = transport

    def on_ws_frame(self, transport, frame):
        if frame.msg_type == picows.WSMsgType.CLOSE:
            self.closed_with = frame.get_close_code()
            transport.send_close(picows.WSCloseCode.OK)
            transport.disconnect()
        elif frame.msg_type == picows.WSMsgType.TEXT:
            message = json.loads(frame.get_payload_as_bytes())
            self.messages.append(message)
            if self.echo and message["kind"] == "AudioData":
                self.send({"Kind": "AudioData", "AudioData": {"Data": message["audioData"]["data"]}})
        self._changed.set()

    def on_ws_disconnected(self, transport):
        self._transport = None
        self._changed.set()

    def send(self, message) -> None:
        self.send_raw(json.dumps(message).encode())

    def send_raw(self, data: bytes, kind=picows.WSMsgType.TEXT, *, fin: bool = True) -> None:
        self._transport.send(kind, data, fin)

    def close(self, code: int, reason: str = "") -> None:
        self._transport.send_close(picows.WSCloseCode(code), reason)

    def drop(self) -> None:
        self._transport.disconnect(graceful=False)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until something about the gateway holds."""
        async with asyncio.timeout(WAIT_S):
            while not condition():
                self._changed.clear()
                await self._changed.wait()


@pytest.fixture
async def media_gateway() -> AsyncIterator[MediaGateway]:
    """A media gateway on a free port."""
    gateway = MediaGateway()
    server = await picows.ws_create_server(gateway.accept, "127.0.0.1", 0)
    gateway.port = server.sockets[0].getsockname()[1]
    yield gateway
    server.close()
    await server.wait_closed()


@pytest.fixture
def until() -> Callable[[Callable[[], bool]], Awaitable[None]]:
    """Wait until a condition holds that nothing announces: `await until(lambda: ...)`."""

    async def wait(condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(WAIT_S):
            while not condition():
                await asyncio.sleep(0.002)

    return wait


def tone(ms: float, rate_hz: int, *, hz: float = 440.0, peak: int = 8000) -> bytes:
    """A sine, as PCM."""
    count = round(ms * rate_hz / 1000)
    return array(
        "h", (round(peak * math.sin(2 * math.pi * hz * n / rate_hz)) for n in range(count))
    ).tobytes()


def ramp(first: int, count: int) -> bytes:
    """Samples that each have another value and are never 0, so that a shift by one shows."""
    return array("h", (n % 30_000 + 1 for n in range(first, first + count))).tobytes()


def sounds(pcm: bytes) -> bytes:
    """Only the samples that are not 0: a busy machine tears audio, with zeros between, but loses none."""
    return array("h", (sample for sample in array("h", pcm) if sample)).tobytes()


class Agent:
    """An application and its agent within the emulator's process: it answers, echoes, and obeys some keys.

    0 stops what is played, 5 transfers to +14255550177, 8 says a tone, 9 hangs up.
    """

    def __init__(self, exchange: "Exchange", call: Call) -> None:
        self._exchange = exchange
        self._call = call
        self.digits = []

    def caller_frame(self, pcm, now_s, late_s):
        if pcm is not None:
            self._call.line.play(pcm)

    def caller_digit(self, digit):
        self.digits.append(digit)
        if digit == "0":
            self._call.line.stop_playing()
        elif digit == "5":
            self._exchange.calls.transfer(
                self._call,
                Transfer(
                    target=from_dialled("+14255550177"),
                    origin=self._call.to,
                    caller_id=None,
                    custom_context=None,
                    operation_context=None,
                    asked_at=self._call.age_s,
                    on_settled=self._settled,
                ),
            )
        elif digit == "8":
            self._call.line.play(tone(5000, self._call.line.rate_hz))
        elif digit == "9":
            self._exchange.calls.finish(self._call, CallEnd.GATEWAY_HUNG_UP)

    def _settled(self, outcome):
        if outcome is TransferOutcome.ACCEPTED:
            self._call.line.detach(self)

    async def disconnect(self, end):
        self._call.line.detach(self)
        self._exchange.calls.finish(self._call, end)


class Exchange:
    """The emulator's calls and its phone socket, with an agent instead of a gateway.

    `manner` is what happens to a ringing call: answer, answer_without_media, reject or ring.
    """

    def __init__(self) -> None:
        self.manner = "answer"
        self.on_answer = lambda call: None
        self.agents = []
        self.url = ""
        self.calls = Calls(addresses=("4:+18005550199",), ring_seconds=0.3, announce=self._announce)

    def application(self) -> web.Application:
        application = web.Application()
        application[CALLS] = self.calls
        application[TICKER] = Ticker()
        application.router.add_get("/phone", phone)
        return application

    @property
    def call(self) -> Call:
        """The call that was placed last."""
        return list(self.calls)[-1]

    def _announce(self, call: Call) -> None:
        asyncio.get_running_loop().call_later(0.02, self._decide, call)

    def _decide(self, call: Call) -> None:
        if self.manner == "ring" or call.end is not None:
            return
        self.calls.take(call.incoming_call_context)
        if self.manner == "reject":
            call.note("rejected", reason="busy")
            self.calls.finish(call, CallEnd.REJECTED)
            return
        agent = Agent(self, call)
        self.agents.append(agent)
        self.calls.answer(call, call_connection_id=f"connection-{len(self.agents)}", leg=agent)
        call.note("connected")
        self.on_answer(call)
        if self.manner == "answer":
            call.line.attach(agent, rate_hz=call.line.rate_hz)
            call.note("media_connected")


@pytest.fixture
async def exchange() -> AsyncIterator[Exchange]:
    """A phone socket on a free port; its number is +18005550199."""
    exchange = Exchange()
    runner = web.AppRunner(exchange.application())
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    exchange.url = f"ws://127.0.0.1:{runner.addresses[0][1]}/phone"
    yield exchange
    await exchange.calls.close()
    await runner.cleanup()
