"""One connection: the socket of a session, and what a test can do with it from the other side."""

import asyncio
import json
import socket
import struct
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec
from picows import WSCloseCode, WSFrame, WSListener, WSMsgType, WSTransport

from emulator.media.websocket import SocketEnd
from emulator.realtime.access import Upgrade
from emulator.realtime.core import SessionCore
from emulator.realtime.replies import ToolCall
from emulator.realtime.settings import RealtimeSettings, Trouble

MESSAGE_LIMIT_BYTES: Final = 16 << 20
"""The largest message taken, some 4 minutes of audio; OpenAI takes 15 MB of audio."""
SEND_LIMIT_BYTES: Final = 16 << 20
"""How much may wait for a client that does not read, three minutes of audio and more; then messages are dropped."""
HELD_MESSAGES: Final = 10_000
"""How many may wait behind one that is delayed on purpose; then messages are dropped."""
CLOSE_S: Final = 2.0
"""How long a client may take to answer a close frame."""
CUT_S: Final = 0.01
"""Between half a message and the reset: uvloop writes at the end of its turn."""
EXPECT_S: Final = 5.0

_CREATED: Final = b'{"type":"session.created"'
_UPDATED: Final = b'{"type":"session.updated"'
_AUDIO_DELTAS: Final = (b'{"type":"response.output_audio.delta"', b'{"type":"response.audio.delta"')
_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)
"""The value of SO_LINGER with which closing sends a TCP reset."""


