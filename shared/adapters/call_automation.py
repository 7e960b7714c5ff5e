"""Call Automation through its SDK: what we ask of it, and what its errors mean to us."""

import logging
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from email.utils import formatdate
from http import HTTPStatus

from azure.communication.callautomation import (
    AudioFormat,
    CallRejectReason,
    FileSource,
    MediaStreamingAudioChannelType,
    MediaStreamingContentType,
    MediaStreamingOptions,
    PhoneNumberIdentifier,
    StreamingTransportType,
)

# Public in every other Communication Services package; this one forgot to export it.
from azure.communication.callautomation._shared.models import identifier_from_raw_id
from azure.communication.callautomation.aio import CallAutomationClient
from azure.core.exceptions import AzureError, HttpResponseError

from shared.acs.identifiers import PHONE_PREFIX
from shared.adapters.recognition import PlaySource, play_source, recognize_arguments
from shared.core import profiles
from shared.core.ai_link import advice_of
from shared.core.recognition import TONES, Prompt, Recognition
from shared.core.transfers import TransferContext
from shared.errors import AcsRefused, AcsUnavailable, CallGone

logger = logging.getLogger(__name__)

RETRIES = 1
"""The SDK's default of ten would repeat an answer for minutes after the caller has gone."""
CONNECT_TIMEOUT_S = 2
READ_TIMEOUT_S = 4

GONE_CODES = frozenset({"8501", "8522", "8528", "8585"})
"""Sub-codes of a 400 that tell of a call past answering. Any other 400 blames our request or our configuration."""
NOT_NOW = "8585"
"""The one of them that also means "not in the state that the call is in": already streaming, or being transferred."""

REFUSED_STATUSES = frozenset(
    {HTTPStatus.BAD_REQUEST, HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.UNPROCESSABLE_ENTITY}
)
"""What is wrong is in the request. Keys, roles and throttling are mended without it."""

MAX_TONES = 18
"""That ACS takes in one request to press keys."""


@dataclass(frozen=True, slots=True)
class Repeatability:
    """What makes a repeated request the same request to ACS; `first_sent` is Unix seconds."""

    request_id: str
    first_sent: float

    def headers(self) -> dict[str, str]:
        """Return the two headers; a new dictionary, for the SDK writes into it."""
        return {
            "Repeatability-Request-ID": self.request_id,
            "Repeatability-First-Sent": formatdate(self.first_sent, usegmt=True),
        }

    def of_another_request(self) -> "Repeatability":
        """Return what makes another request about the same call, each time the same one."""
        return replace(self, request_id=str(uuid.uuid5(uuid.UUID(self.request_id), "another")))


