"""A realtime conversation with a service, a caller and a call that are all made up: no socket, no loop, no clock."""

import json
from dataclasses import replace

import pybase64

from media_gateway.agents.contract import CallInfo, Role, Said
from media_gateway.agents.realtime.conversation import Conversation
from media_gateway.agents.realtime.event_codec import decode
from media_gateway.agents.realtime.events import AudioDelta
from shared.core.profiles import Dialect, HttpTool, RealtimeAgent

RATE_HZ = 24_000
BRANCH = HttpTool("find_branch", "The nearest branch", "https://api.example.com/branches")
TARGETS = {"sales": "4:+14255550123", "claims": "4:+14255550124"}
CALL = CallInfo(
    call_id="call-1",
    account_id="account-1",
    correlation_id="correlation-1",
    caller="4:+14255550100",
    called="4:+14255550199",
    variables={"order": "1234"},
    rate_hz=RATE_HZ,
)
RESUMED_CALL = replace(
    CALL,
    is_resumed=True,
    conversation=(
        Said(Role.AGENT, "Good morning."),
        Said(Role.CALLER, "Where is my order?"),
        Said(Role.AGENT, "Let me see."),
    ),
)


class Talk:
    """One conversation, configured. `sent` is what went to the service, `wants` what the agent wants of its call.

    Args:
        interrupts: As of `Conversation`.
        replies: As of `Conversation`.
        settings: Of the profile, where they are not those of an agent with a tool and two transfer targets.
    """

    def __init__(self, *, interrupts=True, replies=True, **settings):
        self.sent = []
        self.wants = []
        self.notes = []
        self.words = []
        self.begun = []
        self.started = []
        self.heard_ms = 0
        """Of each item, how much the caller has heard when the next interruption comes."""
        self.dropped_variables = frozenset()
        """Names of variables that the call has no room for."""
        self._items = {}
        self._cut = set()
        self._calls = 0
        fields = {"dialect": Dialect.OPENAI, "endpoint": "wss://x/v1", "model": "m"}
        fields |= {"tools": (BRANCH,), "transfer_targets": TARGETS}
        self.conversation = Conversation(
            RealtimeAgent(**(fields | settings)),
            RATE_HZ,
            interrupts=interrupts,
            replies=replies,
            send=lambda message: self.on_sent(json.loads(message)),
            sink=self,
            start_tool=self.on_tool,
        )

    # What the service tells.

    def event(self, type_, **members):
        """Take an event as it comes from the socket; return whether audio passed."""
        event = decode(json.dumps({"type": type_, **members}).encode())
        if not isinstance(event, AudioDelta):
            self.conversation.take(event)
            return None
        item = self.conversation.saying
        if item is None or (item.item_id, item.response_id) != (event.item_id, event.response_id):
            item = self.conversation.item_of(event)
        if item is None:
            return False
        samples = len(event.pcm) // 2
        item.samples += samples
        if event.item_id not in self._cut:
            self._items[event.item_id] = self._items.get(event.item_id, 0) + samples
        return True

    def created(self, response="r1"):
        self.event("response.created", response={"id": response, "status": "in_progress"})

    def audio(self, response="r1", item=None, ms=1000):
        pcm = b"\1\0" * (RATE_HZ * ms // 1000)
        delta = pybase64.b64encode(pcm).decode()
        item = item or f"item-of-{response}"
        return self.event("response.output_audio.delta", response_id=response, item_id=item, delta=delta)

    def done(self, response="r1", status="completed", output=(), error=None):
        details = None if error is None else {"type": status, "error": {"code": error}}
        self.event(
            "response.done",
            response={"id": response, "status": status, "status_details": details, "output": [*output]},
        )

    def says(self, response="r1", ms=1000):
        """Make a response that has words, all but its end."""
        self.created(response)
        self.audio(response, ms=ms)

    def call_tool(self, name, arguments=None, response="r1"):
        """Call a tool within a response; return the id of the tool call."""
        self._calls += 1
        call_id = f"call_{self._calls}"
        text = json.dumps(arguments or {})
        self.event(
            "response.function_call_arguments.done",
            response_id=response,
            call_id=call_id,
            name=name,
            arguments=text,
        )
        return call_id

    def error(self, code, event_id=None):
        self.event("error", error={"type": "error", "code": code, "event_id": event_id, "message": "secret"})

    def speech_started(self):
        self.event("input_audio_buffer.speech_started", audio_start_ms=0, item_id="c1")

    def speech_stopped(self):
        self.event("input_audio_buffer.speech_stopped", audio_end_ms=0, item_id="c1")

    def elapse(self, ms):
        """Let audio time pass as a call does, in steps."""
        for _ in range(int(ms // 100)):
            self.conversation.elapse(100)

    def press(self, digits):
        for digit in digits:
            self.conversation.press(digit)

    # What came of it.

    def of_type(self, type_):
        return [message for message in self.sent if message["type"] == type_]

    @property
    def asks(self):
        """The instructions of each response that was asked for."""
        return [m.get("response", {}).get("instructions") for m in self.of_type("response.create")]

    @property
    def outputs(self):
        """What each tool call was answered, by its id; each at most once."""
        items = [m["item"] for m in self.of_type("conversation.item.create")]
        pairs = [(i["call_id"], i["output"]) for i in items if i["type"] == "function_call_output"]
        assert len(pairs) == len(dict(pairs)), "a tool call was answered twice"
        return dict(pairs)

    @property
    def conversation_items(self):
        """Who said what, of the texts that were put into the conversation."""
        items = [m["item"] for m in self.of_type("conversation.item.create")]
        return [(i["role"], i["content"][0]["text"]) for i in items if i["type"] == "message"]

    @property
    def texts(self):
        return [text for _, text in self.conversation_items]

    @property
    def truncated(self):
        return [(m["item_id"], m["audio_end_ms"]) for m in self.of_type("conversation.item.truncate")]

    @property
    def cancelled(self):
        return [m["response_id"] for m in self.of_type("response.cancel")]

    def on_sent(self, message):
        self.sent.append(message)

    def on_tool(self, tool, arguments, call_id):
        self.started.append((tool.name, dict(arguments), call_id))

    # The call, as the agent's sink.

    def clear(self):
        self.wants.append(("clear",))
        items, self._items = self._items, {}
        self._cut |= set(items)
        for item_id, samples in items.items():
            said_ms = samples * 1000 // RATE_HZ
            self.on_heard(item_id, min(self.heard_ms, said_ms))

    def on_heard(self, item_id, heard_ms):
        self.conversation.heard(item_id, heard_ms)

    def caller_speaks(self, item_id):
        self.begun.append(item_id)

    def transcript(self, role, text, *, item_id):
        self.words.append((role.value, text, item_id))

    def set_variables(self, values):
        self.wants.append(("variables", dict(values)))
        return self.dropped_variables & values.keys()

    def press_keys(self, digits):
        self.wants.append(("keys", digits))

    def transfer(self, target):
        self.wants.append(("transfer", target))

    def end(self):
        self.wants.append(("end",))

    def pause_recording(self):
        self.wants.append(("pause",))

    def resume_recording(self):
        self.wants.append(("resume",))

    def note(self, event, detail=""):
        self.notes.append((event, detail))

    def failed(self, error):
        self.wants.append(("failed", error.reason))
