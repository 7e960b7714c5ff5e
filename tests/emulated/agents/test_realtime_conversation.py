"""A call with a realtime agent: configured by its profile, spoken to, interrupted, and told what was heard."""

import asyncio
import base64
import json

import pytest

from emulator.realtime.replies import Reply
from media_gateway.agents.realtime import messages
from media_gateway.agents.realtime.conversation import GOODBYE
from media_gateway.agents.realtime.messages import append
from shared.core.call_state import CallEvent, CallState, Cause
from shared.core.profiles import AudioFormat, EntraAuth, Recording
from tests.emulated.agents.conftest import KEY_SECRET, agent_on, realtime_call
from tests.support.media import running_gateway
from tests.support.realtime import running_realtime_service

FRAME_24K = b"\1\0" * 480
FRAME_16K = b"\1\0" * 320
SECOND_24K = b"\2\0" * 24_000


def texts(session):
    """What the gateway put into the conversation as texts from the caller."""
    return [
        event["item"]["content"][0]["text"]
        for event in session.received("conversation.item.create")
        if event["item"]["type"] == "message"
    ]


def outputs(session):
    """What the gateway answered to tool calls, by call id."""
    return {
        event["item"]["call_id"]: json.loads(event["item"]["output"])
        for event in session.received("conversation.item.create")
        if event["item"]["type"] == "function_call_output"
    }


@pytest.mark.parametrize("dialect", ["openai", "azure-openai", "voice-live"])
async def test_the_profile_makes_the_session(service, gateway, dialect):
    voice = "en-US-AvaNeural" if dialect == "voice-live" else "marin"
    async with realtime_call(service, gateway, dialect, voice=voice, greeting="Greet the caller.") as (
        _,
        session,
    ):
        create = await session.expect("response.create")

    assert create["response"] == {"instructions": "Greet the caller."}
    settings = session.settings
    assert settings["instructions"] == "You answer calls for a bank."
    assert {"end_call", "set_variables", "send_dtmf"} == {tool["name"] for tool in settings["tools"]}
    if dialect == "voice-live":
        assert settings["voice"] == {"type": "azure-standard", "name": "en-US-AvaNeural"}
        assert settings["input_audio_sampling_rate"] == 16_000
        assert settings["output_audio_format"] == "pcm16_16000hz"
        assert settings["turn_detection"]["type"] == "azure_semantic_vad"
    else:
        assert settings["audio"]["output"]["voice"] == "marin"
        assert settings["audio"]["input"]["format"] == {"type": "audio/pcm", "rate": 24_000}


async def test_a_foundry_agent_is_named_in_the_query(service, gateway):
    query = {"agent-name": "bank", "agent-project-name": "calls", "api-version": "2026-04-10"}
    async with realtime_call(service, gateway, "voice-live", query=query) as (_, session):
        assert dict(session.query) == query


async def test_an_identity_s_token_lets_the_gateway_in(gateway):
    scope = "https://ai.azure.com/.default"
    gateway.outside.entra.tokens[scope] = "entra-token"
    async with (
        running_realtime_service(tokens=frozenset({"entra-token"})) as service,
        realtime_call(service, gateway, "voice-live", auth=EntraAuth(scope)) as (call, _),
    ):
        await gateway.until_streaming(call)


async def test_variables_are_data_and_never_instructions(service, gateway):
    async with realtime_call(service, gateway) as (_, session):
        await session.expect("conversation.item.create")

    (text,) = texts(session)
    facts = json.loads(text[text.index("{") :])
    assert facts["variables"]["order"] == "1234"
    assert facts["variables"]["caller"] == "+14255550100"
    assert "1234" not in session.settings["instructions"]
    (item,) = [event["item"] for event in session.received("conversation.item.create")]
    assert item["role"] == "user"


async def test_audio_flows_both_ways(service, gateway):
    async with realtime_call(service, gateway) as (call, session):
        await session.expect("conversation.item.create")
        for _ in range(50):
            call.socket.send_audio(FRAME_24K)
        await session.until(lambda: session.appended_ms >= 1000)
        session.say(SECOND_24K, "Hello.")
        await call.socket.until_heard(SECOND_24K)


