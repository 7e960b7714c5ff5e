"""When ACS opens, loses, reopens and closes the media socket, and what it says about it."""

import asyncio
import base64
from contextlib import asynccontextmanager

import jwt
import pytest
from aiohttp import web
from azure.communication.callautomation import (
    AudioFormat,
    MediaStreamingAudioChannelType,
    MediaStreamingContentType,
    MediaStreamingOptions,
    StreamingTransportType,
)
from azure.core.exceptions import HttpResponseError

from emulator.call import CallPhase
from emulator.media.line import Line
from tests.support.shapes import assert_same_shape, example


def streaming(url: str | None, **changes) -> MediaStreamingOptions:
    return MediaStreamingOptions(
        **{
            "transport_url": url,
            "transport_type": StreamingTransportType.WEBSOCKET,
            "content_type": MediaStreamingContentType.AUDIO,
            "audio_channel_type": MediaStreamingAudioChannelType.MIXED,
            "start_media_streaming": True,
            "enable_bidirectional": True,
            "audio_format": AudioFormat.PCM24_K_MONO,
            "enable_dtmf_tones": True,
        }
        | changes
    )


@asynccontextmanager
async def gateway(accept):
    """Serve WebSockets as `accept` does; yields their URL."""
    app = web.Application()
    app.router.add_get("/media", accept)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"ws://127.0.0.1:{runner.addresses[0][1]}/media"
    await runner.cleanup()


@asynccontextmanager
async def gateway_that_never_says_goodbye():
    """Yields its URL; close frames get no answer."""
    released = asyncio.Event()

    async def accept(request):
        socket = web.WebSocketResponse(autoclose=False)
        await socket.prepare(request)
        await released.wait()
        return socket

    async with gateway(accept) as url:
        yield url
        released.set()


def assert_event_shape(event, name: str) -> None:
    published = example(f"callback_data_{name}")["data"]
    assert_same_shape(
        event["data"],
        published,
        extra=frozenset({"version", "publicEventType", "eventSource", "operationContext"} - set(published)),
    )
    update = published["mediaStreamingUpdate"]
    assert event["data"]["mediaStreamingUpdate"] == update


async def test_socket_opens_with_the_call_and_says_who_it_is(
    acs_emulator, client, place_call, application, happened
):
    call = await place_call()

    answered = await client.answer(
        call, application, media_streaming=streaming(application.media_url), operation_context="answer-7f3c"
    )

    [socket] = await application.media_sockets()
    assert socket.headers["x-ms-call-connection-id"] == answered.call_connection_id
    assert socket.headers["x-ms-call-correlation-id"] == call.correlation_id
    claims = jwt.decode(
        socket.headers["Authorization"].removeprefix("Bearer "), options={"verify_signature": False}
    )
    assert claims["exp"] - claims["iat"] == 24 * 3600
    assert socket.query["token"] == "abc"
    metadata = socket.messages[0]["audioMetadata"]
    assert metadata["subscriptionId"] == answered.media_streaming_subscription.id
    assert metadata["sampleRate"] == 24_000
    started = await application.event("MediaStreamingStarted")
    assert_event_shape(started, "media_streaming_started")
    assert started["data"]["operationContext"] == "answer-7f3c"
    properties = await client.on_call(answered.call_connection_id, "get_call_properties")
    assert properties.media_streaming_subscription.state == "active"
    await acs_emulator.calls.caller_hangs_up(call)


async def test_unmixed_audio_at_16_khz_names_the_caller(acs_emulator, aio_client, place_call, application):
    call = await place_call()
    options = streaming(
        application.media_url,
        audio_channel_type=MediaStreamingAudioChannelType.UNMIXED,
        audio_format=AudioFormat.PCM16_K_MONO,
    )

    await aio_client.answer(call, application, media_streaming=options)

    [socket] = await application.media_sockets()
    await application.until(lambda: len(socket.messages) > 1)
    assert socket.messages[0]["audioMetadata"]["sampleRate"] == 16_000
    assert socket.messages[1]["audioData"]["participantRawID"] == "4:+14255550100"
    await acs_emulator.calls.caller_hangs_up(call)


