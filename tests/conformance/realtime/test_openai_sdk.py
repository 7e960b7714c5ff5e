"""OpenAI's own SDK against the stand-in, at OpenAI's path and at Azure OpenAI's.

The SDK is the independent check: every event must be read as the class of its type, pass that class's validation, and
have no member that the class does not know; and what the SDK sends must be understood.
"""

import base64
import json
from contextlib import asynccontextmanager
from typing import get_args

import pytest
from openai import AsyncOpenAI
from openai.types.realtime import RealtimeServerEvent
from openai.types.realtime.realtime_session_create_response import RealtimeSessionCreateResponse
from pydantic import BaseModel

from emulator.realtime.replies import Reply, ToolCall
from tests.support.realtime import quiet, running_realtime_service, tone

KEY = "secret"
MODEL = "gpt-realtime"
UNION = get_args(get_args(RealtimeServerEvent)[0])
CLASSES = {get_args(each.model_fields["type"].annotation)[0]: each for each in UNION}
SESSION = {
    "type": "realtime",
    "instructions": "You answer calls for a bank. Keep answers short.",
    "output_modalities": ["audio"],
    "audio": {
        "input": {
            "format": {"type": "audio/pcm", "rate": 24000},
            "noise_reduction": {"type": "near_field"},
            "transcription": {"model": "gpt-4o-mini-transcribe", "language": "en"},
            "turn_detection": {
                "type": "server_vad",
                "threshold": 0.5,
                "prefix_padding_ms": 300,
                "silence_duration_ms": 400,
                "create_response": True,
                "interrupt_response": True,
                "idle_timeout_ms": 8000,
            },
        },
        "output": {"format": {"type": "audio/pcm", "rate": 24000}, "voice": "marin", "speed": 1.0},
    },
    "tools": [
        {
            "type": "function",
            "name": "transfer_call",
            "description": "Send the caller to a person",
            "parameters": {
                "type": "object",
                "properties": {"reason": {"type": "string"}},
                "required": ["reason"],
            },
        }
    ],
    "tool_choice": "auto",
    "max_output_tokens": "inf",
    "truncation": "auto",
}


def client_of(service, dialect, key=KEY):
    if dialect == "openai":
        return AsyncOpenAI(api_key=key, websocket_base_url=f"ws://127.0.0.1:{service.port}/v1")
    base_url = f"http://127.0.0.1:{service.port}/openai/v1"
    return AsyncOpenAI(base_url=base_url, api_key=key, default_headers={"api-key": key})


class Talk:
    """A connection of the SDK; all that comes is checked."""

    def __init__(self, connection):
        self.connection = connection
        self.seen = set()

    async def next(self):
        raw = await self.connection.recv_bytes()
        event = self.connection.parse_event(raw)
        check(event, raw)
        self.seen.add(event.type)
        return event

    async def until(self, kind):
        events = [await self.next()]
        while events[-1].type != kind:
            events.append(await self.next())
        return events

    async def append(self, pcm):
        for start in range(0, len(pcm), 960):
            audio = base64.b64encode(pcm[start : start + 960]).decode()
            await self.connection.input_audio_buffer.append(audio=audio)


def check(event, raw):
    """Fail unless the event is what the SDK takes it for, to the last member."""
    content = json.loads(raw)
    assert type(event) is CLASSES[content["type"]]
    strict = CLASSES[content["type"]].model_validate_json(raw, strict=True)
    if "session" in content:
        # The events' class has the shape of a request; that of a session that exists is this one.
        shown = RealtimeSessionCreateResponse.model_validate_json(json.dumps(content["session"]), strict=True)
        assert unknown_members(shown) == []
    else:
        assert unknown_members(strict) == []


def unknown_members(model, place=""):
    """Names of members that the SDK's classes do not have."""
    found = [f"{place}.{name}" for name in model.model_extra or {}]
    for name in type(model).model_fields:
        value = getattr(model, name)
        for each in value if isinstance(value, list) else [value]:
            if isinstance(each, BaseModel):
                found += unknown_members(each, f"{place}.{name}")
    return found


