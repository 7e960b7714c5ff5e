"""A session without its socket: a client's message in, the server's messages out. No I/O, no clock.

Time is the audio that the client has appended.
"""

from collections import deque
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from emulator.realtime.client_events import (
    UNREADABLE,
    Append,
    CancelResponse,
    Clear,
    ClientEvent,
    Commit,
    CreateItem,
    CreateResponse,
    Delete,
    Refused,
    Retrieve,
    Truncate,
    UpdateSession,
    decode_append,
    read_audio,
    read_event,
)
from emulator.realtime.conversation import Conversation, Item
from emulator.realtime.dialects import Dialect, vocabulary
from emulator.realtime.echo import Echo
from emulator.realtime.events import Events
from emulator.realtime.hearing import Hearing
from emulator.realtime.replies import Question, ToolCall, nothing, parrot
from emulator.realtime.response import CHUNK_MS, Response
from emulator.realtime.session_state import SessionState
from emulator.realtime.settings import Behaviour, RealtimeSettings, Trouble
from emulator.realtime.trouble import (
    NOT_JSON,
    OVERSIZED_MS,
    UNKNOWN_AFTER,
    UNKNOWN_BEFORE,
    prolonged,
    with_wrong_rates,
)
from emulator.realtime.turns import Turns

RECORDED_EVENTS: Final = 10_000
"""Client events other than appends that are kept; then the oldest give way."""
MAX_TOOL_OUTPUTS: Final = 100
"""Outputs of functions that wait for a response; then the oldest give way."""