class RealtimeSession(WSListener):
    """A client's session, while it lasts and after.

    Args:
        upgrade: what the client asked for.
        core: the session itself.
        settings: how it behaves.
        on_open: called once the connection stands.
        on_end: called once it is gone.
    """

    def __init__(
        self,
        upgrade: Upgrade,
        core: SessionCore,
        settings: RealtimeSettings,
        *,
        on_open: Callable[["RealtimeSession"], None],
        on_end: Callable[["RealtimeSession"], None],
    ) -> None:
        super().__init__()
        self.dialect = upgrade.dialect
        self.query = upgrade.query
        self.core = core
        self.end: SocketEnd | None = None
        self.dropped_messages = 0
        self._settings = settings
        self._on_open = on_open
        self._on_end = on_end
        self._transport: WSTransport | None = None
        self._loop = asyncio.get_running_loop()
        self._timers: list[asyncio.TimerHandle] = []
        self._held: list[bytes] | None = None
        self._congested = False
        self._parts: list[bytes] = []
        self._changed = asyncio.Event()
        self._last = SocketEnd(1006, "")

    @property
    def settings(self) -> Mapping[str, Any]:
        """The session as the client has set it: what `session.updated` shows."""
        return self.core.state.document

    @property
    def appended_ms(self) -> float:
        """How much audio the client has appended."""
        return self.core.hearing.appended_ms

    @property
    def updates(self) -> list[Mapping[str, Any]]:
        """What the client's `session.update` events have named, in order."""
        return [event["session"] for event in self.received("session.update")]

    @property
    def items(self) -> list[Mapping[str, Any]]:
        """The conversation as it stands, in order, with what the client has put into it."""
        return self.core.conversation.items

    def received(self, kind: str | None = None) -> list[Mapping[str, Any]]:
        """Return the client's events of this type, or all; without appends, which are only counted."""
        return [event for event in self.core.received if kind in (None, event["type"])]

    async def expect(self, kind: str, count: int = 1, *, within_s: float = EXPECT_S) -> Mapping[str, Any]:
        """Wait for the client's `count`-th event of this type, and return it.

        Raises:
            TimeoutError: it has not come.
        """
        await self.until(lambda: len(self.received(kind)) >= count, within_s=within_s)
        return self.received(kind)[count - 1]

    async def until(self, condition: Callable[[], bool], *, within_s: float = EXPECT_S) -> None:
        """Wait until this holds; it is looked at after each message and at the end.

        Raises:
            TimeoutError: it does not in time.
        """
        async with asyncio.timeout(within_s):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    async def until_ended(self, *, within_s: float = EXPECT_S) -> SocketEnd:
        """Wait for the end of the connection; return what the client said of it, 1006 where it said nothing.

        Raises:
            TimeoutError: it still stands.
        """
        await self.until(lambda: self.end is not None, within_s=within_s)
        return self.end or self._last

    def say(self, pcm: bytes, text: str = "", *, finished: bool = True) -> None:
        """Say this, at the session's output rate: in the response under way, or in a new one.

        Args:
            pcm: the audio, sent at once in deltas of 100 ms.
            text: its transcript.
            finished: whether the response ends; else more can be said, or `finish` ends it.
        """
        self._send_all(self.core.say(pcm, text, is_whole=finished))

    def finish(self, status: str = "completed", reason: str | None = None) -> None:
        """End the response under way."""
        self._send_all(self.core.finish(status, None if reason is None else {"reason": reason}))

    def speech_started(self) -> None:
        """Report that the caller begins to speak; cancels the response under way, unless the session says not to."""
        self._send_all(self.core.begin_turn())

    def speech_stopped(self, text: str = "") -> None:
        """Report that the caller has finished, and has said this. No response follows by itself."""
        self._send_all(self.core.end_turn(text))

    def call_tool(self, name: str, arguments: Mapping[str, Any] | str = "{}") -> str:
        """Call a function of the client's, and end the response; return the call's id."""
        text = arguments if isinstance(arguments, str) else json.dumps(arguments)
        call_id, messages = self.core.call(ToolCall(name, text))
        self._send_all(messages)
        return call_id

    def error(self, code: str, message: str = "Something is wrong with the service.") -> None:
        """Report an error."""
        self._send_all(self.core.error(code, message))

    def send(self, event: Mapping[str, Any]) -> None:
        """Send an event of the test's own making."""
        self._send_all([msgspec.json.encode(event)])

    def send_raw(self, message: bytes) -> None:
        """Send a text message as it is."""
        self._send_all([message])

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Close the connection with this code. Idempotent."""
        transport = self._transport
        if transport is not None and not transport.is_close_frame_sent:
            # picows' enum knows the registered codes only, its function takes any.
            transport.send_close(code, reason.encode())  # type: ignore[arg-type]
            self._later(CLOSE_S, lambda: transport.disconnect(graceful=False))

    def drop(self) -> None:
        """Lose the connection without a word: a TCP reset. Idempotent."""
        if self._transport is not None:
            connection = self._transport.underlying_transport
            connection.get_extra_info("socket").setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE
            )
            self._transport.disconnect(graceful=False)

    def on_ws_connected(self, transport: WSTransport) -> None:
        """Open the session (called by picows)."""
        self._transport = transport
        transport.underlying_transport.set_write_buffer_limits(high=SEND_LIMIT_BYTES)
        self._on_open(self)
        if self._settings.drop_after_s is not None:
            self._later(self._settings.drop_after_s, self.drop)
        if self._settings.session_s is not None:
            self._later(self._settings.session_s, self._expire)
        self._send_all(self.core.open())

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Take a message (called by picows)."""
        kind = frame.msg_type
        if kind == WSMsgType.TEXT and frame.fin:
            self._take(frame.get_payload_as_bytes())
        elif kind == WSMsgType.CLOSE:
            self._last = SocketEnd(int(frame.get_close_code().value) or 1005, frame.get_close_reason() or "")
            if not transport.is_close_frame_sent:
                transport.send_close(WSCloseCode.OK)
            transport.disconnect()
        elif kind == WSMsgType.BINARY:
            self.close(WSCloseCode.UNSUPPORTED_DATA.value, "messages are text")
        elif kind in (WSMsgType.TEXT, WSMsgType.CONTINUATION):
            self._fragment(frame)

    def on_ws_disconnected(self, transport: WSTransport) -> None:  # noqa: ARG002 - picows' signature
        """Note that the connection is gone (called by picows)."""
        self._transport = None
        self.end = self._last
        for timer in self._timers:
            timer.cancel()
        self._changed.set()
        self._on_end(self)

    def pause_writing(self) -> None:
        """Drop messages from here on: the client does not read (called by picows)."""
        self._congested = True

    def resume_writing(self) -> None:
        """Send again (called by picows)."""
        self._congested = False

    def _take(self, message: bytes) -> None:
        self._send_all(self.core.receive(message))
        self._changed.set()

    def _fragment(self, frame: WSFrame) -> None:
        self._parts.append(frame.get_payload_as_bytes())
        if sum(map(len, self._parts)) > MESSAGE_LIMIT_BYTES:
            self._parts.clear()
            self.close(WSCloseCode.MESSAGE_TOO_BIG.value, "message too big")
        elif frame.fin:
            message = b"".join(self._parts)
            self._parts.clear()
            self._take(message)

    def _send_all(self, messages: Sequence[bytes]) -> None:
        for message in messages:
            delay_s = self._delay_s(message)
            if delay_s and self._held is None:
                self._held = []
                self._later(delay_s, self._release)
            if self._held is None:
                self._send(message)
            elif len(self._held) < HELD_MESSAGES:
                self._held.append(message)
            else:
                self.dropped_messages += 1

    def _delay_s(self, message: bytes) -> float:
        if message.startswith(_CREATED):
            return self._settings.created_delay_s
        return self._settings.updated_delay_s if message.startswith(_UPDATED) else 0.0

    def _release(self) -> None:
        held, self._held = self._held or [], None
        for message in held:
            self._send(message)

    def _send(self, message: bytes) -> None:
        troubles, transport = self._settings.troubles, self._transport
        if transport is None or self._congested or Trouble.DEAF in troubles:
            self.dropped_messages += 1
        elif Trouble.CUT in troubles and message.startswith(_AUDIO_DELTAS):
            self._congested = True
            transport.underlying_transport.write(_half_a_frame(message))
            self._later(CUT_S, self.drop)
        else:
            transport.send(WSMsgType.TEXT, message)

    def _expire(self) -> None:
        self.error("session_expired", "Your session hit the maximum duration.")
        self.close(WSCloseCode.OK.value, "session expired")

    def _later(self, seconds: float, do: Callable[[], None]) -> None:
        self._timers.append(self._loop.call_later(seconds, do))


def _half_a_frame(message: bytes) -> bytes:
    """Begin a server's text frame (RFC 6455, 5.2), and break off in the midst of its payload."""
    size = len(message)
    length = (
        bytes([126]) + size.to_bytes(2, "big") if size < 1 << 16 else bytes([127]) + size.to_bytes(8, "big")
    )
    return b"\x81" + length + message[: size // 2]
