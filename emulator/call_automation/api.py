"""The operations of Call Automation's REST API."""

import msgspec
from aiohttp import web

from emulator.addresses import is_permitted
from emulator.call import Call
from emulator.call_automation import operations
from emulator.call_automation.dispatch import Dispatcher, Perform, api_version
from emulator.call_automation.leg import ApplicationLeg, LegServices
from emulator.call_automation.operations import Operation
from emulator.call_automation.repeatability import Answer
from emulator.calls import NotRinging
from emulator.faults.gate import Gate
from emulator.wire.call_connection import OperationResult, Participants
from emulator.wire.custom_context import as_received
from emulator.wire.errors import AcsError, bad_argument, call_not_found, not_emulated, not_supported
from emulator.wire.hold import HoldRequest, UnholdRequest
from emulator.wire.identifiers import Identifier, IdentifierKind, from_request
from emulator.wire.play import PlayRequest, check_source
from emulator.wire.recognize import ContinuousDtmfRecognitionRequest, RecognizeRequest, check_recognition
from emulator.wire.requests import (
    AnswerCallRequest,
    MediaStreamingRequest,
    RedirectCallRequest,
    RejectCallRequest,
    RejectReason,
    SendDtmfTonesRequest,
    TransferToParticipantRequest,
    decode,
)


def call_automation_routes(services: LegServices, gate: Gate) -> list[web.RouteDef]:
    """All operations, and an answer in ACS's error shape for every other path under `/calling`."""
    dispatcher = Dispatcher(services.settings, services.calls, gate)
    perform = _Operations(services)
    emulated: dict[Operation, Perform] = {
        operations.ANSWER: perform.answer,
        operations.REDIRECT: perform.redirect,
        operations.REJECT: perform.reject,
        operations.GET_CALL: perform.get_call,
        operations.HANG_UP: perform.hang_up,
        operations.TERMINATE: perform.hang_up,  # a call between two ends either way
        operations.START_MEDIA_STREAMING: perform.start_media_streaming,
        operations.STOP_MEDIA_STREAMING: perform.stop_media_streaming,
        operations.TRANSFER: perform.transfer,
        operations.LIST_PARTICIPANTS: perform.list_participants,
        operations.GET_PARTICIPANT: perform.get_participant,
        operations.SEND_DTMF_TONES: perform.send_dtmf_tones,
        operations.PLAY: perform.play,
        operations.RECOGNIZE: perform.recognize,
        operations.START_CONTINUOUS_DTMF: perform.start_continuous_dtmf,
        operations.STOP_CONTINUOUS_DTMF: perform.stop_continuous_dtmf,
        operations.CANCEL_ALL_MEDIA: perform.cancel_all_media,
        operations.HOLD: perform.hold,
        operations.UNHOLD: perform.unhold,
    }
    refused: dict[Operation, Perform] = dict.fromkeys(operations.NOT_EMULATED, _not_emulated)
    unknown: dict[Operation, Perform] = {Operation("unknown", "*", "/calling/{path:.*}"): _unknown}
    return [
        dispatcher.route(operation, performed)
        for operation, performed in {**emulated, **refused, **unknown}.items()
    ]


