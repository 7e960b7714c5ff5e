"""The phone socket: any program that opens `ws://.../phone?to=...&from=...` is a caller.

Binary messages are mono 16-bit PCM both ways, JSON text is about the call. `docs/emulator/calls.md` has the protocol.
"""

import asyncio
import json
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from aiohttp import WSCloseCode, WSMsgType, web
from multidict import MultiMapping

from emulator.call import Call, Happening
from emulator.calls import CALLS, Calls, UnknownNumber
from emulator.media.impairment import Impairment, ImpairmentRefused, read_impairment
from emulator.media.line import Line
from emulator.media.pacing import Ticker
from emulator.media.pcm import RATES_HZ
from emulator.media.stream import impairment_report, stream_faults
from emulator.numbers import CALLED, CALLER
from emulator.waiting import cancel_and_wait
from emulator.wav import interleave

TICKER: Final = web.AppKey("ticker", Ticker)
"""The clock that all phones of a service share. A phone without one runs by its own."""

DEFAULT_RATE_HZ: Final = 16_000
MESSAGE_LIMIT_BYTES: Final = 4 << 20
OUTBOX_FRAMES: Final = 250
"""How much audio, 5 s, may wait for a program that does not read; further frames are dropped and counted."""

OUTBOX_TEXTS: Final = 1_000
"""How many messages about the call may wait for it; with one more the call ends, since none may be lost."""

MAX_SAID_CHARS: Final = 4_000
"""Of the words in one message."""

MAX_SAID_MS: Final = 600_000
"""That they may take."""

HEARTBEAT_S: Final = 20.0
HANG_UP_TIMEOUT_S: Final = 5.0
CLOSE_TIMEOUT_S: Final = 2.0
REASON_LIMIT_BYTES: Final = 123
"""The longest reason that a WebSocket close frame can carry."""

CONTEXT_PREFIXES: Final = (("voip.", "voipHeaders"), ("sip.", "sipHeaders"))


class _Refused(Exception):
    """The caller's program did something that the protocol does not have; the text tells its author what."""


@dataclass(frozen=True)
class PhoneOptions:
    """The query of a phone socket."""

    to: str
    from_: str
    rate_hz: int
    tracks: int
    custom_context: Mapping[str, Mapping[str, str]] | None
    impairment: Impairment | None


async def phone(request: web.Request) -> web.WebSocketResponse:
    """Place a call, and be its caller's ear and mouth until it ends.

    Errors in the query are told over the open socket (state `ended`, reason `refused`, then close code 1008),
    since a browser shows its program nothing of a refused upgrade.
    """
    socket = web.WebSocketResponse(
        heartbeat=HEARTBEAT_S, timeout=CLOSE_TIMEOUT_S, max_msg_size=MESSAGE_LIMIT_BYTES, compress=False
    )
    await socket.prepare(request)
    try:
        caller = _PhoneCall(_options(request.query), request.app.get(TICKER))
        await caller.place(request.app[CALLS])
    except (_Refused, UnknownNumber, ValueError) as error:
        reason = "unknown_number" if isinstance(error, UnknownNumber) else "refused"
        await socket.send_str(_state("ended", 0.0, reason=reason, message=str(error)))
        await socket.close(code=WSCloseCode.POLICY_VIOLATION, message=_close_reason(str(error)))
        return socket
    await caller.run(socket)
    return socket


