"""What a realtime service sends: JSON text messages with a `type`, read into one shape.

OpenAI's GA names and the beta names, which Voice Live still uses, are both understood, whatever the dialect:
`response.output_audio.delta` and `response.audio.delta` are one event. Members that we have no use for are skipped.
Names: OpenAI's and Microsoft's published SDKs (openai 3.5x, azure-ai-voicelive 1.3).

`event_codec.py` reads them.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import msgspec
from msgspec import Struct


class EventInvalid(Exception):
    """A message that is none of the protocol. Its text holds nothing of the message."""


class Kind(StrEnum):
    """The events that mean something to a call."""

    SESSION_CREATED = "session.created"
    SESSION_UPDATED = "session.updated"
    SPEECH_STARTED = "input_audio_buffer.speech_started"
    SPEECH_STOPPED = "input_audio_buffer.speech_stopped"
    COMMITTED = "input_audio_buffer.committed"
    CALLER_TRANSCRIPT = "conversation.item.input_audio_transcription.completed"
    RESPONSE_CREATED = "response.created"
    RESPONSE_DONE = "response.done"
    ITEM_ADDED = "response.output_item.added"
    AUDIO = "response.output_audio.delta"
    AUDIO_DONE = "response.output_audio.done"
    WORDS = "response.output_audio_transcript.delta"
    WORDS_DONE = "response.output_audio_transcript.done"
    TOOL_CALL = "response.function_call_arguments.done"
    ERROR = "error"


KINDS: Mapping[str, Kind] = {
    **{kind.value: kind for kind in Kind},
    "response.audio.delta": Kind.AUDIO,
    "response.audio.done": Kind.AUDIO_DONE,
    "response.audio_transcript.delta": Kind.WORDS,
    "response.audio_transcript.done": Kind.WORDS_DONE,
}

_QUIET = frozenset(
    {
        "conversation.created",
        "conversation.item.added",
        "conversation.item.created",
        "conversation.item.done",
        "conversation.item.deleted",
        "conversation.item.retrieved",
        "conversation.item.truncated",
        "conversation.item.input_audio_transcription.delta",
        "conversation.item.input_audio_transcription.failed",
        "conversation.item.input_audio_transcription.segment",
        "input_audio_buffer.cleared",
        "input_audio_buffer.timeout_triggered",
        "rate_limits.updated",
        "response.content_part.added",
        "response.content_part.done",
        "response.function_call_arguments.delta",
        "response.output_item.done",
        "response.output_text.delta",
        "response.output_text.done",
        "response.text.delta",
        "response.text.done",
        "response.audio_timestamp.delta",
        "response.audio_timestamp.done",
        "warning",
    }
)
"""Known, and of no use here. Every other type is counted as unknown: a service has learned something new."""


class ErrorBody(Struct, frozen=True, gc=False):
    """What went wrong, in the service's words. The message may quote the conversation: never logged."""

    code: str | None = None
    type: str | None = None
    event_id: str | None = None


class _StatusDetails(Struct, frozen=True, gc=False):
    reason: str | None = None
    error: ErrorBody | None = None


class OutputItem(Struct, frozen=True, gc=False):
    """An item of a response: a message, or a function call."""

    id: str | None = None
    type: str | None = None
    name: str | None = None
    call_id: str | None = None
    arguments: str | None = None


class ResponseBody(Struct, frozen=True):
    """A response as `response.created` and `response.done` tell it."""

    id: str = ""
    status: str | None = None
    status_details: _StatusDetails | None = None
    output: list[OutputItem] = msgspec.field(default_factory=list)

    @property
    def error_code(self) -> str:
        """Why it failed; empty where it says nothing."""
        details = self.status_details
        if details is None or details.error is None:
            return ""
        return details.error.code or details.error.type or ""


class Event(Struct, frozen=True):
    """One event; the members that its kind does not have are empty."""

    type: str
    response_id: str = ""
    item_id: str = ""
    delta: str = ""
    transcript: str = ""
    call_id: str = ""
    name: str | None = None
    arguments: str = ""
    error: ErrorBody | None = None
    response: ResponseBody | None = None
    item: OutputItem | None = None
    session: Mapping[str, Any] | None = None

    @property
    def kind(self) -> Kind | None:
        """What it means; None for a type that means nothing to us."""
        return KINDS.get(self.type)

    @property
    def is_known(self) -> bool:
        """Whether we have ever heard of its type."""
        return self.type in KINDS or self.type in _QUIET


class AudioDelta(Struct, frozen=True, gc=False):
    """A piece of the agent's audio: whole samples."""

    response_id: str
    item_id: str
    pcm: bytes


class RawDelta(Struct, frozen=True, gc=False):
    """A piece of the agent's audio as it comes."""

    type: str
    response_id: str = ""
    item_id: str = ""
    delta: str = ""
