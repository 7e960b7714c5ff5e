"""The IncomingCall event of a call that was placed."""

import base64
import json

import pytest
from azure.communication.callautomation import CommunicationUserIdentifier

from emulator.calls import UnknownNumber
from tests.support.acs_emulator import ACS_USER
from tests.support.shapes import assert_same_shape, example

VOIP_CALLER = "8:acs:11111111-1111-1111-1111-111111111111_00000014-2033-438d-1000-343a0d006e10"


@pytest.fixture
async def subscribed(acs_emulator, application, http):
    url = acs_emulator.base_url + "/eventgrid/subscriptions/gateway"
    async with http.put(url, json={"endpoint": application.events_url, "maxDeliveryAttempts": 2}) as response:
        assert response.status == 201
    return application


async def delivered(application) -> dict:
    await application.until(lambda: application.deliveries)
    [event] = application.deliveries[-1].json
    return event


async def test_phone_to_phone(place_call, subscribed, happened):
    call = await place_call()

    event = await delivered(subscribed)

    published = example("incoming_call_phone_to_phone")
    assert_same_shape(event["data"], published)
    assert event["data"]["to"] == published["to"]
    assert event["data"]["from"] == published["from"]
    assert event["eventType"] == "Microsoft.Communication.IncomingCall"
    assert event["subject"] == "/caller/4:+14255550100/recipient/4:+18005550199"
    assert event["data"]["correlationId"] == call.correlation_id
    await happened(call, "delivered")
    assert [happening.name for happening in call.happenings] == ["ringing", "delivered"]


async def test_phone_to_user_with_headers(place_call, subscribed):
    published = example("incoming_call_phone_to_user")

    await place_call(to=ACS_USER, custom_context=published["customContext"])

    event = await delivered(subscribed)
    assert_same_shape(event["data"], published)
    assert event["data"]["to"] == published["to"]
    assert event["data"]["customContext"] == published["customContext"]


async def test_user_to_user(place_call, subscribed):
    published = example("incoming_call_user_to_user")
    del published["onBehalfOfCallee"]

    await place_call(to=ACS_USER, from_=VOIP_CALLER, custom_context=published["customContext"])

    event = await delivered(subscribed)
    assert_same_shape(event["data"], published)
    assert event["data"]["from"] == published["from"]


async def test_withheld_number(place_call, subscribed):
    await place_call(from_="anonymous")

    caller = (await delivered(subscribed))["data"]["from"]
    assert (caller["rawId"], caller["phoneNumber"]["value"]) == ("4:anonymous", "anonymous")


async def test_opaque_values_look_like_the_real_ones(place_call, subscribed):
    await place_call()

    data = (await delivered(subscribed))["data"]
    header, payload, signature = data["incomingCallContext"].split(".")
    assert json.loads(base64.urlsafe_b64decode(header + "==")) == {"alg": "none", "typ": "JWT"}
    assert json.loads(base64.urlsafe_b64decode(payload + "=="))["cc"].startswith("H4sI")
    assert signature == ""
    assert 1024 <= len(data["incomingCallContext"]) <= 4096
    assert 150 <= len(data["serverCallId"]) <= 250
    assert "=" not in data["serverCallId"]


async def test_redirected_call_is_announced_again(aio_client, place_call, subscribed):
    call = await place_call()
    first = await delivered(subscribed)

    await aio_client("redirect_call", call.incoming_call_context, CommunicationUserIdentifier(ACS_USER))

    await subscribed.until(lambda: len(subscribed.deliveries) == 2)
    second = await delivered(subscribed)
    assert second["data"]["to"]["rawId"] == ACS_USER
    assert second["data"]["correlationId"] == first["data"]["correlationId"]
    assert second["data"]["incomingCallContext"] != first["data"]["incomingCallContext"]
    assert second["id"] != first["id"]


async def test_failed_delivery_is_a_happening(place_call, subscribed, happened):
    subscribed.delivery_statuses.append(500)

    call = await place_call()

    await happened(call, "delivered")
    details = [dict(happening.detail) for happening in call.happenings[1:]]
    assert [(each["attempt"], each["status"]) for each in details] == [(1, 500), (2, 200)]


async def test_call_that_no_subscription_wants_says_so(place_call):
    call = await place_call()

    assert [happening.name for happening in call.happenings] == ["ringing", "delivery_failed"]


@pytest.mark.parametrize("to", ["+18005550100", ACS_USER + "0"])
async def test_unknown_number_cannot_be_called(place_call, to):
    with pytest.raises(UnknownNumber):
        await place_call(to=to)


@pytest.mark.parametrize("from_", ["", "nobody", "+1"])
async def test_caller_must_have_an_address(place_call, from_):
    with pytest.raises(ValueError, match="not a phone number"):
        await place_call(from_=from_)
