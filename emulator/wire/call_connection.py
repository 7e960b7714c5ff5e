"""What Call Automation says about a call connection, and to operations on it."""

from enum import StrEnum

import msgspec

from emulator.wire.callback_events import Participant
from emulator.wire.identifiers import CommunicationUser, Identifier, PhoneNumber
from emulator.wire.requests import ContentType


class CallConnectionState(StrEnum):
    """Where a call connection stands."""

    UNKNOWN = "unknown"
    CONNECTING = "connecting"
    CONNECTED = "connected"
    TRANSFERRING = "transferring"
    TRANSFER_ACCEPTED = "transferAccepted"
    DISCONNECTING = "disconnecting"
    DISCONNECTED = "disconnected"


class SubscriptionState(StrEnum):
    """Where a media-streaming or transcription subscription stands."""

    DISABLED = "disabled"
    INACTIVE = "inactive"
    ACTIVE = "active"


class MediaStreamingSubscription(msgspec.Struct, frozen=True, rename="camel"):
    """The call's media streaming; there only when the answer asked for it."""

    id: str
    state: SubscriptionState
    subscribed_content_types: tuple[ContentType, ...] = (ContentType.AUDIO,)


class TranscriptionSubscription(msgspec.Struct, frozen=True, rename="camel"):
    """The call's transcription; there only when the answer asked for it."""

    id: str
    state: SubscriptionState
    subscribed_result_types: tuple[str, ...]
    locale: str


class CallConnectionProperties(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """Answer to answering a call and to asking for it."""

    call_connection_id: str
    server_call_id: str
    targets: tuple[Identifier, ...]
    call_connection_state: CallConnectionState
    callback_uri: str
    source: Identifier
    source_display_name: str | None = None
    source_caller_id_number: PhoneNumber | None = None
    correlation_id: str
    answered_by: CommunicationUser
    answered_for: PhoneNumber | None
    media_streaming_subscription: MediaStreamingSubscription | None
    transcription_subscription: TranscriptionSubscription | None


class OperationResult(msgspec.Struct, frozen=True, rename="camel"):
    """Answer to a request to send tones or to transfer the call, which is done after it."""

    operation_context: str | None


class Participants(msgspec.Struct, frozen=True, rename="camel"):
    """Who is in a call; one page has them all."""

    value: tuple[Participant, ...]
