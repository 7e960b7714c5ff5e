"""Whatever fails between the IVR, the agent and the people behind: the caller is with somebody, and all rows say so."""

import asyncio

import pytest

from emulator.faults import FaultRule, Status
from emulator.outside import Manner, OutsideParty
from media_gateway.agents.contract import AgentFailed
from shared.core.call_state import CallState, Cause
from shared.core.flow_state import FlowOutcome
from shared.core.variables import RETURN_TO
from tests.support.gateway import EVENTS_PATH
from tests.support.ivr import (
    AGENT,
    FLOW,
    GATEWAY,
    IVR,
    IVR_EVENTS_PATH,
    NUMBER,
    QUEUE,
    happened,
    running_ivr,
    until,
)
from tests.support.media import agent
from tests.support.records import wav_bytes

__all__ = ["agent"]


@pytest.fixture
async def bare(start_edge, tmp_path, agent):
    """The IVR without subscriptions."""
    async with running_ivr(start_edge, tmp_path) as running:
        yield running


@pytest.fixture
async def ivr(bare):
    await bare.subscribe("ivr", IVR_EVENTS_PATH, [NUMBER, IVR])
    await bare.subscribe("agents", EVENTS_PATH, [AGENT])
    return bare


def results(call):
    return [(passed.step, passed.result.value) for passed in call.history]


def transfers(call):
    return [(transfer.target.id, str(transfer.outcome)) for transfer in call.transfers]


async def test_wrong_digits_three_times_end_the_call(ivr):
    call = await ivr.dial()
    for question in (1, 2, 3):
        await ivr.key(call, "12*4", question=question)
    [ended] = await ivr.until_over(call, 1)

    assert results(ended) == [("account", "no_match")] * 3 + [("bye", "done")]
    assert ended.state.outcome is FlowOutcome.HUNG_UP
    assert call.end == "gateway_hung_up"


async def test_a_caller_who_presses_nothing_is_asked_again_and_then_hung_up_on(ivr):
    call = await ivr.dial()
    [ended] = await ivr.until_over(call, 1)

    assert results(ended) == [("account", "no_input")] * 3 + [("bye", "done")]
    assert call.end == "gateway_hung_up"


async def test_a_speech_service_that_is_away_ends_what_cannot_be_asked_without_it(ivr):
    ivr.edge.emulator.faults.add(FaultRule("recognize", Status(405, "8522"), times=1))
    call = await ivr.dial()
    [ended] = await ivr.until_over(call, 1)

    assert ended.state.speech_away
    assert results(ended) == [("account", "speech_away"), ("bye", "done")]


async def test_a_speech_service_that_is_away_is_stood_in_for_by_wav_files(start_edge, tmp_path, agent):
    (tmp_path / "number.wav").write_bytes(wav_bytes(bytes(3200), rate_hz=16_000))
    flow = FLOW.replace("prompt: Your number?", 'prompt: {text: "Your number?", wav: number.wav}')
    async with running_ivr(start_edge, tmp_path, flow) as ivr:
        await ivr.subscribe("ivr", IVR_EVENTS_PATH, [NUMBER, IVR])
        await ivr.subscribe("agents", EVENTS_PATH, [AGENT])
        ivr.edge.emulator.faults.add(FaultRule("recognize", Status(405, "8522"), times=1))
        call = await ivr.dial()
        await ivr.key(call, "1234")
        await until(lambda: agent.info is not None)
        agent.sink.end()
        first, second = await ivr.until_over(call, 2)

        assert first.state.speech_away
        assert results(first) == [("account", "speech_away"), ("account", "done"), ("to_agent", "done")]
        assert results(second) == [("returned", "done"), ("bye", "done")]


async def test_an_agent_that_takes_no_call_is_passed_over(bare):
    await bare.subscribe("ivr", IVR_EVENTS_PATH, [NUMBER, IVR])
    call = await bare.dial()
    await bare.key(call, "1234")
    await until(lambda: happened(call)["transferring"])
    [ended] = await bare.until_over(call, 1)

    assert ended.transferred_to == f"4:{QUEUE}"
    assert transfers(call) == [(AGENT, "not_answered"), (f"4:{QUEUE}", "accepted")]
    await bare.edge.emulator.calls.caller_hangs_up(call)


