"""A transfer that the agent asks for: whatever becomes of it, the caller is with somebody."""

import asyncio
from dataclasses import replace

import pytest

from media_gateway.agents.contract import AgentFailed
from media_gateway.requests import MAX_WAITING, TRANSFER_TOO_MANY
from shared.core.call_state import CallEvent, CallState, Cause
from shared.core.profiles import PromptKind, Silence
from shared.core.transfers import MAX_VOIP_VALUE_CHARS
from shared.errors import AcsUnavailable
from tests.support.media import QUICK, prompt, running_gateway
from tests.support.media_survival import COLLEAGUE, counted, events, reopen, spoken, talking

TARGET = COLLEAGUE.transfer
PHONE = "4:+14255550177"


@pytest.fixture
def told_of_transfers(agent):
    """Why transfers failed, as the agent hears it."""
    reasons = []
    agent.transfer_failed = reasons.append
    return reasons


async def transferring(gateway, agent, target=TARGET, **profile):
    """A call that ACS was asked to transfer; returns it and what ACS was asked."""
    call = await talking(gateway, **profile)
    agent.sink.transfer(target)
    await gateway.until(lambda: gateway.acs.transfers)
    await gateway.until(lambda: gateway.row(call).state is CallState.TRANSFERRING)
    [(connection_id, asked)] = gateway.acs.transfers
    assert connection_id == call.call_connection_id
    return call, asked


def fail(gateway, call, asked, **result):
    gateway.calls.add_event(
        call.call_id,
        "CallTransferFailed",
        operationContext=asked["operation_context"],
        resultInformation=result,
    )


async def assert_still_with_the_agent(gateway, agent, call):
    await gateway.until(lambda: gateway.row(call).state is CallState.STREAMING)
    before = len(agent.audio)
    call.socket.send_audio(spoken(3))
    await gateway.until(lambda: agent.audio[before:] == spoken(3))
    assert not gateway.acs.hung_up


async def test_accepted_transfer_ends_the_call_and_nobody_is_hung_up_on(gateway, agent):
    call, asked = await transferring(gateway, agent, transfer_caller_id="+18005550199")
    assert (asked["target"], asked["caller_id"]) == (TARGET, "+18005550199")
    assert asked["context"].voip == {"order": "1234"}
    call.socket.send_audio(spoken(3))
    await gateway.until(lambda: agent.audio)  # media stay up until it is accepted
    gateway.calls.add_event(call.call_id, "CallTransferAccepted")
    await gateway.until_over()

    gateway.assert_ended(call, Cause.TRANSFERRED, hung_up=False)
    assert agent.closed_for == [Cause.TRANSFERRED]


async def test_output_variables_go_along_and_win_over_those_that_came_in(gateway, agent):
    call = await talking(gateway)
    agent.sink.set_variables({"order": "5678", "verified": "yes"})
    agent.sink.transfer(TARGET)
    await gateway.until(lambda: gateway.acs.transfers)

    [(_, asked)] = gateway.acs.transfers
    assert asked["context"].voip == {"order": "5678", "verified": "yes"}
    gateway.calls.add_event(call.call_id, "CallTransferAccepted")
    await gateway.until_over()


@pytest.mark.parametrize(
    ("result", "reason"),
    [
        ({"code": 486, "subCode": 560486}, "busy"),
        ({"code": 603, "subCode": 560603}, "declined"),
        ({"code": 480, "subCode": 560480}, "no_answer"),
        ({"code": 404, "subCode": 560404}, "unreachable"),
        ({"code": 500, "subCode": 9999}, "failed"),
        ({}, "failed"),
    ],
)
async def test_failed_transfer_returns_the_caller_to_the_agent(
    gateway, agent, told_of_transfers, result, reason
):
    call, asked = await transferring(gateway, agent)
    fail(gateway, call, asked, **result)
    await gateway.until(lambda: told_of_transfers)

    assert told_of_transfers == [reason]
    await assert_still_with_the_agent(gateway, agent, call)
    assert counted(gateway, "transfers_failed") == 1


async def test_transfer_that_nothing_is_heard_of_returns_the_caller_too(gateway, agent, told_of_transfers):
    call, _ = await transferring(gateway, agent, transfer_timeout_s=0.1)
    await gateway.until(lambda: told_of_transfers)

    assert told_of_transfers == ["no_answer"]
    await assert_still_with_the_agent(gateway, agent, call)


