"""Who speaks when, and what was heard: the rules of a conversation with a realtime service, in virtual time."""

import json
from dataclasses import replace

import pytest

from media_gateway.agents.realtime.conversation import (
    MAX_FAILED_RESPONSES,
    RATE_LIMIT_PAUSE_MS,
    RESUMED,
    SILENT_MS,
)
from media_gateway.agents.realtime.messages import ASK_ID
from media_gateway.agents.realtime.said import MAX_REMEMBERED, MAX_WORDS
from tests.unit.agents.talk import CALL, RESUMED_CALL, Talk

GREETING = "Greet the caller."


@pytest.fixture
def talk():
    return Talk()


def test_an_agent_with_a_greeting_speaks_first():
    talk = Talk(greeting=GREETING)
    talk.conversation.begin(CALL)

    assert [message["type"] for message in talk.sent] == ["conversation.item.create", "response.create"]
    assert talk.asks == [GREETING]


def test_without_a_greeting_the_caller_speaks_first(talk):
    talk.conversation.begin(CALL)
    assert talk.asks == []


def test_facts_of_the_call_are_a_text_from_the_caller_s_side(talk):
    talk.conversation.begin(CALL)

    (text,) = talk.texts
    facts = json.loads(text[text.index("{") :])
    assert facts == {"variables": {"order": "1234"}}


def test_so_is_its_task(talk):
    talk.conversation.begin(replace(CALL, task="renewal"))
    assert '"task":"renewal"' in talk.texts[0]
    assert "renewal" not in str(talk.asks)


class TestTakingOver:
    def test_what_was_said_so_far_is_told_in_order_after_the_facts(self, talk):
        talk.conversation.begin(RESUMED_CALL)
        assert talk.conversation_items[1:] == [
            ("assistant", "Good morning."),
            ("user", "Where is my order?"),
            ("assistant", "Let me see."),
        ]

    def test_nobody_is_greeted_again_and_the_agent_goes_on_by_its_own_instructions(self):
        talk = Talk(greeting=GREETING, instructions="You answer calls for a bank.")
        talk.conversation.begin(RESUMED_CALL)
        assert talk.asks == ["You answer calls for a bank.\n\n" + RESUMED]
        assert talk.sent[-1]["type"] == "response.create"

    def test_also_an_agent_that_greets_nobody_and_has_no_instructions(self, talk):
        talk.conversation.begin(replace(RESUMED_CALL, conversation=()))
        assert talk.asks == [RESUMED]
        assert len(talk.texts) == 1

    def test_words_are_data_whoever_said_them(self, talk):
        talk.conversation.begin(RESUMED_CALL)
        assert {role for role, _ in talk.conversation_items} == {"user", "assistant"}
        assert "order" not in talk.asks[0]

    def test_the_caller_who_speaks_at_that_moment_is_answered_instead(self, talk):
        talk.conversation.begin(RESUMED_CALL)
        talk.speech_started()
        talk.created()
        assert talk.cancelled == ["r1"]
        talk.done(status="cancelled")
        talk.speech_stopped()
        talk.says("r2")
        talk.done("r2")
        assert talk.asks == [RESUMED]

    def test_one_that_goes_on_in_writing_is_asked_again_and_given_up(self, talk):
        talk.conversation.begin(RESUMED_CALL)
        for number in range(MAX_FAILED_RESPONSES):
            talk.created(f"r{number}")
            talk.done(f"r{number}", output=[{"type": "message", "id": f"i{number}"}])
        assert talk.asks == [RESUMED] * MAX_FAILED_RESPONSES
        assert talk.notes == [("agent_response_failed", "text_only")] * MAX_FAILED_RESPONSES
        assert talk.wants == [("failed", "response_failed")]


