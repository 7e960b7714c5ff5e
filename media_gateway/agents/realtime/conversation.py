"""The rules of a conversation with a realtime service: who speaks, what was heard, and what a tool call leads to.

No I/O, no task, no clock: events of the service, keys and the passing of audio time come in; messages go out through
`send`, what the agent wants through its sink. The rules that the services set, and a naive client breaks:

- One `response.create` at a time: while a response is in the making the next one waits for its end.
- Audio comes faster than real time, so an interruption leaves much of it unheard. At `speech_started` playout stops,
  what still comes of that response is ignored, and the service is told how many milliseconds of the item were heard:
  never more than it sent, for that is an error, and nothing of an item that was heard whole.
- The service does not know the telephone: keys are a text from the caller, and a call ends after the goodbye.
"""

import re
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from media_gateway.agents.contract import CALLER_STOPS, AgentFailed, AgentSink, CallInfo, Role
from media_gateway.agents.digits import DigitGroups
from media_gateway.agents.realtime import messages
from media_gateway.agents.realtime.dialects import AGENT_TEXT_PARTS
from media_gateway.agents.realtime.events import AudioDelta, ErrorBody, Event, Kind, ResponseBody
from media_gateway.agents.realtime.said import Item, SaidItems, remember
from media_gateway.agents.realtime.tools import (
    ArgumentsInvalid,
    read_arguments,
    read_destination,
    read_digits,
    read_variables,
)
from shared.core.profiles import BuiltIn, HttpTool, RealtimeAgent

SILENT_MS = 10_000
"""A response in which nothing happens for so long (of audio time) is given up, and the agent with it."""
MAX_FAILED_RESPONSES = 3
"""In a row; then the agent has failed."""
RATE_LIMIT_PAUSE_MS = 1_000.0
"""Of audio time, before a response that failed for a rate limit is asked for again; and once more after the next."""
MAX_TOOLS_AT_ONCE = 8
TOOLS_AT_END_MS = 5_000.0
"""So long (of audio time) the end of the call waits for tools that run: a booking, say, is not to be broken off."""
GOODBYE = "Say goodbye to the caller, in one short sentence."
GOING_ON = "Tell the caller in one short sentence that you send them on."
RESUMED = "The line was interrupted for a moment. Go on with the conversation where it stopped."
RATE_LIMITED = "rate_limit_exceeded"
PLAIN_CODE = re.compile(r"[a-z][a-z0-9_.]{0,63}")

StartTool = Callable[[HttpTool, Mapping[str, Any], str], None]
"""Runs a tool of the profile beside the call; its output comes back by `Conversation.tool_done`."""


@dataclass(frozen=True, slots=True, repr=False)
class _Leaving:
    """The end or the transfer of the call, which waits for the goodbye."""

    tool_call_id: str
    target: str | None
    """Raw id to transfer to; None: the call ends."""
    is_answered: bool = False
    """Whether the tool call was answered, because the agent had to be asked for a goodbye."""
    is_said: bool = False
    """Whether the goodbye was said, and only tools are waited for."""


@dataclass(frozen=True, slots=True)
class _Ask:
    """A response that we ask for."""

    instructions: str | None = None
    is_outdated: bool = False
    """Whether keys came after it, so that what comes of it is not to be said."""


