"""A caller keys a number at the IVR, talks with the agent, wants a person, and gets one: both sides tell the same."""

import pytest

from shared.core.call_state import CallState, Cause
from shared.core.flow_state import FlowOutcome
from shared.core.variables import RETURN_TO
from tests.support.gateway import CALLER, EVENTS_PATH
from tests.support.ivr import (
    AGENT,
    FLOW,
    IVR,
    IVR_EVENTS_PATH,
    NUMBER,
    QUEUE,
    running_ivr,
    until,
)
from tests.support.media import agent

__all__ = ["agent"]


@pytest.fixture
async def ivr(start_edge, tmp_path, agent):
    async with running_ivr(start_edge, tmp_path) as running:
        await running.subscribe("ivr", IVR_EVENTS_PATH, [NUMBER, IVR])
        await running.subscribe("agents", EVENTS_PATH, [AGENT])
        yield running


def results(call):
    return [(passed.step, passed.result.value) for passed in call.history]


def transfers(call):
    return [(transfer.target.id, str(transfer.outcome)) for transfer in call.transfers]


async def test_a_caller_goes_to_the_agent_and_back_and_to_a_person(ivr, agent):
    call = await ivr.dial()
    await ivr.key(call, "1234")
    await until(lambda: agent.info is not None)

    assert agent.info.variables == {
        "accountNumber": "1234", "caller": CALLER, "called": AGENT, "correlationId": call.correlation_id,
    }  # fmt: skip
    assert agent.info.task == "balance"
    agent.sink.set_variables({"topic": "cards"})
    agent.sink.transfer(RETURN_TO)
    first, second = await ivr.until_over(call, 2)

    assert (first.state.outcome, second.state.outcome) == (FlowOutcome.TRANSFERRED,) * 2
    assert results(first) == [("account", "done"), ("to_agent", "done")]
    assert results(second) == [("returned", "done"), ("to_people", "done")]
    assert (second.outcome, second.state.variables["topic"]) == ("AGENT", "cards")
    [record] = await ivr.agents_calls(call)
    assert (record.state, record.cause) == (CallState.ENDED, Cause.TRANSFERRED)
    assert (record.return_to, record.output) == (IVR, {"topic": "cards"})
    assert {first.correlation_id, second.correlation_id, record.correlation_id} == {call.correlation_id}
    assert transfers(call) == [(AGENT, "accepted"), (IVR, "accepted"), (f"4:{QUEUE}", "accepted")]
    assert call.end is None  # the caller talks with a person
    await ivr.edge.emulator.calls.caller_hangs_up(call)


async def test_a_caller_may_go_round_more_than_once(start_edge, tmp_path, agent):
    again = FLOW.replace("to_people}]\n    otherwise: bye", "to_people}]\n    otherwise: account")
    async with running_ivr(start_edge, tmp_path, again) as ivr:
        await ivr.subscribe("ivr", IVR_EVENTS_PATH, [NUMBER, IVR])
        await ivr.subscribe("agents", EVENTS_PATH, [AGENT])
        call = await ivr.dial()
        for keys, question, leave in (
            ("1234", 1, agent_ends),
            ("5678", 2, agent_wants_a_person),
        ):
            await ivr.key(call, keys, question=question)
            await until(lambda keys=keys: agent.info and agent.info.variables["accountNumber"] == keys)
            leave(agent)
        first, second, third = await ivr.until_over(call, 3)

        assert [each.outcome for each in (first, second, third)] == ["", "SYSTEM", "AGENT"]
        assert results(second) == [("returned", "done"), ("account", "done"), ("to_agent", "done")]
        assert third.transferred_to == f"4:{QUEUE}"
        assert [record.variables for record in await ivr.agents_calls(call)] == [
            {"accountNumber": "1234"},
            {"accountNumber": "5678"},
        ]
        await ivr.edge.emulator.calls.caller_hangs_up(call)


def agent_ends(agent):
    agent.sink.end()


def agent_wants_a_person(agent):
    agent.sink.transfer(RETURN_TO)
