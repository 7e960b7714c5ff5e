"""What was said so far, and when it is of use to another agent."""

import pytest

from media_gateway.agents.contract import (
    MAX_CONVERSATION_CHARS,
    MAX_CONVERSATION_LINES,
    Role,
    Said,
    may_reconnect,
)
from media_gateway.agents.so_far import ConversationSoFar
from tests.unit.agents.talk import CALL


def so_far(*texts):
    conversation = ConversationSoFar()
    for text in texts:
        conversation.add(Role.CALLER, text)
    return conversation


def test_what_was_said_is_told_oldest_first():
    conversation = ConversationSoFar()
    assert conversation.lines() == ()
    conversation.add(Role.AGENT, "Hello. ")
    conversation.add(Role.CALLER, "Where is my order?")
    assert conversation.lines() == (Said(Role.AGENT, "Hello."), Said(Role.CALLER, "Where is my order?"))


def test_nothing_said_is_no_line():
    assert so_far("", " \n").lines() == ()


def test_of_too_many_lines_the_oldest_go_and_are_counted():
    conversation = so_far(*(f"line {at}" for at in range(MAX_CONVERSATION_LINES + 2)))
    assert len(conversation.lines()) == MAX_CONVERSATION_LINES
    assert conversation.lines()[0].text == "line 2"
    assert conversation.dropped == 2


def test_of_too_many_words_the_oldest_lines_go():
    half = "x" * (MAX_CONVERSATION_CHARS // 2)
    conversation = so_far("first", half, half)
    assert [len(said.text) for said in conversation.lines()] == [len(half)] * 2
    assert conversation.dropped == 1


def test_of_a_line_that_is_too_long_by_itself_the_end_is_kept():
    conversation = so_far("first", "x" * MAX_CONVERSATION_CHARS + "end")
    (said,) = conversation.lines()
    assert len(said.text) == MAX_CONVERSATION_CHARS
    assert said.text.endswith("xend")
    conversation.add(Role.CALLER, "and on")
    assert [line.text for line in conversation.lines()] == ["and on"]


def test_words_are_in_no_repr():
    assert "secret" not in repr(so_far("my secret").lines())
    assert CALL.conversation == ()
    assert not CALL.is_resumed


@pytest.mark.parametrize(
    "reason", ["connection_lost", "session_expired", "agent_silent", "agent_does_not_read", "response_failed"]
)
def test_another_agent_may_do_better_where_one_lost_its_session(reason):
    assert may_reconnect(reason)


@pytest.mark.parametrize(
    "reason",
    [
        *("quota", "rate_limited", "session_refused", "no_credential", "unauthorized", "no_such_model"),
        *("wrong_format", "refused", "unreachable", "unavailable", "TimeoutError", "KeyError", ""),
    ],
)
def test_another_agent_would_do_no_better_where_it_is_the_account_the_profile_or_us(reason):
    assert not may_reconnect(reason)