async def test_acceptance_that_comes_after_it_was_given_up_counts(gateway, agent, told_of_transfers):
    call, _ = await transferring(gateway, agent, transfer_timeout_s=0.1)
    await gateway.until(lambda: told_of_transfers)
    gateway.calls.add_event(call.call_id, "CallTransferAccepted")
    await gateway.until_over()

    gateway.assert_ended(call, Cause.TRANSFERRED, hung_up=False)


async def test_failure_of_an_earlier_transfer_is_not_that_of_this_one(gateway, agent, told_of_transfers):
    call, first = await transferring(gateway, agent, transfer_timeout_s=0.1)
    await gateway.until(lambda: told_of_transfers)
    agent.sink.transfer(PHONE)
    await gateway.until(lambda: len(gateway.acs.transfers) == 2)
    fail(gateway, call, first, code=486, subCode=560486)
    await gateway.until(lambda: len(told_of_transfers) == 2)

    assert told_of_transfers == ["no_answer", "no_answer"]


async def test_acs_that_refuses_returns_the_caller_at_once(gateway, agent, told_of_transfers):
    gateway.acs.refuses.add("transfer")
    call = await talking(gateway)
    agent.sink.transfer(TARGET)
    await gateway.until(lambda: told_of_transfers)

    assert told_of_transfers == ["failed"]
    await assert_still_with_the_agent(gateway, agent, call)


@pytest.mark.parametrize("is_accepted", [True, False])
async def test_acs_that_does_not_answer_may_have_transferred_all_the_same(
    gateway, agent, told_of_transfers, monkeypatch, is_accepted
):
    async def away(*_, **__):
        raise AcsUnavailable("ACS did not answer")

    monkeypatch.setattr(gateway.acs, "transfer", away)
    call = await talking(gateway, transfer_timeout_s=0.2)
    agent.sink.transfer(TARGET)
    await gateway.until(lambda: counted(gateway, "transfers_in_doubt"))
    if is_accepted:
        gateway.calls.add_event(call.call_id, "CallTransferAccepted")
        await gateway.until_over()
        gateway.assert_ended(call, Cause.TRANSFERRED, hung_up=False)
    else:
        await gateway.until(lambda: told_of_transfers == ["no_answer"])
        await assert_still_with_the_agent(gateway, agent, call)


async def test_context_past_a_limit_stays_behind_and_the_caller_goes(gateway, agent, caplog):
    call = await talking(gateway)
    variables = {"note": "x" * (MAX_VOIP_VALUE_CHARS + 1)}
    gateway.core.calls._live[call.call_id]._row.set_output(variables)
    agent.sink.transfer(TARGET)
    await gateway.until(lambda: gateway.acs.transfers)

    [(_, asked)] = gateway.acs.transfers
    assert asked["context"].voip == {"order": "1234"}
    assert gateway.core.pod.counters["variables_not_carried"] == 1
    [line] = [each for each in caplog.records if "context" in each.getMessage()]
    assert (line.left_out, "note" in str(line.__dict__)) == (1, False)


async def test_no_target_is_found_before_acs_is_asked(gateway, agent, told_of_transfers):
    call = await talking(gateway)
    agent.sink.transfer("nobody")
    await gateway.until(lambda: told_of_transfers)

    assert not gateway.acs.transfers
    await assert_still_with_the_agent(gateway, agent, call)


async def test_transfers_are_asked_for_one_at_a_time(gateway, agent, told_of_transfers):
    call, first = await transferring(gateway, agent)
    agent.sink.transfer(PHONE)
    await asyncio.sleep(0.05)
    assert len(gateway.acs.transfers) == 1
    fail(gateway, call, first)
    await gateway.until(lambda: len(gateway.acs.transfers) == 2)

    fail(gateway, call, gateway.acs.transfers[1][1])
    await gateway.until(lambda: told_of_transfers == ["failed", "failed"])


async def test_agent_that_asks_without_end_is_told_so(gateway, agent, told_of_transfers):
    call, _ = await transferring(gateway, agent)
    for _ in range(MAX_WAITING + 1):
        agent.sink.transfer(TARGET)

    assert told_of_transfers == [TRANSFER_TOO_MANY]
    gateway.calls.add_event(call.call_id, "CallTransferAccepted")
    await gateway.until_over()
    assert len(gateway.acs.transfers) == 1


