"""Each message to a realtime service, to the last member; the vendors' SDKs know them all."""

import json
from typing import get_args

import pytest
from openai.types.realtime import RealtimeClientEvent
from pydantic import TypeAdapter

from media_gateway.agents.realtime import messages

ITEM = "conversation.item.create"


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (messages.append(b"\1\2\3\4"), {"type": "input_audio_buffer.append", "audio": "AQIDBA=="}),
        (messages.append(b""), {"type": "input_audio_buffer.append", "audio": ""}),
        (
            messages.session_update({"type": "realtime", "instructions": "Ä"}, "e1"),
            {
                "type": "session.update",
                "event_id": "e1",
                "session": {"type": "realtime", "instructions": "Ä"},
            },
        ),
        (
            messages.caller_text('She said "4#".'),
            {
                "type": ITEM,
                "item": {
                    "type": "message",
                    "role": "user",
                    "content": [{"type": "input_text", "text": 'She said "4#".'}],
                },
            },
        ),
        (
            messages.agent_text("Good morning.", "output_text"),
            {
                "type": ITEM,
                "item": {
                    "type": "message",
                    "role": "assistant",
                    "content": [{"type": "output_text", "text": "Good morning."}],
                },
            },
        ),
        (
            messages.tool_output("c1", '{"ok":true}'),
            {
                "type": ITEM,
                "item": {"type": "function_call_output", "call_id": "c1", "output": '{"ok":true}'},
            },
        ),
        (
            messages.truncate("i1", 0),
            {
                "type": "conversation.item.truncate",
                "item_id": "i1",
                "content_index": 0,
                "audio_end_ms": 0,
            },
        ),
        (messages.response_create(), {"type": "response.create", "event_id": "ask"}),
        (
            messages.response_create("Say goodbye."),
            {"type": "response.create", "event_id": "ask", "response": {"instructions": "Say goodbye."}},
        ),
        (messages.response_cancel("r1"), {"type": "response.cancel", "response_id": "r1"}),
    ],
)
def test_a_message_is_what_the_protocol_says(message, expected):
    assert json.loads(message) == expected
    event = TypeAdapter(get_args(RealtimeClientEvent)[0]).validate_python(expected)
    assert event.type == expected["type"]