@dataclass(slots=True, repr=False, eq=False)
class Conversation:
    """One conversation, from the moment its session is configured.

    Args:
        settings: The profile's.
        rate_hz: Of the service's audio.
        interrupts: Whether the service stops its response itself when the caller speaks.
        replies: Whether the service answers by itself when the caller has spoken.
        send: Takes messages for the service.
        sink: Takes what the agent wants. `clear` calls `heard` before it returns.
        start_tool: See `StartTool`.
    """

    settings: RealtimeAgent
    rate_hz: int
    interrupts: bool
    replies: bool
    send: Callable[[bytes], None]
    sink: AgentSink
    start_tool: StartTool
    saying: Item | None = field(default=None, init=False)
    """What the last piece of audio was of, while more of it may be said."""
    _counted_samples: int = field(default=0, init=False)
    """Of `saying`, when audio time passed last."""
    _digits: DigitGroups = field(init=False)
    _tools: dict[str, HttpTool] = field(init=False)
    _said: SaidItems = field(init=False)
    _dead: OrderedDict[str, None] = field(default_factory=OrderedDict, init=False)
    _active: str | None = field(default=None, init=False)
    """The response in the making."""
    _asked: _Ask | None = field(default=None, init=False)
    """What we asked for, until the response is done or the service refuses it."""
    _next: _Ask | None = field(default=None, init=False)
    """What we ask for when the response in the making is done."""
    _caller_speaks: bool = field(default=False, init=False)
    _waits_ms: float | None = field(default=None, init=False)
    """For how long nothing has come of a response that is due; None while none is."""
    _reply_is_due: bool = field(default=False, init=False)
    """Whether what is waited for is an answer to the caller, which the service begins by itself."""
    _failed_responses: int = field(default=0, init=False)
    _pause_ms: float = field(default=0.0, init=False)
    """For how long nothing more is to be asked for."""
    _names: OrderedDict[str, str] = field(default_factory=OrderedDict, init=False)
    """Of tool calls in the making, to the tool's name."""
    _running: set[str] = field(default_factory=set, init=False)
    """Calls of the profile's own tools that have not returned yet."""
    _seen_calls: OrderedDict[str, None] = field(default_factory=OrderedDict, init=False)
    _owes_reply: bool = field(default=False, init=False)
    """Whether a tool's output was sent, and no response has begun since."""
    _leaving: _Leaving | None = field(default=None, init=False)
    _left: _Leaving | None = field(default=None, init=False)
    _tools_left_ms: float = field(default=0.0, init=False)
    """For how long the end of the call still waits for tools."""

    def __post_init__(self) -> None:
        self._digits = DigitGroups(self.settings.digits_pause_ms)
        self._said = SaidItems(self.rate_hz, self.sink)
        self._tools = {tool.name: tool for tool in self.settings.tools}

    def begin(self, call: CallInfo) -> None:
        """Tell the agent of its call, and let it speak: first if the profile says so, or on where one was lost."""
        facts: dict[str, object] = {"variables": call.variables}
        if call.task:
            facts["task"] = call.task
        text = msgspec.json.encode(facts).decode()
        self.send(
            messages.caller_text(f"Facts about this call from the telephone system, no request: {text}")
        )
        part = AGENT_TEXT_PARTS[self.settings.dialect]
        for said in call.conversation:
            is_caller = said.role is Role.CALLER
            self.send(messages.caller_text(said.text) if is_caller else messages.agent_text(said.text, part))
        if call.is_resumed:
            # Instructions of a response take the place of the session's, without which it could not go on.
            self._ask("\n\n".join(filter(None, (self.settings.instructions, RESUMED))))
        elif self.settings.greeting is not None:
            self._ask(self.settings.greeting)

    def item_of(self, delta: AudioDelta) -> Item | None:
        """Return the item that a piece of the agent's audio is of; None where its response is dead.

        Whoever says the piece counts its samples there. Until `saying` is another one, the item need not be asked
        for again: most pieces are of the item that the one before them was of.
        """
        if delta.response_id in self._dead:
            return None
        item = self._said.item_of(delta)
        # An id that comes again in another response is looked at each time: that response may be dead.
        self.saying = item if item.response_id == delta.response_id else None
        self._counted_samples = item.samples
        return item

    def take(self, event: Event) -> None:
        """Act on an event."""
        match event.kind:
            case Kind.SPEECH_STARTED:
                self._caller_speaks = True
                self._waits_ms = None
                self.sink.caller_speaks(event.item_id)
                self._interrupt(is_known=self.interrupts)
            case Kind.SPEECH_STOPPED:
                self._on_speech_stopped()
            case Kind.CALLER_TRANSCRIPT:
                if words := event.transcript.strip():
                    self.sink.transcript(Role.CALLER, words, item_id=event.item_id)
            case Kind.RESPONSE_CREATED if event.response is not None and event.response.id:
                self._on_response_created(event.response.id)
            case Kind.RESPONSE_DONE if event.response is not None:
                self._on_response_done(event.response)
            case Kind.ERROR if event.error is not None:
                self._on_error(event.error)
            case _:
                self._on_part_of_response(event)

    def press(self, digit: str) -> None:
        """Take a key of the caller's."""
        self._on_digits(self._digits.press(digit))

    def elapse(self, ms: float) -> None:
        """Let audio time pass. At most once in a while: its users are pauses of seconds."""
        if self._digits.is_open:
            self._on_digits(self._digits.elapse(ms))
        if self._pause_ms > 0:
            self._pause_ms -= ms
            if self._pause_ms <= 0 and self._next is not None:
                self._ask(self._next.instructions)
        if self._leaving is not None and self._leaving.is_said:
            self._tools_left_ms -= ms
            self._leave(self._leaving)
        if self._waits_ms is None:
            return
        self._waits_ms = 0.0 if self._goes_on_saying() else self._waits_ms + ms
        if self._waits_ms < SILENT_MS:
            return
        if self._reply_is_due:
            # The service may have taken a noise for words and then thought better of it: ask it in so many words.
            self.sink.note("agent_asked_again")
            self._waits_ms, self._reply_is_due = 0.0, False
            self._ask()
        else:
            self.sink.failed(AgentFailed("agent_silent"))

    def _goes_on_saying(self) -> bool:
        """Whether audio of the response in the making has come since this was asked."""
        item = self.saying
        if item is None or item.response_id != self._active or item.samples == self._counted_samples:
            return False
        self._counted_samples = item.samples
        return True

    def heard(self, item_id: str, heard_ms: int) -> None:
        """Tell the service how much of an item that was cut the caller has heard."""
        cut_at_ms = self._said.cut_at_ms(item_id, heard_ms)
        if cut_at_ms is not None:
            self.send(messages.truncate(item_id, cut_at_ms))

    def tool_done(self, call_id: str, output: str) -> None:
        """Give the agent what its tool returned, and let it speak to that."""
        if call_id in self._running:
            self._running.discard(call_id)
            self._answer_tool(call_id, output)
            if self._leaving is not None and self._leaving.is_said:
                self._leave(self._leaving)
            else:
                self._reply_to_tools()

    def transfer_failed(self, reason: str) -> None:
        """Tell the agent that the caller is still here."""
        left, self._left = self._left, None
        if left is None:
            return
        text = f"the transfer failed: {reason}; the caller is still here"
        if left.is_answered:
            self.send(messages.caller_text(text))
            self._ask()
        else:
            self._answer_tool(left.tool_call_id, _text(error=text))
            self._reply_to_tools()

    def close(self) -> None:
        """Write down what words there are of what was still in the making."""
        self._said.all_is_over()

    def _on_part_of_response(self, event: Event) -> None:
        if event.response_id in self._dead:
            return
        if event.response_id and event.response_id == self._active:
            self._waits_ms = 0.0
        match event.kind:
            case Kind.AUDIO_DONE:
                self._said.audio_is_done(event.item_id)
            case Kind.WORDS:
                self._said.add_words(event.item_id, event.response_id, event.delta)
            case Kind.WORDS_DONE:
                self._said.words_are_done(event.item_id, event.response_id, event.transcript)
            case Kind.TOOL_CALL if event.call_id and event.response_id == self._active:
                # One that nobody has named is run when `response.done` tells of it.
                if name := event.name or self._names.get(event.call_id):
                    self._on_tool_call(event.call_id, name, event.arguments)
            case Kind.ITEM_ADDED if event.item is not None and event.item.type == "function_call":
                # Its name; `...arguments.done` does not have it in every version.
                remember(self._names, event.item.call_id or "", event.item.name or "")
            case _:
                pass

    def _on_speech_stopped(self) -> None:
        self._caller_speaks = False
        self.sink.note(CALLER_STOPS)
        if self.replies:
            self._waits_ms, self._reply_is_due = 0.0, True
        else:
            self._ask()

    def _on_response_created(self, response_id: str) -> None:
        if response_id in self._dead:
            return  # told of twice
        asked, self._active = self._asked, response_id
        self._waits_ms, self._reply_is_due = 0.0, False
        self._owes_reply = False
        if asked is not None and (self._caller_speaks or asked.is_outdated):
            self._kill_response(is_known=False)  # we had asked before they began
        else:
            self._caller_speaks = False  # one of the service's own says so, though no event may have

    def _on_response_done(self, response: ResponseBody) -> None:
        response_id = response.id or self._active
        if response_id != self._active:
            return  # told of twice, or never begun
        asked, self._active, self._asked, self.saying = self._asked, None, None, None
        if not self._reply_is_due:
            self._waits_ms = None
        is_cut = response_id in self._dead or response.status == "cancelled" or self._caller_speaks
        self._said.response_is_over(response_id, is_whole=True)
        if is_cut:
            self._stay()
        else:
            for call in response.output:
                if call.type == "function_call" and call.call_id:
                    name = call.name or self._names.get(call.call_id, "")
                    self._on_tool_call(call.call_id, name, call.arguments or "")
        if response.status == "incomplete":
            self.sink.note("agent_cut_short")
        if response.status == "failed" and not is_cut:
            self._on_failed_response(response_id, response.error_code, asked)
            return
        if not is_cut and self._is_mute(response, response_id):
            # What a resumed agent is told it has said are texts, and some models then go on in writing.
            self._on_failed_response(response_id, "text_only", asked)
            return
        if not is_cut:
            self._failed_responses = 0
        if self._leaving is not None:
            self._leave_if_said(self._leaving, response_id)
        elif self._next is not None:
            self._ask(self._next.instructions)
        else:
            self._reply_to_tools()

    def _is_mute(self, response: ResponseBody, response_id: str | None) -> bool:
        """Whether a response has words and no sound."""
        has_message = any(item.type == "message" for item in response.output)
        return has_message and not self._said.is_heard_of(response_id)

    def _on_failed_response(self, response_id: str | None, code: str, asked: _Ask | None) -> None:
        self._failed_responses += 1
        self.sink.note("agent_response_failed", _plain(code))
        if self._leaving is not None:
            self._leave_if_said(self._leaving, response_id)
        elif code == "insufficient_quota" or self._failed_responses >= MAX_FAILED_RESPONSES:
            reasons = {"insufficient_quota": "quota", RATE_LIMITED: "rate_limited"}
            self.sink.failed(AgentFailed(reasons.get(code, "response_failed")))
        else:
            if code == RATE_LIMITED:
                self._pause_ms = RATE_LIMIT_PAUSE_MS * self._failed_responses
            self._ask((self._next or asked or _Ask()).instructions)

    def _on_error(self, error: ErrorBody) -> None:
        match error.code:
            case "response_cancel_not_active":
                pass  # it was over before our word came
            case "conversation_already_has_active_response":
                # The service began one by itself while we asked; ours comes after it.
                self._next, self._asked = self._next or self._asked, None
            case "session_expired":
                self.sink.failed(AgentFailed("session_expired"))
            case "insufficient_quota":
                self.sink.failed(AgentFailed("quota"))
            case code if error.event_id == messages.ASK_ID and self._asked is not None:
                asked, self._asked = self._asked, None
                self._on_failed_response(None, code or error.type or "", asked)
            case code:
                self.sink.note("agent_error", _plain(code or error.type or ""))

    def _interrupt(self, *, is_known: bool) -> None:
        """Stop what is said, and stay. `is_known`: the service stops its response by itself."""
        self._kill_response(is_known=is_known)
        self._next = None
        self.sink.clear()
        self._stay()

    def _kill_response(self, *, is_known: bool) -> None:
        """Take nothing more of the response in the making."""
        active = self._active
        if active is None or active in self._dead:
            return
        remember(self._dead, active, None)
        self.saying = None
        self._said.response_is_over(active, is_whole=False)
        if not is_known:
            self.send(messages.response_cancel(active))

    def _on_digits(self, digits: str | None) -> None:
        if digits is None:
            return
        if self._asked is not None:
            self._asked = replace(self._asked, is_outdated=True)
        self._interrupt(is_known=False)
        self.send(messages.caller_text(f"The caller pressed these keys: {digits}"))
        self._ask()

    def _on_tool_call(self, call_id: str, name: str, arguments_text: str) -> None:
        if call_id in self._seen_calls:
            return  # `response.done` tells of it once more
        remember(self._seen_calls, call_id, None)
        try:
            self._run_tool(call_id, name, read_arguments(arguments_text))
        except ArgumentsInvalid as invalid:
            self._answer_tool(call_id, _text(error=str(invalid)))

    def _run_tool(self, call_id: str, name: str, arguments: Mapping[str, Any]) -> None:
        if name in self._tools:
            if len(self._running) >= MAX_TOOLS_AT_ONCE:
                raise ArgumentsInvalid("too many tools run at once; call it again when one has returned")
            self._running.add(call_id)
            self.sink.note("tool_called", name)
            self.start_tool(self._tools[name], arguments, call_id)
            return
        match name:
            case BuiltIn.END_CALL:
                self._begin_to_leave(_Leaving(call_id, None))
                return
            case BuiltIn.TRANSFER_CALL:
                self._begin_to_leave(_Leaving(call_id, read_destination(arguments, self.settings)))
                return
            case BuiltIn.SET_VARIABLES:
                if dropped := self.sink.set_variables(read_variables(arguments)):
                    text = "these were not kept, for a call carries no more"
                    self._answer_tool(call_id, _text(error=text, names=sorted(dropped)))
                    return
            case BuiltIn.SEND_DTMF:
                self.sink.press_keys(read_digits(arguments))
            case BuiltIn.PAUSE_RECORDING:
                self.sink.pause_recording()
            case BuiltIn.RESUME_RECORDING:
                self.sink.resume_recording()
            case _:
                raise ArgumentsInvalid("there is no such tool")
        self._answer_tool(call_id, _text(ok=True))

    def _begin_to_leave(self, leaving: _Leaving) -> None:
        """Wait for the goodbye, unless there is one already. A transfer under way may still be overtaken by the end."""
        if self._leaving is not None or (self._left is not None and leaving.target is not None):
            raise ArgumentsInvalid("the call is being ended or transferred already")
        self._leaving, self._tools_left_ms = leaving, TOOLS_AT_END_MS

    def _leave_if_said(self, leaving: _Leaving, response_id: str | None) -> None:
        """Leave after a response that had words; one without is followed by another that is asked for some."""
        was_asked = leaving.is_answered and self._next is None  # otherwise that is still to come
        if leaving.is_said or was_asked or self._said.is_heard_of(response_id):
            self._leave(leaving)
            return
        if not leaving.is_answered:
            self._answer_tool(leaving.tool_call_id, _text(ok=True))
            self._leaving = replace(leaving, is_answered=True)
        self._ask(GOODBYE if leaving.target is None else GOING_ON)

    def _leave(self, leaving: _Leaving) -> None:
        self._leaving = self._next = None
        if leaving.target is None and self._running and self._tools_left_ms > 0:
            self._leaving = replace(leaving, is_said=True)
        elif leaving.target is None:
            self.sink.end()
        else:
            self._left = leaving
            self.sink.transfer(leaving.target)

    def _stay(self) -> None:
        """Not leave: the caller spoke over the goodbye while it was in the making."""
        leaving, self._leaving = self._leaving, None
        if leaving is not None and not leaving.is_answered:
            self._answer_tool(leaving.tool_call_id, _text(error="the caller spoke; the call goes on"))

    def _answer_tool(self, call_id: str, output: str) -> None:
        self.send(messages.tool_output(call_id, output))
        self._owes_reply = True

    def _reply_to_tools(self) -> None:
        if self._owes_reply and not self._running and self._leaving is None:
            self._ask()

    def _ask(self, instructions: str | None = None) -> None:
        """Let the agent speak: now, or after what it is saying; while the caller speaks it will answer them anyway."""
        ask = _Ask(instructions)
        self._owes_reply = False
        if self._caller_speaks:
            self._next = None
        elif self._active is not None or self._asked is not None or self._pause_ms > 0:
            self._next = ask
            if self._waits_ms is None:
                self._waits_ms = 0.0
        else:
            self._next, self._asked = None, ask
            self._waits_ms, self._reply_is_due = 0.0, False
            self.send(messages.response_create(instructions))


def _text(**members: object) -> str:
    return msgspec.json.encode(members).decode()


def _plain(code: str) -> str:
    """Return a code of the service's if it is no more than a name."""
    return code if PLAIN_CODE.fullmatch(code) else "other"
