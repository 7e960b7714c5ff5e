"""A realtime service that fails, refuses or talks nonsense: what the caller gets, and that only this call does."""

import asyncio
import json
from dataclasses import replace

import pytest

from emulator.realtime.settings import Behaviour, Trouble
from media_gateway.agents.realtime import adapter, connection, conversation
from media_gateway.agents.realtime.event_codec import decode
from shared.core.call_state import CallState, Cause
from shared.core.profiles import EntraAuth, PromptKind
from tests.emulated.agents.conftest import KEY, KEY_SECRET, agent_on, realtime_call
from tests.support.media import QUICK, MemoryOutside, prompt, running_gateway
from tests.support.realtime import running_realtime_service

FRAME = b"\1\0" * 480
SECOND = b"\2\0" * 24_000


@pytest.fixture
async def gateway(monkeypatch):
    monkeypatch.setattr(connection, "TRIES_AGAIN", (0.01, 0.02))
    outside = MemoryOutside()
    outside.vault.secrets[KEY_SECRET] = KEY
    async with running_gateway(timing=replace(QUICK, agent_open_s=2.0), outside=outside) as running:
        yield running


async def assert_fails(gateway, call, detail, caplog):
    """The call ends because its agent failed, for this reason; the caller is not left in it."""
    await gateway.until_over(seconds=10)
    gateway.assert_ended(call, Cause.AGENT_FAILED, hung_up=True)
    ends = [record for record in caplog.records if record.getMessage() == "call ended"]
    assert [line.detail for line in ends if line.call_id == call.call_id] == [detail]


async def assert_followed_once(gateway, service, call, fail, detail, caplog):
    """Whoever fails so is followed by another agent; where that one does too, the caller hears an apology."""
    for number in range(2):
        session = await service.session(number)
        await session.expect("conversation.item.create")
        await gateway.until(lambda: gateway.is_listening(call))
        await fail(session)
    await assert_fails(gateway, call, detail, caplog)
    assert [r.reason for r in caplog.records if r.getMessage() == "an agent is connected anew"] == [detail]
    assert len(service.sessions) == 2
    assert call.socket.audio.endswith(prompt(PromptKind.APOLOGY))


async def talk_until(condition, call, frame):
    """Let audio time pass as fast as it may, until `condition()` holds; return how many frames that took."""
    frames = 0
    async with asyncio.timeout(30):
        while not condition():
            if not call.socket.closed.is_set():
                call.socket.send_audio(frame)
                frames += 1
            await asyncio.sleep(0)
    return frames


@pytest.fixture(autouse=True)
def logged(caplog):
    caplog.set_level("INFO")


async def test_a_wrong_key_is_no_agent(gateway, caplog):
    async with running_realtime_service(key="another") as service:
        call = await gateway.place(agent_on(service))
        await assert_fails(gateway, call, "unauthorized", caplog)


async def test_a_secret_that_is_not_there_is_no_agent(gateway, caplog):
    gateway.outside.vault.secrets.clear()
    async with running_realtime_service(key=KEY) as service:
        call = await gateway.place(agent_on(service))
        await assert_fails(gateway, call, "no_credential", caplog)


async def test_an_identity_without_the_role_is_no_agent(gateway, caplog):
    async with running_realtime_service(key=KEY) as service:
        auth = EntraAuth("https://ai.azure.com/.default")
        call = await gateway.place(agent_on(service, "azure-openai", auth=auth))
        await assert_fails(gateway, call, "no_credential", caplog)


async def test_a_quota_of_connections_is_an_outcome_of_its_own(gateway, caplog):
    async with running_realtime_service(connections_per_minute=1) as service:
        async with realtime_call(service, gateway) as (first, _):
            await gateway.until_streaming(first)
        call = await gateway.place(agent_on(service))
        await assert_fails_while_another_lives(gateway, call, first, caplog)
    assert gateway.core.pod.counters["agent_connections_quota"] == 1


async def assert_fails_while_another_lives(gateway, call, other, caplog):
    # The row tells the end before the log does.
    await gateway.until(lambda: any(r.getMessage() == "call ended" for r in caplog.records))
    assert gateway.row(call).state is CallState.ENDED
    (line,) = [r for r in caplog.records if r.getMessage() == "call ended"]
    assert (line.call_id, line.detail) == (call.call_id, "quota")
    assert gateway.row(other).state is CallState.STREAMING


async def test_a_service_that_is_not_there_is_tried_again_and_then_no_agent(gateway, caplog):
    async with running_realtime_service() as service:
        agent = agent_on(service)
    call = await gateway.place(agent)
    await assert_fails(gateway, call, "unreachable", caplog)
    assert gateway.core.pod.counters["agent_connections_unreachable"] == 3


