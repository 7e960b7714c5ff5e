"""What a tool call of a realtime agent leads to: an answer, a goodbye, a transfer; each once, in the right order."""

import json

import pytest

from media_gateway.agents.realtime.conversation import GOING_ON, GOODBYE, MAX_TOOLS_AT_ONCE, TOOLS_AT_END_MS
from media_gateway.agents.realtime.messages import ASK_ID
from tests.unit.agents.talk import TARGETS, Talk


@pytest.fixture
def talk():
    return Talk()


def function_call(call_id, name, arguments="{}"):
    """A tool call as `response.done` has it."""
    return {"type": "function_call", "call_id": call_id, "name": name, "arguments": arguments}


def error_of(output):
    return json.loads(output)["error"]


class TestTheProfilesTools:
    def test_a_tool_runs_beside_the_call_and_its_output_is_spoken_to(self, talk):
        talk.created()
        call_id = talk.call_tool("find_branch", {"postcode": "98052"})
        talk.done()
        assert talk.started == [("find_branch", {"postcode": "98052"}, call_id)]
        assert talk.asks == []

        talk.conversation.tool_done(call_id, '{"branch":"Redmond"}')
        assert talk.outputs == {call_id: '{"branch":"Redmond"}'}
        assert talk.asks == [None]

    def test_one_that_returns_before_its_response_is_over_waits_for_that(self, talk):
        talk.created()
        call_id = talk.call_tool("find_branch")
        talk.conversation.tool_done(call_id, "{}")
        assert talk.asks == []
        talk.done()
        assert talk.asks == [None]

    def test_of_several_at_once_the_last_one_is_waited_for(self, talk):
        talk.created()
        first, second = talk.call_tool("find_branch"), talk.call_tool("find_branch")
        talk.done()
        talk.conversation.tool_done(second, '{"error":"timed out"}')
        assert talk.asks == []
        talk.conversation.tool_done(first, "{}")
        assert talk.asks == [None]
        assert list(talk.outputs) == [second, first]

    def test_what_response_done_repeats_does_not_run_again(self, talk):
        talk.created()
        call_id = talk.call_tool("find_branch")
        talk.done(output=[function_call(call_id, "find_branch")])
        assert len(talk.started) == 1

    def test_what_only_response_done_tells_of_runs(self, talk):
        talk.created()
        talk.done(output=[function_call("c9", "find_branch")])
        assert talk.started == [("find_branch", {}, "c9")]

    def test_a_call_without_a_name_has_the_one_of_its_item(self, talk):
        talk.created()
        item = {"type": "function_call", "call_id": "c9", "name": "find_branch"}
        talk.event("response.output_item.added", response_id="r1", item=item)
        talk.event(
            "response.function_call_arguments.done", response_id="r1", call_id="c9", arguments='{"a":1}'
        )
        assert talk.started == [("find_branch", {"a": 1}, "c9")]

    def test_or_the_one_that_response_done_gives_it(self, talk):
        talk.created()
        talk.event("response.function_call_arguments.done", response_id="r1", call_id="c9", arguments="{}")
        assert (talk.started, talk.outputs) == ([], {})
        talk.done(output=[function_call("c9", "find_branch")])
        assert talk.started == [("find_branch", {}, "c9")]

    def test_a_call_of_a_response_that_is_not_in_the_making_is_left_alone(self, talk):
        call_id = talk.call_tool("find_branch", response="r9")
        talk.created()
        talk.done()
        assert (talk.started, call_id in talk.outputs, talk.asks) == ([], False, [])

    def test_one_that_nobody_names_is_refused(self, talk):
        talk.created()
        talk.done(output=[function_call("c9", None)])
        assert error_of(talk.outputs["c9"]) == "there is no such tool"

    def test_too_many_at_once_are_refused_one_by_one(self, talk):
        talk.created()
        calls = [talk.call_tool("find_branch") for _ in range(MAX_TOOLS_AT_ONCE + 1)]
        assert len(talk.started) == MAX_TOOLS_AT_ONCE
        assert "too many" in error_of(talk.outputs[calls[-1]])

    def test_an_output_that_nobody_waits_for_is_dropped(self, talk):
        talk.conversation.tool_done("c9", "{}")
        assert talk.sent == []

    def test_a_reply_of_the_service_s_own_speaks_to_the_output_too(self, talk):
        talk.created()
        first, second = talk.call_tool("find_branch"), talk.call_tool("find_branch")
        talk.done()
        talk.conversation.tool_done(first, "{}")
        talk.conversation.tool_done(second, "{}")
        assert talk.asks == [None]
        talk.speech_started()
        talk.created("r2")
        talk.done("r2", "cancelled")
        talk.speech_stopped()
        talk.says("r3")
        talk.done("r3")
        assert talk.asks == [None]

    def test_an_output_that_comes_while_the_caller_speaks_waits_for_the_reply_to_them(self, talk):
        talk.created()
        call_id = talk.call_tool("find_branch")
        talk.done()
        talk.speech_started()
        talk.conversation.tool_done(call_id, "{}")
        talk.speech_stopped()
        assert list(talk.outputs) == [call_id]
        assert talk.asks == []