async def test_streaming_is_started_and_stopped_by_request(client, place_call, application, happened):
    call = await place_call()
    answered = await client.answer(
        call, application, media_streaming=streaming(application.media_url, start_media_streaming=False)
    )
    await happened(call, "connected")
    connection_id = answered.call_connection_id
    other_url = application.base_url + "/callbacks/other"

    await client.on_call(
        connection_id, "start_media_streaming", operation_context="start", operation_callback_url=other_url
    )
    started = await application.event("MediaStreamingStarted")
    with pytest.raises(HttpResponseError) as twice:
        await client.on_call(connection_id, "start_media_streaming")
    await client.on_call(connection_id, "stop_media_streaming", operation_context="stop")
    stopped = await application.event("MediaStreamingStopped")
    with pytest.raises(HttpResponseError) as again:
        await client.on_call(connection_id, "stop_media_streaming")
    await client.on_call(connection_id, "start_media_streaming")
    first, second = await application.media_sockets(2)

    assert (twice.value.status_code, twice.value.error.code) == (400, "8500")
    assert (again.value.status_code, again.value.error.code) == (400, "8585")
    assert started["data"]["operationContext"] == "start"
    assert stopped["data"]["operationContext"] == "stop"
    assert_event_shape(stopped, "media_streaming_stopped")
    paths = {
        event["type"].rpartition(".")[2]: callback.method
        for callback in application.callbacks
        for event in callback.json
    }
    assert paths["MediaStreamingStopped"] == "/callbacks/main?secret=7f3c"
    assert any(callback.method == "/callbacks/other" for callback in application.callbacks)
    await application.until(lambda: first.closed_with is not None)
    assert first.closed_with == 1000
    assert second.messages[0]["kind"] == "AudioMetadata"
    assert first.headers["Authorization"] != second.headers["Authorization"]


async def test_streaming_needs_to_be_configured_when_answering(client, place_call, application, happened):
    call = await place_call()
    answered = await client.answer(call, application)
    await happened(call, "connected")

    with pytest.raises(HttpResponseError) as refused:
        await client.on_call(answered.call_connection_id, "start_media_streaming")

    assert (refused.value.status_code, refused.value.error.code) == (405, "8522")


@pytest.mark.parametrize(
    ("status", "code", "sub_code", "details"),
    [
        (401, 500, 8603, "authenticationFailure"),
        (403, 500, 8603, "forbidden"),
        (429, 500, 8603, "tooManyRequests"),
        (503, 500, 8603, "streamConnectionUnsuccessful"),
    ],
)
async def test_refused_upgrade_fails_streaming_and_keeps_the_call(
    aio_client, place_call, application, status, code, sub_code, details
):
    application.media_statuses.append(status)
    call = await place_call()

    await aio_client.answer(call, application, media_streaming=streaming(application.media_url))

    failed = (await application.event("MediaStreamingFailed"))["data"]
    assert (failed["resultInformation"]["code"], failed["resultInformation"]["subCode"]) == (code, sub_code)
    assert failed["mediaStreamingUpdate"]["mediaStreamingStatusDetails"] == details
    assert call.phase is CallPhase.CONNECTED
    if details == "streamConnectionUnsuccessful":
        assert_event_shape(await application.event("MediaStreamingFailed"), "media_streaming_failed")


@pytest.mark.parametrize(
    ("url", "details"),
    [
        ("ws://127.0.0.1:1/media", "initialWebSocketConnectionFailed"),
        ("ws://media.example.com/media", "initialWebSocketConnectionFailed"),
        ("https://media.example.com/media", "initialWebSocketConnectionFailed"),
        (None, "streamUrlMissing"),
    ],
)
async def test_unusable_url_fails_streaming(aio_client, place_call, application, url, details):
    call = await place_call()

    await aio_client.answer(call, application, media_streaming=streaming(url))

    failed = (await application.event("MediaStreamingFailed"))["data"]
    assert (failed["resultInformation"]["code"], failed["resultInformation"]["subCode"]) == (400, 8581)
    assert failed["mediaStreamingUpdate"]["mediaStreamingStatusDetails"] == details
    assert call.phase is CallPhase.CONNECTED


