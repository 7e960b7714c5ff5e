"""The application's leg of an answered call: its state, its media, and the events that it is told."""

import asyncio
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from emulator.call import Call, CallEnd, CallPhase
from emulator.call_automation.media_actions import MediaActions, MediaServices
from emulator.call_automation.media_streaming import MediaCall, MediaStreaming
from emulator.call_automation.play_sources import PlaySources
from emulator.call_automation.sent_tones import SentTones
from emulator.call_automation.transfer_results import ACCEPTED, failure
from emulator.callbacks import Callbacks, CallbackTarget
from emulator.calls import Calls
from emulator.identity import Identity
from emulator.settings import EmulatorSettings
from emulator.tasks import Tasks
from emulator.transfers import Transfer, TransferOutcome
from emulator.wire.call_connection import (
    CallConnectionProperties,
    CallConnectionState,
    SubscriptionState,
    TranscriptionSubscription,
)
from emulator.wire.callback_events import CallbackEvent, Participant, ResultDetails, ResultInformation
from emulator.wire.errors import (
    bad_argument,
    call_not_established,
    missing_configuration,
    participant_not_found,
)
from emulator.wire.identifiers import CommunicationUser, Identifier, IdentifierKind, from_raw_id
from emulator.wire.incoming_call import CustomContext
from emulator.wire.requests import (
    AnswerCallRequest,
    MediaStreamingRequest,
    SendDtmfTonesRequest,
    TransferToParticipantRequest,
)

_CONNECTED: Final = ResultInformation(200, 0, "")
_CALLER_GONE: Final = ResultInformation(487, 540487, "The caller ended the call.")

_ENDED_MESSAGE: Final = "The conversation has ended."
_NO_SIP: Final = ResultDetails(0, "")
_NORMAL_CLEARING: Final = ResultDetails(16, "Normal call clearing")
_GRACEFUL: Final = ResultInformation(200, 7000, _ENDED_MESSAGE, _NO_SIP, _NORMAL_CLEARING)
_PHONE_HUNG_UP: Final = ResultInformation(200, 540000, _ENDED_MESSAGE, _NO_SIP, _NORMAL_CLEARING)
_SERVICE_STOPPED: Final = ResultInformation(500, 9999, "Unknown server error.")

_WIRE_STATES: Mapping[CallPhase, CallConnectionState] = {
    CallPhase.CONNECTING: CallConnectionState.CONNECTING,
    CallPhase.CONNECTED: CallConnectionState.CONNECTED,
    CallPhase.ENDED: CallConnectionState.DISCONNECTED,
}


@dataclass(frozen=True)
class LegServices:
    """What every leg works with."""

    settings: EmulatorSettings
    calls: Calls
    callbacks: Callbacks
    identity: Identity
    tasks: Tasks
    play_sources: PlaySources