class TestInterrupting:
    def test_the_service_is_told_what_was_heard(self, talk):
        talk.says(ms=5000)
        talk.heard_ms = 1230
        talk.speech_started()

        assert talk.wants == [("clear",)]
        assert talk.truncated == [("item-of-r1", 1230)]

    def test_a_service_that_stops_by_itself_is_not_told_to(self, talk):
        talk.says()
        talk.speech_started()
        assert talk.cancelled == []

    def test_one_that_does_not_is_told_which_response_to_stop(self):
        talk = Talk(interrupts=False)
        talk.says()
        talk.speech_started()
        talk.speech_started()
        assert talk.cancelled == ["r1"]

    def test_what_still_comes_of_the_response_is_ignored(self, talk):
        talk.says()
        talk.speech_started()

        assert not talk.audio("r1", "another item")
        talk.call_tool("set_variables", {"a": "b"})
        talk.done(output=[{"type": "function_call", "call_id": "c9", "name": "end_call", "arguments": "{}"}])
        assert talk.wants == [("clear",)]
        assert talk.audio("r2")

    def test_an_item_that_was_heard_whole_is_left_alone(self, talk):
        talk.says(ms=500)
        talk.done()
        talk.heard_ms = 500
        talk.speech_started()
        assert talk.truncated == []

    def test_one_that_is_still_coming_is_cut_at_what_came(self, talk):
        talk.says(ms=500)
        talk.heard_ms = 10_000
        talk.speech_started()
        assert talk.truncated == [("item-of-r1", 500)]

    def test_the_end_of_its_audio_makes_an_item_whole(self, talk):
        talk.says(ms=500)
        talk.event("response.output_audio.done", response_id="r1", item_id="item-of-r1")
        talk.heard_ms = 500
        talk.speech_started()
        assert talk.truncated == []

    def test_a_response_that_was_asked_for_before_the_caller_spoke_is_stopped_when_it_begins(self):
        talk = Talk(greeting=GREETING)
        talk.conversation.begin(CALL)
        talk.speech_started()
        talk.created()

        assert talk.cancelled == ["r1"]
        assert not talk.audio()

    def test_a_greeting_that_was_interrupted_is_not_begun_again(self):
        talk = Talk(greeting=GREETING)
        talk.conversation.begin(CALL)
        talk.says()
        talk.speech_started()
        talk.done(status="cancelled")
        talk.speech_stopped()
        assert talk.asks == [GREETING]

    def test_a_service_that_answers_has_found_that_the_caller_is_done(self, talk):
        talk.speech_started()
        talk.created()
        assert talk.audio(), "no event told that the speech had stopped"
        talk.done()
        talk.press("1#")
        assert talk.asks == [None]

    def test_an_answer_told_of_twice_does_not_come_to_life_again(self, talk):
        talk.says()
        talk.speech_started()
        talk.done(status="cancelled")
        talk.speech_stopped()
        talk.created()
        assert not talk.audio()
        talk.press("1#")
        assert talk.asks == [None], "it is not waited for either"

    def test_words_up_to_then_are_written_before_the_cut(self, talk):
        talk.says()
        talk.event(
            "response.output_audio_transcript.delta",
            response_id="r1",
            item_id="item-of-r1",
            delta=" A long ",
        )
        talk.speech_started()
        assert talk.words == [("agent", "A long", "item-of-r1")]


