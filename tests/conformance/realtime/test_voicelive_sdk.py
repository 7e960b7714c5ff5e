"""Azure's Voice Live SDK against the stand-in.

The SDK is the independent check: every event must be read as the class of its type, have all members that the class
requires, and none that it does not know; and what the SDK sends must be understood.
"""

import base64
import json
from collections import ChainMap
from contextlib import asynccontextmanager
from typing import get_args

import pytest
from azure.ai.voicelive.aio import ConnectionClosed, connect
from azure.ai.voicelive.models import (
    AssistantMessageItem,
    AudioInputTranscriptionOptions,
    AudioNoiseReduction,
    AzureSemanticVad,
    AzureStandardVoice,
    ClientEventConversationItemCreate,
    FunctionCallOutputItem,
    FunctionTool,
    InputTextContentPart,
    OutputTextContentPart,
    RequestAudioContentPart,
    RequestSession,
    ServerEvent,
    SystemMessageItem,
    UserMessageItem,
)
from azure.core.credentials import AccessToken, AzureKeyCredential

from emulator.realtime.replies import Reply, ToolCall
from tests.support.realtime import quiet, running_realtime_service, tone

KEY = "secret"
SESSION = RequestSession(
    modalities=["text", "audio"],
    instructions="You answer calls for a bank.",
    voice=AzureStandardVoice(name="en-US-AvaNeural", rate="1.0"),
    input_audio_format="pcm16",
    input_audio_sampling_rate=16000,
    output_audio_format="pcm16_16000hz",
    turn_detection=AzureSemanticVad(
        threshold=0.5,
        prefix_padding_ms=300,
        silence_duration_ms=400,
        speech_duration_ms=80,
        auto_truncate=True,
    ),
    input_audio_noise_reduction=AudioNoiseReduction(type="azure_deep_noise_suppression"),
    input_audio_transcription=AudioInputTranscriptionOptions(model="azure-speech", language="en-US"),
    tools=[
        FunctionTool(
            name="transfer_call",
            description="Send the caller to a person",
            parameters={"type": "object", "properties": {"reason": {"type": "string"}}},
        )
    ],
    tool_choice="auto",
    metadata={"call": "one"},
)


class Talk:
    """A connection of the SDK; all that comes is checked."""

    def __init__(self, connection):
        self.connection = connection
        self.seen = set()

    async def next(self):
        raw = json.loads(await self.connection.recv_bytes())
        event = ServerEvent._deserialize(raw, [])
        assert event.type == raw["type"]
        assert type(event) is not ServerEvent, f"the SDK does not know {event.type}"
        assert faults_of(event) == []
        self.seen.add(raw["type"])
        return event

    async def until(self, kind):
        events = [await self.next()]
        while events[-1].type != kind:
            events.append(await self.next())
        return events

    async def append(self, pcm):
        for start in range(0, len(pcm), 640):
            audio = base64.b64encode(pcm[start : start + 640]).decode()
            await self.connection.input_audio_buffer.append(audio=audio)


def faults_of(model, place=""):
    """Members of an SDK model, and of those in it, that are missing or unknown."""
    shape = type(model)
    annotations = ChainMap(*(vars(each).get("__annotations__", {}) for each in shape.__mro__))
    members = shape._attr_to_rest_field
    known = {each._rest_name for each in members.values()}
    found = [f"{place}.{name} is unknown" for name in model if name not in known]
    for name in members:
        value = getattr(model, name)
        # The SDK has one class for the caller's audio in both directions; from the service it comes without the audio.
        is_absent = shape is RequestAudioContentPart and name == "audio"
        if value is None and type(None) not in get_args(annotations[name]) and not is_absent:
            found.append(f"{place}.{name} is missing")
        for each in value if isinstance(value, list) else [value]:
            if hasattr(type(each), "_attr_to_rest_field"):
                found += faults_of(each, f"{place}.{name}")
    return found


