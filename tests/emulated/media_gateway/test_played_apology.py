"""A caller whose media do not come back is told so by ACS itself, before the call ends."""

from dataclasses import replace

import pytest

from shared.core.call_state import CallState, Cause
from shared.core.profiles import AudioFormat, Fallback, Prompts
from shared.errors import AcsUnavailable
from tests.support.media import QUICK, running_gateway

FUNCTIONS = "https://gw.example.com"
APOLOGY = f"{FUNCTIONS}/mg-genagent-acs/v1/prompts/apology.wav"
OWN = "ab" * 32
COLLEAGUE = Fallback(transfer="4:+14255550177")


@pytest.fixture
async def gateway():
    """One that knows its Functions app."""
    async with running_gateway(callback_base_url=FUNCTIONS) as gateway:
        yield gateway


async def lose_media(gateway, *, told=None, **profile):
    """Place a call, cut its socket for good, and return the call; `told` is what ACS tells of what it plays."""
    call = await gateway.place(**profile)
    await gateway.until_streaming(call)
    gateway.acs.refuses |= {"start_media"}
    if told is not None:
        gateway.acs.on_play = lambda _, context: gateway.calls.add_event(
            call.call_id, told, operationContext=context
        )
    call.socket.drop()
    return call


def counted(gateway, name):
    return gateway.core.pod.counters[name]


async def test_apology_is_played_before_the_hang_up(gateway, agent, caplog):
    call = await lose_media(gateway)
    await gateway.until(lambda: gateway.acs.played)
    [(connection, url, context)] = gateway.acs.played

    assert (connection, url) == (call.call_connection_id, APOLOGY)
    assert not gateway.acs.hung_up
    gateway.calls.add_event(call.call_id, "PlayStarted", operationContext=context)
    gateway.calls.add_event(call.call_id, "PlayCanceled", operationContext=context)
    gateway.calls.add_event(call.call_id, "PlayCompleted", operationContext="another")
    gateway.calls.add_event(call.call_id, "PlayCompleted", operationContext=context)
    await gateway.until_over()
    gateway.assert_ended(call, Cause.MEDIA_LOST, hung_up=True)
    assert (counted(gateway, "prompts_played"), counted(gateway, "prompts_not_played")) == (1, 0)


async def test_apology_is_played_when_the_transfer_of_the_fallback_has_failed(gateway, agent):
    def busy(_, asked):
        assert not gateway.acs.played
        gateway.calls.add_event(
            call.call_id, "CallTransferFailed", operationContext=asked["operation_context"]
        )

    gateway.acs.on_transfer = busy
    call = await lose_media(gateway, told="PlayCompleted", fallback=COLLEAGUE)
    await gateway.until_over()

    assert (len(gateway.acs.transfers), len(gateway.acs.played)) == (1, 1)
    gateway.assert_ended(call, Cause.MEDIA_LOST, hung_up=True)


@pytest.mark.parametrize(
    ("audio_format", "name"), [(AudioFormat.PCM16K, OWN), (AudioFormat.PCM24K, "apology")]
)
async def test_profile_s_own_is_played_where_acs_can_play_it(gateway, agent, audio_format, name):
    own = Prompts(apology=f"sounds/{OWN}.wav")
    await lose_media(gateway, told="PlayCompleted", audio_format=audio_format, prompts=own)
    await gateway.until_over()

    [(_, url, _)] = gateway.acs.played
    assert url == f"{FUNCTIONS}/mg-genagent-acs/v1/prompts/{name}.wav"


async def test_apology_that_acs_cannot_play_holds_nothing_up(gateway, agent, caplog):
    call = await lose_media(gateway, told="PlayFailed")
    await gateway.until_over()

    gateway.assert_ended(call, Cause.MEDIA_LOST, hung_up=True)
    assert counted(gateway, "prompts_not_played") == 1
    [line] = [each for each in caplog.records if each.getMessage() == "a prompt was not played"]
    assert (line.prompt, line.reason) == ("apology", "PlayFailed")


async def test_acs_that_refuses_to_play_holds_nothing_up(gateway, agent):
    gateway.acs.refuses.add("play_file")
    call = await lose_media(gateway)
    await gateway.until_over()

    gateway.assert_ended(call, Cause.MEDIA_LOST, hung_up=True)
    assert counted(gateway, "prompts_not_played") == 1


async def test_acs_that_is_away_while_it_is_asked_to_play_holds_nothing_up(gateway, agent, monkeypatch):
    async def away(*_, **__):
        raise AcsUnavailable("ACS did not answer")

    monkeypatch.setattr(gateway.acs, "play_file", away)
    call = await lose_media(gateway)
    await gateway.until_over()

    gateway.assert_ended(call, Cause.MEDIA_LOST, hung_up=True)


async def test_apology_of_which_nothing_is_heard_is_not_waited_for_longer_than_allowed(agent):
    timing = replace(QUICK, play_s=0.1)
    async with running_gateway(timing=timing, callback_base_url=FUNCTIONS) as gateway:
        call = await lose_media(gateway)
        await gateway.until_over()

        gateway.assert_ended(call, Cause.MEDIA_LOST, hung_up=True)
        assert counted(gateway, "prompts_not_played") == 1


async def test_caller_who_hangs_up_meanwhile_ends_the_wait(gateway, agent):
    call = await lose_media(gateway)
    await gateway.until(lambda: gateway.acs.played)
    gateway.calls.add_event(call.call_id, "CallDisconnected")
    await gateway.until_over()

    gateway.assert_ended(call, Cause.CALLER_HUNG_UP, hung_up=False)


async def test_call_that_was_over_already_is_not_played_to(gateway, agent):
    call = await gateway.place()
    await gateway.until_streaming(call)
    gateway.acs.gone.add(call.call_connection_id)
    call.socket.drop()
    await gateway.until_over()

    gateway.assert_ended(call, Cause.CALLER_HUNG_UP, hung_up=False)
    assert not gateway.acs.played


async def test_media_that_come_back_meanwhile_say_the_apology(gateway, agent):
    call = await lose_media(gateway)
    await gateway.until(lambda: gateway.acs.played)
    socket = gateway.acs.sockets[call.call_connection_id] = await gateway.open_socket(call)
    socket.send_metadata(24_000)
    await gateway.until(lambda: gateway.row(call).state is CallState.STREAMING)
    gateway.calls.add_event(call.call_id, "PlayCompleted", operationContext=gateway.acs.played[0][2])
    await gateway.until_over(seconds=10)

    assert any(socket.audio)
    assert gateway.row(call).state is CallState.ENDED
    assert gateway.acs.hung_up == [call.call_connection_id]


async def test_nothing_is_played_where_the_functions_app_is_not_known(agent):
    async with running_gateway() as gateway:
        call = await lose_media(gateway)
        await gateway.until_over()

        gateway.assert_ended(call, Cause.MEDIA_LOST, hung_up=True)
        assert not gateway.acs.played
        assert not counted(gateway, "prompts_not_played")