@pytest.fixture(params=["openai", "azure-openai"])
def dialect(request):
    return request.param


@pytest.fixture
def talking(dialect):
    """Connect to a service of some behaviour: `async with talking("parrot") as (talk, service)`."""

    @asynccontextmanager
    async def started(behaviour="silent", **changes):
        async with (
            running_realtime_service(behaviour, key=KEY, **changes) as service,
            client_of(service, dialect) as client,
            client.realtime.connect(model=MODEL) as connection,
        ):
            talk = Talk(connection)
            await talk.until("session.created")
            yield talk, service

    return started


async def test_a_session_is_configured(talking):
    async with talking() as (talk, service):
        await talk.connection.session.update(session=SESSION)
        updated = await talk.next()
        assert updated.type == "session.updated"
        shown = updated.session.model_dump(exclude_none=True)
        assert shown["audio"] == SESSION["audio"]
        assert {name: shown[name] for name in SESSION} == SESSION
        assert service.sessions[0].updates == [SESSION]


async def test_a_greeting_is_asked_for(talking):
    async with talking("parrot") as (talk, _):
        await talk.connection.response.create(
            response={"instructions": "Greet the caller.", "metadata": {"n": "1"}}
        )
        events = await talk.until("response.done")
        response = events[-1].response
        assert (response.status, response.metadata) == ("completed", {"n": "1"})
        said = b"".join(base64.b64decode(e.delta) for e in events if e.type == "response.output_audio.delta")
        assert len(said) > 0
        assert response.usage.output_tokens > 0


async def test_a_turn_is_heard_and_answered(talking):
    async with talking("parrot", transcripts=("What is my balance?",)) as (talk, _):
        await talk.connection.session.update(session=SESSION)
        await talk.append(quiet(400) + tone(500) + quiet(500))
        events = {event.type: event for event in await talk.until("response.done")}
        assert events["input_audio_buffer.speech_started"].audio_start_ms == 100
        assert events["input_audio_buffer.speech_stopped"].audio_end_ms == 1300
        heard = events["conversation.item.input_audio_transcription.completed"]
        assert heard.transcript == "What is my balance?"


async def test_a_barge_in_cancels_and_is_followed_by_truncation(talking):
    async with talking("parrot", speed=2.0) as (talk, _):
        await talk.connection.response.create()
        await talk.append(quiet(100) + tone(100))
        events = await talk.until("response.done")
        assert "input_audio_buffer.speech_started" in [event.type for event in events]
        assert events[-1].response.status_details.reason == "turn_detected"
        (item,) = events[-1].response.output
        await talk.connection.conversation.item.truncate(item_id=item.id, content_index=0, audio_end_ms=80)
        truncated = (await talk.until("conversation.item.truncated"))[-1]
        assert truncated.audio_end_ms == 80