@asynccontextmanager
async def talking(behaviour="silent", credential=None, agent=None, **changes):
    """Connect to a service: `async with talking("parrot") as (talk, service)`."""
    tokens = frozenset({"entra"})
    async with running_realtime_service(behaviour, key=KEY, tokens=tokens, **changes) as service:
        endpoint = f"ws://127.0.0.1:{service.port}"
        named = agent or {"model": "gpt-realtime"}
        credential = credential or AzureKeyCredential(KEY)
        async with connect(endpoint=endpoint, credential=credential, **named) as connection:
            talk = Talk(connection)
            await talk.until("session.created")
            yield talk, service


async def test_a_session_is_configured():
    async with talking() as (talk, service):
        await talk.connection.session.update(session=SESSION)
        updated = await talk.next()
        assert updated.type == "session.updated"
        shown = updated.session
        assert shown.input_audio_sampling_rate == 16000
        assert shown.output_audio_format == "pcm16_16000hz"
        assert shown.turn_detection.type == "azure_semantic_vad"
        assert shown.voice["name"] == "en-US-AvaNeural"
        assert shown.input_audio_transcription.model == "azure-speech"
        assert service.sessions[0].updates == [SESSION.as_dict()]


async def test_a_greeting_is_asked_for():
    async with talking("parrot") as (talk, _):
        await talk.connection.response.create(additional_instructions="Greet the caller.")
        events = await talk.until("response.done")
        assert events[-1].response.status == "completed"
        assert len(b"".join(e.delta for e in events if e.type == "response.audio.delta")) == 540 * 48


async def test_a_turn_is_heard_and_answered():
    async with talking("parrot", transcripts=("What is my balance?",)) as (talk, _):
        await talk.connection.session.update(session=SESSION)
        await talk.append(quiet(400, 16000) + tone(500, 16000) + quiet(500, 16000))
        events = await talk.until("response.done")
        by_type = {event.type: event for event in events}
        assert by_type["input_audio_buffer.speech_started"].audio_start_ms == 100
        assert by_type["input_audio_buffer.speech_stopped"].audio_end_ms == 1300
        heard = by_type["conversation.item.input_audio_transcription.completed"]
        assert heard.transcript == "What is my balance?"
        assert len(b"".join(e.delta for e in events if e.type == "response.audio.delta")) == 1200 * 32


async def test_a_barge_in_cancels_and_is_followed_by_truncation():
    async with talking("parrot", speed=2.0) as (talk, _):
        await talk.connection.session.update(session=SESSION)
        await talk.connection.response.create()
        await talk.append(quiet(100, 16000) + tone(100, 16000))
        events = await talk.until("response.done")
        assert "input_audio_buffer.speech_started" in [event.type for event in events]
        assert events[-1].response.status_details.reason == "turn_detected"
        (item,) = events[-1].response.output
        await talk.connection.conversation.item.truncate(item_id=item.id, content_index=0, audio_end_ms=80)
        assert (await talk.until("conversation.item.truncated"))[-1].audio_end_ms == 80


async def test_what_was_said_before_is_told_again():
    async with talking() as (talk, service):
        items = [
            UserMessageItem(content=[InputTextContentPart(text="Hello?")]),
            AssistantMessageItem(content=[OutputTextContentPart(text="Hi.")]),
        ]
        for item in items:
            await talk.connection.conversation.item.create(item=item)
            shown = (await talk.until("conversation.item.created"))[-1].item
            assert (shown.role, shown.content) == (item.role, item.content)
        assert [item["role"] for item in service.sessions[0].items] == ["user", "assistant"]


async def test_a_function_is_called_and_its_output_taken():
    def answer(question):
        if question.tool_outputs:
            return Reply(tone(100), f"They say {question.tool_outputs[0]}.")
        return Reply(tools=(ToolCall("transfer_call", '{"reason":"sales"}'),))

    async with talking(answer=answer) as (talk, _):
        await talk.connection.response.create()
        events = await talk.until("response.done")
        call = next(event for event in events if event.type == "response.function_call_arguments.done")
        assert (call.name, call.arguments) == ("transfer_call", '{"reason":"sales"}')
        output = FunctionCallOutputItem(call_id=call.call_id, output="yes")
        await talk.connection.send(ClientEventConversationItemCreate(item=output))
        await talk.connection.response.create()
        transcript = (await talk.until("response.audio_transcript.done"))[-1]
        assert transcript.transcript == "They say yes."