class TestAsking:
    def test_one_response_at_a_time(self, talk):
        talk.press("1#")
        talk.press("2#")
        assert talk.asks == [None]

        talk.created()
        talk.done(status="cancelled")
        assert talk.asks == [None, None]

    def test_one_that_crossed_with_the_service_s_own_comes_after_it(self):
        talk = Talk(greeting=GREETING)
        talk.conversation.begin(CALL)
        talk.created("own")
        talk.error("conversation_already_has_active_response", ASK_ID)
        assert talk.asks == [GREETING]

        talk.done("own")
        assert talk.asks == [GREETING, GREETING]

    def test_an_old_response_told_of_again_is_not_the_end_of_the_new_one(self, talk):
        talk.says()
        talk.done()
        talk.press("1#")
        talk.done()
        talk.press("2#")
        assert talk.asks == [None]

    def test_a_refused_one_is_asked_for_again_with_the_same_words(self):
        talk = Talk(greeting=GREETING)
        talk.conversation.begin(CALL)
        talk.error("server_error", ASK_ID)
        assert talk.asks == [GREETING, GREETING]

    @pytest.mark.parametrize("code", ["server_error", "conversation_already_has_active_response"])
    def test_nothing_is_asked_again_that_was_never_asked(self, talk, code):
        talk.error(code, ASK_ID)
        talk.says()
        talk.done()
        assert talk.asks == []

    def test_an_error_about_something_else_changes_nothing(self):
        talk = Talk(greeting=GREETING)
        talk.conversation.begin(CALL)
        talk.error("server_error", None)
        talk.error("response_cancel_not_active", None)
        assert talk.asks == [GREETING]
        assert talk.notes == [("agent_error", "server_error")]

    def test_a_service_that_does_not_reply_by_itself_is_asked_when_the_caller_stops(self):
        talk = Talk(replies=False)
        talk.speech_started()
        assert talk.asks == []
        talk.speech_stopped()
        assert talk.asks == [None]

    def test_while_the_caller_speaks_nothing_is_asked_of_a_service_that_will_reply(self, talk):
        talk.says()
        talk.speech_started()
        talk.press("1#")
        talk.done(status="cancelled")
        talk.speech_stopped()
        talk.says("r2")
        talk.done("r2")
        assert talk.asks == []

    def test_what_was_to_come_next_is_part_of_the_reply_to_a_caller_who_interrupts(self, talk):
        talk.says()
        call_id = talk.call_tool("find_branch")
        talk.conversation.tool_done(call_id, "{}")
        talk.speech_started()
        talk.speech_stopped()
        talk.done(status="cancelled")
        assert talk.asks == []

    def test_an_end_that_names_no_response_is_that_of_the_one_in_the_making(self, talk):
        talk.says()
        talk.event("response.done", response={"status": "completed"})
        talk.press("1#")
        assert talk.asks == [None]

    def test_one_that_has_no_name_at_all_is_over_when_the_caller_speaks(self, talk):
        ended = {"type": "function_call", "call_id": "c9", "name": "end_call", "arguments": "{}"}
        talk.audio("")
        talk.speech_started()
        talk.event("response.done", response={"status": "completed", "output": [ended]})
        assert talk.wants == [("clear",)]
        assert talk.outputs == {}


class TestFailures:
    def test_a_failed_response_is_asked_for_again_with_its_instructions(self):
        talk = Talk(greeting=GREETING)
        talk.conversation.begin(CALL)
        talk.created()
        talk.done(status="failed", error="server_error")
        assert talk.asks == [GREETING, GREETING]

    def test_after_a_rate_limit_with_a_pause_that_grows(self):
        talk = Talk(greeting=GREETING)
        talk.conversation.begin(CALL)
        for number, pause_ms in enumerate((RATE_LIMIT_PAUSE_MS, 2 * RATE_LIMIT_PAUSE_MS)):
            before = len(talk.asks)
            talk.created(f"r{number}")
            talk.done(f"r{number}", "failed", error="rate_limit_exceeded")
            talk.elapse(pause_ms - 100)
            assert len(talk.asks) == before
            talk.elapse(100)
            assert len(talk.asks) == before + 1
        talk.error("rate_limit_exceeded", ASK_ID)
        assert talk.asks == [GREETING] * 3
        assert talk.wants == [("failed", "rate_limited")]

    def test_the_caller_who_speaks_in_the_pause_is_answered_and_nothing_is_said_over_it(self):
        talk = Talk(greeting=GREETING)
        talk.conversation.begin(CALL)
        talk.error("rate_limit_exceeded", ASK_ID)
        talk.speech_started()
        talk.speech_stopped()
        talk.says("r2")
        talk.done("r2")
        talk.elapse(5 * RATE_LIMIT_PAUSE_MS)
        assert talk.asks == [GREETING]

    def test_who_presses_keys_in_the_pause_is_answered_after_it(self):
        talk = Talk(greeting=GREETING)
        talk.conversation.begin(CALL)
        talk.error("rate_limit_exceeded", ASK_ID)
        talk.press("1#")
        assert talk.asks == [GREETING]
        talk.elapse(RATE_LIMIT_PAUSE_MS)
        assert talk.asks == [GREETING, None]

    def test_a_pause_that_ends_while_something_is_said_waits_for_its_end(self):
        talk = Talk(greeting=GREETING)
        talk.conversation.begin(CALL)
        talk.error("rate_limit_exceeded", ASK_ID)
        talk.says("own")
        talk.elapse(RATE_LIMIT_PAUSE_MS)
        assert talk.asks == [GREETING]
        talk.done("own")
        assert talk.asks == [GREETING, GREETING]

    @pytest.mark.parametrize(
        ("code", "reason"), [("rate_limit_exceeded", "rate_limited"), ("server_error", "response_failed")]
    )
    def test_so_many_in_a_row_are_the_agent_s_failure(self, talk, code, reason):
        for number in range(MAX_FAILED_RESPONSES):
            assert talk.wants == []
            talk.created(f"r{number}")
            talk.done(f"r{number}", "failed", error=code)
            talk.elapse(3 * RATE_LIMIT_PAUSE_MS)
        assert talk.wants == [("failed", reason)]

    def test_refused_ones_count_too(self):
        talk = Talk(greeting=GREETING)
        talk.conversation.begin(CALL)
        for _ in range(MAX_FAILED_RESPONSES):
            talk.error("server_error", ASK_ID)
        assert talk.wants == [("failed", "response_failed")]
        assert len(talk.asks) == MAX_FAILED_RESPONSES

    def test_one_that_succeeds_ends_the_row(self, talk):
        for number in range(10):
            talk.created(f"bad{number}")
            talk.done(f"bad{number}", "failed", error="server_error")
            talk.says(f"good{number}")
            talk.done(f"good{number}")
        assert talk.wants == []

    @pytest.mark.parametrize("as_error", [True, False])
    def test_credit_that_is_used_up_is_final(self, talk, as_error):
        talk.created()
        if as_error:
            talk.error("insufficient_quota")
        else:
            talk.done(status="failed", error="insufficient_quota")
        assert talk.wants == [("failed", "quota")]

    def test_a_session_that_has_expired_is_final(self, talk):
        talk.error("session_expired")
        assert talk.wants == [("failed", "session_expired")]