class TestBuiltInTools:
    @pytest.mark.parametrize(
        ("name", "arguments", "wanted"),
        [
            ("set_variables", {"variables": {"order": "1"}}, ("variables", {"order": "1"})),
            ("send_dtmf", {"digits": "1 2#"}, ("keys", "12#")),
            ("pause_recording", {}, ("pause",)),
            ("resume_recording", {}, ("resume",)),
        ],
    )
    def test_they_act_at_once_and_are_spoken_to_after_the_response(self, talk, name, arguments, wanted):
        talk.created()
        call_id = talk.call_tool(name, arguments)
        assert talk.wants == [wanted]
        assert json.loads(talk.outputs[call_id]) == {"ok": True}
        assert talk.asks == []
        talk.done()
        assert talk.asks == [None]

    @pytest.mark.parametrize(
        ("name", "arguments"),
        [("send_dtmf", {"digits": "call me"}), ("set_variables", {"variables": 1}), ("dance", {})],
    )
    def test_what_cannot_be_done_is_told_and_nothing_of_it_is_quoted(self, talk, name, arguments):
        talk.created()
        call_id = talk.call_tool(name, arguments)
        assert talk.wants == []
        assert "call me" not in error_of(talk.outputs[call_id])

    def test_variables_that_the_call_has_no_room_for_are_named(self, talk):
        talk.dropped_variables = frozenset({"b", "c", "d"})
        talk.created()
        call_id = talk.call_tool("set_variables", {"variables": {"a": "1", "c": "2", "b": "3"}})
        assert talk.wants == [("variables", {"a": "1", "c": "2", "b": "3"})]
        assert json.loads(talk.outputs[call_id])["names"] == ["b", "c"]
        assert "not kept" in error_of(talk.outputs[call_id])

    def test_arguments_cut_short_are_told(self, talk):
        talk.created()
        talk.done(status="incomplete", output=[function_call("c9", "send_dtmf", '{"digi')])
        assert "not JSON" in error_of(talk.outputs["c9"])
        assert talk.notes == [("agent_cut_short", "")]
        assert talk.asks == [None]