async def test_errors_are_read_and_name_the_clients_event():
    async with talking() as (talk, _):
        await talk.connection.response.cancel(event_id="mine")
        error = (await talk.next()).error
        assert (error.code, error.event_id) == ("response_cancel_not_active", "mine")
        await talk.connection.session.update(session={"type": "realtime", "output_modalities": ["audio"]})
        assert (await talk.next()).error.code == "unknown_parameter"


async def test_an_agent_of_foundry_is_named_in_place_of_a_model():
    async with talking(agent={"agent_name": "desk", "project_name": "bank"}) as (_, service):
        assert service.sessions[0].query["agent-name"] == "desk"
        assert "model" not in service.sessions[0].query


class Entra:
    async def get_token(self, *scopes, **options):
        return AccessToken("entra", 2**31)

    async def close(self):
        pass

    async def __aenter__(self):
        return self

    async def __aexit__(self, *error):
        pass


async def test_a_token_is_taken_in_place_of_the_key():
    async with talking(credential=Entra()) as (talk, _):
        assert talk.seen == {"session.created"}


async def test_a_wrong_key_is_refused():
    with pytest.raises(Exception, match="401"):
        async with talking(credential=AzureKeyCredential("wrong")):
            pass


async def test_all_that_the_sdk_sends_is_understood_and_all_that_comes_is_known():
    """Every method of the SDK's connection that a phone call can need, and every type of event that there is."""
    async with talking("parrot", speed=2.0) as (talk, service):
        connection = talk.connection
        await connection.session.update(session=SESSION)
        await connection.input_audio_buffer.append(audio=base64.b64encode(quiet(200, 16000)).decode())
        await connection.input_audio_buffer.commit()
        await connection.input_audio_buffer.append(audio=base64.b64encode(quiet(200, 16000)).decode())
        await connection.input_audio_buffer.clear()
        item = SystemMessageItem(id="typed", content=[InputTextContentPart(text="The caller pressed 1.")])
        await connection.conversation.item.create(item=item, previous_item_id="root")
        await connection.conversation.item.retrieve(item_id="typed")
        await connection.conversation.item.delete(item_id="typed")
        await connection.response.create()
        await connection.response.cancel()
        await talk.until("response.done")
        session = service.sessions[0]
        session.speech_started()
        session.speech_stopped("Good morning.")
        session.call_tool("transfer_call")
        await talk.until("response.done")
        await connection.response.create()
        await talk.append(quiet(400, 16000))
        item_id = (await talk.until("response.done"))[-1].response.output[0].id
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
            "conversation.item.created",
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
            "response.audio.delta",
            "response.audio.done",
            "response.audio_transcript.delta",
            "response.audio_transcript.done",
            "response.function_call_arguments.delta",
            "response.function_call_arguments.done",
        }


async def test_a_failed_response_is_read():
    async with talking(troubles=["rate-limit"]) as (talk, _):
        await talk.connection.response.create()
        done = (await talk.until("response.done"))[-1]
        assert done.response.status_details.error["code"] == "rate_limit_exceeded"


async def test_a_close_is_told_with_its_code():
    async with talking() as (talk, service):
        service.sessions[0].close(4001, "enough")
        with pytest.raises(ConnectionClosed) as closed:
            await talk.next()
        assert closed.value.code == 4001


async def test_an_oversized_message_is_more_than_the_sdk_takes():
    async with talking("parrot", troubles=["oversized"]) as (talk, _):
        await talk.connection.response.create()
        with pytest.raises(ConnectionClosed):
            await talk.until("response.done")