class SessionCore:
    """One session.

    Args:
        dialect: of the service.
        label: in all its ids.
        query: of the URL.
        settings: how it behaves.
        expires_at: when it ends, in seconds since 1970, where it does.
    """

    def __init__(
        self,
        dialect: Dialect,
        label: str,
        query: Mapping[str, str],
        settings: RealtimeSettings,
        expires_at: int | None,
    ) -> None:
        self._dialect = dialect
        self._settings = settings
        self._words = vocabulary(dialect)
        self._events = Events(label)
        self._conversation_id = f"conv_{label}"
        self._answer = settings.answer or (parrot if settings.behaviour is Behaviour.PARROT else nothing)
        self._response: Response | None = None
        self._echo: Echo | None = None
        self._echoed: Item | None = None
        self._tool_outputs: deque[str] = deque(maxlen=MAX_TOOL_OUTPUTS)
        self._has_spoken = False
        self.state = SessionState(dialect, f"sess_{label}", query, expires_at)
        self.conversation = Conversation()
        self.hearing = Hearing()
        self._turns = Turns(
            self._events, self._words, self.conversation, self.state, self.hearing, iter(settings.transcripts)
        )
        self.received: deque[Mapping[str, Any]] = deque(maxlen=RECORDED_EVENTS)
        self._listen()

    @property
    def response(self) -> Response | None:
        """The response that is under way."""
        return self._response

    def open(self) -> list[bytes]:
        """Return what is said first."""
        self._events.add("session.created", session=self.state.document)
        return self._events.take()

    def receive(self, message: bytes) -> list[bytes]:
        """Take one text message of the client's; return what is said to it, in order. Never raises."""
        try:
            append = decode_append(message)
        except UNREADABLE:
            self._take_command(message)
        else:
            try:
                self._take_audio(append)
            except Refused as refused:
                self._events.refuse(refused)
        return self._events.take()

    def error(self, code: str, message: str) -> list[bytes]:
        """Report an error of the service's own."""
        self._events.error(code, message)
        return self._events.take()

    def say(self, pcm: bytes, text: str, *, is_whole: bool) -> list[bytes]:
        """Say this in the response that is under way, or else in a new one, which ends where `is_whole`."""
        response = self._response or self._begin(None)
        response.plan(pcm, text, is_whole=is_whole)
        self._advance(None)
        return self._events.take()

    def finish(self, status: str = "completed", details: Mapping[str, Any] | None = None) -> list[bytes]:
        """End the response that is under way, if any."""
        if self._response is not None:
            self._end(status, details)
        return self._events.take()

    def call(self, tool: ToolCall) -> tuple[str, list[bytes]]:
        """Call a function in the response that is under way, or else in a new one; end it; return the call's id too."""
        response = self._response or self._begin(None)
        call_id = response.call(tool)
        self._end("completed")
        return call_id, self._events.take()

    def begin_turn(self, at_ms: float | None = None) -> list[bytes]:
        """Take it that the caller begins to speak, by default just now."""
        self._begin_turn(self.hearing.appended_ms if at_ms is None else at_ms)
        return self._events.take()

    def end_turn(self, text: str) -> list[bytes]:
        """Take it that the caller has finished, and has said this. No response follows by itself."""
        self._turns.end(self.hearing.appended_ms, text)
        return self._events.take()

    def _take_audio(self, append: Append) -> None:
        pcm = read_audio(append)
        ms = self.hearing.count(pcm)
        if self._settings.behaviour is Behaviour.ECHO:
            self._take_echo(append, pcm, ms)
            return
        for turn in self.hearing.append(pcm):
            if turn.began:
                self._begin_turn(turn.at_ms)
            else:
                self._turns.end(turn.at_ms)
                if self.state.turns is not None and self.state.turns.create_response:
                    self._respond(CreateResponse())
        if self._response is not None and self._settings.speed is not None:
            self._advance(ms * self._settings.speed)

    def _take_echo(self, append: Append, pcm: bytes, ms: float) -> None:
        if self._echo is None or self._echoed is None:
            response = self._response or self._begin(None)
            self._echoed = response.begin_to_speak()
            kind, label = f"{self._words.audio}.delta", self._events.new_id("event")
            self._echo = Echo(kind, label, response.id, self._echoed.id, self.state)
            self._has_spoken = True
        self._echoed.audio_ms += ms
        self._events.add_raw(self._echo.delta(append.audio, pcm))

    def _take_command(self, message: bytes) -> None:
        try:
            event = read_event(self._dialect, message)
        except Refused as refused:
            self._events.refuse(refused)
            return
        self.received.append(msgspec.json.decode(message))
        try:
            self._obey(event)
        except Refused as refused:
            refused.event_id = event.event_id
            self._events.refuse(refused)

    def _obey(self, event: ClientEvent) -> None:
        match event:
            case UpdateSession():
                self._update(event)
            case Commit():
                self._turns.commit()
                self._listen()
            case Clear():
                self.hearing.kept.clear()
                self._events.add("input_audio_buffer.cleared")
            case CreateItem():
                self._create_item(event)
            case Truncate():
                self.conversation.truncate(event.item_id, event.audio_end_ms)
                place = {"item_id": event.item_id, "content_index": 0, "audio_end_ms": event.audio_end_ms}
                self._events.add("conversation.item.truncated", **place)
            case Delete():
                self.conversation.delete(event.item_id)
                self._events.add("conversation.item.deleted", item_id=event.item_id)
            case Retrieve():
                item = self.conversation.find(event.item_id, "retrieve")
                self._events.add("conversation.item.retrieved", item=item.document)
            case CreateResponse():
                self._respond(event)
            case CancelResponse():
                if self._response is None or event.response_id not in (None, self._response.id):
                    raise Refused(
                        "response_cancel_not_active", "Cancellation failed: no active response found"
                    )
                self._end("cancelled", {"reason": "client_cancelled"})

    def _update(self, event: UpdateSession) -> None:
        state = self.state
        before = (state.input_hz, state.output_hz, state.turns)
        state.update(event, has_spoken=self._has_spoken)
        if (state.input_hz, state.output_hz, state.turns) != before:
            self._listen()
        shown = state.document
        if Trouble.WRONG_RATE in self._settings.troubles:
            shown = with_wrong_rates(shown)
        self._events.add("session.updated", session=shown)

    def _listen(self) -> None:
        """Begin to look for turns anew, as the session has it now."""
        finds_turns = self._settings.behaviour is Behaviour.PARROT
        self.hearing.listen(self.state.input_hz, self.state.turns if finds_turns else None)
        self._echo = None

    def _create_item(self, event: CreateItem) -> None:
        given = msgspec.to_builtins(event.item)
        item = Item({"id": self._events.new_id("item"), "object": "realtime.item", **given})
        self.conversation.insert(item, event.previous_item_id)
        if given["type"] == "function_call_output":
            self._tool_outputs.append(given["output"])
        else:
            item.document.setdefault("status", "completed")
        for kind in self._words.item_events:
            self._events.add(kind, previous_item_id=item.before, item=item.document)

    def _begin_turn(self, at_ms: float) -> None:
        self._turns.begin(at_ms)
        interrupts = self.state.turns is None or self.state.turns.interrupt_response
        if interrupts and self._response is not None:
            self._end("cancelled", {"reason": "turn_detected"})

    def _respond(self, event: CreateResponse) -> None:
        if self._response is not None:
            raise Refused(
                "conversation_already_has_active_response",
                f"Conversation already has an active response in progress: {self._response.id}. "
                "Wait until the response is finished before creating a new one.",
            )
        wanted = msgspec.to_builtins(event.response) if event.response is not None else {}
        troubles = self._settings.troubles
        response = self._begin(wanted.get("metadata"))
        if self._settings.behaviour is Behaviour.ECHO:
            return
        if Trouble.RATE_LIMIT in troubles:
            error = {"type": "requests", "code": "rate_limit_exceeded", "message": "Rate limit reached."}
            self._end("failed", {"error": error})
            return
        reply = self._answer(
            Question(
                self._turns.speech,
                self._turns.text,
                self.state.input_hz,
                self.state.output_hz,
                event.instructions,
                tuple(self._tool_outputs),
            )
        )
        self._turns.answered()
        self._tool_outputs.clear()
        reply = prolonged(reply, self.state.output_hz, troubles)
        response.plan(reply.pcm, reply.text, reply.tools, is_whole=True)
        self._advance(None if self._settings.speed is None else 0.0)

    def _begin(self, metadata: Mapping[str, str] | None) -> Response:
        troubles = self._settings.troubles
        if Trouble.MALFORMED in troubles:
            self._events.add_raw(NOT_JSON)
        if Trouble.UNKNOWN_EVENTS in troubles:
            self._events.add_raw(UNKNOWN_BEFORE)
        self._response = Response(
            self._events,
            self._words,
            self.conversation,
            self.state,
            conversation_id=self._conversation_id,
            metadata=metadata,
            chunk_ms=OVERSIZED_MS if Trouble.OVERSIZED in troubles else CHUNK_MS,
        )
        return self._response

    def _advance(self, allowance_ms: float | None) -> None:
        if self._response is not None:
            self._response.advance(allowance_ms)
            self._settle()

    def _end(self, status: str, details: Mapping[str, Any] | None = None) -> None:
        if self._response is not None:
            self._response.end(status, details)
            self._settle()

    def _settle(self) -> None:
        """Note what a response has come to."""
        if self._response is not None:
            self._has_spoken = self._has_spoken or self._response.has_spoken
            if self._response.is_done:
                self._response = self._echo = self._echoed = None
                if Trouble.UNKNOWN_EVENTS in self._settings.troubles:
                    self._events.add_raw(UNKNOWN_AFTER)
