"""Bodies that Call Automation clients send, with their required members, enums and limits.

A member that is null counts as one that is missing.
"""

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Final, TypeVar

import msgspec

from emulator.wire.custom_context import CustomCallingContext
from emulator.wire.errors import bad_argument
from emulator.wire.identifiers import CommunicationUser, Identifier, PhoneNumber
from emulator.wire.json_text import NotJson, decode_json, without_nulls

_MISSING_MEMBER = re.compile(r"missing required field `(?P<member>\w+)`")
_AT_PATH = re.compile(r"at `\$\.?(?P<path>[^`]*)`")

MAX_TONES: Final = 18
"""That a request to send tones may have."""


class TransportType(StrEnum):
    """How streams leave ACS."""

    WEBSOCKET = "websocket"


class AudioChannelType(StrEnum):
    """One stream with everybody, or one a participant."""

    MIXED = "mixed"
    UNMIXED = "unmixed"


class AudioFormat(StrEnum):
    """Sample rate of the audio, both ways."""

    PCM_16K_MONO = "pcm16KMono"
    PCM_24K_MONO = "pcm24KMono"

    @property
    def rate_hz(self) -> int:
        """Samples a second."""
        return 16_000 if self is AudioFormat.PCM_16K_MONO else 24_000


class ContentType(StrEnum):
    """What is streamed."""

    AUDIO = "audio"


class RejectReason(StrEnum):
    """Why a call is turned away."""

    NONE = "none"
    BUSY = "busy"
    FORBIDDEN = "forbidden"


class DtmfTone(StrEnum):
    """A key, spelled as in requests and callbacks; media sockets have the `digit`."""

    ZERO = "zero"
    ONE = "one"
    TWO = "two"
    THREE = "three"
    FOUR = "four"
    FIVE = "five"
    SIX = "six"
    SEVEN = "seven"
    EIGHT = "eight"
    NINE = "nine"
    A = "a"
    B = "b"
    C = "c"
    D = "d"
    POUND = "pound"
    ASTERISK = "asterisk"

    @property
    def digit(self) -> str:
        """One of `0123456789ABCD#*`."""
        return _DIGITS[self]


_DIGITS: Final[Mapping[DtmfTone, str]] = dict(zip(DtmfTone, "0123456789ABCD#*", strict=True))
TONES: Final[Mapping[str, DtmfTone]] = {digit: tone for tone, digit in _DIGITS.items()}
"""By `digit`."""


class MediaStreamingOptions(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """Where and how the call's audio is to go."""

    transport_type: TransportType
    audio_channel_type: AudioChannelType
    transport_url: str | None = None
    content_type: ContentType = ContentType.AUDIO
    start_media_streaming: bool = False
    enable_bidirectional: bool = False
    audio_format: AudioFormat = AudioFormat.PCM_16K_MONO
    enable_dtmf_tones: bool = False


class TranscriptionOptions(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """Where and how the call's transcript is to go."""

    transport_type: TransportType
    locale: str
    transport_url: str | None = None
    speech_model_endpoint_id: str | None = None
    start_transcription: bool = False
    enable_intermediate_results: bool = False


class CallIntelligenceOptions(msgspec.Struct, frozen=True, rename="camel"):
    """The Azure AI resource that speaks and listens for this call."""

    cognitive_services_endpoint: str | None = None


class AnswerCallRequest(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """`POST /calling/callConnections:answer`."""

    incoming_call_context: str
    callback_uri: str
    operation_context: str | None = None
    call_intelligence_options: CallIntelligenceOptions | None = None
    answered_by: CommunicationUser | None = None
    media_streaming_options: MediaStreamingOptions | None = None
    transcription_options: TranscriptionOptions | None = None


class RejectCallRequest(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """`POST /calling/callConnections:reject`."""

    incoming_call_context: str
    call_reject_reason: RejectReason = RejectReason.NONE


class RedirectCallRequest(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """`POST /calling/callConnections:redirect`."""

    incoming_call_context: str
    target: Identifier


class MediaStreamingRequest(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """`:startMediaStreaming` and `:stopMediaStreaming`; both members are optional."""

    operation_callback_uri: str | None = None
    operation_context: str | None = None


class SendDtmfTonesRequest(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """`:sendDtmfTones`; goes to one participant, who is on a phone."""

    tones: Annotated[tuple[DtmfTone, ...], msgspec.Meta(min_length=1, max_length=MAX_TONES)]
    target_participant: Identifier
    operation_context: str | None = None
    operation_callback_uri: str | None = None


class TransferToParticipantRequest(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """`:transferToParticipant`."""

    target_participant: Identifier
    transferee: Identifier | None = None
    source_caller_id_number: PhoneNumber | None = None
    custom_calling_context: CustomCallingContext | None = None
    operation_context: str | None = None
    operation_callback_uri: str | None = None


Body = TypeVar("Body", bound=msgspec.Struct)


def decode(body: bytes, shape: type[Body]) -> Body:
    """Read a request's body.

    Raises:
        AcsError: 400 with the member at fault as its target.
    """
    try:
        return msgspec.convert(without_nulls(decode_json(body or b"{}")), shape)
    except msgspec.ValidationError as error:
        raise bad_argument(f"The request is not valid: {error}.", _member_at_fault(str(error))) from None
    except NotJson as error:
        raise bad_argument(f"The request's body is not valid: {error}.") from None


def _member_at_fault(message: str) -> str | None:
    path = _AT_PATH.search(message)
    member = _MISSING_MEMBER.search(message)
    return ".".join(part for part in (path and path["path"], member and member["member"]) if part) or None
