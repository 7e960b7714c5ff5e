"""Media streaming of one answered call: opening the socket, losing it, reopening it, and the events about it."""

import asyncio
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from emulator.addresses import is_permitted
from emulator.call import Call, MediaAddress
from emulator.identity import Identity
from emulator.media.stream import MediaConnectFailed, MediaStream, StreamEnd, StreamOptions
from emulator.tasks import Tasks
from emulator.wire.call_connection import MediaStreamingSubscription, SubscriptionState
from emulator.wire.callback_events import CallbackEvent, MediaStreamingUpdate, ResultInformation
from emulator.wire.errors import invalid_in_this_state, media_operation_active
from emulator.wire.requests import AudioChannelType, MediaStreamingOptions, MediaStreamingRequest

RECONNECT_PAUSE_SECONDS: Final = 1.0
"""Before each try to reopen a lost socket; the real tries and pauses are not documented."""

STABLE_SECONDS: Final = 5.0
"""How long a socket must have lived for its loss to get all tries again."""

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
    """The call whose audio is streamed, and what that takes.

    Attributes:
        reconnect_tries: how often a lost socket is opened anew until one has lived for `STABLE_SECONDS`.
        time_scale: factor on the pauses between tries and on `STABLE_SECONDS`.
    """

    call: Call
    call_connection_id: str
    options: MediaStreamingOptions
    identity: Identity
    tasks: Tasks
    send: SendEvent
    reconnect_tries: int
    time_scale: float


class MediaStreaming:
    """The media-streaming subscription of one call; at most one socket at a time."""

    def __init__(self, media_call: MediaCall) -> None:
        self._of = media_call
        self._id = str(uuid.uuid4())
        self._state = SubscriptionState.INACTIVE
        self._streaming: asyncio.Task[None] | None = None
        self._stopping: asyncio.Task[None] | None = None
        self._started_told = False

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
        self._started_told = False
        self._streaming = self._of.tasks.start(
            self._stream(operation, after=self._stopping), name="media-streaming"
        )

    def stop(self, operation: MediaStreamingRequest) -> None:
        """Begin to close the socket; MediaStreamingStopped says when it is closed.

        Raises:
            AcsError: streaming is not on.
        """
        streaming = self._take()
        if streaming is None:
            raise invalid_in_this_state("Media streaming is not started.")
        self._stopping = self._of.tasks.start(
            self._stop(streaming, operation, after=self._stopping), name="media-streaming-stop"
        )

    async def end(self) -> None:
        """The call is over: close the socket if there is one, and say so if it was said that there is one."""
        streaming = self._take()
        if streaming is not None:
            await _cancelled(streaming)
        if self._stopping is not None:
            await asyncio.wait([self._stopping])
        if streaming is not None and self._started_told:
            self._tell("Stopped", "subscriptionStopped", _COMPLETED, MediaStreamingRequest())

    def _take(self) -> asyncio.Task[None] | None:
        streaming, self._streaming = self._streaming, None
        self._state = SubscriptionState.INACTIVE
        return streaming

    async def _stop(
        self,
        streaming: asyncio.Task[None],
        operation: MediaStreamingRequest,
        *,
        after: asyncio.Task[None] | None,
    ) -> None:
        await _cancelled(streaming)
        if after is not None:
            await asyncio.wait([after])
        self._tell("Stopped", "subscriptionStopped", _COMPLETED, operation)

    async def _stream(self, operation: MediaStreamingRequest, *, after: asyncio.Task[None] | None) -> None:
        """Once the stop before is done, stream until cancelled, refused at first, or lost for good."""
        if after is not None:
            await asyncio.wait([after])
        url = self._of.options.transport_url
        if url and not is_permitted(url, secure="wss", plain="ws"):
            self._of.call.note("media_failed", details="initialWebSocketConnectionFailed", status=0)
            self._failed("initialWebSocketConnectionFailed", operation)
            return
        if self._of.call.leaves_media:
            self._of.call.media_address = MediaAddress(
                url or "", self._headers(), self._of.options.audio_format.rate_hz
            )
            self._of.call.note("media_left")
            # Whether and when somebody opens a socket there is not known here: no event tells of it.
            return
        try:
            connection = await self._connect("subscriptionStarted", operation)
        except MediaConnectFailed as failure:
            self._failed(failure.detail, operation)
            return
        # What happens from here on is no longer part of the operation that started the stream.
        later = MediaStreamingRequest(operation_context=operation.operation_context)
        await self._until_lost_for_good(connection, later)
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
            headers=self._headers(),
            on_end=lambda end: None if lost.done() else lost.set_result(end),
            network=self._of.call.network,
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
        self._started_told = True
        self._of.call.streams.append(stream.stats)
        self._of.call.note("media_connected", details=details)
        self._tell("Started", details, _COMPLETED, operation)
        return _Connection(stream, lost)

    def _headers(self) -> dict[str, str]:
        return {
            "Authorization": f"Bearer {self._of.identity.media_token()}",
            "x-ms-call-connection-id": self._of.call_connection_id,
            "x-ms-call-correlation-id": self._of.call.correlation_id,
        }

    async def _until_lost_for_good(self, connection: "_Connection", operation: MediaStreamingRequest) -> None:
        """Reopen the socket as often as the tries allow.

        Only a socket that has lived for a while brings the tries back: a server that accepts every socket and
        closes it at once is given up like one that refuses.
        """
        loop = asyncio.get_running_loop()
        tries_left = self._of.reconnect_tries
        while True:
            opened_at = loop.time()
            await self._until_lost(connection)
            if loop.time() - opened_at >= STABLE_SECONDS * self._of.time_scale:
                tries_left = self._of.reconnect_tries
            reopened = None
            while reopened is None:
                if tries_left == 0:
                    return
                tries_left -= 1
                reopened = await self._reopen(operation)
            connection = reopened

    async def _until_lost(self, connection: "_Connection") -> None:
        try:
            end = await connection.lost
        finally:
            self._state = SubscriptionState.INACTIVE
            await connection.stream.close()
        self._of.call.note("media_lost", code=end.code)

    async def _reopen(self, operation: MediaStreamingRequest) -> "_Connection | None":
        await asyncio.sleep(RECONNECT_PAUSE_SECONDS * self._of.time_scale)
        try:
            return await self._connect("streamConnectionReestablished", operation)
        except MediaConnectFailed:
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


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])


@dataclass(frozen=True)
class _Connection:
    stream: MediaStream
    lost: asyncio.Future[StreamEnd]