class TestSilence:
    def test_a_response_in_which_nothing_happens_is_given_up(self, talk):
        talk.created()
        talk.elapse(SILENT_MS - 100)
        assert talk.wants == []
        talk.elapse(100)
        assert talk.wants == [("failed", "agent_silent")]

    def test_what_comes_of_it_counts_as_life(self, talk):
        talk.created()
        for _ in range(5):
            talk.elapse(SILENT_MS - 100)
            talk.audio(ms=20)
            talk.elapse(SILENT_MS - 100)
            talk.event("response.function_call_arguments.delta", response_id="r1", call_id="c", delta="{")
        assert talk.wants == []

    def test_between_responses_nothing_is_waited_for(self, talk):
        talk.says()
        talk.done()
        talk.audio()  # odd, and no reason to end a call
        talk.elapse(10 * SILENT_MS)
        assert talk.wants == []

    def test_a_caller_may_speak_as_long_as_they_like(self, talk):
        talk.says()
        talk.speech_started()
        talk.elapse(10 * SILENT_MS)
        assert talk.wants == [("clear",)]

    def test_tools_may_take_their_time(self, talk):
        talk.created()
        talk.call_tool("find_branch")
        talk.done()
        talk.elapse(3 * SILENT_MS)
        assert talk.wants == []

    @pytest.mark.parametrize("ends_late", [False, True])
    def test_a_reply_that_does_not_come_is_asked_for_once_and_then_given_up(self, talk, ends_late):
        talk.says()
        talk.speech_started()
        talk.speech_stopped()
        if ends_late:
            talk.done(status="cancelled")
        talk.elapse(SILENT_MS)
        assert talk.notes.count(("agent_asked_again", "")) == 1
        assert len(talk.asks) == ends_late, "while the old response has not ended it would be refused"

        talk.elapse(SILENT_MS)
        assert talk.notes.count(("agent_asked_again", "")) == 1
        assert talk.wants[-1] == ("failed", "agent_silent")

    def test_an_interrupted_response_that_never_ends_is_given_up_where_we_are_to_ask(self):
        talk = Talk(replies=False, interrupts=False)
        talk.says()
        talk.speech_started()
        talk.speech_stopped()
        talk.elapse(SILENT_MS)
        assert talk.wants[-1] == ("failed", "agent_silent")

    def test_keys_that_are_not_answered_are_no_peace_either(self, talk):
        talk.press("1#")
        talk.elapse(SILENT_MS)
        assert talk.wants[-1] == ("failed", "agent_silent")