async def test_what_the_caller_says_while_the_agent_connects_is_kept_in_order(gateway):
    frames = [number.to_bytes(2, "little") * 480 for number in range(100)]
    async with running_realtime_service(updated_delay_s=0.3) as service:
        call = await gateway.place(agent_on(service))
        for frame in frames:
            call.socket.send_audio(frame)
        session = await service.session()
        await session.until(lambda: session.appended_ms >= 2000)

    heard = session.core.hearing
    assert heard.appended_ms == 2000


async def test_ten_seconds_that_were_said_before_the_agent_listened_are_not_lost_and_take_no_time(gateway):
    frames = [number.to_bytes(2, "little") * 480 for number in range(500)]
    async with running_realtime_service(updated_delay_s=0.5) as service:
        call = await gateway.place(agent_on(service, greeting="Greet."))
        for frame in frames:
            call.socket.send_audio(frame)
        session = await service.session()
        await session.until(lambda: session.appended_ms >= 10_000)
        await gateway.until_streaming(call)
        call.socket.send_audio(FRAME_24K)
        await session.until(lambda: session.appended_ms >= 10_020)

        assert gateway.row(call).state is CallState.STREAMING


@pytest.mark.parametrize(("said", "of_service"), [(AudioFormat.PCM16K, 24_000)])
async def test_where_the_call_speaks_another_rate_both_ways_are_resampled(service, gateway, said, of_service):
    async with realtime_call(service, gateway, rate=said) as (call, session):
        await session.expect("conversation.item.create")
        for _ in range(50):
            call.socket.send_audio(FRAME_16K)
        await session.until(lambda: session.appended_ms >= 990)
        session.say(SECOND_24K, "Hello.")
        await call.socket.until(lambda: len(call.socket.audio) >= 15_900 * 2)

    assert session.appended_ms <= 1000
    assert len(call.socket.audio) <= 16_000 * 2


async def test_an_interruption_stops_playout_and_tells_what_was_heard(service, gateway):
    async with realtime_call(service, gateway) as (call, session):
        await session.expect("conversation.item.create")
        session.say(SECOND_24K * 20, "A long story.", finished=False)
        await call.socket.until(lambda: len(call.socket.audio) >= len(SECOND_24K))
        session.speech_started()
        await call.socket.until(lambda: call.socket.stops == 1)
        truncate = await session.expect("conversation.item.truncate")

    sent_ms = len(call.socket.audio) * 1000 // len(SECOND_24K)
    assert sent_ms - 350 <= truncate["audio_end_ms"] <= sent_ms
    assert not session.received("response.cancel"), "the service stops by itself"


async def test_an_item_that_is_still_coming_is_not_said_to_have_more_than_it_has(service, gateway):
    async with realtime_call(service, gateway) as (call, session):
        await session.expect("conversation.item.create")
        session.say(SECOND_24K[: 2 * 2400], "One", finished=False)
        await call.socket.until_heard(SECOND_24K[: 2 * 2400])
        await asyncio.sleep(0.15)
        session.speech_started()
        truncate = await session.expect("conversation.item.truncate")

    assert truncate["audio_end_ms"] == 100
    assert not [e for e in session.core.received if e["type"] == "error"]


async def test_an_item_that_was_heard_whole_is_not_truncated(service, gateway):
    async with realtime_call(service, gateway) as (call, session):
        await session.expect("conversation.item.create")
        session.say(SECOND_24K[: 2 * 2400], "One.")
        await call.socket.until_heard(SECOND_24K[: 2 * 2400])
        await asyncio.sleep(0.15)
        session.speech_started()
        session.speech_stopped("Yes?")
        session.say(SECOND_24K, "Two.")
        await call.socket.until(lambda: len(call.socket.audio) > 2 * 2400)

    assert not session.received("conversation.item.truncate")
    assert call.socket.stops == 0, "there was nothing to stop"