class _Operations:
    def __init__(self, services: LegServices) -> None:
        self._services = services
        self._calls = services.calls

    async def answer(self, request: web.Request, body: bytes) -> Answer:
        answered = decode(body, AnswerCallRequest)
        _check_callback_uri(answered.callback_uri, "callbackUri")
        if answered.transcription_options is not None and answered.transcription_options.start_transcription:
            raise not_emulated("This emulator does not transcribe; set startTranscription to false.")
        leg = ApplicationLeg(
            self._take(answered.incoming_call_context),
            answered,
            api_version=api_version(request),
            services=self._services,
        )
        properties = msgspec.json.encode(leg.properties())
        leg.begin()
        return Answer(200, properties)

    async def redirect(self, _: web.Request, body: bytes) -> Answer:
        redirected = decode(body, RedirectCallRequest)
        target = _identifier(redirected.target, "target")
        call = self._calls.ringing(redirected.incoming_call_context)
        if (
            call is not None
            and call.from_.kind is IdentifierKind.COMMUNICATION_USER
            and target.kind is IdentifierKind.PHONE_NUMBER
        ):
            raise not_supported("A VoIP call cannot be redirected to a phone number.")
        self._calls.redirect(self._take(redirected.incoming_call_context), target)
        return Answer(204)

    async def reject(self, _: web.Request, body: bytes) -> Answer:
        rejected = decode(body, RejectCallRequest)
        call = self._take(rejected.incoming_call_context)
        call.note("rejected", reason=str(rejected.call_reject_reason))
        self._calls.reject(call, is_busy=rejected.call_reject_reason is RejectReason.BUSY)
        return Answer(204)

    async def get_call(self, request: web.Request, _: bytes) -> Answer:
        return Answer(200, msgspec.json.encode(self._leg(request).properties()))

    async def hang_up(self, request: web.Request, _: bytes) -> Answer:
        self._leg(request).hang_up()
        return Answer(204)

    async def start_media_streaming(self, request: web.Request, body: bytes) -> Answer:
        self._leg(request).start_media_streaming(_media_streaming_request(body))
        return Answer(202)

    async def stop_media_streaming(self, request: web.Request, body: bytes) -> Answer:
        self._leg(request).stop_media_streaming(_media_streaming_request(body))
        return Answer(202)

    async def send_dtmf_tones(self, request: web.Request, body: bytes) -> Answer:
        sent = decode(body, SendDtmfTonesRequest)
        _check_operation_callback_uri(sent.operation_callback_uri)
        target = _identifier(sent.target_participant, "targetParticipant")
        self._leg(request).send_dtmf_tones(target, sent)
        return Answer(202, msgspec.json.encode(OperationResult(sent.operation_context)))

    async def play(self, request: web.Request, body: bytes) -> Answer:
        sent = decode(body, PlayRequest)
        _check_operation_callback_uri(sent.operation_callback_uri)
        for index, source in enumerate(sent.play_sources):
            check_source(source, f"playSources[{index}]")
        targets = [_identifier(each, f"playTo[{index}]") for index, each in enumerate(sent.play_to)]
        self._leg(request).media_actions().play(targets, sent)
        return Answer(202)

    async def recognize(self, request: web.Request, body: bytes) -> Answer:
        sent = decode(body, RecognizeRequest)
        _check_operation_callback_uri(sent.operation_callback_uri)
        check_recognition(sent)
        target = _identifier(sent.recognize_options.target_participant, "recognizeOptions.targetParticipant")
        self._leg(request).media_actions().recognize(target, sent)
        return Answer(202)

    async def start_continuous_dtmf(self, request: web.Request, body: bytes) -> Answer:
        target, sent = _continuous_dtmf(body)
        self._leg(request).media_actions().start_continuous_dtmf(target, sent)
        return Answer(200)

    async def stop_continuous_dtmf(self, request: web.Request, body: bytes) -> Answer:
        target, sent = _continuous_dtmf(body)
        self._leg(request).media_actions().stop_continuous_dtmf(target, sent)
        return Answer(200)

    async def cancel_all_media(self, request: web.Request, _: bytes) -> Answer:
        self._leg(request).media_actions().cancel_all()
        return Answer(202)

    async def hold(self, request: web.Request, body: bytes) -> Answer:
        sent = decode(body, HoldRequest)
        _check_operation_callback_uri(sent.operation_callback_uri)
        if sent.play_source_info is not None:
            check_source(sent.play_source_info, "playSourceInfo")
        target = _identifier(sent.target_participant, "targetParticipant")
        self._leg(request).media_actions().hold(target, sent)
        return Answer(200)

    async def unhold(self, request: web.Request, body: bytes) -> Answer:
        sent = decode(body, UnholdRequest)
        _check_operation_callback_uri(sent.operation_callback_uri)
        target = _identifier(sent.target_participant, "targetParticipant")
        self._leg(request).media_actions().unhold(target)
        return Answer(200)

    async def transfer(self, request: web.Request, body: bytes) -> Answer:
        sent = decode(body, TransferToParticipantRequest)
        _check_operation_callback_uri(sent.operation_callback_uri)
        target = _identifier(sent.target_participant, "targetParticipant")
        transferee = _identifier(sent.transferee, "transferee") if sent.transferee is not None else None
        custom = sent.custom_calling_context
        context = as_received(custom) if custom is not None else None
        self._leg(request).transfer(target, transferee, context, sent)
        return Answer(202, msgspec.json.encode(OperationResult(sent.operation_context)))

    async def list_participants(self, request: web.Request, _: bytes) -> Answer:
        return Answer(200, msgspec.json.encode(Participants(self._leg(request).participants())))

    async def get_participant(self, request: web.Request, _: bytes) -> Answer:
        raw_id = request.match_info["participantRawId"]
        return Answer(200, msgspec.json.encode(self._leg(request).participant(raw_id)))

    def _take(self, incoming_call_context: str) -> Call:
        # A context that was used, has expired or never was names no ringing call: to ACS they are all the same.
        try:
            return self._calls.take(incoming_call_context)
        except NotRinging:
            raise call_not_found() from None

    def _leg(self, request: web.Request) -> ApplicationLeg:
        call = self._calls.connected(request.match_info["callConnectionId"])
        if call is None or not isinstance(call.leg, ApplicationLeg):
            raise call_not_found()
        return call.leg


async def _not_emulated(_: web.Request, __: bytes) -> Answer:
    raise not_emulated("This emulator does not do this operation.")


async def _unknown(_: web.Request, __: bytes) -> Answer:
    raise AcsError(404, "NotFound", "There is no such operation.")


def _media_streaming_request(body: bytes) -> MediaStreamingRequest:
    operation = decode(body, MediaStreamingRequest)
    _check_operation_callback_uri(operation.operation_callback_uri)
    return operation


def _continuous_dtmf(body: bytes) -> tuple[Identifier, ContinuousDtmfRecognitionRequest]:
    sent = decode(body, ContinuousDtmfRecognitionRequest)
    _check_operation_callback_uri(sent.operation_callback_uri)
    return _identifier(sent.target_participant, "targetParticipant"), sent


def _identifier(sent: Identifier, member: str) -> Identifier:
    try:
        return from_request(sent)
    except ValueError as error:
        raise bad_argument(f"The {member} is not valid: {error}.", member) from None


def _check_operation_callback_uri(uri: str | None) -> None:
    if uri is not None:
        _check_callback_uri(uri, "operationCallbackUri")


def _check_callback_uri(uri: str, member: str) -> None:
    if not is_permitted(uri, secure="https", plain="http"):
        raise bad_argument(
            "CallbackUri is invalid: it must be https (http only on a loopback address).", member
        )
