"""Whatever a service, a caller and tools do, and in whatever order: the rules of a conversation hold.

The model knows what a service knows: which response is in the making, what was asked for, what came of each item.
"""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from media_gateway.agents.realtime.conversation import GOING_ON, GOODBYE, MAX_TOOLS_AT_ONCE, SILENT_MS
from media_gateway.agents.realtime.messages import ASK_ID
from media_gateway.agents.realtime.said import MAX_REMEMBERED
from tests.unit.agents.talk import CALL, RATE_HZ, Talk

ACTIVE = "the one in the making"
RESPONSES = st.sampled_from([ACTIVE, ACTIVE, "r0", "r1", "r2", "", "r-never-begun"])
ITEMS = st.sampled_from(["i0", "i1", "i2", "i3", ""])
CALLS = st.sampled_from([f"c{number}" for number in range(12)])
TOOLS = st.sampled_from(
    ["find_branch", "find_branch", "end_call", "transfer_call", "transfer_call", "send_dtmf", "dance", None]
)
ARGUMENTS = st.sampled_from(["", "{}", '{"destination":"sales"}', '{"digits":"12"}', "[1]", '{"dest'])
ODD = st.sampled_from(
    [
        ("response.created", {}),
        ("response.created", {"response": {}}),
        ("response.done", {}),
        ("error", {}),
        ("error", {"error": {}}),
        ("response.output_item.added", {"item": {"type": "function_call"}}),
        ("response.function_call_arguments.done", {}),
        ("response.output_audio.done", {"item_id": "nothing"}),
        ("input_audio_buffer.committed", {}),
        ("session.updated", {}),
        ("session.weather", {}),
    ]
)


class Watched(Talk):
    """A talk that looks at each message, as a strict service would."""

    def __init__(self, **settings):
        self.active = None
        self.is_asked = False
        self.dead = set()
        self.is_over = False
        self.came = {}
        self.whole = set()
        self.is_heard_of = set()
        self.has_asked_for_words = False
        self.may_leave = False
        self.goodbye_is_said = False
        super().__init__(**settings)

    def on_sent(self, message):
        super().on_sent(message)
        match message["type"]:
            case "response.create":
                assert not self.is_asked, "two responses are asked for"
                assert self.active is None, "one is asked for while another is in the making"
                self.is_asked = True
                if message.get("response", {}).get("instructions") in (GOODBYE, GOING_ON):
                    self.has_asked_for_words = True
            case "response.cancel":
                self.dead.add(message["response_id"])
            case "conversation.item.truncate":
                came_ms = self.came[message["item_id"]] * 1000 // RATE_HZ
                assert 0 <= message["audio_end_ms"] <= came_ms, "cut beyond what came"

    def on_heard(self, item_id, heard_ms):
        before = len(self.truncated)
        super().on_heard(item_id, heard_ms)
        if item_id in self.whole and heard_ms >= self.came[item_id] * 1000 // RATE_HZ:
            assert len(self.truncated) == before, "an item that was heard whole was cut"

    def clear(self):
        self.dead |= {self.active} - {None}
        self.may_leave = self.goodbye_is_said = False
        super().clear()

    def leave(self, *want):
        assert self.may_leave, "nobody asked for it, or the caller has spoken since"
        assert self.goodbye_is_said or self.has_asked_for_words, "without a word"
        self.may_leave = self.has_asked_for_words = self.goodbye_is_said = False
        self.wants.append(want)

    def transfer(self, target):
        self.leave("transfer", target)

    def end(self):
        self.leave("end")
        self.is_over = True

    def failed(self, error):
        super().failed(error)
        self.is_over = True


