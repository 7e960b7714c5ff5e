"""Callbacks: their envelope, their tokens, and what happens when the application does not take them."""

import jwt
import pytest
from azure.core.exceptions import HttpResponseError

from tests.support.shapes import assert_same_shape, example


async def test_connected_call_is_told_in_the_published_shape(aio_client, place_call, application):
    call = await place_call()

    answered = await aio_client.answer(call, application, operation_context="answer-7f3c")

    await application.event("CallConnected")
    received = next(each for each in application.callbacks if b"CallConnected" in each.body)
    assert received.method == "/callbacks/main?secret=7f3c"
    assert received.headers["Content-Type"] == "application/cloudevents-batch+json; charset=utf-8"
    published = example("callback_call_connected")
    assert_same_shape(received.json, published)
    [event] = received.json
    assert event["source"] == f"calling/callConnections/{answered.call_connection_id}"
    assert event["time"].endswith("+00:00")
    assert len(event["time"]) == len(published[0]["time"])
    assert event["data"]["resultInformation"] == published[0]["data"]["resultInformation"]
    assert event["data"]["version"] == "2026-03-12"


async def test_participants_are_told_without_operation_context(aio_client, place_call, application):
    call = await place_call()

    await aio_client.answer(call, application, operation_context="answer-7f3c")

    updated = await application.event("ParticipantsUpdated")
    published = example("callback_data_participants_updated")["data"]
    assert_same_shape(updated["data"], published, extra=frozenset({"version", "publicEventType"}))
    assert updated["data"]["sequenceNumber"] == 1
    assert updated["data"]["participants"][0] == published["participants"][0]
    assert updated["data"]["participants"][1]["identifier"]["kind"] == "communicationUser"


async def test_operation_context_is_left_out_when_none_was_given(aio_client, place_call, application):
    call = await place_call()

    await aio_client.answer(call, application)

    assert "operationContext" not in (await application.event("CallConnected"))["data"]


async def test_token_is_verified_through_the_served_keys(
    acs_emulator, aio_client, place_call, application, http
):
    call = await place_call()
    await aio_client.answer(call, application)
    await application.until(lambda: len(application.callbacks) >= 2)
    tokens = [each.headers["Authorization"].removeprefix("Bearer ") for each in application.callbacks]

    metadata_url = acs_emulator.base_url + "/calling/.well-known/acsopenidconfiguration"
    async with http.get(metadata_url) as response:
        metadata = await response.json()
    async with http.get(metadata["jwks_uri"]) as response:
        keys = jwt.PyJWKSet.from_dict(await response.json())

    assert_same_shape(metadata, example("openid_metadata"))
    for token in tokens:
        claims = jwt.decode(
            token,
            keys[jwt.get_unverified_header(token)["kid"]].key,
            algorithms=["RS256"],
            issuer="https://acscallautomation.communication.azure.com",
            audience=acs_emulator.settings.resource_id,
            options={"require": ["exp", "iss", "aud"]},
        )
        assert claims["exp"] - claims["iat"] == 5 * 60
    assert len(set(tokens)) == len(tokens)


async def test_refused_callback_is_tried_three_times_each_with_a_new_token(
    aio_client, place_call, application
):
    call = await place_call()
    application.callback_statuses.extend([500] * 6)

    await aio_client.answer(call, application)

    await application.until(lambda: len(application.callbacks) == 6)
    connected = [each for each in application.callbacks if b"CallConnected" in each.body]
    assert len(connected) == 3
    assert len({each.body for each in connected}) == 1
    assert len({each.headers["Authorization"] for each in connected}) == 3
    failures = [dict(each.detail) for each in call.happenings if each.name == "callback_failed"]
    assert {"event": "CallConnected", "attempt": 1, "status": 500, "problem": "refused"} in failures


async def test_callback_is_delivered_once_the_application_takes_it(
    aio_client, place_call, application, happened
):
    call = await place_call()
    application.callback_statuses.extend([503, 503])

    await aio_client.answer(call, application)

    await application.until(lambda: len(application.callbacks) == 4)
    await happened(call, "callback")
    delivered = [each.detail["event"] for each in call.happenings if each.name == "callback"]
    assert delivered


async def test_unreachable_application_is_noted(aio_client, place_call, happened):
    call = await place_call()

    await aio_client("answer_call", call.incoming_call_context, "http://127.0.0.1:1/callbacks")

    await happened(call, "callback_failed")
    failure = next(each for each in call.happenings if each.name == "callback_failed")
    assert (failure.detail["status"], failure.detail["problem"]) == (0, "not reachable")


@pytest.mark.parametrize("uri", ["http://gw.example.com/callbacks", "ftp://127.0.0.1/", "callbacks", ""])
async def test_callback_uri_must_be_https_or_on_this_machine(aio_client, place_call, uri):
    call = await place_call()

    with pytest.raises(HttpResponseError, match="CallbackUri is invalid") as refused:
        await aio_client("answer_call", call.incoming_call_context, uri)

    assert (refused.value.status_code, refused.value.error.target) == (400, "callbackUri")


async def test_callback_uri_goes_out_exactly_as_it_was_given(aio_client, place_call, application):
    call = await place_call()
    path = "/callbacks/%7Ea%2Fb?token=a%2Bb+c%3D=&x=%41"

    await aio_client("answer_call", call.incoming_call_context, application.base_url + path)

    await application.event("CallConnected")
    assert {callback.method for callback in application.callbacks} == {path}
