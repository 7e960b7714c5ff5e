"""Media streaming of one answered call: opening the socket, losing it, reopening it, and the events about it."""

import asyncio
import contextlib
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from emulator.addresses import is_permitted
from emulator.calls import Call
from emulator.identity import Identity
from emulator.media.stream import MediaConnectFailed, MediaStream, StreamEnd, StreamOptions
from emulator.tasks import Tasks
from emulator.wire.call_connection import MediaStreamingSubscription, SubscriptionState
from emulator.wire.callback_events import CallbackEvent, MediaStreamingUpdate, ResultInformation
from emulator.wire.errors import invalid_in_this_state, media_operation_active
from emulator.wire.requests import AudioChannelType, MediaStreamingOptions, MediaStreamingRequest

RECONNECT_PAUSE_SECONDS: Final = 1.0
"""Before each try to reopen a lost socket; the real tries and pauses are not documented."""

_EVENT_CONTENT_TYPE: Final = "Audio"  # upper case in events, although requests say "audio"

_COMPLETED: Final = ResultInformation(200, 0, "Action completed successfully.")
_URL_UNUSABLE: Final = ResultInformation(
    400, 8581, "Action failed, transport url is not valid or web socket server is not operational."
)
_BROKEN: Final = ResultInformation(500, 8603, "Action failed, not able to establish websocket connection.")

_SERVER_NOT_USABLE: Final = frozenset({"streamUrlMissing", "initialWebSocketConnectionFailed"})
"""Status details of a URL that leads to no WebSocket server at all; others are refusals and losses."""

SendEvent = Callable[[CallbackEvent, str | None], None]
"""Sends an event to the given URI, or to the call's own where that is None."""


@dataclass(frozen=True)
class MediaCall:
    """The call whose audio is streamed, and what that takes."""

    call: Call
    call_connection_id: str
    options: MediaStreamingOptions
    identity: Identity
    tasks: Tasks
    send: SendEvent
    reconnect_tries: int
    reconnect_pause_seconds: float


