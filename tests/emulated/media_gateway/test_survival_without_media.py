"""A media socket that is lost: ACS brings it back, or is asked to, and the same agent goes on."""

import asyncio
import time
from dataclasses import replace

import jwt
import pytest

from media_gateway.agents.contract import AgentFailed
from shared.core.call_state import CallEvent, CallState, Cause
from shared.core.profiles import PromptKind
from tests.support.media import KEY, QUICK, MemoryOutside, prompt, running_gateway
from tests.support.media_survival import COLLEAGUE, counted, events, reopen, spoken, talking

APOLOGY = prompt(PromptKind.APOLOGY)
PATIENT = replace(QUICK, media_restart_s=5, interruption_grace_s=5)
"""ACS opens the socket by itself, or nobody does."""


@pytest.fixture
async def gateway():
    async with running_gateway(timing=PATIENT) as gateway:
        yield gateway


async def lose(gateway, call):
    """Lose the socket of a call that streams."""
    call.socket.drop()
    await gateway.until(lambda: gateway.row(call).state is CallState.INTERRUPTED)


def told(gateway, call, **data):
    gateway.calls.add_event(call.call_id, "MediaStreamingFailed", operationContext=call.call_id, **data)
    gateway.core.calls.look()


def expired(call):
    """The call's token, long after its time."""
    claims = jwt.decode(call.token, options={"verify_signature": False})
    claims |= {"iat": claims["iat"] - 600, "exp": claims["exp"] - 600}
    return jwt.encode(claims, KEY.key, algorithm="HS256", headers={"kid": KEY.kid})


@pytest.mark.parametrize("is_expired", [False, True])
async def test_socket_that_comes_again_goes_on_with_the_same_agent(gateway, agents, is_expired):
    call = await talking(gateway)
    call.socket.send_audio(spoken(1))
    await gateway.until(lambda: agents.latest.audio)
    await lose(gateway, call)
    await reopen(gateway, call, token=expired(call) if is_expired else None)
    await gateway.until(lambda: gateway.row(call).state is CallState.STREAMING)
    call.socket.send_audio(spoken(2))
    await gateway.until(lambda: bytes(agents.latest.audio) == spoken(1) + spoken(2))
    agents.latest.sink.audio("answer", spoken(7))
    await call.socket.until_heard(spoken(7))

    assert len(agents.made) == 1
    assert not agents.latest.closed_for
    assert gateway.row(call).epoch == 1
    assert not gateway.acs.media_starts
    assert counted(gateway, "media_lost") == 1


async def test_what_was_queued_when_the_socket_was_lost_plays_on(gateway, agents):
    call = await talking(gateway)
    words = b"".join(spoken(value) for value in range(1, 51))
    agents.latest.sink.audio("story", words)
    await call.socket.until(lambda: len(call.socket.audio) > 0)
    before = call.socket
    await lose(gateway, call)
    agents.latest.sink.audio("more", spoken(60))
    await reopen(gateway, call)
    await call.socket.until(lambda: call.socket.audio.endswith(spoken(60)))

    heard = bytes(before.audio + call.socket.audio)
    assert heard == words + spoken(60)


async def test_what_is_said_on_the_new_socket_before_it_is_known_is_heard_too(gateway, agents):
    call = await talking(gateway)
    await lose(gateway, call)
    call.socket = await gateway.open_socket(call)
    call.socket.send_audio(spoken(3))
    call.socket.press("9")
    call.socket.send_metadata(24_000)
    await gateway.until(lambda: agents.latest.digits == ["9"])

    assert bytes(agents.latest.audio) == spoken(3)


async def test_socket_closed_in_order_may_come_again_before_its_loss_is_written_down(agents):
    async with running_gateway(timing=replace(PATIENT, disconnect_wait_s=5)) as gateway:
        call = await talking(gateway)
        call.socket.close()
        await call.socket.until_closed()
        assert gateway.row(call).state is CallState.STREAMING
        await reopen(gateway, call)
        call.socket.send_audio(spoken(2))
        await gateway.until(lambda: bytes(agents.latest.audio) == spoken(2))

        assert CallEvent.MEDIA_LOST not in events(gateway, call)


async def test_replay_from_elsewhere_is_refused_while_the_call_streams(gateway, agents):
    call = await talking(gateway)
    for token in (call.token, expired(call)):
        thief = await gateway.open_socket(call, token=token)
        await thief.until_closed()
        assert thief.close_code == 1008

    call.socket.send_audio(spoken(2))
    await gateway.until(lambda: bytes(agents.latest.audio) == spoken(2))


async def test_replay_with_another_connection_is_refused_though_media_are_lost(gateway, agents):
    call = await talking(gateway)
    await lose(gateway, call)
    thief = await gateway.open_socket(call, headers={"x-ms-call-connection-id": "another"})
    await thief.until_closed()

    assert thief.close_reason == "wrong_connection"
    await reopen(gateway, call)
    await gateway.until(lambda: gateway.row(call).state is CallState.STREAMING)