async def test_caller_who_hangs_up_while_it_rings_ends_the_call(gateway, agent):
    call, _ = await transferring(gateway, agent)
    gateway.calls.add_event(call.call_id, "CallDisconnected")
    call.socket.close()
    await gateway.until_over()

    gateway.assert_ended(call, Cause.CALLER_HUNG_UP, hung_up=False)


async def test_media_that_are_lost_while_it_rings_come_back_to_it(gateway, agent, told_of_transfers):
    timing = replace(QUICK, media_restart_s=5, interruption_grace_s=5)
    async with running_gateway(timing=timing) as gateway:
        call, asked = await transferring(gateway, agent)
        call.socket.drop()
        await gateway.until(lambda: gateway.row(call).state is CallState.INTERRUPTED)
        await reopen(gateway, call)
        await gateway.until(lambda: gateway.row(call).state is CallState.STREAMING)
        fail(gateway, call, asked)
        await gateway.until(lambda: told_of_transfers)
        await assert_still_with_the_agent(gateway, agent, call)


async def test_media_that_stay_away_while_it_rings_do_not_hang_up_on_it(gateway, agent):
    call, _ = await transferring(gateway, agent)
    gateway.acs.refuses.add("start_media")
    call.socket.drop()
    await gateway.until(lambda: gateway.row(call).state is CallState.INTERRUPTED)
    await asyncio.sleep(QUICK.interruption_grace_s + 0.1)
    assert not gateway.acs.hung_up
    gateway.calls.add_event(call.call_id, "CallTransferAccepted")
    await gateway.until_over()

    assert gateway.row(call).state is CallState.ENDED
    assert not gateway.acs.hung_up


async def test_call_that_comes_from_another_pod_amid_a_transfer_goes_on(gateway, agent):
    call = await talking(gateway, state=CallState.TRANSFERRING, max_duration_s=0.3)
    assert gateway.row(call).state is CallState.STREAMING
    await gateway.until_over()

    gateway.assert_ended(call, Cause.MAX_DURATION, hung_up=True)


async def test_acceptance_of_a_transfer_that_another_pod_has_asked_for_counts(gateway, agent):
    call = await talking(gateway, state=CallState.TRANSFERRING)
    gateway.calls.add_event(call.call_id, "CallTransferAccepted")
    await gateway.until_over()

    gateway.assert_ended(call, Cause.TRANSFERRED, hung_up=False)


async def test_fallback_of_a_lost_agent_waits_for_the_agent_s_own_transfer(gateway, agent):
    call, asked = await transferring(gateway, agent, target=PHONE, fallback=COLLEAGUE)
    agent.sink.failed(AgentFailed("quota"))
    await gateway.until(lambda: CallEvent.FALLBACK_STARTED in events(gateway, call))
    await asyncio.sleep(0.05)
    assert len(gateway.acs.transfers) == 1
    fail(gateway, call, asked)
    await gateway.until(lambda: len(gateway.acs.transfers) == 2)

    assert gateway.acs.transfers[1][1]["target"] == COLLEAGUE.transfer
    gateway.calls.add_event(call.call_id, "CallTransferAccepted")
    await gateway.until_over()


async def test_neither_silence_nor_duration_counts_while_it_rings(gateway, agent, told_of_transfers):
    call, asked = await transferring(
        gateway, agent, max_duration_s=0.4, silence=Silence(after_s=0.1, reprompts=5)
    )
    await asyncio.sleep(0.6)
    assert gateway.row(call).state is CallState.TRANSFERRING
    assert prompt(PromptKind.REPROMPT) not in call.socket.audio
    fail(gateway, call, asked)
    await gateway.until_over()

    gateway.assert_ended(call, Cause.MAX_DURATION, hung_up=True)
    assert told_of_transfers == ["failed"]


async def test_lost_signal_costs_one_step_while_an_answer_is_awaited(agent):
    timing = replace(QUICK, events_step_s=0.05, events_idle_step_s=60)
    async with running_gateway(timing=timing) as gateway:
        call, _ = await transferring(gateway, agent)
        loop = asyncio.get_running_loop()
        told_at = loop.time()
        gateway.calls.add_event(call.call_id, "CallTransferAccepted")
        await gateway.until(lambda: gateway.core.calls._live[call.call_id].is_ending)
        assert loop.time() - told_at < 0.5
        await gateway.until_over()

        gateway.assert_ended(call, Cause.TRANSFERRED, hung_up=False)