async def test_a_service_that_accepts_and_never_speaks_is_given_up_when_the_time_to_open_is_over(
    gateway, caplog
):
    async with running_realtime_service(troubles=frozenset({Trouble.DEAF})) as service:
        call = await gateway.place(agent_on(service))
        await assert_fails(gateway, call, "TimeoutError", caplog)


async def test_a_session_that_is_refused_is_no_agent(gateway, caplog):
    async with running_realtime_service() as service:
        call = await gateway.place(agent_on(service, session={"no_such_member": 1}))
        await assert_fails(gateway, call, "session_refused", caplog)


async def test_a_service_at_the_wrong_rate_is_no_agent(gateway, caplog):
    async with running_realtime_service(troubles=frozenset({Trouble.WRONG_RATE})) as service:
        call = await gateway.place(agent_on(service))
        await assert_fails(gateway, call, "wrong_format", caplog)


async def test_a_connection_that_is_lost_in_the_middle_of_a_word_costs_the_agent(gateway, caplog):
    async def fail(session):
        heard = len(call.socket.audio)
        session.say(SECOND * 10, "A long story.", finished=False)
        await call.socket.until(lambda: len(call.socket.audio) > heard)
        session.drop()

    async with running_realtime_service() as service, realtime_call(service, gateway) as (call, _):
        await assert_followed_once(gateway, service, call, fail, "connection_lost", caplog)


async def test_a_session_that_has_lasted_too_long_is_an_outcome_of_its_own(gateway, caplog):
    async with (
        running_realtime_service(session_s=0.3) as service,
        realtime_call(service, gateway) as (call, _),
    ):
        await assert_fails(gateway, call, "session_expired", caplog)


async def test_an_oversized_message_costs_the_agent(gateway, caplog):
    async def fail(session):
        session.send_raw(b'{"type":"' + b"x" * connection.AGENT_SOCKET.message + b'"}')

    async with running_realtime_service() as service, realtime_call(service, gateway) as (call, _):
        await assert_followed_once(gateway, service, call, fail, "agent_too_large", caplog)


@pytest.mark.parametrize(
    "message",
    [b"", b"no json", b"[]", b"{}", b'{"type":1}', b'{"type":"response.output_audio.delta","delta":"@"}', b"\xff",
     b'{"type":"response.output_audio.delta","delta":"AAAA"}', b'{"type":"error","error":7}', b'{"a":' * 5000],
)  # fmt: skip
async def test_nonsense_is_skipped_and_the_call_goes_on(gateway, message):
    async with running_realtime_service() as service, realtime_call(service, gateway) as (call, session):
        await session.expect("conversation.item.create")
        session.send_raw(message)
        session.say(SECOND, "Hello.")
        await call.socket.until_heard(SECOND)
    assert gateway.core.pod.counters["agent_bad_messages"] == 1


async def test_a_service_that_talks_nothing_but_nonsense_costs_the_agent(gateway, caplog):
    async def fail(session):
        for _ in range(adapter.MAX_BAD_MESSAGES):
            session.send_raw(b"nonsense")

    async with running_realtime_service() as service, realtime_call(service, gateway) as (call, _):
        await assert_followed_once(gateway, service, call, fail, "bad_messages", caplog)


async def test_unknown_events_are_counted_and_change_nothing(gateway):
    async with running_realtime_service() as service, realtime_call(service, gateway) as (call, session):
        await session.expect("conversation.item.create")
        session.send({"type": "response.telepathy.delta", "delta": {"thought": 1}, "session": 5})
        session.send({"type": "response.telepathy.done", "response_id": "r"})
        session.say(SECOND, "Hello.")
        await call.socket.until_heard(SECOND)
    assert gateway.core.pod.counters["agent_unknown_events"] >= 1


async def test_members_that_are_null_or_odd_in_events_of_no_meaning_cost_nothing(gateway):
    async with running_realtime_service() as service, realtime_call(service, gateway) as (call, session):
        await session.expect("conversation.item.create")
        for _ in range(adapter.MAX_BAD_MESSAGES + 1):
            session.send(
                {"type": "response.animation_blendshapes.delta", "delta": {"frames": []}, "item_id": None}
            )
        session.send(
            {"type": "response.created", "response": {"id": "resp_1", "output": None, "status": None}}
        )
        session.send({"type": "response.done", "response": {"id": "resp_1", "output": None, "usage": None}})
        session.say(SECOND, "Hello.")
        await call.socket.until_heard(SECOND)
    assert gateway.core.pod.counters["agent_bad_messages"] == 0


