"""The events of clients: read and checked against their service's shapes."""

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

import msgspec
import pybase64
from msgspec import UNSET, Meta, Raw, UnsetType

from emulator.realtime.dialects import Dialect
from emulator.realtime.shapes import GaResponse, GaSession, Shape, VoiceLiveResponse, VoiceLiveSession

_QUOTATION_MARK: Final = ord('"')
_Ms = Annotated[int, Meta(ge=0)]
_Id = Annotated[str, Meta(max_length=32)]
"""An id that a client chooses; OpenAI allows 32 characters."""


class Refused(Exception):
    """A client's event is wrong: answered by an `error` event, and the session goes on.

    Attributes:
        code: the service's word for it.
        param: the member that is wrong, where one is.
        event_id: the client's own id of its event, where it gave one.
    """

    def __init__(
        self, code: str, message: str, param: str | None = None, event_id: str | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.param = param
        self.event_id = event_id


class _InputText(Shape, tag="input_text"):
    text: str


class _InputAudio(Shape, tag="input_audio"):
    audio: str
    transcript: str | None = None


class _GaText(Shape, tag="output_text"):
    text: str


class _GaSpeech(Shape, tag="output_audio"):
    audio: str | UnsetType = UNSET
    transcript: str | None = None


class _BetaText(Shape, tag="text"):
    text: str


_Status = Literal["completed", "incomplete", "in_progress"] | UnsetType


class _Item(Shape):
    id: _Id | UnsetType = UNSET
    object: Literal["realtime.item"] | UnsetType = UNSET
    status: _Status = UNSET


class _GaMessage(_Item, tag="message", kw_only=True):
    role: Literal["user", "system", "assistant"]
    content: list[_InputText | _InputAudio | _GaText | _GaSpeech]


class _BetaMessage(_Item, tag="message", kw_only=True):
    role: Literal["user", "system", "assistant"]
    content: list[_InputText | _InputAudio | _BetaText]


class _Call(_Item, tag="function_call", kw_only=True):
    name: str
    arguments: str
    call_id: str


class _CallOutput(_Item, tag="function_call_output", kw_only=True):
    call_id: str
    output: str


class ClientEvent(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, tag_field="type"):
    """Any event of a client."""

    event_id: str | None = None


class Append(ClientEvent, tag="input_audio_buffer.append", kw_only=True):
    """More of the caller's audio: base64, still with its quotation marks."""

    audio: Raw


class Commit(ClientEvent, tag="input_audio_buffer.commit", kw_only=True):
    """What was appended is a turn."""


class Clear(ClientEvent, tag="input_audio_buffer.clear", kw_only=True):
    """What was appended is to be forgotten."""


class CancelResponse(ClientEvent, tag="response.cancel", kw_only=True):
    """Stop speaking."""

    response_id: str | None = None


class Truncate(ClientEvent, tag="conversation.item.truncate", kw_only=True):
    """Only this much of what was said has been heard."""

    item_id: str
    content_index: Literal[0]
    audio_end_ms: _Ms


class Delete(ClientEvent, tag="conversation.item.delete", kw_only=True):
    """Forget an item."""

    item_id: str


class Retrieve(ClientEvent, tag="conversation.item.retrieve", kw_only=True):
    """Show an item."""

    item_id: str


class UpdateSession(ClientEvent, tag="session.update", kw_only=True):
    """Change what is named, leave the rest."""

    session: Any


class CreateItem(ClientEvent, tag="conversation.item.create", kw_only=True):
    """Put an item into the conversation."""

    item: Any
    previous_item_id: str | None = None


class CreateResponse(ClientEvent, tag="response.create", kw_only=True):
    """Answer now."""

    response: Any = None

    @property
    def instructions(self) -> str | None:
        """Those of this response alone."""
        given = UNSET if self.response is None else self.response.instructions
        return None if given is UNSET else str(given)


class _GaUpdate(UpdateSession, tag="session.update", kw_only=True):
    session: GaSession


class _VoiceLiveUpdate(UpdateSession, tag="session.update", kw_only=True):
    session: VoiceLiveSession


class _GaCreateItem(CreateItem, tag="conversation.item.create", kw_only=True):
    item: _GaMessage | _Call | _CallOutput


class _VoiceLiveCreateItem(CreateItem, tag="conversation.item.create", kw_only=True):
    item: _BetaMessage | _Call | _CallOutput


class _GaCreateResponse(CreateResponse, tag="response.create", kw_only=True):
    response: GaResponse | None = None


class _VoiceLiveCreateResponse(CreateResponse, tag="response.create", kw_only=True):
    response: VoiceLiveResponse | None = None
    additional_instructions: str | None = None

    @property
    def instructions(self) -> str | None:
        """Those of this response alone, in place of the session's or added to them."""
        return self.additional_instructions or super().instructions


_COMMON: Final = Append | Commit | Clear | CancelResponse | Truncate | Delete | Retrieve
_GA = msgspec.json.Decoder(_COMMON | _GaUpdate | _GaCreateItem | _GaCreateResponse)
_VOICE_LIVE = msgspec.json.Decoder(
    _COMMON | _VoiceLiveUpdate | _VoiceLiveCreateItem | _VoiceLiveCreateResponse
)
_DECODERS: Final[Mapping[Dialect, msgspec.json.Decoder[Any]]] = {
    Dialect.OPENAI: _GA,
    Dialect.AZURE_OPENAI: _GA,
    Dialect.VOICE_LIVE: _VOICE_LIVE,
}
decode_append: Final = msgspec.json.Decoder(Append).decode
"""Reads nearly every message of a call without a detour; raises `UNREADABLE` at any other."""

UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What msgspec raises at wrong JSON, wrong types, wrong UTF-8 and nesting without end."""


def read_event(dialect: Dialect, message: bytes) -> ClientEvent:
    """Read one text message.

    Raises:
        Refused: it is no JSON object, or of no type that there is, or a member is wrong.
    """
    try:
        event: ClientEvent = _DECODERS[dialect].decode(message)
    except UNREADABLE as error:
        raise _refused(message, error) from error
    return event


def read_audio(append: Append) -> bytes:
    """Return the samples of an append.

    Raises:
        Refused: no base64, or no whole number of samples.
    """
    text = memoryview(append.audio)
    try:
        pcm = pybase64.b64decode(text[1:-1], validate=True)
    except ValueError:
        # Some JSON encoders escape the characters + and / of base64.
        pcm = _unescaped(append)
    if text[0] != _QUOTATION_MARK:
        raise Refused("invalid_value", "The audio is no string.", "audio", append.event_id)
    if len(pcm) % 2:
        raise Refused("invalid_value", "The audio is no whole number of samples.", "audio", append.event_id)
    return pcm


def _unescaped(append: Append) -> bytes:
    try:
        return pybase64.b64decode(msgspec.json.decode(append.audio, type=str), validate=True)
    except (ValueError, msgspec.ValidationError) as error:
        raise Refused("invalid_value", "The audio is not base64.", "audio", append.event_id) from error


def _refused(message: bytes, error: Exception) -> Refused:
    """Say what is wrong as the services do."""
    try:
        content = msgspec.json.decode(message)
    except UNREADABLE:
        return Refused("invalid_json", "The message could not be parsed as JSON.")
    event_id = content.get("event_id") if isinstance(content, dict) else None
    event_id = event_id if isinstance(event_id, str) else None
    # msgspec's text ends with the place, and has what is unknown or missing in it: "... `voice` - at `$.session`".
    fault = str(error)
    what, _, place = fault.partition(" - at `$")
    parent = place.rstrip("`").lstrip(".")
    name = what.split("`")[1] if what.count("`") == 2 else ""
    member = ".".join(filter(None, (parent, name))) or None
    if "unknown field" in what:
        return Refused("unknown_parameter", f"Unknown parameter: '{member}'.", member, event_id)
    if "missing required field" in what:
        return Refused(
            "missing_required_parameter", f"Missing required parameter: '{member}'.", member, event_id
        )
    return Refused("invalid_value", fault, parent or None, event_id)
