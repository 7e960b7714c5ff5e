"""A subscription is validated in either envelope's way, and by nobody who should not be."""

import pytest

from emulator.event_grid.events import DeliverySchema
from emulator.event_grid.subscriptions import EventSubscription
from shared.acs.event_grid import MAX_VALIDATION_BYTES
from tests.support.records import data_json

VALIDATION = data_json("event_grid/subscription_validation.json")
CODE = VALIDATION[0]["data"]["validationCode"]


@pytest.mark.parametrize("schema", DeliverySchema)
async def test_a_subscription_of_either_envelope_is_accepted(edge, schema):
    subscription = EventSubscription(
        name="calls", endpoint=edge.events_url, schema=schema, headers=edge.credentials
    )
    await edge.emulator.event_grid.subscribe(subscription)


async def test_the_validation_code_is_echoed_with_and_without_credentials(edge):
    assert await edge.deliver(VALIDATION) == (200, {"validationResponse": CODE})
    async with edge.http.post(edge.events_url, json=VALIDATION) as response:
        assert (response.status, await response.json()) == (200, {"validationResponse": CODE})


async def test_a_call_beside_a_validation_is_answered(edge):
    call = await edge.ring()
    status, answer = await edge.deliver([*VALIDATION, call])
    assert status == 200
    assert [item["outcome"] for item in answer] == ["ignored", "answered"]


async def test_a_stranger_s_long_body_is_not_even_read(edge):
    padded = [VALIDATION[0] | {"subject": "x" * MAX_VALIDATION_BYTES}]
    async with edge.http.post(edge.events_url, json=padded) as response:
        assert response.status == 401
    assert await edge.deliver(padded) == (200, {"validationResponse": CODE})


async def test_wrong_credentials_get_no_validation(edge):
    status, answer = await edge.deliver(VALIDATION, **{"asapp-api-secret": "wrong"})
    assert (status, answer["title"]) == (401, "Unauthorized")


async def test_a_setting_demands_credentials_for_the_validation_too(start_edge):
    edge = await start_edge(EVENT_GRID_VALIDATION="credentials")
    async with edge.http.post(edge.events_url, json=VALIDATION) as response:
        assert response.status == 401
    assert (await edge.deliver(VALIDATION))[0] == 200


@pytest.mark.parametrize("origin", ["eventgrid.azure.net", "EventGrid.Azure.com"])
async def test_event_grid_s_own_origins_get_consent(edge, origin):
    async with edge.http.options(edge.events_url, headers={"WebHook-Request-Origin": origin}) as response:
        assert response.status == 200
        assert response.headers["WebHook-Allowed-Origin"] == origin
        assert response.headers["WebHook-Allowed-Rate"] == "*"
        assert response.headers["Allow"] == "POST"


@pytest.mark.parametrize("headers", [{}, {"WebHook-Request-Origin": "evil.example"}])
async def test_no_other_origin_gets_consent(edge, headers):
    async with edge.http.options(edge.events_url, headers=headers) as response:
        assert response.status == 405
        assert "WebHook-Allowed-Origin" not in response.headers