async def test_socket_that_acs_vouches_for_replaces_one_that_is_not_known_to_be_dead(
    gateway, agents, monkeypatch
):
    call = await talking(gateway)
    before = call.socket
    vouched_for(monkeypatch, gateway)
    await reopen(gateway, call)
    await before.until_closed()
    call.socket.send_audio(spoken(4))
    await gateway.until(lambda: bytes(agents.latest.audio) == spoken(4))

    assert (before.close_code, before.close_reason) == (1008, "replaced")
    assert len(agents.made) == 1
    agents.latest.sink.audio("answer", spoken(7))
    await call.socket.until_heard(spoken(7))
    assert not before.audio
    assert CallEvent.MEDIA_LOST not in events(gateway, call)


def vouched_for(monkeypatch, gateway):
    """Let every socket from now on come with ACS's own token, as far as the gateway can tell."""
    new = gateway.core.calls.new

    def admit(admitted):
        return new(replace(admitted, claim=replace(admitted.claim, is_acs_verified=True)))

    monkeypatch.setattr(gateway.core.calls, "new", admit)


async def test_socket_that_is_closed_again_before_it_is_known_is_no_media(agents):
    async with running_gateway() as gateway:
        call = await talking(gateway)
        await lose(gateway, call)
        gateway.acs.refuses.add("start_media")
        arrival = gateway.core.calls.new(gateway.core.calls._live[call.call_id]._first.admitted)
        arrival.socket.closed.set()
        gateway.core.calls.arrived(arrival)
        await gateway.until_over()

        gateway.assert_ended(call, Cause.MEDIA_LOST, hung_up=True)


async def test_full_pod_lets_the_media_of_its_own_calls_come_back(agents):
    async with running_gateway(timing=PATIENT, max_calls=1) as gateway:
        call = await talking(gateway)
        assert (await gateway.refusal(gateway.answer()))[0] == 503
        await lose(gateway, call)
        await reopen(gateway, call)
        await gateway.until(lambda: gateway.row(call).state is CallState.STREAMING)


async def test_media_that_were_lost_before_their_format_was_told_come_back(agents):
    async with running_gateway(timing=replace(PATIENT, metadata_s=0.1)) as gateway:
        call = gateway.answer()
        call.socket = await gateway.open_socket(call)
        await gateway.until(lambda: gateway.row(call).media_jti_used)
        await lose(gateway, call)
        await asyncio.sleep(0.15)
        await reopen(gateway, call)
        await gateway.until(lambda: gateway.is_listening(call))


async def test_media_that_do_not_come_back_are_asked_for_once(agents):
    async with running_gateway() as gateway:
        opening = []
        call = await talking(gateway)
        gateway.acs.on_start_media = lambda _: opening.append(asyncio.create_task(reopen(gateway, call)))
        await lose(gateway, call)
        await gateway.until(lambda: gateway.row(call).state is CallState.STREAMING)
        await asyncio.gather(*opening)
        call.socket.send_audio(spoken(2))
        await gateway.until(lambda: bytes(agents.latest.audio) == spoken(2))

        assert gateway.acs.media_starts == [call.call_connection_id]
        assert counted(gateway, "media_restarted") == 1


async def test_call_whose_media_stay_away_is_sent_on(agents):
    async with running_gateway() as gateway:
        gateway.acs.on_transfer = lambda *_: gateway.calls.add_event(call.call_id, "CallTransferAccepted")
        call = await talking(gateway, fallback=COLLEAGUE)
        await lose(gateway, call)
        await gateway.until_over()

        assert gateway.acs.media_starts == [call.call_connection_id]
        assert [asked["target"] for _, asked in gateway.acs.transfers] == [COLLEAGUE.transfer]
        assert gateway.row(call).state is CallState.ENDED
        assert not gateway.acs.hung_up
        assert agents.latest.closed_for


async def test_media_that_acs_says_it_cannot_bring_back_are_asked_for_at_once(gateway, agents):
    call = await talking(gateway)
    await lose(gateway, call)
    told(gateway, call, resultInformation={"code": 500, "subCode": 8603})
    await gateway.until(lambda: gateway.acs.media_starts)

    assert CallEvent.MEDIA_STREAMING_FAILED in events(gateway, call)
    assert gateway.row(call).state is CallState.INTERRUPTED


async def test_start_that_fails_is_not_waited_for(gateway, agents):
    call = await talking(gateway)
    began = time.monotonic()
    await lose(gateway, call)
    told(gateway, call)
    await gateway.until(lambda: gateway.acs.media_starts)
    told(gateway, call)  # of the media before: late, and no news
    gateway.calls.add_event(
        call.call_id, "MediaStreamingFailed", operationContext=gateway.acs.media_contexts[0]
    )
    await gateway.until_over()

    gateway.assert_ended(call, Cause.MEDIA_LOST, hung_up=True)
    assert len(gateway.acs.media_starts) == 1
    assert time.monotonic() - began < PATIENT.interruption_grace_s


