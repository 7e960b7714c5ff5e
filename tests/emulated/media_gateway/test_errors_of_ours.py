"""An error of ours leaves a call without anybody: its caller hears an apology, and is hung up."""

from dataclasses import replace

import pytest

from media_gateway.played_prompts import PlayedPrompts
from shared.core.call_state import CallState, Cause
from shared.core.profiles import PromptKind
from tests.support.media import QUICK, MemoryOutside, prompt, running_gateway
from tests.support.media_survival import counted

FUNCTIONS = "https://gw.example.com"


@pytest.fixture
async def gateway():
    """One that knows its Functions app."""
    async with running_gateway(callback_base_url=FUNCTIONS, timing=replace(QUICK, play_s=0.2)) as gateway:
        yield gateway


def breaks(*_, **__):
    raise KeyError("a bug")


@pytest.fixture(params=["media_gateway.calls.Call", "media_gateway.hearing.Hearing.begin_with"])
def bug(request, monkeypatch):
    """A call that cannot be made, and one that fails before its own care for errors begins."""
    monkeypatch.setattr(request.param, breaks)


def assert_given_up(gateway, call, caplog):
    gateway.assert_ended(call, Cause.AGENT_FAILED, hung_up=True)
    assert counted(gateway, "calls_given_up") == 1
    assert "a call failed outside its own care" in caplog.text
    [line] = [each for each in caplog.records if each.getMessage().startswith("a call was given up")]
    assert (line.call_id, line.state, line.hang_up, line.row) == (call.call_id, "ended", "done", "written")
    assert not gateway.core.calls.held_ids


async def test_caller_hears_an_apology_before_the_hang_up(gateway, agent, bug, caplog):
    call = await gateway.place()
    await gateway.until(lambda: gateway.acs.played)
    assert gateway.row(call).state is CallState.ENDING
    assert gateway.core.calls.held_ids == (call.call_id,)
    assert not gateway.acs.hung_up
    [(_, url, context)] = gateway.acs.played
    assert url.endswith("/apology.wav")
    gateway.calls.add_event(call.call_id, "PlayCompleted", operationContext=context)
    await gateway.until_over()

    assert_given_up(gateway, call, caplog)
    assert counted(gateway, "prompts_played") == 1


async def test_apology_that_is_not_heard_of_holds_nothing_up(gateway, agent, bug, caplog):
    call = await gateway.place()
    await gateway.until_over()

    assert_given_up(gateway, call, caplog)


async def test_apology_that_fails_too_holds_nothing_up(gateway, agent, bug, caplog, monkeypatch):
    monkeypatch.setattr(PlayedPrompts, "play", breaks)
    call = await gateway.place()
    await gateway.until_over()

    assert_given_up(gateway, call, caplog)


async def test_storage_that_is_away_holds_nothing_up(gateway, agent, monkeypatch):
    def make(*_):
        gateway.calls.is_away = True
        breaks()

    monkeypatch.setattr("media_gateway.calls.Call", make)
    call = await gateway.place()
    await gateway.until_over()

    assert gateway.acs.hung_up == [call.call_connection_id]


async def test_call_that_another_pod_has_got_meanwhile_is_left_alone(agent, monkeypatch):
    outside = MemoryOutside()

    def make(record, *_):
        outside.calls.rows[record.call_id] = replace(record, owner="pod-b", epoch=record.epoch + 1)
        breaks()

    monkeypatch.setattr("media_gateway.calls.Call", make)
    async with running_gateway(outside=outside, callback_base_url=FUNCTIONS) as gateway:
        call = await gateway.place()
        await gateway.until_over()

        assert gateway.row(call).state is CallState.ANSWERING
        assert not gateway.acs.played
        assert not gateway.acs.hung_up


@pytest.mark.parametrize("what", ["patience.Patience.run", "line.Line.run"])
async def test_error_amid_a_call_is_apologised_for_by_its_own_voice(
    gateway, agent, monkeypatch, caplog, what
):
    async def breaks_later(*_):
        breaks()

    monkeypatch.setattr(f"media_gateway.{what}", breaks_later)
    call = await gateway.place()
    await call.socket.until_heard(prompt(PromptKind.APOLOGY))
    assert not gateway.acs.hung_up
    await gateway.until_over()

    gateway.assert_ended(call, Cause.AGENT_FAILED, hung_up=True)
    assert "a call failed inside the gateway" in caplog.text
    assert counted(gateway, "calls_given_up") == 1
    assert not gateway.acs.played


async def test_media_that_an_error_keeps_from_a_call_end_it(gateway, agent, monkeypatch):
    call = await gateway.place()
    await gateway.until_streaming(call)
    call.socket.drop()
    await gateway.until(lambda: gateway.row(call).state is CallState.INTERRUPTED)
    monkeypatch.setattr("media_gateway.speaker.Speaker.attach", breaks)
    gateway.acs.sockets[call.call_connection_id] = await gateway.open_socket(call)
    await gateway.until_over()

    gateway.assert_ended(call, Cause.AGENT_FAILED, hung_up=True)


async def test_other_calls_go_on(gateway, agent, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("media_gateway.calls.Call", breaks)
        lost = await gateway.place()
        await gateway.until(lambda: gateway.acs.played)
    kept = await gateway.place()
    await gateway.until_streaming(kept)
    await gateway.until(lambda: gateway.row(lost).state is CallState.ENDED)

    assert gateway.row(kept).state is CallState.STREAMING
