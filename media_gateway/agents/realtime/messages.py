"""What we send to a realtime service: the same in all dialects, but for the session that `dialects.py` composes."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec
import pybase64

_encode = msgspec.json.encode

ASK_ID = "ask"
"""The `event_id` of a `response.create`, by which an error tells that it was refused."""


APPEND_BEGIN: Final = b'{"type":"input_audio_buffer.append","audio":"'
APPEND_END: Final = b'"}'
"""What stands around the base64 of the caller's audio, in the message that is sent 50 times a second."""


def append(pcm: bytes) -> bytes:
    """Return the message that gives the service the caller's audio."""
    return APPEND_BEGIN + pybase64.b64encode(pcm) + APPEND_END


def session_update(session: Mapping[str, Any], event_id: str) -> bytes:
    """Return the message that configures the session."""
    return _encode({"type": "session.update", "event_id": event_id, "session": session})


def caller_text(text: str) -> bytes:
    """Return the message that puts a text into the conversation, as from the caller: data, never instructions."""
    return _message_item("user", "input_text", text)


def agent_text(text: str, part: str) -> bytes:
    """Return the message that puts a text into the conversation that an agent has said; `part` is the dialect's."""
    return _message_item("assistant", part, text)


def tool_output(call_id: str, output: str) -> bytes:
    """Return the message that answers a tool call."""
    item = {"type": "function_call_output", "call_id": call_id, "output": output}
    return _encode({"type": "conversation.item.create", "item": item})


def truncate(item_id: str, heard_ms: int) -> bytes:
    """Return the message that tells how much of an item was heard; it must not be more than the item has."""
    return _encode(
        {
            "type": "conversation.item.truncate",
            "item_id": item_id,
            "content_index": 0,
            "audio_end_ms": heard_ms,
        }
    )


def response_create(instructions: str | None = None) -> bytes:
    """Return the message that makes the agent speak: by its own lights, or by instructions for this once."""
    message: dict[str, Any] = {"type": "response.create", "event_id": ASK_ID}
    if instructions is not None:
        message["response"] = {"instructions": instructions}
    return _encode(message)


def response_cancel(response_id: str) -> bytes:
    """Return the message that stops a response; where it is over the service answers with a harmless error."""
    return _encode({"type": "response.cancel", "response_id": response_id})


def _message_item(role: str, part: str, text: str) -> bytes:
    item = {"type": "message", "role": role, "content": [{"type": part, "text": text}]}
    return _encode({"type": "conversation.item.create", "item": item})
