"""Whatever a client sends, a session answers or ignores it, in JSON, and goes on."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.realtime import Talk, kinds

ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
NAMES = (
    "audio", "input", "output", "format", "type", "turn_detection", "voice", "tools", "item", "id", "role", "content",
    "item_id", "call_id", "audio_end_ms", "content_index", "previous_item_id", "response", "session", "instructions",
    "metadata", "event_id", "input_audio_sampling_rate", "output_audio_format", "transcription", "response_id",
)  # fmt: skip
VALUES = st.sampled_from([
    "realtime", "message", "function_call", "function_call_output", "user", "assistant", "input_text", "output_text",
    "text", "audio/pcm", "server_vad", "azure_semantic_vad", "pcm16", "pcm16_16000hz", "AAAA", "auto", "root", 0, 24000,
])  # fmt: skip
LIKELY = st.recursive(
    VALUES | ODD,
    lambda inner: st.dictionaries(st.sampled_from(NAMES), inner, max_size=5) | st.lists(inner, max_size=2),
    max_leaves=12,
)
KINDS = st.sampled_from([
    "session.update", "input_audio_buffer.append", "input_audio_buffer.commit", "input_audio_buffer.clear",
    "conversation.item.create", "conversation.item.truncate", "conversation.item.delete", "conversation.item.retrieve",
    "response.create", "response.cancel", "response.done",
])  # fmt: skip
EVENTS = st.builds(
    lambda kind, members: {**members, "type": kind},
    KINDS,
    st.dictionaries(st.sampled_from(NAMES), LIKELY, max_size=4),
)
MESSAGES = EVENTS.map(lambda event: json.dumps(event).encode()) | ODD.map(
    lambda odd: json.dumps(odd).encode()
)


@pytest.mark.parametrize("behaviour", ["parrot", "echo", "silent"])
@pytest.mark.parametrize("dialect", ["openai", "voice-live"])
@given(messages=st.lists(MESSAGES | st.binary(max_size=40), max_size=12))
def test_a_session_survives_any_client(dialect, behaviour, messages):
    talk = Talk(dialect, behaviour, speed=1.0)
    for message in messages:
        for event in Talk.read(talk.core.receive(message)):
            assert event["event_id"]
    assert kinds(talk.configure(instructions="Be brief.")) == ["session.updated"]
