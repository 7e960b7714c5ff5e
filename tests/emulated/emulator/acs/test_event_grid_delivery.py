"""Deliveries to webhooks: envelopes, headers, retries, dead letters and batches."""

import asyncio

import pytest

from emulator.event_grid.delivery import MAX_DEAD_LETTERS, DeadLetters
from tests.support.shapes import assert_same_shape, example

EVENT = example("event_grid_envelope")[0]


async def subscribe(http, emulator, application, name: str = "gateway", **content) -> None:
    url = f"{emulator.base_url}/eventgrid/subscriptions/{name}"
    async with http.put(url, json={"endpoint": application.events_url, **content}) as response:
        assert response.status == 201, await response.text()


async def publish(http, emulator, *events) -> dict:
    async with http.post(f"{emulator.base_url}/eventgrid/publish", json=list(events)) as response:
        assert response.status == 200
        return await response.json()


async def dead_letters(http, emulator) -> list:
    """The dead letters, once there are any."""
    async with asyncio.timeout(5):
        while True:
            async with http.get(f"{emulator.base_url}/eventgrid/deadletters") as response:
                if letters := (await response.json())["value"]:
                    return letters


async def test_event_grid_envelope_is_delivered_as_published(acs_emulator, application, http):
    await subscribe(http, acs_emulator, application, headers={"asapp-api-id": "id"})

    await publish(http, acs_emulator, EVENT)

    await application.until(lambda: application.deliveries)
    [received] = application.deliveries
    assert_same_shape(received.json, example("event_grid_envelope"))
    assert received.json == [EVENT]
    assert received.headers["Content-Type"] == "application/json; charset=utf-8"
    assert received.headers["aeg-event-type"] == "Notification"
    assert received.headers["aeg-subscription-name"] == "GATEWAY"
    assert received.headers["aeg-delivery-count"] == "0"
    assert received.headers["aeg-data-version"] == "1.0"
    assert received.headers["aeg-metadata-version"] == "1"
    assert received.headers["asapp-api-id"] == "id"
    assert received.headers["Content-Length"] == str(len(received.body))


async def test_cloud_event_is_delivered_as_one_object(acs_emulator, application, http):
    await subscribe(http, acs_emulator, application, schema="CloudEventSchemaV1_0")

    await publish(http, acs_emulator, EVENT)

    await application.until(lambda: application.deliveries)
    [received] = application.deliveries
    assert received.json == example("cloud_event_envelope")
    assert received.headers["Content-Type"] == "application/cloudevents+json; charset=utf-8"
    assert received.headers["WebHook-Request-Origin"] == "eventgrid.azure.net"
    assert received.headers["aeg-subscription-name"] == "GATEWAY"
    assert received.headers["aeg-delivery-count"] == "0"


async def test_all_matching_subscriptions_get_the_event(acs_emulator, application, http):
    await subscribe(http, acs_emulator, application, name="first")
    await subscribe(http, acs_emulator, application, name="second", schema="CloudEventSchemaV1_0")
    await subscribe(
        http, acs_emulator, application, name="third", filter={"includedEventTypes": ["Microsoft.Other"]}
    )

    published = await publish(http, acs_emulator, EVENT)

    assert published == {"published": 1, "subscriptions": 2}
    await application.until(lambda: len(application.deliveries) == 2)
    assert {each.headers["aeg-subscription-name"] for each in application.deliveries} == {"FIRST", "SECOND"}


async def test_failed_delivery_is_tried_again_with_a_higher_count(acs_emulator, application, http):
    await subscribe(http, acs_emulator, application)
    application.delivery_statuses.extend([500, 503])

    await publish(http, acs_emulator, EVENT)

    await application.until(lambda: len(application.deliveries) == 3)
    assert [each.headers["aeg-delivery-count"] for each in application.deliveries] == ["0", "1", "2"]
    assert len({each.body for each in application.deliveries}) == 1


@pytest.mark.parametrize(
    ("statuses", "content", "reason", "attempts", "outcome"),
    [
        ([500, 500], {"maxDeliveryAttempts": 2}, "MaxDeliveryAttemptsExceeded", 2, "GenericError"),
        ([401], {}, "UndeliverableDueToHttpUnauthorized", 1, "Unauthorized"),
        ([400], {}, "UndeliverableDueToHttpBadRequest", 1, "BadRequest"),
        # The attempt after 10 s is within the minute, the one another 30 s later too, the next is not.
        ([404, 404, 404], {"eventTimeToLiveInMinutes": 1}, "TimeToLiveExceeded", 3, "NotFound"),
    ],
)
async def test_event_that_is_given_up_becomes_a_dead_letter(
    acs_emulator, application, http, statuses, content, reason, attempts, outcome
):
    await subscribe(http, acs_emulator, application, **content)
    application.delivery_statuses.extend(statuses)

    await publish(http, acs_emulator, EVENT)
    await application.until(lambda: len(application.deliveries) == attempts)
    letters = await dead_letters(http, acs_emulator)

    [letter] = letters
    assert (letter["deadLetterReason"], letter["lastDeliveryOutcome"]) == (reason, outcome)
    assert letter["deliveryAttempts"] == attempts
    assert {**EVENT, **letter} == letter
    assert letter["lastDeliveryAttemptTime"] >= letter["publishTime"]
    assert len(application.deliveries) == attempts


