"""The realtime agent: one call's WebSocket to a speech-to-speech model, behind the agent contract."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import pybase64

from media_gateway.agents.contract import AgentFailed, AgentSink, CallInfo
from media_gateway.agents.realtime import messages
from media_gateway.agents.realtime.connection import Connector
from media_gateway.agents.realtime.conversation import Conversation
from media_gateway.agents.realtime.dialects import (
    interrupts_by_itself,
    rate_of,
    rates_in,
    replies_by_itself,
    session_of,
)
from media_gateway.agents.realtime.event_codec import decode
from media_gateway.agents.realtime.events import AudioDelta, Event, EventInvalid, Kind
from media_gateway.agents.realtime.messages import APPEND_BEGIN, APPEND_END
from media_gateway.agents.realtime.tools import specs
from media_gateway.agents.tools.http import HttpTools
from media_gateway.message_socket import MessageSocket
from media_gateway.outlet import Outlet
from media_gateway.resampler import Resampler
from shared.acs.media import BYTES_PER_SAMPLE, Flaw
from shared.core.call_state import Cause
from shared.core.profiles import HttpTool, RealtimeAgent

_encode: Final = pybase64.b64encode
logger = logging.getLogger(__name__)

STEP_MS = 100
"""Audio time passes for the conversation in such steps."""
BACKLOG_MS = 500
"""So much in one piece was said before the agent listened: no time has passed for it."""
MAX_BAD_MESSAGES = 20
"""Messages of the service that cannot be understood are skipped; with this many in a session something is wrong."""
DEAF_MS = 10_000
"""A service that does not read the caller's audio for so long has failed; what it does not read is dropped."""
CONFIGURE_ID = "configure"
"""The `event_id` of our `session.update`, by which an error tells that it is about that."""


@dataclass(frozen=True, slots=True)
class RealtimeService:
    """What the realtime agents of the process share."""

    connector: Connector
    tools: HttpTools
    append_ms: int
    """Audio of the caller that goes in one message: more saves work, and costs the delay."""