async def test_what_comes_late_of_a_dead_response_is_ignored(service, gateway):
    async with realtime_call(service, gateway) as (call, session):
        await session.expect("conversation.item.create")
        session.say(SECOND_24K, "One.")
        await call.socket.until(lambda: len(call.socket.audio) > 0)
        late = json.dumps(
            {
                "type": "response.output_audio.delta",
                "response_id": "resp_dead",
                "item_id": "item_dead",
                "delta": base64.b64encode(b"\7\0" * 480).decode(),
            }
        ).encode()
        session.send({"type": "response.created", "response": {"id": "resp_dead", "status": "in_progress"}})
        session.send({"type": "input_audio_buffer.speech_started", "audio_start_ms": 0, "item_id": "x"})
        await call.socket.until(lambda: call.socket.stops == 1)
        session.send_raw(late)
        session.send({"type": "input_audio_buffer.speech_stopped", "audio_end_ms": 0, "item_id": "x"})
        session.say(b"\5\0" * 480, "Two.")
        await call.socket.until(lambda: b"\5\0" in call.socket.audio)

    assert b"\7\0" not in call.socket.audio


async def test_a_service_that_does_not_stop_by_itself_is_told_to(service, gateway):
    turns = {"type": "server_vad", "interrupt_response": False}
    async with realtime_call(service, gateway, turn_detection=turns) as (call, session):
        await session.expect("conversation.item.create")
        session.say(SECOND_24K * 5, "A long story.", finished=False)
        await call.socket.until(lambda: len(call.socket.audio) > 0)
        session.speech_started()
        await session.expect("response.cancel")
        await session.expect("conversation.item.truncate")


async def test_keys_come_to_the_agent_as_one_text(service, gateway):
    async with realtime_call(service, gateway, digits_pause_ms=200) as (call, session):
        await session.expect("conversation.item.create")
        for spelling in ("1", "two", "asterisk", "A"):
            call.socket.press(spelling)
        for _ in range(15):
            call.socket.send_audio(FRAME_24K)
        await session.expect("response.create")
        call.socket.press("4")
        call.socket.press("pound")
        await session.expect("conversation.item.create", 3)

    assert [text.rpartition(" ")[2] for text in texts(session)[1:]] == ["12*A", "4#"]


async def test_end_call_acts_when_the_goodbye_was_heard(service, gateway):
    async with realtime_call(service, gateway) as (call, session):
        await session.expect("conversation.item.create")
        session.say(SECOND_24K, "Goodbye.", finished=False)
        session.call_tool("end_call", {})
        await call.socket.until_heard(SECOND_24K)
        assert not gateway.acs.hung_up
        await gateway.until_over()

    gateway.assert_ended(call, Cause.AGENT_ENDED, hung_up=True)


async def test_an_agent_that_ends_the_call_without_a_word_is_asked_for_a_goodbye(gateway):
    def goodbye(question):
        return Reply(SECOND_24K[:9600], "Goodbye.") if question.instructions == GOODBYE else Reply()

    async with (
        running_realtime_service(answer=goodbye) as service,
        realtime_call(service, gateway) as (call, session),
    ):
        await session.expect("conversation.item.create")
        session.call_tool("end_call", {})
        await gateway.until_over()

    gateway.assert_ended(call, Cause.AGENT_ENDED, hung_up=True)
    assert bytes(call.socket.audio) == SECOND_24K[:9600]


async def test_a_transfer_is_asked_of_acs_after_the_words_and_the_agent_learns_how_it_went(service, gateway):
    targets = {"sales": "4:+14255550123"}
    async with realtime_call(service, gateway, transfer_targets=targets) as (call, session):
        await session.expect("conversation.item.create")
        session.say(SECOND_24K[:9600], "I put you through.", finished=False)
        tool_call = session.call_tool("transfer_call", {"destination": "sales"})
        await gateway.until(lambda: gateway.acs.transfers)
        assert len(call.socket.audio) == 9600
        ((connection_id, asked),) = gateway.acs.transfers
        gateway.calls.add_event(
            call.call_id,
            "CallTransferFailed",
            operationContext=asked["operation_context"],
            resultInformation={"code": 486, "subCode": 560486},
        )
        await session.expect("response.create")
        await gateway.until(lambda: gateway.row(call).state is CallState.STREAMING)

    assert (connection_id, asked["target"]) == (call.call_connection_id, "4:+14255550123")
    assert "busy" in outputs(session)[tool_call]["error"]
    events = [entry.event for entry in gateway.row(call).history]
    assert events.index(CallEvent.TRANSFER_REQUESTED) < events.index(CallEvent.TRANSFER_FAILED)


