"""Call Automation through its SDK: answer, reject, hang up; and what its errors mean to us."""

from azure.communication.callautomation import (
    AudioFormat,
    MediaStreamingAudioChannelType,
    MediaStreamingContentType,
    MediaStreamingOptions,
    StreamingTransportType,
)
from azure.communication.callautomation.aio import CallAutomationClient
from azure.core.exceptions import AzureError, HttpResponseError

from shared.core import profiles
from shared.errors import AcsUnavailable, CallGone

RETRIES = 1
"""The SDK's default of ten would repeat an answer for minutes after the caller has gone."""
CONNECT_TIMEOUT_S = 2
READ_TIMEOUT_S = 4

ARGUMENT_FAULTS = frozenset({"8523"})
"""Sub-codes of a 400 that blame our request, not the state of the call."""


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
        repeatability_id: str,
        cognitive_services_endpoint: str | None,
    ) -> str:
        """Answer with bidirectional media streaming and return the call connection id.

        Sent again with the same `repeatability_id`, it is the same request to ACS, which replays its reply.

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
        try:
            properties = await self._client.answer_call(
                incoming_call_context,
                callback_url,
                media_streaming=streaming,
                operation_context=call_id,
                cognitive_services_endpoint=cognitive_services_endpoint,
                headers={"Repeatability-Request-ID": repeatability_id},
            )
        except (AzureError, TimeoutError) as error:
            raise _as_ours(error) from error
        return str(properties.call_connection_id)

    async def reject(self, *, incoming_call_context: str, repeatability_id: str) -> None:
        """Reject a ringing call as busy. Raises `CallGone` and `AcsUnavailable`."""
        try:
            await self._client.reject_call(
                incoming_call_context,
                call_reject_reason="busy",
                headers={"Repeatability-Request-ID": repeatability_id},
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


def _as_ours(error: Exception) -> CallGone | AcsUnavailable:
    """Map an SDK error; `error.error.code` is ACS's sub-code as text, for every class of the SDK's errors."""
    if not isinstance(error, HttpResponseError):
        return AcsUnavailable("ACS did not answer")
    detail = getattr(error, "error", None)
    code = str(getattr(detail, "code", "") or "")
    # ACS says 404/8522 for a call it does not know (any more), and 400 for one in a state past answering.
    gone = error.status_code == 404 or (error.status_code == 400 and code not in ARGUMENT_FAULTS)
    if gone:
        return CallGone(f"ACS answered {error.status_code}/{code or 'none'}")
    return AcsUnavailable(f"ACS answered {error.status_code}/{code or 'none'}")