class Realtime:
    """One call with a realtime model."""

    def __init__(self, settings: RealtimeAgent, service: RealtimeService) -> None:
        self._settings = settings
        self._service = service
        self._call_id = ""
        self._sink: AgentSink | None = None
        self._socket: MessageSocket | None = None
        self._out: Outlet | None = None
        """Of the socket."""
        self._conversation: Conversation | None = None
        self._configured: asyncio.Future[None] | None = None
        self._rate_hz = 0
        self._to_service: Resampler | None = None
        self._from_service: Resampler | None = None
        self._append_bytes = 0
        self._joined: list[bytes] = []
        self._joined_bytes = 0
        self._step_bytes = 0
        self._backlog_bytes = 0
        self._stepped_bytes = 0
        self._deaf_ms = 0
        self._bad_messages = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def open(self, call: CallInfo, sink: AgentSink) -> None:
        """Connect, configure the session, and let the agent greet, or go on where another was lost.

        Raises:
            AgentFailed: it cannot be reached, or refuses the session.
        """
        settings = self._settings
        self._call_id, self._sink = call.call_id, sink
        rate_hz = self._rate_hz = rate_of(settings.dialect, call.rate_hz)
        if rate_hz != call.rate_hz:
            self._to_service = Resampler(call.rate_hz, rate_hz)
            self._from_service = Resampler(rate_hz, call.rate_hz)
        self._append_bytes = self._service.append_ms * rate_hz // 1000 * BYTES_PER_SAMPLE
        self._step_bytes = STEP_MS * rate_hz // 1000 * BYTES_PER_SAMPLE
        self._backlog_bytes = BACKLOG_MS * rate_hz // 1000 * BYTES_PER_SAMPLE
        session = session_of(settings, call, rate_hz, specs(settings, is_recorded=call.is_recorded))
        self._conversation = conversation = Conversation(
            settings,
            rate_hz,
            interrupts=interrupts_by_itself(session),
            replies=replies_by_itself(session),
            send=self._send,
            sink=sink,
            start_tool=self._start_tool,
        )
        self._configured = asyncio.get_running_loop().create_future()
        self._socket = await self._service.connector.connect(settings, lambda: _Connection(self))
        self._out = self._socket.out
        sink.note("agent_connected")
        # Not after `session.created`: that would cost the caller a round trip.
        self._send(messages.session_update(session, CONFIGURE_ID))
        await self._configured
        sink.note("agent_configured")
        conversation.begin(call)

    def send_audio(self, pcm: bytes) -> None:
        """Give the service what the caller said."""
        out, conversation = self._out, self._conversation
        if out is None or conversation is None:
            return
        if self._to_service is not None:
            pcm = self._to_service.process(pcm)
        if len(pcm) < self._backlog_bytes:
            self._stepped_bytes += len(pcm)
        if self._stepped_bytes >= self._step_bytes:
            self._step(conversation, out)
        if not out.is_writable:
            self._service.connector.counters["agent_frames_dropped"] += 1
        elif len(pcm) >= self._append_bytes and not self._joined:
            # As `messages.append`, without the step.
            send = out.send
            send(APPEND_BEGIN + _encode(pcm) + APPEND_END)
        else:
            self._join(out, pcm)

    def send_dtmf(self, digit: str) -> None:
        """Give the service a key, with those that follow it closely."""
        if self._conversation is not None:
            self._conversation.press(digit)

    def heard(self, item_id: str, heard_ms: int) -> None:
        """Tell the service what was heard of an item that was cut."""
        if self._conversation is not None:
            self._conversation.heard(item_id, heard_ms)

    def transfer_failed(self, reason: str) -> None:
        """Tell the agent."""
        if self._conversation is not None:
            self._conversation.transfer_failed(reason)

    async def close(self, reason: Cause) -> None:  # noqa: ARG002 - the service is not told why
        """Write down the last words, close the socket, and end the tools that still run."""
        conversation, self._conversation = self._conversation, None
        if conversation is not None:
            conversation.close()
        self._sink = None
        tasks = [*self._tasks]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        socket, self._socket, self._out = self._socket, None, None
        if socket is not None:
            socket.close()
            await socket.closed.wait()

    def take(self, message: bytes) -> None:
        """Take a message of the service; runs for every piece of the agent's audio."""
        conversation, sink = self._conversation, self._sink
        if conversation is None or sink is None:
            return
        try:
            event = decode(message)
            if isinstance(event, AudioDelta):
                item = conversation.saying
                if item is None or item.item_id != event.item_id or item.response_id != event.response_id:
                    item = conversation.item_of(event)
                    if item is None:
                        return
                pcm = event.pcm
                item.samples += len(pcm) // BYTES_PER_SAMPLE
                if self._from_service is not None:
                    pcm = self._from_service.process(pcm)
                sink.audio(item.item_id, pcm)
            else:
                self._on_event(conversation, event)
        except EventInvalid:
            self._on_bad_message(sink)
        except Exception as error:  # noqa: BLE001 - the socket's callback would lose it, and the reason with it
            self.fail(type(error).__name__)

    def fail(self, reason: str) -> None:
        """Give up: the service cannot be used any more."""
        configured = self._configured
        if configured is not None and not configured.done():
            configured.set_exception(AgentFailed(reason))
        elif self._sink is not None:
            self._sink.failed(AgentFailed(reason))

    def _on_event(self, conversation: Conversation, event: Event) -> None:
        if not event.is_known:
            self._service.connector.counters["agent_unknown_events"] += 1
        elif self._configured is not None and not self._configured.done():
            self._on_event_before(event, self._configured)
        else:
            conversation.take(event)

    def _on_event_before(self, event: Event, configured: asyncio.Future[None]) -> None:
        """Wait for the session to be as we asked."""
        if event.kind is Kind.ERROR and event.error is not None:
            if event.error.event_id == CONFIGURE_ID:
                self.fail("session_refused")
            elif event.error.code in ("insufficient_quota", "rate_limit_exceeded"):
                self.fail("quota" if event.error.code == "insufficient_quota" else "rate_limited")
            else:
                self._service.connector.counters["agent_errors_early"] += 1
        elif event.kind is Kind.SESSION_UPDATED:
            rates = rates_in(event.session or {})
            if rates - {self._rate_hz}:
                self.fail("wrong_format")
            else:
                configured.set_result(None)

    def _on_bad_message(self, sink: AgentSink) -> None:
        self._bad_messages += 1
        self._service.connector.counters["agent_bad_messages"] += 1
        if self._bad_messages == MAX_BAD_MESSAGES:
            sink.note("agent_not_understood")
            self.fail("bad_messages")

    def _join(self, out: Outlet, pcm: bytes) -> None:
        """Keep a frame until enough of them make a message."""
        self._joined.append(pcm)
        self._joined_bytes += len(pcm)
        if self._joined_bytes >= self._append_bytes:
            out.send(messages.append(b"".join(self._joined)))
            self._joined.clear()
            self._joined_bytes = 0

    def _step(self, conversation: Conversation, out: Outlet) -> None:
        ms = self._stepped_bytes * 1000 // (self._rate_hz * BYTES_PER_SAMPLE)
        self._stepped_bytes = 0
        conversation.elapse(ms)
        self._deaf_ms = 0 if out.is_writable else self._deaf_ms + ms
        if self._deaf_ms >= DEAF_MS:
            self.fail("agent_does_not_read")

    def _send(self, message: bytes) -> None:
        if self._out is not None:
            self._out.send(message)

    def _start_tool(self, tool: HttpTool, arguments: Mapping[str, Any], tool_call_id: str) -> None:
        task = asyncio.create_task(self._run_tool(tool, arguments, tool_call_id), name="agent's tool")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run_tool(self, tool: HttpTool, arguments: Mapping[str, Any], tool_call_id: str) -> None:
        output = await self._service.tools.call(tool, arguments, call_id=self._call_id)
        if self._conversation is not None:
            self._conversation.tool_done(tool_call_id, output)


class _Connection:
    """One try at a connection: tells the agent only what comes of the one that got through."""

    def __init__(self, agent: Realtime) -> None:
        self._agent = agent
        self._is_over = False
        self.on_message: Callable[[bytes], None] = agent.take
        """Takes a message: the agent's own method while the connection is good, and nobody's afterwards."""

    def on_open(self) -> None:
        """Nothing yet: the agent gets the socket when `connect` returns."""

    def on_flaw(self, flaw: Flaw) -> None:
        """Give up on a service that breaks the WebSocket protocol, or our limits."""
        self._over(f"agent_{flaw.value}")

    def on_writable(self) -> None:
        """Nothing waits for it: what the service did not read is gone."""

    def on_closed(self) -> None:
        """Give up: the service has closed, or is gone."""
        self._over("connection_lost")

    def _over(self, reason: str) -> None:
        if not self._is_over:
            self._is_over = True
            self.on_message = _drop
            self._agent.fail(reason)


def _drop(message: bytes) -> None:
    """Take what still comes on a connection that is given up."""