class TestKeys:
    def test_they_come_as_one_text_after_a_pause_and_interrupt_like_speech(self, talk):
        talk.says()
        talk.heard_ms = 300
        talk.press("12")
        talk.elapse(1400)
        assert talk.texts == []
        talk.elapse(100)

        assert talk.texts == ["The caller pressed these keys: 12"]
        assert talk.cancelled == ["r1"]
        assert talk.truncated == [("item-of-r1", 300)]
        talk.done(status="cancelled")
        assert talk.asks == [None]

    def test_what_was_asked_for_before_them_is_not_said_after_them(self):
        talk = Talk(greeting=GREETING)
        talk.conversation.begin(CALL)
        talk.press("1#")
        talk.created()
        assert talk.cancelled == ["r1"]
        assert not talk.audio()

        talk.done(status="cancelled")
        assert talk.asks == [GREETING, None]
        talk.created("r2")
        assert talk.audio("r2")

    def test_speech_does_not_lose_them(self):
        talk = Talk(replies=False)
        talk.says()
        talk.press("1#")
        talk.speech_started()
        talk.done(status="cancelled")
        talk.speech_stopped()
        assert talk.asks == [None]


class TestWords:
    def test_it_is_told_when_the_caller_begins_to_say_them(self, talk):
        talk.speech_started()
        assert talk.begun == ["c1"]

    def test_both_sides_are_written_down(self, talk):
        talk.event(
            "conversation.item.input_audio_transcription.completed", item_id="c1", transcript=" Hello?\n"
        )
        talk.says()
        talk.event("response.audio_transcript.done", response_id="r1", item_id="i", transcript=" Hi. ")
        talk.done()
        assert talk.words == [("caller", "Hello?", "c1"), ("agent", "Hi.", "i")]

    def test_what_was_in_the_making_at_the_end_is_written_down(self, talk):
        talk.created("r1")
        talk.event("response.output_audio_transcript.delta", response_id="r1", item_id="i1", delta="One mo")
        talk.conversation.close()
        assert talk.words == [("agent", "One mo", "i1")]

    def test_nothing_but_white_space_is_no_words(self, talk):
        talk.event("conversation.item.input_audio_transcription.completed", item_id="c1", transcript=" \n")
        talk.created()
        talk.event("response.audio_transcript.done", response_id="r1", item_id="i", transcript=" ")
        talk.done()
        assert talk.words == []

    def test_there_is_a_limit_to_what_is_kept_of_an_item(self, talk):
        talk.created()
        for _ in range(3 * MAX_WORDS // 1000):
            talk.event("response.audio_transcript.delta", response_id="r1", item_id="i", delta="x" * 1000)
        talk.done()
        ((_, words, _),) = talk.words
        assert len(words) == MAX_WORDS
        assert talk.notes == [("agent_words_cut", "")]


def test_nothing_is_remembered_without_end(talk):
    for number in range(10 * MAX_REMEMBERED):
        response = f"r{number}"
        talk.created(response)
        talk.audio(response, ms=20)
        added = {"type": "function_call", "call_id": f"c{number}", "name": "no_such_tool"}
        talk.event("response.output_item.added", response_id=response, item=added)
        talk.call_tool("no_such_tool", response=response)
        talk.speech_started()
        talk.done(response, "cancelled")
        talk.speech_stopped()

    conversation = talk.conversation
    kept = (conversation._dead, conversation._names, conversation._seen_calls, conversation._said._items)
    assert {len(known) for known in kept} == {MAX_REMEMBERED}


@pytest.mark.parametrize("code", ["4255550123", "My card is 4111", "x" * 100, "", "Ärger"])
def test_a_code_that_is_no_name_is_not_passed_on(talk, code):
    talk.error(code)
    talk.created()
    talk.done(status="failed", error=code)
    assert {detail for _, detail in talk.notes} <= {"other", "error", "failed"}


def test_what_was_said_is_in_no_repr(talk):
    talk.conversation.begin(CALL)
    talk.created()
    talk.event("response.audio_transcript.delta", response_id="r1", item_id="i", delta="my secret")
    talk.call_tool("transfer_call", {"destination": "sales"})
    talk.press("4111")
    shown = "".join(
        map(
            repr,
            (
                talk.conversation,
                talk.conversation._said,
                talk.conversation._leaving,
                talk.conversation._digits,
            ),
        )
    )
    assert not [word for word in ("secret", "4111", "+1425") if word in shown]