class CallControl:
    """What we ask of ACS. The client's time-outs and retries are set where it is made."""

    def __init__(self, client: CallAutomationClient) -> None:
        self._client = client

    async def answer(
        self,
        *,
        incoming_call_context: str,
        callback_url: str,
        media_url: str,
        audio_format: profiles.AudioFormat,
        call_id: str,
        repeatability: Repeatability,
        cognitive_services_endpoint: str | None,
    ) -> str:
        """Answer with bidirectional media streaming and return the call connection id.

        Where ACS refuses for its link to Azure AI, the call is answered without: texts and speech are then away in it.
        Sent once otherwise: whether it was answered is for the caller of this to find out before it asks again. Asked
        again with the same `repeatability`, it is the same request, and ACS should replay its reply.

        Raises:
            CallGone: the context is no longer good.
            AcsUnavailable: anything else that went wrong; whether the call was answered is then unknown.
        """
        streaming = MediaStreamingOptions(
            transport_url=media_url,
            transport_type=StreamingTransportType.WEBSOCKET,
            content_type=MediaStreamingContentType.AUDIO,
            audio_channel_type=MediaStreamingAudioChannelType.MIXED,
            start_media_streaming=True,
            enable_bidirectional=True,
            enable_dtmf_tones=True,
            audio_format=AudioFormat(audio_format.value),
        )
        return await self._answer(
            incoming_call_context,
            callback_url,
            streaming,
            call_id,
            repeatability,
            cognitive_services_endpoint,
        )

    async def answer_without_media(
        self,
        *,
        incoming_call_context: str,
        callback_url: str,
        call_id: str,
        repeatability: Repeatability,
        cognitive_services_endpoint: str | None,
    ) -> str:
        """Answer for ACS to play and recognise, with nothing streamed; otherwise as `answer`."""
        return await self._answer(
            incoming_call_context, callback_url, None, call_id, repeatability, cognitive_services_endpoint
        )

    async def _answer(
        self,
        incoming_call_context: str,
        callback_url: str,
        streaming: MediaStreamingOptions | None,
        call_id: str,
        repeatability: Repeatability,
        cognitive_services_endpoint: str | None,
    ) -> str:
        call = (incoming_call_context, callback_url, streaming, call_id)
        try:
            return await self._answer_once(*call, repeatability, cognitive_services_endpoint)
        except AcsRefused as refused:
            advice = advice_of(refused.code, refused.sub_code)
            if cognitive_services_endpoint is None or advice is None:
                raise
            logger.error(  # noqa: TRY400 - the link is wrong, not the code
                "a call is answered without Azure AI",
                extra={"call_id": call_id, "wrong": advice.wrong, "advice": advice.do},
            )
        return await self._answer_once(*call, repeatability.of_another_request(), None)

    async def _answer_once(
        self,
        incoming_call_context: str,
        callback_url: str,
        streaming: MediaStreamingOptions | None,
        call_id: str,
        repeatability: Repeatability,
        cognitive_services_endpoint: str | None,
    ) -> str:
        try:
            properties = await self._client.answer_call(
                incoming_call_context,
                callback_url,
                media_streaming=streaming,
                operation_context=call_id,
                cognitive_services_endpoint=cognitive_services_endpoint,
                headers=repeatability.headers(),
                retry_total=0,
            )
        except (AzureError, TimeoutError) as error:
            raise _as_ours(error) from error
        if not properties.call_connection_id:
            raise AcsUnavailable("ACS answered without a call connection id")
        return str(properties.call_connection_id)

    async def reject(
        self, *, incoming_call_context: str, blocked: bool, repeatability: Repeatability
    ) -> None:
        """Reject a ringing call: as forbidden where the caller is blocked, else as busy.

        Raises:
            CallGone: the context is no longer good.
            AcsUnavailable: anything else that went wrong.
        """
        reason = CallRejectReason.FORBIDDEN if blocked else CallRejectReason.BUSY
        try:
            await self._client.reject_call(
                incoming_call_context,
                call_reject_reason=reason,
                headers=repeatability.headers(),
            )
        except (AzureError, TimeoutError) as error:
            raise _as_ours(error) from error

    async def redirect(
        self, *, incoming_call_context: str, target: str, repeatability: Repeatability
    ) -> None:
        """Let a ringing call ring at `target`, a raw id, instead. Raises `CallGone` and `AcsUnavailable`."""
        try:
            await self._client.redirect_call(
                incoming_call_context, identifier_from_raw_id(target), headers=repeatability.headers()
            )
        except (AzureError, TimeoutError) as error:
            raise _as_ours(error) from error

    async def hang_up(self, call_connection_id: str, *, for_everyone: bool) -> None:
        """Leave the call, or end it for all. Raises `CallGone` and `AcsUnavailable`."""
        connection = self._client.get_call_connection(call_connection_id)
        try:
            await connection.hang_up(is_for_everyone=for_everyone)
        except (AzureError, TimeoutError) as error:
            raise _as_ours(error) from error

    async def transfer(
        self,
        call_connection_id: str,
        *,
        target: str,
        context: TransferContext,
        operation_context: str,
        caller_id: str | None = None,
        transferee: str | None = None,
    ) -> None:
        """Ask ACS to transfer a call to `target`, a raw id; returns when it has taken the request.

        CallTransferAccepted or CallTransferFailed tells how it went, with `operation_context` in it; there is no
        promise of either. The SDK repeats a request under one repeatability id, so that it is one transfer.

        Args:
            call_connection_id: The call.
            target: Raw id.
            context: What goes along, from `shared.core.transfers.context_for`.
            operation_context: Comes back in the callback.
            caller_id: Number (`+1...`) that a phone is shown; nobody else is. A public number must be one of ours,
                and without direct routing there must be one.
            transferee: Raw id of who is transferred; where it is None the other side of a call of two.

        Raises:
            CallGone: the call is over.
            AcsRefused: ACS will not transfer it, or is transferring it already.
            AcsUnavailable: anything else; whether it is transferred is then unknown.
        """
        connection = self._client.get_call_connection(call_connection_id)
        is_phone = target.startswith(PHONE_PREFIX)
        try:
            await connection.transfer_call_to_participant(
                identifier_from_raw_id(target),
                operation_context=operation_context,
                transferee=None if transferee is None else identifier_from_raw_id(transferee),
                sip_headers=context.sip or None,
                voip_headers=context.voip or None,
                source_caller_id_number=PhoneNumberIdentifier(caller_id) if caller_id and is_phone else None,
            )
        except (AzureError, TimeoutError) as error:
            raise _as_ours(error, gone_codes=GONE_CODES - {NOT_NOW}) from error

    async def start_media(self, call_connection_id: str, *, operation_context: str) -> None:
        """Ask ACS to open the media socket again, to the URL that the call was answered with.

        Returns when it has taken the request; the socket tells how it went, or MediaStreamingFailed does. A repeated
        request is not known as one: where media are streaming, ACS refuses it.

        Raises:
            CallGone: the call is over.
            AcsRefused: media are streaming, or the call was answered without them.
            AcsUnavailable: anything else; whether a socket comes is then unknown.
        """
        connection = self._client.get_call_connection(call_connection_id)
        try:
            await connection.start_media_streaming(operation_context=operation_context)
        except (AzureError, TimeoutError) as error:
            raise _as_ours(error, gone_codes=GONE_CODES - {NOT_NOW}) from error

    async def stop_media(self, call_connection_id: str) -> None:
        """Ask ACS to close the media socket, though it may take its other end for alive.

        Returns when it has taken the request; media that are started then have a socket of their own.

        Raises:
            CallGone: the call is over.
            AcsRefused: media are not streaming.
            AcsUnavailable: anything else.
        """
        connection = self._client.get_call_connection(call_connection_id)
        try:
            await connection.stop_media_streaming()
        except (AzureError, TimeoutError) as error:
            raise _as_ours(error, gone_codes=GONE_CODES - {NOT_NOW}) from error

    async def send_dtmf(self, call_connection_id: str, *, target: str, digits: str) -> None:
        """Press `digits`, of `0123456789*#ABCD`, towards `target`, the raw id of a participant on a phone.

        More of them than ACS takes at once go in several requests, each after the reply to the one before. Returns
        when ACS has taken them all, not when they have been heard.

        Raises:
            CallGone: the call is over, or the target has left it.
            AcsUnavailable: anything else that went wrong; whether the keys were pressed is then unknown, and of
                several requests the first may have been taken.
        """
        connection = self._client.get_call_connection(call_connection_id)
        participant = identifier_from_raw_id(target)
        tones = [TONES[digit] for digit in digits]
        try:
            for start in range(0, len(tones), MAX_TONES):
                await connection.send_dtmf_tones(tones[start : start + MAX_TONES], participant)
        except (AzureError, TimeoutError) as error:
            raise _as_ours(error) from error

    async def play_file(self, call_connection_id: str, *, url: str, operation_context: str) -> None:
        """Let ACS fetch a WAV file and play it to the call, with or without a media stream.

        Returns when it has taken the request; PlayCompleted or PlayFailed tells how it went, with
        `operation_context` in it. What is played already is cut off.

        Args:
            call_connection_id: The call.
            url: Of PCM, mono, 16 bits, 16 kHz; ACS comes without credentials.
            operation_context: Comes back in the callbacks.

        Raises:
            CallGone: the call is over.
            AcsRefused: ACS will not play it.
            AcsUnavailable: anything else; whether it is played is then unknown.
        """
        await self._play(call_connection_id, [FileSource(url)], operation_context)

    async def play(
        self, call_connection_id: str, *, prompts: Sequence[Prompt], operation_context: str
    ) -> None:
        """Let ACS play prompts, spoken ones by Azure AI, one after another; otherwise as `play_file`.

        Raises:
            CallGone: the call is over.
            AcsRefused: ACS will not play it; for spoken ones also: no Azure AI was named when the call was answered,
                or it is not linked.
            AcsUnavailable: anything else; whether it is played is then unknown.
        """
        await self._play(call_connection_id, [*map(play_source, prompts)], operation_context)

    async def recognize(
        self, call_connection_id: str, *, target: str, recognition: Recognition, operation_context: str
    ) -> None:
        """Let ACS play the prompts, and recognise what `target`, a raw id, presses or says then.

        Returns when it has taken the request; RecognizeCompleted or RecognizeFailed tells how it went, with
        `operation_context` in it. What is played or recognised already is cut off: RecognizeCanceled may be told of
        the same context, where a reply was lost and the request repeated, and means nothing then.

        Raises:
            CallGone: the call is over, or the target has left it.
            AcsRefused: ACS will not: no Azure AI was named when the call was answered, or it is not linked.
            AcsUnavailable: anything else; whether anything is recognised is then unknown.
        """
        connection = self._client.get_call_connection(call_connection_id)
        try:
            await connection.start_recognizing_media(
                target_participant=identifier_from_raw_id(target),
                interrupt_call_media_operation=True,
                operation_context=operation_context,
                **recognize_arguments(recognition),
            )
        except (AzureError, TimeoutError) as error:
            raise _as_ours(error, gone_codes=GONE_CODES - {NOT_NOW}) from error

    async def _play(
        self, call_connection_id: str, sources: Sequence[PlaySource], operation_context: str
    ) -> None:
        connection = self._client.get_call_connection(call_connection_id)
        try:
            # The SDK repeats a request whose reply is lost, and ACS cannot tell: the later one is to replace the
            # first, not to be heard after it.
            await connection.play_media(
                list(sources), interrupt_call_media_operation=True, operation_context=operation_context
            )
        except (AzureError, TimeoutError) as error:
            raise _as_ours(error, gone_codes=GONE_CODES - {NOT_NOW}) from error


def _as_ours(error: Exception, *, gone_codes: frozenset[str] = GONE_CODES) -> CallGone | AcsUnavailable:
    """Map an SDK error; `error.error.code` is ACS's sub-code as text, for every class of the SDK's errors."""
    if not isinstance(error, HttpResponseError):
        return AcsUnavailable("ACS did not answer")
    detail = getattr(error, "error", None)
    code = str(getattr(detail, "code", "") or "")
    # ACS says 404/8522 for a call it does not know (any more), and 400 for one in a state past answering.
    gone = error.status_code == 404 or (error.status_code == 400 and code in gone_codes)
    if gone:
        return CallGone(f"ACS answered {error.status_code}/{code or 'none'}")
    text = f"ACS answered {error.status_code}/{code or 'none'}"
    status, sub_code = error.status_code or 0, int(code) if code.isdecimal() else 0
    # A link to Azure AI that is broken is no fault of the call's: whoever asked goes on without texts.
    if status in REFUSED_STATUSES or advice_of(status, sub_code) is not None:
        return AcsRefused(text, code=status, sub_code=sub_code)
    return AcsUnavailable(text)