class AnyConversation(RuleBasedStateMachine):
    @initialize(replies=st.booleans(), interrupts=st.booleans(), greeting=st.sampled_from([None, "Hello."]))
    def begin(self, replies, interrupts, greeting):
        self.talk = Watched(replies=replies, interrupts=interrupts, greeting=greeting, digits_pause_ms=300)
        self.talk.conversation.begin(CALL)
        self.number = 0
        self.asked_tools = set()
        self.returned = set()

    # The service, by the book.

    @rule()
    def a_response_begins(self):
        self.number += 1
        self.begins(f"new-{self.number}")

    @rule(response=RESPONSES)
    def one_is_said_to_begin(self, response):
        self.begins(self.resolved(response))

    @rule(response=RESPONSES, item=ITEMS, samples=st.integers(0, 2000))
    def audio_comes(self, response, item, samples):
        response, talk = self.resolved(response), self.talk
        passed = talk.audio(response, item or "i-unnamed", ms=samples * 1000 // RATE_HZ)
        assert passed == (response not in talk.dead), "audio of a dead response, or none of a living one"
        item = item or "i-unnamed"
        if passed:
            ms = samples * 1000 // RATE_HZ
            talk.came[item] = talk.came.get(item, 0) + RATE_HZ * ms // 1000
            if ms:
                # Items keep the response that they began with.
                talk.is_heard_of.add(talk.conversation._said._items[item].response_id)

    @rule(response=RESPONSES, item=ITEMS)
    def an_item_s_audio_ends(self, response, item):
        response = self.resolved(response)
        self.talk.event("response.audio.done", response_id=response, item_id=item)
        if response not in self.talk.dead and item in self.talk.came:
            self.talk.whole.add(item)

    @rule(response=RESPONSES, item=ITEMS, text=st.text(max_size=10), done=st.booleans())
    def words_come(self, response, item, text, done):
        members = {"response_id": self.resolved(response), "item_id": item}
        if done:
            self.talk.event("response.audio_transcript.done", transcript=text, **members)
        else:
            self.talk.event("response.output_audio_transcript.delta", delta=text, **members)

    @rule(response=RESPONSES, call=CALLS, name=TOOLS, arguments=ARGUMENTS)
    def a_tool_is_called(self, response, call, name, arguments):
        response, talk = self.resolved(response), self.talk
        if name is not None and response == talk.active and response not in talk.dead:
            self.expect(call, name)
        talk.event(
            "response.function_call_arguments.done",
            response_id=response,
            call_id=call,
            name=name,
            arguments=arguments,
        )

    @rule(
        response=RESPONSES,
        status=st.sampled_from(["completed", "completed", "cancelled", "failed", "incomplete", None]),
        calls=st.lists(st.tuples(CALLS, TOOLS, ARGUMENTS), max_size=3),
        code=st.sampled_from([None, "rate_limit_exceeded", "server_error"]),
    )
    def a_response_ends(self, response, status, calls, code):
        self.ends(self.resolved(response), status, calls, code)

    @rule(
        code=st.sampled_from(
            [
                "conversation_already_has_active_response",
                "response_cancel_not_active",
                "server_error",
                "invalid_value",
                None,
            ]
        ),
        event_id=st.sampled_from([ASK_ID, None]),
    )
    def an_error_comes(self, code, event_id):
        talk = self.talk
        is_ours = event_id == ASK_ID and code != "response_cancel_not_active"
        if is_ours or code == "conversation_already_has_active_response":
            talk.is_asked = False
        talk.error(code, event_id)

    @rule(event=ODD)
    def something_odd_comes(self, event):
        type_, members = event
        self.talk.event(type_, **members)

    @rule(
        tool=st.sampled_from(["end_call", "transfer_call", "find_branch", "send_dtmf"]),
        has_words=st.booleans(),
        has_another=st.booleans(),
    )
    def a_whole_response_calls_a_tool(self, tool, has_words, has_another):
        self.a_response_begins()
        if has_words:
            self.audio_comes(ACTIVE, f"item-{self.number}", 1000)
        if has_another:
            self.a_tool_is_called(ACTIVE, f"c{self.number % 12}", "find_branch", "{}")
        self.a_tool_is_called(ACTIVE, f"call-{self.number}", tool, '{"destination":"sales","digits":"1"}')
        self.ends(self.talk.active, "completed", (), None)

    # The caller, the tools, and time.

    @rule(heard_ms=st.integers(0, 500))
    def the_caller_speaks(self, heard_ms):
        self.talk.heard_ms = heard_ms
        self.talk.speech_started()

    @rule()
    def the_caller_stops(self):
        self.talk.speech_stopped()

    @rule(digits=st.text("0123456789*#ABCD", min_size=1, max_size=4), heard_ms=st.integers(0, 500))
    def the_caller_presses_keys(self, digits, heard_ms):
        self.talk.heard_ms = heard_ms
        self.talk.press(digits)

    @rule(ms=st.sampled_from([100, 300, 3000, 9000]))
    def time_passes(self, ms):
        if ms < 9000 or self.number % 4 == 0:  # seldom so long that the agent is given up
            self.talk.elapse(ms)

    @rule(call=CALLS)
    def a_tool_returns(self, call):
        self.talk.conversation.tool_done(call, "{}")

    @rule()
    def a_transfer_fails(self):
        self.talk.conversation.transfer_failed("busy")

    @invariant()
    def memory_is_bounded(self):
        conversation = self.talk.conversation
        for known in (
            conversation._dead,
            conversation._names,
            conversation._seen_calls,
            conversation._said._items,
        ):
            assert len(known) <= MAX_REMEMBERED
        assert len(conversation._running) <= MAX_TOOLS_AT_ONCE

    @invariant()
    def the_caller_is_not_left_with_a_service_that_is_stuck(self):
        talk, conversation = self.talk, self.talk.conversation
        is_due = talk.active is not None or talk.is_asked or conversation._next is not None
        if is_due and not conversation._caller_speaks and not talk.is_over:
            assert conversation._waits_ms is not None, "nobody looks how long this takes"

    def teardown(self):
        """Let everything come to its end: then each tool call has had its answer, or the call is over."""
        talk = self.talk
        talk.speech_stopped()
        for _ in range(12):
            for _, _, call in talk.started:
                talk.conversation.tool_done(call, "{}")
            if talk.active is not None:
                self.ends(talk.active, "completed", (), None)
            if talk.is_asked:
                self.a_response_begins()
                self.audio_comes(ACTIVE, f"last-{self.number}", 1000)
                self.ends(talk.active, "completed", (), None)
            talk.conversation.transfer_failed("busy")
        talk.elapse(2 * SILENT_MS)  # a service that says that it is busy, and is not, is given up
        assert talk.is_over or self.asked_tools <= set(talk.outputs)
        assert talk.is_over or talk.conversation._leaving is None

    def begins(self, response):
        talk = self.talk
        if response and response not in talk.dead:
            talk.active = response
        talk.created(response)

    def ends(self, response, status, calls, code):
        talk = self.talk
        output = [
            {"type": "function_call", "call_id": call, "name": name, "arguments": arguments}
            for call, name, arguments in calls
        ]
        ended = response or talk.active
        if ended == talk.active:
            if ended in talk.dead or status == "cancelled" or talk.conversation._caller_speaks:
                talk.may_leave = False
            else:
                for call, name, _ in calls:
                    self.expect(call, name)
            talk.goodbye_is_said = talk.may_leave and (talk.goodbye_is_said or ended in talk.is_heard_of)
            talk.active, talk.is_asked = None, False
            talk.whole |= {
                item_id
                for item_id, item in talk.conversation._said._items.items()
                if item.response_id == ended and item_id in talk.came
            }
        talk.done(response, status, output, error=code)

    def expect(self, call, name):
        """Take that a tool was called, which is to be answered or to lead out of the call."""
        if call not in self.asked_tools and name in ("end_call", "transfer_call"):
            self.talk.may_leave = True
        self.asked_tools.add(call)

    def resolved(self, response):
        return (self.talk.active or "r-none") if response == ACTIVE else response


AnyConversation.TestCase.settings = settings(max_examples=150, stateful_step_count=60, deadline=None)
TestAnyConversation = AnyConversation.TestCase