class TestTheGoodbye:
    def test_the_call_ends_after_a_response_that_had_words(self, talk):
        talk.says()
        talk.call_tool("end_call")
        assert talk.wants == []
        talk.done()
        assert talk.wants == [("end",)]
        assert talk.asks == []

    @pytest.mark.parametrize(
        ("tool", "instructions", "wanted"),
        [("end_call", GOODBYE, ("end",)), ("transfer_call", GOING_ON, ("transfer", TARGETS["sales"]))],
    )
    def test_one_without_is_followed_by_one_that_is_asked_for_some(self, talk, tool, instructions, wanted):
        talk.created()
        call_id = talk.call_tool(tool, {"destination": "sales"})
        talk.done()
        assert (talk.wants, talk.asks, list(talk.outputs)) == ([], [instructions], [call_id])

        talk.says("r2")
        assert talk.wants == []
        talk.done("r2")
        assert talk.wants == [wanted]

    @pytest.mark.parametrize("status", ["completed", "failed"])
    def test_that_one_is_enough_whatever_becomes_of_it(self, talk, status):
        talk.created()
        talk.call_tool("end_call")
        talk.done()
        talk.created("r2")
        talk.done("r2", status)
        assert talk.wants == [("end",)]

    def test_a_refused_goodbye_is_no_reason_to_stay(self, talk):
        talk.created()
        talk.call_tool("end_call")
        talk.done()
        talk.error("server_error", ASK_ID)
        assert talk.wants == [("end",)]

    def test_a_response_that_fails_before_its_words_does_not_end_the_call_without_any(self, talk):
        talk.created()
        talk.call_tool("end_call")
        talk.done(status="failed", error="server_error")
        assert talk.wants == []
        assert talk.asks == [GOODBYE]

    def test_a_goodbye_that_crossed_with_a_silent_response_is_asked_for_again(self, talk):
        talk.created()
        talk.call_tool("end_call")
        talk.done()
        talk.created("own")
        talk.error("conversation_already_has_active_response", ASK_ID)
        talk.done("own")
        assert (talk.wants, talk.asks) == ([], [GOODBYE, GOODBYE])

    def test_the_caller_who_speaks_over_it_keeps_the_call(self, talk):
        talk.says()
        call_id = talk.call_tool("end_call")
        talk.speech_started()
        talk.done(status="cancelled")
        talk.speech_stopped()
        talk.says("r2")
        talk.done("r2")
        assert talk.wants == [("clear",)]
        assert "goes on" in error_of(talk.outputs[call_id])

    def test_also_where_they_have_spoken_before_the_goodbye_begins(self, talk):
        talk.created()
        talk.call_tool("end_call")
        talk.done()
        talk.speech_started()
        talk.speech_stopped()
        talk.says("r2")
        talk.done("r2")
        assert talk.wants == [("clear",)]

    def test_also_where_the_service_tells_of_the_end_before_it_tells_of_the_speech(self, talk):
        talk.says()
        talk.call_tool("end_call")
        talk.done(status="cancelled")
        talk.speech_started()
        assert ("end",) not in talk.wants

    @pytest.mark.parametrize("is_begun", [False, True])
    def test_so_does_the_caller_who_presses_a_key(self, talk, is_begun):
        talk.created()
        talk.call_tool("end_call")
        talk.done()
        if is_begun:
            talk.says("r2")
        talk.press("0#")
        if not is_begun:
            talk.created("r2")
            assert not talk.audio("r2")
        talk.done("r2", "cancelled")
        assert talk.asks == [GOODBYE, None]
        talk.says("r3")
        talk.done("r3")
        assert ("end",) not in talk.wants

    def test_other_tools_of_the_response_are_answered_and_do_not_hold_it_up(self, talk):
        talk.says()
        first = talk.call_tool("set_variables", {"a": "b"})
        talk.call_tool("end_call")
        talk.done()
        assert list(talk.outputs) == [first]
        assert talk.wants == [("variables", {"a": "b"}), ("end",)]

    def test_a_tool_that_returns_meanwhile_asks_for_nothing(self, talk):
        talk.created()
        other = talk.call_tool("find_branch")
        talk.call_tool("end_call")
        talk.done()
        talk.conversation.tool_done(other, "{}")
        talk.created("r2")
        talk.done("r2")
        assert talk.asks == [GOODBYE]
        assert talk.wants == [("end",)]

    @pytest.mark.parametrize("second", ["end_call", "transfer_call"])
    def test_of_two_ways_out_the_first_counts(self, talk, second):
        talk.says()
        talk.call_tool("transfer_call", {"destination": "sales"})
        call_id = talk.call_tool(second, {"destination": "claims"})
        talk.done()
        assert talk.wants == [("transfer", TARGETS["sales"])]
        assert "already" in error_of(talk.outputs[call_id])


class TestToolsAtTheEnd:
    @pytest.fixture
    def leaving(self, talk):
        """A conversation whose goodbye was said while a tool runs, which is `leaving.tool`."""
        talk.says()
        talk.tool = talk.call_tool("find_branch")
        talk.end_call = talk.call_tool("end_call")
        talk.done()
        assert talk.wants == []
        return talk

    def test_the_call_ends_when_they_have_returned(self, leaving):
        leaving.elapse(TOOLS_AT_END_MS - 100)
        assert leaving.wants == []
        leaving.conversation.tool_done(leaving.tool, "{}")
        assert leaving.wants == [("end",)]
        assert leaving.asks == []
        leaving.elapse(TOOLS_AT_END_MS)
        assert leaving.wants == [("end",)]

    def test_or_when_it_has_waited_long_enough(self, leaving):
        leaving.elapse(TOOLS_AT_END_MS)
        assert leaving.wants == [("end",)]
        leaving.conversation.tool_done(leaving.tool, "{}")
        assert leaving.wants == [("end",)]

    def test_all_of_them_are_waited_for(self, talk):
        talk.says()
        tools = [talk.call_tool("find_branch") for _ in range(2)]
        talk.call_tool("end_call")
        talk.done()
        talk.conversation.tool_done(tools[1], "{}")
        assert talk.wants == []
        talk.conversation.tool_done(tools[0], "{}")
        assert talk.wants == [("end",)]

    def test_the_caller_who_speaks_meanwhile_keeps_the_call(self, leaving):
        leaving.speech_started()
        leaving.speech_stopped()
        leaving.says("r2")
        leaving.conversation.tool_done(leaving.tool, "{}")
        leaving.done("r2")
        leaving.elapse(2 * TOOLS_AT_END_MS)
        assert ("end",) not in leaving.wants
        assert "goes on" in error_of(leaving.outputs[leaving.end_call])
        assert leaving.asks == [None], "only to speak to what the tool returned"

    def test_what_the_service_says_meanwhile_by_itself_makes_it_no_longer(self, leaving):
        leaving.elapse(TOOLS_AT_END_MS / 2)
        leaving.says("r2")
        leaving.done("r2")
        assert leaving.wants == []
        leaving.elapse(TOOLS_AT_END_MS / 2)
        assert leaving.wants == [("end",)]

    def test_a_transfer_does_not_wait_for_the_agent_stays_in_the_call(self, talk):
        talk.says()
        talk.call_tool("find_branch")
        talk.call_tool("transfer_call", {"destination": "sales"})
        talk.done()
        assert talk.wants == [("transfer", TARGETS["sales"])]