async def test_an_error_of_our_own_in_what_a_service_sends_ends_this_call_with_its_name(
    gateway, caplog, monkeypatch
):
    def broken(_message):
        raise ZeroDivisionError

    async with running_realtime_service() as service, realtime_call(service, gateway) as (call, session):
        await session.expect("conversation.item.create")
        monkeypatch.setattr(adapter, "decode", broken)
        session.send({"type": "rate_limits.updated"})
        await assert_fails(gateway, call, "ZeroDivisionError", caplog)


async def test_audio_for_minutes_at_once_is_bounded(gateway):
    async with running_realtime_service() as service, realtime_call(service, gateway) as (call, session):
        await session.expect("conversation.item.create")
        session.say(SECOND * 180, "An endless story.")
        await call.socket.until(lambda: len(call.socket.audio) > len(SECOND))
        (live,) = gateway.core.calls._live.values()
        counts = live._parts.speaker.counts()
        session.speech_started()
        await call.socket.until(lambda: call.socket.stops == 1)

    assert counts["overflowed_items"] == 1
    assert 59 * 24_000 <= counts["overflow_samples"] + counts["late_samples"] <= 61 * 24_000
    (truncate,) = session.received("conversation.item.truncate")
    assert truncate["audio_end_ms"] < 3000


async def test_a_response_in_which_nothing_happens_is_given_up(gateway, caplog):
    async def fail(session):
        heard = len(call.socket.audio)
        session.say(SECOND[:960], "One", finished=False)
        await call.socket.until(lambda: len(call.socket.audio) > heard)
        for _ in range(conversation.SILENT_MS // 20 + 10):
            call.socket.send_audio(FRAME)

    async with running_realtime_service() as service, realtime_call(service, gateway) as (call, _):
        await assert_followed_once(gateway, service, call, fail, "agent_silent", caplog)


async def test_a_reply_that_does_not_come_by_itself_is_asked_for(gateway):
    async with running_realtime_service() as service, realtime_call(service, gateway) as (call, session):
        await session.expect("conversation.item.create")
        session.speech_started()
        session.speech_stopped("Hm.")
        frames = await talk_until(lambda: session.received("response.create"), call, FRAME)
        assert frames >= conversation.SILENT_MS // 20
        assert gateway.row(call).state is CallState.STREAMING


async def test_responses_that_fail_in_a_row_are_an_outcome_of_their_own(gateway, caplog):
    troubles = frozenset({Trouble.RATE_LIMIT})
    async with (
        running_realtime_service(troubles=troubles) as service,
        realtime_call(service, gateway, greeting="Greet the caller.") as (call, session),
    ):
        await talk_until(lambda: gateway.row(call).state is CallState.ENDED, call, FRAME)
        await assert_fails(gateway, call, "rate_limited", caplog)
    assert len(session.received("response.create")) == conversation.MAX_FAILED_RESPONSES


async def test_a_used_up_quota_is_an_outcome_of_its_own(gateway, caplog):
    async with running_realtime_service() as service, realtime_call(service, gateway) as (call, session):
        await session.expect("conversation.item.create")
        session.error("insufficient_quota")
        await assert_fails(gateway, call, "quota", caplog)


async def test_a_service_that_does_not_read_costs_bounded_memory_and_then_the_agent(gateway, caplog):
    async def fail(session):
        transport = session._transport.underlying_transport
        transport.pause_reading()
        await talk_until(lambda: not gateway.is_listening(call), call, FRAME * 10)
        transport.resume_reading()

    async with running_realtime_service() as service, realtime_call(service, gateway) as (call, _):
        await assert_followed_once(gateway, service, call, fail, "agent_does_not_read", caplog)
    assert gateway.core.pod.counters["agent_frames_dropped"] > 0


async def test_a_parrot_in_trouble_leaves_other_calls_alone(gateway):
    troubles = frozenset({Trouble.MALFORMED, Trouble.UNKNOWN_EVENTS})
    async with (
        running_realtime_service(Behaviour.PARROT, troubles=troubles) as service,
        realtime_call(service, gateway, greeting="Greet.") as (call, _),
    ):
        await call.socket.until(lambda: len(call.socket.audio) > 0)
    assert gateway.core.pod.counters["agent_bad_messages"] >= 1


def test_what_a_service_says_of_an_error_reaches_no_log():
    error = {"code": "the caller said 4111", "message": "4111"}
    event = decode(json.dumps({"type": "error", "error": error}).encode())

    assert conversation._plain(event.error.code) == "other"
    assert "4111" not in repr(event).replace(event.error.code, "")