class _PhoneCall:
    """One call and the socket of its caller."""

    def __init__(self, options: PhoneOptions, ticker: Ticker | None) -> None:
        self._options = options
        self._outbox = _Outbox()
        self._line = Line(
            rate_hz=options.rate_hz,
            ticker=ticker,
            on_clear=self._on_clear,
            on_first_audio=self._on_first_audio,
            on_audio=self._outbox.put_audio if options.tracks == 1 else None,
            on_tracks=self._on_tracks if options.tracks == 2 else None,
        )
        self._calls: Calls | None = None
        self._call: Call | None = None
        self._ended_at_s = 0.0

    async def place(self, calls: Calls) -> None:
        """Dial. Raises what `Calls.place` raises."""
        options = self._options
        self._calls = calls
        self._call = await calls.place(
            to=options.to,
            from_=options.from_,
            line=self._line,
            custom_context=options.custom_context,
            impairment=options.impairment,
        )
        for happening in self._call.happenings:
            self._on_happening(happening)

    async def run(self, socket: web.WebSocketResponse) -> None:
        """Serve the socket until the call has ended or the caller has gone."""
        call, calls = self._call, self._calls
        if call is None or calls is None:
            raise RuntimeError("place the call first")
        unwatch = call.watch(self._on_happening)
        self._line.start()
        sender = asyncio.create_task(self._outbox.send_to(socket), name="phone sender")
        reader = asyncio.create_task(self._read(socket), name="phone reader")
        over = asyncio.create_task(call.ended.wait(), name="phone end")
        full = asyncio.create_task(self._outbox.full.wait(), name="phone outbox")
        code, reason = WSCloseCode.OK, ""
        try:
            await asyncio.wait({sender, reader, over, full}, return_when=asyncio.FIRST_COMPLETED)
            error = reader.exception() if reader.done() else None
            if isinstance(error, _Refused):
                code, reason = WSCloseCode.UNSUPPORTED_DATA, str(error)
            elif error is not None:
                raise error
            elif full.done():
                code, reason = WSCloseCode.POLICY_VIOLATION, "messages about the call were not read"
        finally:
            self._line.close()
            try:
                with suppress(TimeoutError):
                    async with asyncio.timeout(HANG_UP_TIMEOUT_S):
                        await calls.caller_hangs_up(call)
            finally:
                unwatch()
                self._outbox.close(self._ended(call))
                await asyncio.wait({sender}, timeout=CLOSE_TIMEOUT_S)
                await cancel_and_wait(sender, reader, over, full)
        # A program that does not read would hold back the close frame too.
        with suppress(TimeoutError):
            async with asyncio.timeout(2 * CLOSE_TIMEOUT_S):
                await socket.close(code=code, message=_close_reason(reason))

    async def _read(self, socket: web.WebSocketResponse) -> None:
        async for message in socket:
            if message.type is WSMsgType.BINARY:
                self._on_audio(message.data)
            elif message.type is WSMsgType.TEXT and not self._on_text(message.data):
                return

    def _on_audio(self, pcm: bytes) -> None:
        try:
            self._line.say(pcm)
        except ValueError:
            raise _Refused(f"audio must be whole 16-bit samples; a message had {len(pcm)} bytes") from None

    def _on_text(self, text: str) -> bool:
        """Do what the caller asks; False when they hang up."""
        try:
            message = json.loads(text)
        except ValueError:
            raise _Refused("text messages must be JSON") from None
        kind = message.get("type") if isinstance(message, dict) else None
        if kind == "dtmf":
            self._press(message.get("digit"))
        elif kind == "say":
            self._say(message.get("text"), message.get("ms", 0))
        elif kind != "hangup":
            raise _Refused('text messages must be objects with "type" say, dtmf or hangup')
        return bool(kind != "hangup")

    def _press(self, digit: object) -> None:
        if self._call is None:
            return
        try:
            self._call.press(str(digit).upper())
        except ValueError as error:
            raise _Refused(str(error)) from None

    def _say(self, text: object, ms: object) -> None:
        if not isinstance(text, str) or len(text) > MAX_SAID_CHARS:
            raise _Refused(f"text must be a string of at most {MAX_SAID_CHARS} characters")
        if isinstance(ms, bool) or not isinstance(ms, int | float) or not 0 <= ms <= MAX_SAID_MS:
            raise _Refused(f"ms must be a number from 0 to {MAX_SAID_MS}")
        if self._call is not None:
            self._call.say_text(text, lasting_s=ms / 1000)

    def _on_tracks(self, said: bytes, heard: bytes) -> None:
        self._outbox.put_audio(interleave(said, heard))

    def _on_clear(self) -> None:
        self._outbox.put_text('{"type":"clear"}')
        self._note("stop_audio")

    def _on_first_audio(self) -> None:
        self._note("first_audio")

    def _note(self, name: str) -> None:
        if self._call is not None:
            self._call.note(name)

    def _on_happening(self, happening: Happening) -> None:
        if happening.name == "ended":
            self._ended_at_s = happening.at
        else:
            self._outbox.put_text(_state(happening.name, happening.at, **happening.detail))

    def _ended(self, call: Call) -> str:
        report = {
            **self._line.summary(),
            "phone_dropped_frames": self._outbox.dropped_frames,
            "phone_dropped_messages": self._outbox.dropped_texts,
            **stream_faults(call.streams),
            **impairment_report(call.streams),
        }
        return _state("ended", self._ended_at_s, reason=str(call.end or "failed"), report=report)