class MediaStreaming:
    """The media-streaming subscription of one call; at most one socket at a time."""

    def __init__(self, media_call: MediaCall) -> None:
        self._of = media_call
        self._id = str(uuid.uuid4())
        self._state = SubscriptionState.INACTIVE
        self._streaming: asyncio.Task[None] | None = None

    def subscription(self) -> MediaStreamingSubscription:
        """The subscription as call properties show it."""
        return MediaStreamingSubscription(self._id, self._state)

    def start(self, operation: MediaStreamingRequest) -> None:
        """Begin to open the socket; MediaStreamingStarted or MediaStreamingFailed says how it went.

        Raises:
            AcsError: streaming is on already.
        """
        if self._streaming is not None:
            raise media_operation_active("Media streaming is already started.")
        self._streaming = self._of.tasks.start(self._stream(operation), name="media-streaming")

    def stop(self, operation: MediaStreamingRequest) -> None:
        """Begin to close the socket; MediaStreamingStopped says when it is closed.

        Raises:
            AcsError: streaming is not on.
        """
        streaming = self._take()
        if streaming is None:
            raise invalid_in_this_state("Media streaming is not started.")
        self._of.tasks.start(self._stop(streaming, operation), name="media-streaming-stop")

    async def end(self) -> None:
        """The call is over: close the socket if there is one, and say so."""
        streaming = self._take()
        if streaming is not None:
            await self._stop(streaming, MediaStreamingRequest())

    def _take(self) -> asyncio.Task[None] | None:
        streaming, self._streaming = self._streaming, None
        self._state = SubscriptionState.INACTIVE
        return streaming

    async def _stop(self, streaming: asyncio.Task[None], operation: MediaStreamingRequest) -> None:
        streaming.cancel()
        await asyncio.wait([streaming])
        self._tell("Stopped", "subscriptionStopped", _COMPLETED, operation)

    async def _stream(self, operation: MediaStreamingRequest) -> None:
        """Stream until cancelled, refused at first, or lost for good."""
        url = self._of.options.transport_url
        if url and not is_permitted(url, secure="wss", plain="ws"):
            self._of.call.note("media_failed", details="initialWebSocketConnectionFailed", status=0)
            self._failed("initialWebSocketConnectionFailed", operation)
            return
        connection: _Connection | None
        try:
            connection = await self._connect("subscriptionStarted", operation)
        except MediaConnectFailed as failure:
            self._failed(failure.detail, operation)
            return
        # What happens from here on is no longer part of the operation that started the stream.
        later = MediaStreamingRequest(operation_context=operation.operation_context)
        while connection is not None:
            await self._until_lost(connection)
            connection = await self._reconnect(later)
        self._failed("streamConnectionInterrupted", later)

    async def _connect(self, details: str, operation: MediaStreamingRequest) -> "_Connection":
        """Open a socket, each with a token of its own.

        Raises:
            MediaConnectFailed: it did not come up.
        """
        lost: asyncio.Future[StreamEnd] = asyncio.get_running_loop().create_future()
        stream = MediaStream(
            StreamOptions(
                url=self._of.options.transport_url or "",
                rate_hz=self._of.options.audio_format.rate_hz,
                unmixed=self._of.options.audio_channel_type is AudioChannelType.UNMIXED,
                bidirectional=self._of.options.enable_bidirectional,
                dtmf=self._of.options.enable_dtmf_tones,
                subscription_id=self._id,
                participant_raw_id=self._of.call.from_.id,
            ),
            self._of.call.line,
            headers={
                "Authorization": f"Bearer {self._of.identity.media_token()}",
                "x-ms-call-connection-id": self._of.call_connection_id,
                "x-ms-call-correlation-id": self._of.call.correlation_id,
            },
            on_end=lambda end: None if lost.done() else lost.set_result(end),
        )
        try:
            await stream.open()
        except MediaConnectFailed as failure:
            self._of.call.note("media_failed", details=failure.detail, status=failure.http_status or 0)
            raise
        except asyncio.CancelledError:
            await stream.close()
            raise
        self._state = SubscriptionState.ACTIVE
        self._of.call.streams.append(stream.stats)
        self._of.call.note("media_connected", details=details)
        self._tell("Started", details, _COMPLETED, operation)
        return _Connection(stream, lost)

    async def _until_lost(self, connection: "_Connection") -> None:
        try:
            end = await connection.lost
        finally:
            self._state = SubscriptionState.INACTIVE
            await connection.stream.close()
        self._of.call.note("media_lost", code=end.code)

    async def _reconnect(self, operation: MediaStreamingRequest) -> "_Connection | None":
        for _ in range(self._of.reconnect_tries):
            await asyncio.sleep(self._of.reconnect_pause_seconds)
            with contextlib.suppress(MediaConnectFailed):
                return await self._connect("streamConnectionReestablished", operation)
        return None

    def _failed(self, details: str, operation: MediaStreamingRequest) -> None:
        self._streaming = None
        self._tell("Failed", details, _URL_UNUSABLE if details in _SERVER_NOT_USABLE else _BROKEN, operation)

    def _tell(
        self, what: str, details: str, result: ResultInformation, operation: MediaStreamingRequest
    ) -> None:
        event = CallbackEvent(
            name=f"MediaStreaming{what}",
            operation_context=operation.operation_context,
            result=result,
            media_streaming_update=MediaStreamingUpdate(
                content_type=_EVENT_CONTENT_TYPE,
                media_streaming_status=f"mediaStreaming{what}",
                media_streaming_status_details=details,
            ),
        )
        self._of.send(event, operation.operation_callback_uri)


@dataclass(frozen=True)
class _Connection:
    stream: MediaStream
    lost: asyncio.Future[StreamEnd]