async def test_an_agent_that_is_busy_is_passed_over(start_edge, tmp_path, agent):
    gateway = GATEWAY.replace("{kind: echo}", "{kind: echo, connections_per_minute: 1}")
    async with running_ivr(start_edge, tmp_path, gateway=gateway) as ivr:
        await ivr.subscribe("ivr", IVR_EVENTS_PATH, [NUMBER, IVR])
        await ivr.subscribe("agents", EVENTS_PATH, [AGENT])
        first, second = await ivr.dial(), await ivr.dial()
        await ivr.key(first, "1234")
        await until(lambda: agent.info is not None)
        await ivr.key(second, "5678")
        [ended] = await ivr.until_over(second, 1)

        assert results(ended) == [("account", "done"), ("to_agent", "failed"), ("to_people", "done")]
        assert transfers(second) == [(AGENT, "busy"), (f"4:{QUEUE}", "accepted")]
        [record] = await ivr.agents_calls(second)
        assert (record.state, record.cause) == (CallState.REJECTED, Cause.AGENT_BUSY)
        for call in (first, second):
            await ivr.edge.emulator.calls.caller_hangs_up(call)


async def test_people_who_are_busy_end_the_call(ivr, agent):
    ivr.edge.emulator.calls.outside.put(QUEUE, OutsideParty(does=Manner.BUSY))
    call = await ivr.dial()
    await ivr.key(call, "1234")
    await until(lambda: agent.info is not None)
    agent.sink.transfer(RETURN_TO)
    first, second = await ivr.until_over(call, 2)

    assert first.state.outcome is FlowOutcome.TRANSFERRED
    assert results(second) == [("returned", "done"), ("to_people", "failed"), ("bye", "done")]
    assert call.end == "gateway_hung_up"


async def test_a_lost_agent_brings_the_call_back(ivr, agent):
    call = await ivr.dial()
    await ivr.key(call, "1234")
    await until(lambda: agent.info is not None)
    agent.sink.failed(AgentFailed("quota"))
    _, second = await ivr.until_over(call, 2)

    assert second.outcome == "FAILED"
    assert results(second) == [("returned", "done"), ("bye", "done")]


async def test_an_ivr_that_is_gone_leaves_the_caller_with_the_agent(ivr, agent):
    reasons = []
    agent.transfer_failed = reasons.append
    call = await ivr.dial()
    await ivr.key(call, "1234")
    await until(lambda: agent.info is not None)
    await ivr.edge.emulator.event_grid.unsubscribe("ivr")
    agent.sink.transfer(RETURN_TO)
    await until(lambda: reasons)
    assert reasons == ["no_answer"]

    async with asyncio.timeout(5):
        # The agent learns of it first, and then the row.
        while [record.state for record in await ivr.agents_calls(call)] != [CallState.STREAMING]:
            await asyncio.sleep(0.02)
    await ivr.edge.emulator.calls.caller_hangs_up(call)


async def test_a_caller_who_hangs_up_at_the_ivr_is_told_of(ivr):
    call = await ivr.dial()
    await until(lambda: happened(call)["recognize_listening"])
    await ivr.edge.emulator.calls.caller_hangs_up(call)
    [ended] = await ivr.until_over(call, 1)

    assert ended.state.outcome is FlowOutcome.CALLER_GONE


async def test_subscriptions_without_filters_still_give_each_call_one_answer(bare, agent):
    await bare.subscribe("ivr", IVR_EVENTS_PATH, None)
    await bare.subscribe("agents", EVENTS_PATH, None)
    call = await bare.dial()
    await bare.key(call, "1234")
    await until(lambda: agent.info is not None)
    agent.sink.end()
    first, second = await bare.until_over(call, 2)

    assert (first.state.outcome, second.outcome) == (FlowOutcome.TRANSFERRED, "SYSTEM")
    assert transfers(call) == [(AGENT, "accepted"), (IVR, "accepted")]
    [record] = await bare.agents_calls(call)
    assert (record.state, record.cause) == (CallState.ENDED, Cause.TRANSFERRED)


async def test_a_transfer_to_the_ivr_itself_is_rejected(start_edge, tmp_path, agent):
    async with running_ivr(start_edge, tmp_path, FLOW.replace(AGENT, IVR)) as ivr:
        await ivr.subscribe("ivr", IVR_EVENTS_PATH, None)
        call = await ivr.dial()
        await ivr.key(call, "1234")
        [ended] = await ivr.until_over(call, 1)

        assert results(ended)[1:] == [("to_agent", "failed"), ("to_people", "done")]
        assert transfers(call) == [(IVR, "busy"), (f"4:{QUEUE}", "accepted")]
        await ivr.edge.emulator.calls.caller_hangs_up(call)


async def test_deliveries_at_once_are_one_answer(bare):
    event = await bare.edge.ring(NUMBER)
    event["data"]["to"] = {"kind": "phoneNumber", "rawId": f"4:{NUMBER}"}
    url = bare.edge.host.url + IVR_EVENTS_PATH

    async def deliver():
        async with bare.edge.http.post(url, json=[event], headers=bare.edge.credentials) as response:
            return (await response.json())[0]["outcome"]

    outcomes = sorted(await asyncio.gather(*(deliver() for _ in range(6))))
    assert outcomes == ["answered"] + ["duplicate"] * 5
    assert bare.edge.answers_of(event) == 1