class _Outbox:
    """What waits to be sent to the caller's program: filled synchronously from the line's tick, bounded."""

    def __init__(self) -> None:
        self._items: deque[bytes | str] = deque()
        self._frames = self._texts = 0
        self._filled = asyncio.Event()
        self._closed = False
        self.full = asyncio.Event()
        """Set when a message found no room."""
        self.dropped_frames = self.dropped_texts = 0

    def put_audio(self, frame: bytes) -> None:
        """Queue one frame, or drop it when the program has not read for too long."""
        if self._frames >= OUTBOX_FRAMES:
            self.dropped_frames += 1
            return
        self._frames += 1
        self._items.append(frame)
        self._filled.set()

    def put_text(self, text: str) -> None:
        """Queue a message about the call; without room for it the outbox is `full`, and the call is to end."""
        if self._texts >= OUTBOX_TEXTS:
            self.dropped_texts += 1
            self.full.set()
            return
        self._texts += 1
        self._items.append(text)
        self._filled.set()

    def close(self, last: str) -> None:
        """Queue the last message, which always finds room; `send_to` returns when everything is sent."""
        self._items.append(last)
        self._texts += 1
        self._closed = True
        self._filled.set()

    async def send_to(self, socket: web.WebSocketResponse) -> None:
        """Send until closed, or until the other side is gone."""
        with suppress(ConnectionError):
            while not (self._closed and not self._items):
                await self._filled.wait()
                self._filled.clear()
                while self._items:
                    item = self._items.popleft()
                    if isinstance(item, str):
                        self._texts -= 1
                        await socket.send_str(item)
                    else:
                        self._frames -= 1
                        await socket.send_bytes(item)


def _options(query: MultiMapping[str]) -> PhoneOptions:
    # A plus sign that was not percent-encoded arrives as a space.
    to, from_ = (query.get(name, "").replace(" ", "+") for name in ("to", "from"))
    if not to or not from_:
        raise _Refused(f"to and from are required: /phone?to={quote(CALLED)}&from={quote(CALLER)}")
    rate_hz = _number(query, "rate", DEFAULT_RATE_HZ, RATES_HZ)
    tracks = _number(query, "tracks", 1, (1, 2))
    context: dict[str, dict[str, str]] = {}
    for name, value in query.items():
        for prefix, member in CONTEXT_PREFIXES:
            if name.startswith(prefix):
                context.setdefault(member, {})[name.removeprefix(prefix)] = value
    return PhoneOptions(to, from_, rate_hz, tracks, context or None, _impairment(query))


def _impairment(query: MultiMapping[str]) -> Impairment | None:
    text = query.get("impairment")
    try:
        return read_impairment(text.encode()) if text is not None else None
    except ImpairmentRefused as refusal:
        raise _Refused(str(refusal)) from None


def _number(query: MultiMapping[str], name: str, default: int, allowed: tuple[int, ...]) -> int:
    text = query.get(name, str(default))
    if text not in map(str, allowed):
        raise _Refused(f"{name} must be one of {', '.join(map(str, allowed))}")
    return int(text)


def _state(name: str, at_s: float, **detail: Any) -> str:
    return json.dumps({**detail, "type": "state", "state": name, "at_ms": round(at_s * 1000, 1)})


def _close_reason(text: str) -> bytes:
    return text.encode()[:REASON_LIMIT_BYTES]