async def test_failed_streaming_can_be_started_again(client, place_call, application):
    application.media_statuses.append(503)
    call = await place_call()
    answered = await client.answer(call, application, media_streaming=streaming(application.media_url))
    await application.event("MediaStreamingFailed")

    await client.on_call(answered.call_connection_id, "start_media_streaming")

    assert await application.event("MediaStreamingStarted")


async def test_lost_socket_is_opened_anew(aio_client, place_call, application):
    call = await place_call()
    await aio_client.answer(
        call, application, media_streaming=streaming(application.media_url), operation_context="answer-7f3c"
    )
    [socket] = await application.media_sockets()
    application.media_statuses.append(503)

    await socket.response.close()

    await application.until(lambda: application.event_types().count("MediaStreamingStarted") == 2)
    events = [event for event in application.events() if event["type"].endswith("MediaStreamingStarted")]
    details = [event["data"]["mediaStreamingUpdate"]["mediaStreamingStatusDetails"] for event in events]
    assert details == ["subscriptionStarted", "streamConnectionReestablished"]
    [first, second] = await application.media_sockets(2)
    assert second.headers["x-ms-call-connection-id"] == first.headers["x-ms-call-connection-id"]
    assert second.headers["Authorization"] != first.headers["Authorization"]
    assert second.messages[0] == first.messages[0]


async def test_socket_that_cannot_be_reopened_fails_streaming(aio_client, place_call, application):
    call = await place_call()
    await aio_client.answer(call, application, media_streaming=streaming(application.media_url))
    [socket] = await application.media_sockets()
    await application.event("MediaStreamingStarted")
    application.media_statuses.extend([503, 503, 503])

    await socket.response.close()

    failed = (await application.event("MediaStreamingFailed"))["data"]
    assert failed["mediaStreamingUpdate"]["mediaStreamingStatusDetails"] == "streamConnectionInterrupted"
    assert call.phase is CallPhase.CONNECTED
    names = [happening.name for happening in call.happenings if happening.name.startswith("media")]
    assert names == ["media_connected", "media_lost", "media_failed", "media_failed", "media_failed"]


async def test_server_that_closes_every_socket_at_once_is_given_up(start_emulator, make_client, application):
    emulator = await start_emulator(time_scale=0.1, media_reconnect_tries=2)
    client = await make_client(emulator)
    call = await emulator.calls.place(to="+18005550199", from_="+14255550100", line=Line(rate_hz=16_000))
    await client.answer(call, application, media_streaming=streaming(application.media_url))

    for index in range(3):
        await application.until(lambda index=index: len(application.sockets) > index)
        await application.sockets[index].response.close()

    failed = (await application.event("MediaStreamingFailed"))["data"]
    assert failed["mediaStreamingUpdate"]["mediaStreamingStatusDetails"] == "streamConnectionInterrupted"
    assert len(application.sockets) == 3
    assert call.phase is CallPhase.CONNECTED


async def test_socket_that_has_lived_for_a_while_may_be_lost_any_number_of_times(
    acs_emulator, aio_client, place_call, application, happened
):
    call = await place_call()
    await aio_client.answer(call, application, media_streaming=streaming(application.media_url))

    for count in range(1, 6):
        await application.media_sockets(count)
        await application.until(
            lambda: len(application.sockets[-1].messages) > 3
        )  # 40 ms, eight times as long
        await application.sockets[-1].response.close()

    await application.media_sockets(6)
    assert "MediaStreamingFailed" not in application.event_types()
    await acs_emulator.calls.caller_hangs_up(call)