class TestTransfers:
    def test_a_destination_that_there_is_not_is_told(self, talk):
        talk.says()
        call_id = talk.call_tool("transfer_call", {"destination": "+19005550100"})
        talk.done()
        assert talk.wants == []
        assert error_of(talk.outputs[call_id]) == "destination must be one of: claims, sales"

    def test_one_that_fails_answers_the_tool_call(self, talk):
        talk.says()
        call_id = talk.call_tool("transfer_call", {"destination": "sales"})
        talk.done()
        assert talk.outputs == {}
        talk.conversation.transfer_failed("busy")
        assert "busy" in error_of(talk.outputs[call_id])
        assert talk.asks == [None]

    def test_or_is_told_as_a_text_where_the_call_was_answered_for_the_sake_of_a_goodbye(self, talk):
        talk.created()
        call_id = talk.call_tool("transfer_call", {"destination": "sales"})
        talk.done()
        talk.says("r2")
        talk.done("r2")
        talk.conversation.transfer_failed("busy")
        assert list(talk.outputs) == [call_id]
        assert "busy" in talk.texts[-1]
        assert talk.asks == [GOING_ON, None]

    def test_a_failure_that_comes_at_once_is_one(self, talk):
        talk.transfer = lambda _: talk.conversation.transfer_failed("too_many_requests")
        talk.says()
        call_id = talk.call_tool("transfer_call", {"destination": "sales"})
        talk.done()
        assert list(talk.outputs) == [call_id]
        assert talk.asks == [None]

    def test_a_second_one_waits_for_the_first(self, talk):
        talk.says()
        first = talk.call_tool("transfer_call", {"destination": "sales"})
        talk.done()
        talk.says("r2")
        second = talk.call_tool("transfer_call", {"destination": "claims"}, "r2")
        talk.done("r2")
        assert talk.wants == [("transfer", TARGETS["sales"])]

        talk.conversation.transfer_failed("busy")
        talk.conversation.transfer_failed("busy")
        assert list(talk.outputs) == [second, first]

    def test_the_call_may_end_while_one_is_under_way(self, talk):
        talk.says()
        talk.call_tool("transfer_call", {"destination": "sales"})
        talk.done()
        talk.says("r2")
        talk.call_tool("end_call", response="r2")
        talk.done("r2")
        assert talk.wants == [("transfer", TARGETS["sales"]), ("end",)]

    def test_one_with_another_tool_beside_it_brings_one_reply(self, talk):
        talk.says()
        talk.call_tool("set_variables", {"a": "b"})
        talk.call_tool("transfer_call", {"destination": "sales"})
        talk.done()
        talk.speech_started()
        talk.speech_stopped()
        talk.says("r2")
        talk.done("r2")
        assert talk.asks == [], "the service's own reply spoke to the output"
        talk.conversation.transfer_failed("busy")
        assert talk.asks == [None]

    def test_what_was_to_be_said_next_is_not_said_after_the_goodbye(self, talk):
        talk.says()
        other = talk.call_tool("find_branch")
        talk.conversation.tool_done(other, "{}")
        talk.created("r2")
        call_id = talk.call_tool("find_branch", response="r2")
        talk.press("1#")
        talk.done("r2", "cancelled")
        talk.says("r3")
        talk.conversation.tool_done(call_id, "{}")
        talk.call_tool("transfer_call", {"destination": "sales"}, "r3")
        talk.done("r3")
        talk.says("r4")
        talk.done("r4")
        assert talk.wants[-1] == ("transfer", TARGETS["sales"])
        assert talk.asks == [None], "only for the keys"

    def test_a_failure_of_none_is_nothing(self, talk):
        talk.conversation.transfer_failed("busy")
        assert talk.sent == []
