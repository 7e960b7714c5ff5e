"""A dead pod's call for which nothing is left: its caller hears that, and whatever ACS tells last ends it."""

from dataclasses import replace

import pytest

from media_gateway.played_prompts import PlayedPrompts
from media_gateway.rescue import Rescue
from shared.core.call_state import CallEvent, CallState, Cause
from shared.core.profiles import Fallback, PromptKind
from tests.emulated.media_gateway.test_takeover import (
    DESK,
    events,
    held_by,
    left_behind,
    reconnects,
    taking_over,
    tell,
)
from tests.support.media import QUICK, prompt, running_gateway

FUNCTIONS = "https://gw.example.com"


@pytest.fixture
async def survivor():
    timing = replace(QUICK, play_s=0.2, transfer_told_s=0.3)
    async with (
        running_gateway(callback_base_url=FUNCTIONS, timing=timing) as gateway,
        taking_over(gateway),
    ):
        yield gateway


def breaks(*_, **__):
    raise KeyError("a bug")


def heard(survivor, call):
    """Let ACS play what it is asked to."""
    survivor.acs.on_play = lambda _, context: tell(survivor, call, "PlayCompleted", operationContext=context)


async def ended(survivor, call):
    await survivor.until(lambda: survivor.row(call).state is CallState.ENDED)
    return survivor.row(call)


@pytest.mark.parametrize("state", [CallState.STREAMING, CallState.FALLBACK])
async def test_acs_plays_an_apology_before_the_hang_up(survivor, state):
    call = held_by(survivor, state)
    heard(survivor, call)
    survivor.acs.on_hang_up = lambda _: order.append(len(survivor.acs.played))
    order = []
    left_behind(survivor, call)
    await ended(survivor, call)

    assert order == [1]
    [(connection_id, url, _)] = survivor.acs.played
    assert (connection_id, url) == (
        call.call_connection_id,
        f"{FUNCTIONS}/mg-genagent-acs/v1/prompts/apology.wav",
    )
    assert survivor.core.pod.counters["prompts_played"] == 1


async def test_apology_follows_a_transfer_that_nobody_takes(survivor):
    call = held_by(survivor, fallback=Fallback(DESK))
    heard(survivor, call)
    survivor.acs.on_transfer = lambda _, asked: tell(
        survivor, call, "CallTransferFailed", operationContext=asked["operation_context"]
    )
    left_behind(survivor, call)
    await ended(survivor, call)

    assert (len(survivor.acs.transfers), len(survivor.acs.played)) == (1, 1)
    assert survivor.acs.hung_up == [call.call_connection_id]


async def test_apology_that_is_not_heard_of_holds_the_hang_up_up_no_longer_than_it_may(survivor):
    call = held_by(survivor)
    left_behind(survivor, call)
    await ended(survivor, call)

    assert survivor.acs.hung_up == [call.call_connection_id]


async def test_nothing_is_said_in_a_call_that_was_being_ended(survivor):
    call = held_by(survivor, CallState.ENDING)
    left_behind(survivor, call)
    await ended(survivor, call)

    assert not survivor.acs.played


@pytest.mark.parametrize(("owner", "step"), [(PlayedPrompts, "play"), (Rescue, "_media_come_back")])
async def test_error_of_ours_keeps_no_caller_on_the_line(survivor, monkeypatch, caplog, owner, step):
    monkeypatch.setattr(owner, step, breaks)
    call = held_by(survivor)
    left_behind(survivor, call)
    await ended(survivor, call)

    assert survivor.acs.hung_up == [call.call_connection_id]
    assert "a step of a rescue failed" in caplog.text


@pytest.mark.parametrize("step", ["__init__", "_hang_up"])
async def test_rescue_that_fails_leaves_the_apology_and_the_hang_up(survivor, monkeypatch, step):
    monkeypatch.setattr(Rescue, step, breaks)
    call = held_by(survivor)
    heard(survivor, call)
    left_behind(survivor, call)
    row = await ended(survivor, call)

    assert row.cause is Cause.AGENT_FAILED
    assert survivor.acs.hung_up == [call.call_connection_id]
    assert survivor.core.pod.counters["calls_given_up"] == 1


async def test_media_of_a_call_that_fell_back_come_back_for_the_apology(survivor):
    call = held_by(survivor, CallState.FALLBACK)
    reconnects(survivor, call)
    left_behind(survivor, call)
    await survivor.until(lambda: call.socket is not None)
    await call.socket.until_heard(prompt(PromptKind.APOLOGY))
    await ended(survivor, call)

    assert not survivor.acs.played
    assert survivor.acs.hung_up == [call.call_connection_id]


async def test_media_of_a_call_that_fell_back_may_be_lost_again_amid_the_apology(survivor):
    survivor.core.pod.prompts._defaults = {24_000: dict.fromkeys(PromptKind, b"\1\0" * 24_000 * 30)}
    call = held_by(survivor, CallState.FALLBACK)
    reconnects(survivor, call)
    left_behind(survivor, call)
    await survivor.until(lambda: call.socket is not None)
    await call.socket.until(lambda: call.socket.audio)
    call.socket.drop()
    await ended(survivor, call)

    assert survivor.acs.hung_up == [call.call_connection_id]


TRANSFERS = pytest.mark.parametrize("state", [CallState.TRANSFERRING, CallState.INTERRUPTED])


def transferring(survivor, state):
    """A call whose pod died while its transfer was under way."""
    call = held_by(survivor, CallState.STREAMING)
    record = survivor.row(call)
    asked = replace(record.history[-1], event=CallEvent.TRANSFER_REQUESTED, state=CallState.TRANSFERRING)
    survivor.calls.rows[call.call_id] = replace(record, state=state, history=(*record.history, asked))
    return call


@TRANSFERS
async def test_acceptance_that_is_told_after_the_end_of_our_leg_counts(survivor, state):
    call = transferring(survivor, state)
    left_behind(survivor, call)
    await survivor.until(lambda: survivor.acs.media_starts)
    tell(survivor, call, "CallDisconnected", resultInformation={"code": 200, "subCode": 7000})
    await survivor.until(lambda: survivor.row(call).owner == "pod-a")
    tell(survivor, call, "CallTransferAccepted", operationContext="the dead pod's")
    row = await ended(survivor, call)

    assert row.cause is Cause.TRANSFERRED
    assert not survivor.acs.hung_up


@TRANSFERS
async def test_caller_who_hangs_up_amid_the_dead_pod_s_transfer_has_hung_up(survivor, state):
    call = transferring(survivor, state)
    left_behind(survivor, call)
    await survivor.until(lambda: survivor.acs.media_starts)
    tell(survivor, call, "CallDisconnected", resultInformation={"code": 200, "subCode": 7000})
    row = await ended(survivor, call)

    assert row.cause is Cause.CALLER_HUNG_UP
    assert events(survivor, call)[-1] is CallEvent.CALL_DISCONNECTED
    assert not survivor.acs.hung_up


async def test_acs_that_does_not_know_the_call_any_more_may_tell_of_the_transfer_yet(survivor):
    call = transferring(survivor, CallState.INTERRUPTED)
    survivor.acs.gone.add(call.call_connection_id)
    left_behind(survivor, call)
    await survivor.until(lambda: survivor.row(call).owner == "pod-a")
    tell(survivor, call, "CallTransferAccepted", operationContext="the dead pod's")
    row = await ended(survivor, call)

    assert row.cause is Cause.TRANSFERRED
