"""What an agent asks of its call beyond speaking, where it asks for too much."""

from collections import Counter
from types import SimpleNamespace
from unittest.mock import Mock, call

import pytest

from media_gateway.agents.contract import CALLER_STOPS, Role, Said
from media_gateway.agents.so_far import ConversationSoFar
from media_gateway.patience import Patience
from media_gateway.recording.recorder import Recorder
from media_gateway.requests import MAX_WAITING, TRANSFER_TOO_MANY, AgentRequests
from shared.core.variables import MAX_VALUE_CHARS


class Row:
    def __init__(self, **output):
        self.record = SimpleNamespace(output=output)

    def set_output(self, output):
        self.record.output = output


@pytest.fixture
def made():
    failures, row = [], Row(order="1")
    pod = SimpleNamespace(counters=Counter())
    so_far, patience = ConversationSoFar(), Mock(Patience)
    requests = AgentRequests(
        pod, row, None, None, patience, so_far, on_end=failures.append, on_transfer_failed=failures.append
    )
    return SimpleNamespace(
        requests=requests, failures=failures, row=row, counters=pod.counters, so_far=so_far, patience=patience
    )


async def test_keys_past_the_limit_are_counted_and_not_pressed(made):
    for _ in range(MAX_WAITING + 2):
        made.requests.press_keys("1")
    assert made.counters["agent_requests_dropped"] == 2


async def test_a_transfer_past_the_limit_has_failed_and_the_agent_learns_it(made):
    for _ in range(MAX_WAITING):
        made.requests.transfer("4:+14255550123")
    assert made.failures == []
    made.requests.transfer("4:+14255550123")
    assert made.failures == [TRANSFER_TOO_MANY]
    assert made.counters["agent_requests_dropped"] == 1


async def test_a_variable_past_the_limits_is_left_out_and_counted(made):
    dropped = made.requests.set_variables({"order": "2", "long": "x" * (MAX_VALUE_CHARS + 1)})
    assert dropped == {"long"}
    assert made.row.record.output == {"order": "2"}
    assert made.counters["variables_dropped"] == 1


async def test_a_call_that_is_not_recorded_keeps_the_words_for_an_agent_that_takes_over_and_nowhere_else(
    made,
):
    made.requests.said(Role.CALLER, "my secret", "c1")
    made.requests.caller_speaks("c1")
    made.requests.note("tool_called", "cards")
    made.requests.record(on=False)
    assert made.failures == []
    assert made.so_far.lines() == (Said(Role.CALLER, "my secret"),)


async def test_what_the_caller_says_and_when_they_begin_and_stop_is_no_silence(made):
    made.requests.caller_speaks("c1")
    made.requests.note(CALLER_STOPS, "")
    made.requests.said(Role.AGENT, "Good day.", "a1")
    made.requests.said(Role.CALLER, "Good day.", "c1")
    assert made.patience.mock_calls == [call.caller_speaks(), call.caller_said(), call.caller_said()]


async def test_when_the_caller_begins_to_speak_counts_for_their_words_and_is_on_the_timeline(made):
    kept = made.requests.recorder = Mock(Recorder)
    made.requests.caller_speaks("c1")
    assert kept.mock_calls == [call.note("caller_speaks"), call.began("c1")]