class ApplicationLeg:
    """One answered call as the application has it.

    Args:
        call: taken from the ringing calls by whoever makes this.
        request: how it was answered.
        api_version: that the answering client used; its events carry it.
        services: what every leg works with.
    """

    def __init__(
        self, call: Call, request: AnswerCallRequest, *, api_version: str, services: LegServices
    ) -> None:
        self._call = call
        self._request = request
        self._services = services
        # Both change when the call is transferred, while it is still this leg's.
        self._to, self._called = call.to, call.called
        self._id = str(uuid.uuid4())
        self._target = CallbackTarget(call, self._id, api_version)
        self._connecting: asyncio.Task[None] | None = None
        self._participants_told = 0
        self._media = self._media_streaming()
        self._over = asyncio.Event()
        self._sent_tones = SentTones(call, self._over, services.tasks, self._send)
        self._media_actions = self._actions()
        self._transcription_id = str(uuid.uuid4())
        services.calls.answer(call, call_connection_id=self._id, leg=self)

    def begin(self) -> None:
        """Start to connect; the events follow."""
        self._connecting = self._services.tasks.start(self._connect(), name="call-connect")

    def properties(self) -> CallConnectionProperties:
        """The call as Call Automation describes it."""
        return CallConnectionProperties(
            call_connection_id=self._id,
            server_call_id=self._call.server_call_id,
            targets=(self._to,),
            call_connection_state=self._state(),
            callback_uri=self._request.callback_uri,
            source=self._call.from_,
            correlation_id=self._call.correlation_id,
            answered_by=CommunicationUser(self._application_id()),
            answered_for=self._called.phone_number,
            media_streaming_subscription=self._media.subscription() if self._media else None,
            transcription_subscription=self._transcription(),
        )

    def start_media_streaming(self, operation: MediaStreamingRequest) -> None:
        """`:startMediaStreaming`.

        Raises:
            AcsError: not connected yet, not configured when answering, or streaming already.
        """
        self._configured_media().start(operation)

    def stop_media_streaming(self, operation: MediaStreamingRequest) -> None:
        """`:stopMediaStreaming`.

        Raises:
            AcsError: not connected yet, not configured when answering, or not streaming.
        """
        self._configured_media().stop(operation)

    def send_dtmf_tones(self, target: Identifier, request: SendDtmfTonesRequest) -> None:
        """`:sendDtmfTones`.

        Raises:
            AcsError: not connected yet, the target is nobody of this call or not on a phone, or too many
                requests wait already.
        """
        self._require_established()
        self.participant(target.id)
        if target.kind is not IdentifierKind.PHONE_NUMBER:
            raise bad_argument("Tones can be sent to a phone number only.", "targetParticipant")
        self._sent_tones.start(request)

    def media_actions(self) -> MediaActions:
        """What can be played to the caller and recognised of them.

        Raises:
            AcsError: not connected yet.
        """
        self._require_established()
        return self._media_actions

    def participants(self) -> tuple[Participant, ...]:
        """Who is in the call: the caller and the application.

        Raises:
            AcsError: not connected yet.
        """
        self._require_established()
        caller = Participant(self._call.from_, is_on_hold=self._call.line.is_held)
        return caller, Participant(from_raw_id(self._application_id()))

    def participant(self, raw_id: str) -> Participant:
        """One of them.

        Raises:
            AcsError: not connected yet, or nobody of this call.
        """
        found = next((each for each in self.participants() if each.identifier.id == raw_id), None)
        if found is None:
            raise participant_not_found()
        return found

    def transfer(
        self,
        target: Identifier,
        transferee: Identifier | None,
        context: CustomContext | None,
        request: TransferToParticipantRequest,
    ) -> None:
        """`:transferToParticipant`. CallTransferAccepted or CallTransferFailed follows.

        Raises:
            AcsError: not connected yet, or the transferee is not the caller.
        """
        self._require_established()
        if transferee is not None and transferee.id != self._call.from_.id:
            raise participant_not_found()

        def settled(outcome: TransferOutcome) -> None:
            self._transferred(outcome, target, request)

        self._services.calls.transfer(
            self._call,
            Transfer(
                target=target,
                origin=self._to,
                caller_id=request.source_caller_id_number,
                custom_context=context,
                operation_context=request.operation_context,
                asked_at=self._call.age_s,
                on_settled=settled,
            ),
        )

    def hang_up(self) -> None:
        """The application ends the call; its media is closed in the background."""
        self._end(CallEnd.GATEWAY_HUNG_UP)

    async def disconnect(self, end: CallEnd) -> None:
        """End the call, and return when its media is closed; that goes on when this is cancelled."""
        closing = self._end(end)
        if closing is not None:
            await asyncio.wait([closing])

    def _end(self, end: CallEnd) -> asyncio.Task[None] | None:
        """End the call and tell the application; the task then closes the media, for which the gateway has time."""
        connected = self._call.phase is CallPhase.CONNECTED
        self._services.calls.finish(self._call, end)
        if self._connecting is not None:
            self._connecting.cancel()
        if not connected and end is not CallEnd.GATEWAY_HUNG_UP:
            self._over.set()
            self._tell("AnswerFailed", _CALLER_GONE if end is CallEnd.CALLER_HUNG_UP else _SERVICE_STOPPED)
            return None
        return self._leave(self._disconnect_result(end))

    def _leave(self, result: ResultInformation) -> asyncio.Task[None] | None:
        """Have no part in the call any more; the task closes the media."""
        self._over.set()
        self._media_actions.end()
        self._tell("CallDisconnected", result)
        if self._media is None:
            return None
        return self._services.tasks.start(self._media.end(), name="media-streaming-end")

    def _transferred(
        self, outcome: TransferOutcome, target: Identifier, request: TransferToParticipantRequest
    ) -> None:
        is_accepted = outcome is TransferOutcome.ACCEPTED
        event = CallbackEvent(
            name="CallTransferAccepted" if is_accepted else "CallTransferFailed",
            operation_context=request.operation_context,
            result=ACCEPTED if is_accepted else failure(outcome, target),
            transfer_target=target if is_accepted else None,
            transferee=self._call.from_ if is_accepted else None,
        )
        self._send(event, request.operation_callback_uri)
        if is_accepted:
            self._leave(_GRACEFUL)

    async def _connect(self) -> None:
        await asyncio.sleep(self._services.settings.connect_seconds)
        self._call.phase = CallPhase.CONNECTED
        self._call.note("connected")
        self._tell("CallConnected", _CONNECTED)
        self._tell_participants()
        # The socket is opened while these events are on their way: no order between them is promised.
        options = self._request.media_streaming_options
        if self._media is not None and options is not None and options.start_media_streaming:
            self._media.start(MediaStreamingRequest(operation_context=self._request.operation_context))

    def _state(self) -> CallConnectionState:
        if self._call.transfer is not None:
            return CallConnectionState.TRANSFERRING
        return _WIRE_STATES[self._call.phase]

    def _require_established(self) -> None:
        if self._call.phase is not CallPhase.CONNECTED:
            raise call_not_established()

    def _configured_media(self) -> MediaStreaming:
        self._require_established()
        if self._media is None:
            raise missing_configuration("The call was answered without mediaStreamingOptions.")
        return self._media

    def _media_streaming(self) -> MediaStreaming | None:
        if self._request.media_streaming_options is None:
            return None
        settings = self._services.settings
        return MediaStreaming(
            MediaCall(
                call=self._call,
                call_connection_id=self._id,
                options=self._request.media_streaming_options,
                identity=self._services.identity,
                tasks=self._services.tasks,
                send=self._send,
                reconnect_tries=settings.media_reconnect_tries,
                time_scale=settings.time_scale,
            )
        )

    def _actions(self) -> MediaActions:
        options, services = self._request.call_intelligence_options, self._services
        return MediaActions(
            self._call,
            MediaServices(
                has_azure_ai=bool(options and options.cognitive_services_endpoint),
                sources=services.play_sources,
                tasks=services.tasks,
                send=self._send,
                completes_late_tones=services.settings.late_tones_complete,
                participants_changed=self._tell_participants,
            ),
        )

    def _transcription(self) -> TranscriptionSubscription | None:
        options = self._request.transcription_options
        if options is None:
            return None
        results = ("final", "intermediate") if options.enable_intermediate_results else ("final",)
        return TranscriptionSubscription(
            self._transcription_id, SubscriptionState.INACTIVE, results, options.locale
        )

    def _application_id(self) -> str:
        if self._request.answered_by is not None:
            return self._request.answered_by.id
        if self._to.communication_user is not None:
            return self._to.communication_user.id
        return self._services.settings.application_id

    def _disconnect_result(self, end: CallEnd) -> ResultInformation:
        if end is CallEnd.FAILED:
            return _SERVICE_STOPPED
        if end is CallEnd.CALLER_HUNG_UP and self._call.from_.kind is IdentifierKind.PHONE_NUMBER:
            return _PHONE_HUNG_UP
        return _GRACEFUL

    def _tell_participants(self) -> None:
        self._participants_told += 1
        self._send(
            CallbackEvent(
                name="ParticipantsUpdated",
                sequence_number=self._participants_told,
                participants=self.participants(),
            )
        )

    def _tell(self, name: str, result: ResultInformation) -> None:
        self._send(CallbackEvent(name=name, operation_context=self._request.operation_context, result=result))

    def _send(self, event: CallbackEvent, uri: str | None = None) -> None:
        self._services.callbacks.send(self._target, uri or self._request.callback_uri, event)