async def test_failure_of_the_media_before_does_not_give_up_those_that_were_asked_for(gateway, agents):
    call = await talking(gateway)
    await lose(gateway, call)
    told(gateway, call)
    await gateway.until(lambda: gateway.acs.media_starts)
    told(gateway, call)
    await asyncio.sleep(0.05)
    await reopen(gateway, call)
    await gateway.until(lambda: gateway.row(call).state is CallState.STREAMING)
    told(gateway, call)
    await asyncio.sleep(0.05)

    assert gateway.row(call).state is CallState.STREAMING
    assert not call.socket.closed.is_set()


async def test_acs_that_was_trying_by_itself_and_gives_up_is_asked_again(agents):
    async with running_gateway(timing=replace(QUICK, interruption_grace_s=5)) as gateway:
        call = await talking(gateway)
        gateway.acs.refuses.add("start_media")
        asked = gateway.acs.start_media
        tries = []

        async def start(connection_id, **named):
            tries.append(connection_id)
            await asked(connection_id, **named)

        gateway.acs.start_media = start
        await lose(gateway, call)
        await gateway.until(lambda: tries)
        await asyncio.sleep(0.05)
        gateway.acs.refuses.clear()
        told(gateway, call)
        await gateway.until(lambda: gateway.acs.media_starts)

        assert len(tries) == 2


async def test_media_that_acs_says_have_failed_are_given_up_though_their_socket_looks_alive(gateway, agents):
    call = await talking(gateway)
    told(gateway, call)
    await call.socket.until_closed()
    await gateway.until(lambda: gateway.acs.media_starts)
    await reopen(gateway, call)
    await gateway.until(lambda: gateway.row(call).state is CallState.STREAMING)

    assert len(agents.made) == 1


async def test_what_acs_said_of_media_before_this_socket_is_no_news():
    outside = MemoryOutside()
    async with running_gateway(timing=PATIENT, outside=outside) as gateway:
        call = gateway.answer()
        outside.calls.add_event(call.call_id, "MediaStreamingFailed", operationContext=call.call_id)
        call.socket = await gateway.open_socket(call)
        call.socket.send_metadata(24_000)
        await gateway.until_streaming(call)
        await asyncio.sleep(0.05)

        assert not call.socket.closed.is_set()


async def test_what_acs_said_of_this_socket_counts_however_late_the_call_is_ours(agents):
    async with running_gateway(timing=PATIENT) as gateway:
        gateway.calls.gate.clear()
        call = await gateway.place()
        await gateway.until(lambda: len(gateway.core.calls))
        call.socket.drop()
        gateway.calls.add_event(call.call_id, "MediaStreamingFailed", operationContext=call.call_id)
        await asyncio.sleep(0.02)
        gateway.calls.gate.set()
        await gateway.until(lambda: gateway.acs.media_starts)

        assert CallEvent.MEDIA_STREAMING_FAILED in events(gateway, call)


async def test_acs_that_knows_the_call_no_more_ends_the_wait(agents):
    async with running_gateway(timing=replace(QUICK, interruption_grace_s=5)) as gateway:
        call = await talking(gateway)
        gateway.acs.gone.add(call.call_connection_id)
        await lose(gateway, call)
        await gateway.until_over(seconds=2)

        gateway.assert_ended(call, Cause.CALLER_HUNG_UP, hung_up=False)


async def test_agent_that_is_lost_while_media_are_away_is_followed_when_they_are_back(gateway, agents):
    call = await talking(gateway)
    await lose(gateway, call)
    agents.latest.sink.failed(AgentFailed("connection_lost"))
    await gateway.until(lambda: len(agents.made) == 2 and gateway.is_listening(call))
    agents.latest.sink.audio("back", spoken(7))
    await reopen(gateway, call)
    await call.socket.until_heard(spoken(7))
    call.socket.send_audio(spoken(2))
    await gateway.until(lambda: bytes(agents.latest.audio) == spoken(2))


async def test_apology_is_heard_by_a_caller_whose_media_come_back_in_time(agents):
    async with running_gateway(timing=replace(PATIENT, goodbye_s=5)) as gateway:
        call = await talking(gateway, fallback=COLLEAGUE)
        agents.latest.sink.failed(AgentFailed("quota"))
        await gateway.until(lambda: gateway.acs.transfers)
        call.socket.drop()
        await call.socket.until_closed()
        await gateway.until(lambda: CallEvent.MEDIA_LOST in events(gateway, call))
        await reopen(gateway, call)
        await gateway.until(lambda: events(gateway, call)[-1] is CallEvent.MEDIA_STARTED)
        [(_, asked)] = gateway.acs.transfers
        gateway.calls.add_event(
            call.call_id, "CallTransferFailed", operationContext=asked["operation_context"]
        )
        await gateway.until_over()

        assert call.socket.audio.endswith(APOLOGY)
        gateway.assert_ended(call, Cause.AGENT_FAILED, hung_up=True)