async def test_notes_of_a_dead_cloud_event_are_lower_case(acs_emulator, application, http):
    await subscribe(http, acs_emulator, application, schema="CloudEventSchemaV1_0")
    application.delivery_statuses.append(400)

    await publish(http, acs_emulator, EVENT)
    letters = await dead_letters(http, acs_emulator)

    assert letters[0]["deadletterreason"] == "UndeliverableDueToHttpBadRequest"
    assert letters[0]["specversion"] == "1.0"


async def test_unreachable_webhook_is_given_up_in_the_end(acs_emulator, application, http):
    await subscribe(http, acs_emulator, application, maxDeliveryAttempts=2)
    await application.stop()

    await publish(http, acs_emulator, EVENT)
    letters = await dead_letters(http, acs_emulator)

    assert (letters[0]["lastDeliveryOutcome"], letters[0]["deliveryAttempts"]) == ("SocketError", 2)


@pytest.mark.parametrize(
    ("schema", "content_type"),
    [
        ("EventGridSchema", "application/json; charset=utf-8"),
        ("CloudEventSchemaV1_0", "application/cloudevents-batch+json; charset=utf-8"),
    ],
)
async def test_batching_subscription_gets_events_together(
    acs_emulator, application, http, schema, content_type
):
    await subscribe(http, acs_emulator, application, schema=schema, maxEventsPerBatch=2)

    await publish(http, acs_emulator, *(EVENT | {"id": str(number)} for number in range(3)))

    await application.until(lambda: len(application.deliveries) == 2)
    batches = sorted([event["id"] for event in each.json] for each in application.deliveries)
    assert batches == [["0", "1"], ["2"]]
    assert {each.headers["Content-Type"] for each in application.deliveries} == {content_type}


async def test_without_batching_each_event_comes_alone(acs_emulator, application, http):
    await subscribe(http, acs_emulator, application)

    await publish(http, acs_emulator, *(EVENT | {"id": str(number)} for number in range(3)))

    await application.until(lambda: len(application.deliveries) == 3)
    assert all(len(each.json) == 1 for each in application.deliveries)


async def test_deleted_subscription_gets_nothing_more(start_emulator, application, http):
    emulator = await start_emulator(time_scale=1.0)
    await subscribe(http, emulator, application)
    application.delivery_statuses.append(500)
    await publish(http, emulator, EVENT)
    await application.until(lambda: application.deliveries)

    async with http.delete(f"{emulator.base_url}/eventgrid/subscriptions/gateway") as response:
        assert response.status == 204

    assert (await publish(http, emulator, EVENT))["subscriptions"] == 0


async def test_published_cloud_event_is_understood_too(acs_emulator, application, http):
    await subscribe(http, acs_emulator, application)

    await publish(http, acs_emulator, example("cloud_event_envelope"))

    await application.until(lambda: application.deliveries)
    assert application.deliveries[0].json == [EVENT]


@pytest.mark.parametrize("body", ["{", "1", '[{"id": "1"}]', '[{"eventType": 1}]'])
async def test_what_is_no_event_is_not_published(acs_emulator, http, body):
    async with http.post(f"{acs_emulator.base_url}/eventgrid/publish", data=body) as response:
        assert response.status == 400


async def test_events_beyond_the_pending_deliveries_are_dropped_and_counted(
    start_emulator, application, http, monkeypatch
):
    monkeypatch.setattr("emulator.event_grid.grid.MAX_PENDING_DELIVERIES", 2)
    emulator = await start_emulator(time_scale=1.0)
    await subscribe(http, emulator, application)

    await publish(http, emulator, *(EVENT | {"id": str(number)} for number in range(5)))

    await application.until(lambda: len(application.deliveries) == 2)
    assert emulator.event_grid.dropped_events == 3


def test_oldest_dead_letters_are_dropped_and_counted():
    letters = DeadLetters()
    for number in range(MAX_DEAD_LETTERS + 2):
        letters.add({"id": number})

    assert [letters.all()[0]["id"], letters.dropped] == [2, 2]
