"""Call Automation callback events: the envelope and the shapes of `data`.

The members that captured traffic has beyond the published model (`version`, `publicEventType`, `eventSource`)
are there, since a gateway has to live with them.
"""

import uuid
from collections.abc import Mapping

import msgspec

from emulator.wire.identifiers import Identifier
from emulator.wire.requests import DtmfTone
from emulator.wire.timestamps import callback_time

EVENT_PREFIX = "Microsoft.Communication."


class ResultDetails(msgspec.Struct, frozen=True):
    """SIP or Q.850 code of a call's end."""

    code: int
    message: str


class ResultInformation(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """How an operation went; subcode 0 is success, 7000 a graceful end."""

    code: int
    sub_code: int
    message: str
    sip_details: ResultDetails | None = None
    q850_details: ResultDetails | None = None


class MediaStreamingUpdate(msgspec.Struct, frozen=True, rename="camel"):
    """What became of the call's media streaming."""

    content_type: str
    media_streaming_status: str
    media_streaming_status_details: str


class Participant(msgspec.Struct, frozen=True, rename="camel"):
    """One participant, in ParticipantsUpdated and in answers."""

    identifier: Identifier
    is_muted: bool = False
    is_on_hold: bool = False


class DtmfResult(msgspec.Struct, frozen=True):
    """Keys that the caller pressed."""

    tones: tuple[DtmfTone, ...]


class SpeechResult(msgspec.Struct, frozen=True):
    """Words that the caller said."""

    speech: str
    confidence: float


class ChoiceResult(msgspec.Struct, frozen=True, rename="camel"):
    """What the caller chose; by a key, if no phrase was recognised."""

    label: str
    recognized_phrase: str | None
    confidence: float | msgspec.UnsetType = msgspec.UNSET


RecognitionResult = DtmfResult | SpeechResult | ChoiceResult

_RECOGNITION_TYPES: Mapping[type, str] = {DtmfResult: "dtmf", SpeechResult: "speech", ChoiceResult: "choices"}


class CallbackEvent(msgspec.Struct, frozen=True, kw_only=True):
    """What is particular to one event; `Callbacks` adds what all events of a call share.

    Attributes:
        name: the type without its prefix, for example `CallConnected`.
        operation_context: echoed from the operation that caused the event.
    """

    name: str
    operation_context: str | None = None
    result: ResultInformation | None = None
    participants: tuple[Participant, ...] | None = None
    sequence_number: int | None = None
    media_streaming_update: MediaStreamingUpdate | None = None
    transfer_target: Identifier | None = None
    transferee: Identifier | None = None
    failed_play_source_index: int | None = None
    recognized: RecognitionResult | None = None
    sequence_id: int | None = None
    tone: DtmfTone | None = None


class CallbackData(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True, kw_only=True):
    """`data` of a callback event."""

    version: str
    operation_context: str | None = None
    sequence_number: int | None = None
    participants: tuple[Participant, ...] | None = None
    result_information: ResultInformation | None = None
    media_streaming_update: MediaStreamingUpdate | None = None
    transfer_target: Identifier | None = None
    transferee: Identifier | None = None
    failed_play_source_index: int | None = None
    recognition_type: str | None = None
    dtmf_result: DtmfResult | None = None
    speech_result: SpeechResult | None = None
    choice_result: ChoiceResult | None = None
    sequence_id: int | None = None
    tone: DtmfTone | None = None
    call_connection_id: str
    server_call_id: str
    correlation_id: str
    public_event_type: str
    event_source: str | None = None


class CloudEvent(msgspec.Struct, frozen=True, kw_only=True):
    """The envelope of one callback event; `source` and `subject` are relative references."""

    id: str
    source: str
    type: str
    data: CallbackData
    time: str
    specversion: str = "1.0"
    datacontenttype: str = "application/json"
    subject: str


def callback_body(
    event: CallbackEvent, *, version: str, call_connection_id: str, server_call_id: str, correlation_id: str
) -> bytes:
    """One callback's body: an array of one CloudEvent.

    Args:
        event: what happened.
        version: the api-version that the answering client used.
        call_connection_id: of the call.
        server_call_id: of the call.
        correlation_id: of the call.
    """
    source = f"calling/callConnections/{call_connection_id}"
    event_type = EVENT_PREFIX + event.name
    data = CallbackData(
        version=version,
        operation_context=event.operation_context,
        sequence_number=event.sequence_number,
        participants=event.participants,
        result_information=event.result,
        media_streaming_update=event.media_streaming_update,
        transfer_target=event.transfer_target,
        transferee=event.transferee,
        failed_play_source_index=event.failed_play_source_index,
        recognition_type=_RECOGNITION_TYPES.get(type(event.recognized)),
        dtmf_result=event.recognized if isinstance(event.recognized, DtmfResult) else None,
        speech_result=event.recognized if isinstance(event.recognized, SpeechResult) else None,
        choice_result=event.recognized if isinstance(event.recognized, ChoiceResult) else None,
        sequence_id=event.sequence_id,
        tone=event.tone,
        call_connection_id=call_connection_id,
        server_call_id=server_call_id,
        correlation_id=correlation_id,
        public_event_type=event_type,
        event_source=source if event.media_streaming_update else None,
    )
    envelope = CloudEvent(
        id=str(uuid.uuid4()), source=source, type=event_type, data=data, time=callback_time(), subject=source
    )
    return msgspec.json.encode([envelope])