async def test_what_was_said_before_is_told_again(talking):
    async with talking() as (talk, service):
        items = [
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hello?"}]},
            {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Hi."}]},
        ]
        for item in items:
            await talk.connection.conversation.item.create(item=item)
            shown = (await talk.until("conversation.item.done"))[-1].item
            assert shown.model_dump(include={"role", "content"}, exclude_none=True) == {
                "role": item["role"],
                "content": item["content"],
            }
        assert [item["role"] for item in service.sessions[0].items] == ["user", "assistant"]


async def test_a_function_is_called_and_its_output_taken(talking):
    def answer(question):
        if question.tool_outputs:
            return Reply(tone(100), f"They say {question.tool_outputs[0]}.")
        return Reply(tools=(ToolCall("transfer_call", '{"reason":"sales"}'),))

    async with talking(answer=answer) as (talk, _):
        await talk.connection.response.create()
        events = await talk.until("response.done")
        call = next(event for event in events if event.type == "response.function_call_arguments.done")
        assert (call.name, call.arguments) == ("transfer_call", '{"reason":"sales"}')
        assert events[-1].response.output[0].call_id == call.call_id
        item = {"type": "function_call_output", "call_id": call.call_id, "output": "yes"}
        await talk.connection.conversation.item.create(item=item)
        await talk.connection.response.create()
        transcript = (await talk.until("response.output_audio_transcript.done"))[-1]
        assert transcript.transcript == "They say yes."


async def test_errors_are_read_and_name_the_clients_event(talking):
    async with talking() as (talk, _):
        await talk.connection.response.cancel(event_id="mine")
        error = (await talk.next()).error
        assert (error.code, error.event_id) == ("response_cancel_not_active", "mine")
        await talk.connection.session.update(session={"type": "realtime", "modalities": ["audio"]})
        error = (await talk.next()).error
        assert (error.code, error.param) == ("unknown_parameter", "session.modalities")


async def test_a_wrong_key_is_refused(dialect):
    async with running_realtime_service(key=KEY) as service, client_of(service, dialect, "wrong") as client:
        with pytest.raises(Exception, match="401"):
            async with client.realtime.connect(model=MODEL):
                pass


async def test_all_that_the_sdk_sends_is_understood_and_all_that_comes_is_known(talking):
    """Every method of the SDK's connection that a phone call can need, and every type of event that there is."""
    async with talking("parrot", speed=2.0) as (talk, service):
        connection = talk.connection
        await connection.session.update(session=SESSION)
        await connection.input_audio_buffer.append(audio=base64.b64encode(quiet(200)).decode())
        await connection.input_audio_buffer.commit()
        await connection.input_audio_buffer.append(audio=base64.b64encode(quiet(200)).decode())
        await connection.input_audio_buffer.clear()
        item = {
            "type": "message",
            "role": "user",
            "content": [{"type": "input_text", "text": "1"}],
            "id": "typed",
        }
        await connection.conversation.item.create(item=item, previous_item_id="root")
        await connection.conversation.item.retrieve(item_id="typed")
        await connection.conversation.item.delete(item_id="typed")
        await connection.response.create()
        await connection.response.cancel()
        await talk.until("rate_limits.updated")
        session = service.sessions[0]
        session.speech_started()
        session.speech_stopped("Good morning.")
        call_id = session.call_tool("transfer_call")
        said = next(
            e for e in await talk.until("rate_limits.updated") if e.type == "response.output_item.done"
        )
        assert said.item.call_id == call_id
        await connection.response.create()
        await talk.append(quiet(400))
        done = (await talk.until("response.done"))[-1]
        item_id = done.response.output[0].id
        await connection.conversation.item.truncate(item_id=item_id, content_index=0, audio_end_ms=1)
        await talk.until("conversation.item.truncated")
        assert "error" not in talk.seen
        session.error("server_error")
        await talk.until("error")
        assert talk.seen == {
            "session.created",
            "session.updated",
            "error",
            "input_audio_buffer.committed",
            "input_audio_buffer.cleared",
            "input_audio_buffer.speech_started",
            "input_audio_buffer.speech_stopped",
            "conversation.item.added",
            "conversation.item.done",
            "conversation.item.retrieved",
            "conversation.item.deleted",
            "conversation.item.truncated",
            "conversation.item.input_audio_transcription.completed",
            "response.created",
            "response.done",
            "response.output_item.added",
            "response.output_item.done",
            "response.content_part.added",
            "response.content_part.done",
            "response.output_audio.delta",
            "response.output_audio.done",
            "response.output_audio_transcript.delta",
            "response.output_audio_transcript.done",
            "response.function_call_arguments.delta",
            "response.function_call_arguments.done",
            "rate_limits.updated",
        }


async def test_a_failed_response_is_read(talking):
    async with talking(troubles=["rate-limit"]) as (talk, _):
        await talk.connection.response.create()
        done = (await talk.until("response.done"))[-1]
        assert done.response.status_details.error.code == "rate_limit_exceeded"


async def test_a_close_is_told_with_its_code(talking):
    async with talking() as (talk, service):
        service.sessions[0].close(4001, "enough")
        with pytest.raises(Exception, match="4001"):
            await talk.next()


async def test_the_echo_is_read_like_any_other_audio(talking):
    async with talking("echo") as (talk, _):
        await talk.append(tone(100))
        events = await talk.until("response.output_audio.delta")
        assert base64.b64decode(events[-1].delta) == tone(20)