async def test_a_destination_that_the_profile_does_not_have_is_refused(service, gateway):
    async with realtime_call(service, gateway, transfer_targets={"sales": "4:+14255550123"}) as (
        call,
        session,
    ):
        await session.expect("conversation.item.create")
        tool_call = session.call_tool("transfer_call", {"destination": "+19005550100"})
        await session.expect("response.create")

    assert outputs(session)[tool_call] == {"error": "destination must be one of: sales"}
    assert CallEvent.TRANSFER_REQUESTED not in [entry.event for entry in gateway.row(call).history]


async def test_variables_leave_with_the_call(service, gateway):
    async with realtime_call(service, gateway) as (call, session):
        await session.expect("conversation.item.create")
        session.call_tool("set_variables", {"variables": {"account": "42", "verified": True}})
        await session.expect("response.create")
        session.say(SECOND_24K[:960], "Done.", finished=False)
        session.call_tool("end_call", {})
        await gateway.until_over()

    assert gateway.row(call).output == {"account": "42", "verified": "true"}


async def test_keys_are_pressed_towards_the_caller(service, gateway):
    async with realtime_call(service, gateway) as (call, session):
        await session.expect("conversation.item.create")
        tool_call = session.call_tool("send_dtmf", {"digits": "12#"})
        await session.expect("response.create")
        await gateway.until(lambda: gateway.acs.pressed)

    assert outputs(session)[tool_call] == {"ok": True}
    assert gateway.acs.pressed == [(call.call_connection_id, "4:+14255550100", "12#")]


async def test_keys_are_pressed_though_the_agent_ends_the_call_right_after(service, gateway):
    async with realtime_call(service, gateway) as (call, session):
        await session.expect("conversation.item.create")
        session.say(SECOND_24K[:960], "I open the door. Goodbye.", finished=False)
        session.call_tool("send_dtmf", {"digits": "9"})
        await session.expect("response.create")
        session.say(SECOND_24K[:960], "Bye.", finished=False)
        session.call_tool("end_call", {})
        await gateway.until_over()

    assert gateway.acs.pressed == [(call.call_connection_id, "4:+14255550100", "9")]


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("no_such_tool", "{}"),
        ("set_variables", "[1]"),
        ("set_variables", "{"),
        ("send_dtmf", '{"digits":"x"}'),
    ],
)
async def test_a_tool_call_that_makes_no_sense_is_answered_with_an_error(service, gateway, name, arguments):
    async with realtime_call(service, gateway) as (_, session):
        await session.expect("conversation.item.create")
        tool_call = session.call_tool(name, arguments)
        await session.expect("response.create")

    assert "error" in outputs(session)[tool_call]


async def test_a_recorded_call_is_transcribed_and_can_be_paused(service, gateway):
    async with realtime_call(service, gateway, profile={"recording": Recording()}) as (_, session):
        await session.expect("conversation.item.create")

    assert session.settings["audio"]["input"]["transcription"] == {"model": "gpt-4o-mini-transcribe"}
    assert {"pause_recording", "resume_recording"} <= {tool["name"] for tool in session.settings["tools"]}


async def test_a_rotated_key_is_read_again(gateway):
    async with running_realtime_service(key="new-key") as service:
        gateway.outside.vault.secrets[KEY_SECRET] = "old-key"
        first = await gateway.place(agent_on(service))
        await gateway.until(lambda: service.counters["refused_401"] >= 1)
        gateway.outside.vault.secrets[KEY_SECRET] = "new-key"
        await service.session(within_s=8)
        await gateway.until_streaming(first)


async def test_frames_are_joined_where_the_operator_says_so(monkeypatch):
    frames = [number.to_bytes(2, "little") * 480 for number in range(9)]
    sent = []
    monkeypatch.setattr(messages, "append", lambda pcm: sent.append(pcm) or append(pcm))
    async with (
        running_realtime_service() as service,
        running_gateway(agent_append_ms=60) as gateway,
        realtime_call(service, gateway, auth=None) as (call, session),
    ):
        await session.expect("conversation.item.create")
        await gateway.until(lambda: gateway.is_listening(call))
        for frame in frames:
            call.socket.send_audio(frame)
        await session.until(lambda: session.appended_ms >= 180)

    assert sent == [b"".join(frames[first : first + 3]) for first in (0, 3, 6)]
