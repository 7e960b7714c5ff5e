"""A call without a phone: its media socket is left to whoever opens it."""

import pytest

from tests.emulated.emulator.acs.test_media_streaming import streaming

NUMBER, CALLER = "+18005550199", "+14255550100"


@pytest.fixture
def place_by_request(acs_emulator, http):
    """Ask the emulator's own API for a call; return status and JSON."""

    async def place(**body):
        async with http.post(f"{acs_emulator.base_url}/emulator/calls", json=body) as response:
            return response.status, await response.json()

    return place


@pytest.fixture
async def placed(acs_emulator, place_by_request):
    """A call that was placed so."""
    status, body = await place_by_request(to=NUMBER, **{"from": CALLER})
    assert status == 201
    return acs_emulator.calls.find(body["correlationId"])


async def shown(acs_emulator, http, call):
    async with http.get(f"{acs_emulator.base_url}/emulator/calls/{call.correlation_id}") as response:
        return (await response.json())["mediaAddress"]


async def test_where_its_media_leads_is_told_once_it_is_answered(
    acs_emulator, aio_client, placed, application, happened, http
):
    assert await shown(acs_emulator, http, placed) is None
    answered = await aio_client.answer(placed, application, media_streaming=streaming(application.media_url))
    await happened(placed, "media_left")

    address = await shown(acs_emulator, http, placed)

    assert (address["url"], address["sampleRate"]) == (application.media_url, 24_000)
    assert address["headers"]["x-ms-call-connection-id"] == answered.call_connection_id
    assert address["headers"]["x-ms-call-correlation-id"] == placed.correlation_id
    assert address["headers"]["Authorization"].startswith("Bearer ")


async def test_no_socket_is_opened_and_no_event_tells_of_one(
    acs_emulator, aio_client, placed, application, happened
):
    await aio_client.answer(placed, application, media_streaming=streaming(application.media_url))
    await happened(placed, "media_left")
    await acs_emulator.calls.caller_hangs_up(placed)
    await application.event("CallDisconnected")
    assert application.sockets == []
    assert [event for event in application.event_types() if event.startswith("MediaStreaming")] == []


async def test_it_ends_like_any_call(acs_emulator, aio_client, placed, application, happened, http):
    await aio_client.answer(placed, application, media_streaming=streaming(application.media_url))
    await happened(placed, "media_left")
    url = f"{acs_emulator.base_url}/emulator/calls/{placed.correlation_id}/hangup"
    async with http.post(url) as response:
        assert response.status == 204
    assert placed.end == "caller_hung_up"


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"to": NUMBER},
        {"to": "+19995550123", "from": CALLER},
        {"to": "nobody", "from": CALLER},
        {"to": NUMBER, "from": 5},
        {"to": NUMBER, "from": CALLER, "form": "typing error"},
    ],
)
async def test_a_body_that_places_no_call_is_refused(place_by_request, acs_emulator, body):
    status, answer = await place_by_request(**body)
    assert (status, answer["error"]["code"]) == (400, "InvalidRequest")
    assert list(acs_emulator.calls) == []