async def test_restarted_streaming_waits_for_the_socket_before_to_be_closed(
    aio_client, place_call, application, happened
):
    call = await place_call()
    async with gateway_that_never_says_goodbye() as url:
        answered = await aio_client.answer(call, application, media_streaming=streaming(url))
        await application.event("MediaStreamingStarted")

        await aio_client.on_call(answered.call_connection_id, "stop_media_streaming")
        await aio_client.on_call(answered.call_connection_id, "start_media_streaming")

        await application.until(lambda: application.event_types().count("MediaStreamingStarted") == 2)
        media = [name for name in application.event_types() if name.startswith("Media")]
        assert sorted(media[:2]) == ["MediaStreamingStarted", "MediaStreamingStopped"]
        noted = [each for each in call.happenings if each.name == "media_connected"]
        assert noted[1].at - noted[0].at > 1.9  # the first one was given its time to say goodbye


async def test_call_that_ends_while_its_socket_is_being_opened_does_not_say_stopped(
    acs_emulator, aio_client, place_call, application
):
    asked, released = asyncio.Event(), asyncio.Event()

    async def accept(_):
        asked.set()
        await released.wait()
        return web.Response(status=503)

    call = await place_call()
    async with gateway(accept) as url:
        await aio_client.answer(call, application, media_streaming=streaming(url))
        await asyncio.wait_for(asked.wait(), 5)

        await acs_emulator.calls.caller_hangs_up(call)

        await application.until(lambda: len(application.event_types()) >= 3)
        released.set()
    assert set(application.event_types()) == {"CallConnected", "ParticipantsUpdated", "CallDisconnected"}


async def test_hanging_up_does_not_wait_for_the_gateway(acs_emulator, aio_client, place_call, application):
    call = await place_call()
    async with gateway_that_never_says_goodbye() as url:
        answered = await aio_client.answer(call, application, media_streaming=streaming(url))
        await application.event("MediaStreamingStarted")

        async with asyncio.timeout(1.5):  # the gateway has 2 s
            await aio_client.on_call(answered.call_connection_id, "hang_up", is_for_everyone=True)
            await application.event("CallDisconnected")

        await application.event("MediaStreamingStopped")


async def test_stop_waits_for_all_gateways_at_once(acs_emulator, aio_client, place_call, application):
    async with gateway_that_never_says_goodbye() as url:
        for _ in range(3):
            await aio_client.answer(await place_call(), application, media_streaming=streaming(url))
        await application.until(lambda: application.event_types().count("MediaStreamingStarted") == 3)

        async with asyncio.timeout(5.5):  # 2 s each, one after another, would be 6
            await acs_emulator.stop()


async def test_end_of_the_call_closes_the_socket_and_says_so(
    acs_emulator, aio_client, place_call, application
):
    call = await place_call()
    await aio_client.answer(call, application, media_streaming=streaming(application.media_url))
    [socket] = await application.media_sockets()
    await application.event("MediaStreamingStarted")

    await acs_emulator.calls.caller_hangs_up(call)

    await application.event("MediaStreamingStopped")
    await application.event("CallDisconnected")
    await application.until(lambda: socket.closed_with is not None)
    assert socket.closed_with == 1000


async def test_agent_audio_reaches_the_caller(acs_emulator, aio_client, application):
    heard = bytearray()
    line = Line(rate_hz=16_000, on_audio=heard.extend)
    call = await acs_emulator.calls.place(to="+18005550199", from_="+14255550100", line=line)
    options = streaming(application.media_url, audio_format=AudioFormat.PCM16_K_MONO)
    await aio_client.answer(call, application, media_streaming=options)
    [socket] = await application.media_sockets()
    audio = b"\x10\x20" * 320

    await socket.response.send_json(
        {"Kind": "AudioData", "AudioData": {"Data": base64.b64encode(audio).decode()}, "StopAudio": None}
    )
    await application.until(lambda: audio in heard)
    await acs_emulator.calls.caller_hangs_up(call)
