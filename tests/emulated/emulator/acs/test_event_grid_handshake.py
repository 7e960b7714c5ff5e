"""Creating subscriptions: Event Grid asks the endpoint first."""

import asyncio
from urllib.parse import urlsplit

import pytest
from aiohttp import web

from tests.support.shapes import assert_same_shape, example

SCHEMAS = ["EventGridSchema", "CloudEventSchemaV1_0"]


async def subscribe(http, emulator, endpoint: str, name: str = "gateway", **content):
    url = f"{emulator.base_url}/eventgrid/subscriptions/{name}"
    async with http.put(url, json={"endpoint": endpoint, **content}) as response:
        return response.status, await response.json()


async def state(http, emulator, name: str = "gateway") -> str:
    async with http.get(f"{emulator.base_url}/eventgrid/subscriptions/{name}") as response:
        return (await response.json())["provisioningState"]


async def test_validation_event_has_the_published_shape(acs_emulator, application, http):
    headers = {"asapp-api-id": "id", "asapp-api-secret": "secret"}

    status, created = await subscribe(http, acs_emulator, application.events_url, headers=headers)

    assert (status, created["provisioningState"]) == (201, "Succeeded")
    [received] = application.handshakes
    assert received.method == "POST"
    assert_same_shape(received.json, example("subscription_validation"))
    assert received.headers["aeg-event-type"] == "SubscriptionValidation"
    assert received.headers["aeg-subscription-name"] == "GATEWAY"
    assert received.headers["Content-Type"] == "application/json; charset=utf-8"
    assert received.headers["asapp-api-secret"] == "secret"


async def test_cloud_events_endpoint_is_asked_by_options(acs_emulator, application, http):
    status, created = await subscribe(
        http,
        acs_emulator,
        application.events_url,
        schema="CloudEventSchemaV1_0",
        headers={"asapp-api-id": "id"},
    )

    assert (status, created["provisioningState"]) == (201, "Succeeded")
    [received] = application.handshakes
    assert received.method == "OPTIONS"
    assert received.headers["WebHook-Request-Origin"] == "eventgrid.azure.net"
    assert received.headers["WebHook-Request-Callback"].startswith(acs_emulator.base_url)
    assert int(received.headers["WebHook-Request-Rate"]) > 0
    assert received.headers["asapp-api-id"] == "id"


@pytest.mark.parametrize("schema", SCHEMAS)
async def test_every_change_is_validated_anew(acs_emulator, application, http, schema):
    await subscribe(http, acs_emulator, application.events_url, schema=schema)

    status, _ = await subscribe(http, acs_emulator, application.events_url, schema=schema)

    assert status == 200
    assert len(application.handshakes) == 2


@pytest.mark.parametrize(
    ("schema", "answer", "problem"),
    [
        ("EventGridSchema", web.Response(status=202), "answered 202"),
        ("EventGridSchema", web.Response(status=401), "answered 401"),
        ("EventGridSchema", web.json_response({"validationResponse": "other"}), "another code"),
        ("CloudEventSchemaV1_0", web.Response(status=405), "answered 405"),
        (
            "CloudEventSchemaV1_0",
            web.Response(headers={"WebHook-Allowed-Origin": "a.example"}),
            "another origin",
        ),
    ],
)
async def test_endpoint_that_refuses_gets_no_subscription(
    acs_emulator, application, http, schema, answer, problem
):
    application.answer_handshake = lambda _: answer

    status, refused = await subscribe(http, acs_emulator, application.events_url, schema=schema)

    assert (status, refused["error"]["code"]) == (400, "EndpointValidationFailed")
    assert problem in refused["error"]["message"]
    async with http.get(f"{acs_emulator.base_url}/eventgrid/subscriptions/gateway") as response:
        assert response.status == 404


@pytest.mark.parametrize("schema", SCHEMAS)
async def test_unreachable_endpoint_gets_no_subscription(acs_emulator, http, schema):
    status, refused = await subscribe(http, acs_emulator, "http://127.0.0.1:1/events?code=key", schema=schema)

    assert status == 400
    assert "could not be reached" in refused["error"]["message"]
    assert "code=key" not in refused["error"]["message"]


async def test_failed_change_keeps_the_old_subscription(acs_emulator, application, http):
    await subscribe(http, acs_emulator, application.events_url)
    application.answer_handshake = lambda _: web.Response(status=500)

    status, _ = await subscribe(http, acs_emulator, application.events_url, maxDeliveryAttempts=2)

    assert status == 400
    assert await state(http, acs_emulator) == "Succeeded"
    assert acs_emulator.event_grid.find("gateway").definition.max_delivery_attempts == 30


@pytest.mark.parametrize("schema", SCHEMAS)
async def test_endpoint_may_consent_later(start_emulator, application, http, schema):
    emulator = await start_emulator(time_scale=1.0)
    application.answer_handshake = lambda _: web.Response(status=200)
    status, created = await subscribe(http, emulator, application.events_url, schema=schema)
    assert (status, created["provisioningState"]) == (201, "AwaitingManualAction")
    [received] = application.handshakes
    url = (
        received.headers["WebHook-Request-Callback"]
        if schema == "CloudEventSchemaV1_0"
        else received.json[0]["data"]["validationUrl"]
    )

    async with http.get(url) as response:
        assert response.status == 200

    assert await state(http, emulator) == "Succeeded"
    async with http.get(url) as response:
        assert response.status == 404


async def test_consent_before_the_handshake_is_answered_does_not_count(start_emulator, application, http):
    emulator = await start_emulator(time_scale=1.0)
    consents = []

    async def consent_too_early(request: web.Request) -> web.Response:
        async with http.get(request.headers["WebHook-Request-Callback"]) as response:
            consents.append(response.status)
        return web.Response()

    app = web.Application()
    app.router.add_route("OPTIONS", "/events", consent_too_early)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    endpoint = f"http://127.0.0.1:{runner.addresses[0][1]}/events"

    _, created = await subscribe(http, emulator, endpoint, schema="CloudEventSchemaV1_0")

    assert consents == [404]
    assert created["provisioningState"] == "AwaitingManualAction"
    await runner.cleanup()


async def test_validation_url_expires(start_emulator, application, http):
    emulator = await start_emulator(time_scale=0.0001)
    application.answer_handshake = lambda _: web.Response(status=200)

    await subscribe(http, emulator, application.events_url)

    async with asyncio.timeout(5):
        await emulator.event_grid.find("gateway").settled.wait()
        while await state(http, emulator) != "Failed":
            await asyncio.sleep(0)


async def test_validation_needs_its_token(acs_emulator, application, http):
    application.answer_handshake = lambda _: web.Response(status=200)
    await subscribe(http, acs_emulator, application.events_url)
    url = urlsplit(application.handshakes[0].json[0]["data"]["validationUrl"])

    async with http.get(f"{acs_emulator.base_url}{url.path}?id=1&token=2") as response:
        assert response.status == 404


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("gateway", {"endpoint": "http://gw.example.com/events"}, "https://"),
        ("gateway", {"endpoint": "nonsense"}, "https://"),
        ("gateway", {}, "endpoint"),
        ("gateway", {"endpoint": "https://gw.example.com", "schema": "Custom"}, "schema"),
        ("gateway", {"endpoint": "https://gw.example.com", "maxDeliveryAttempts": 31}, "maxDeliveryAttempts"),
        ("gateway", {"endpoint": "https://gw.example.com", "eventTimeToLiveInMinutes": 0}, "eventTimeToLive"),
        ("gateway", {"endpoint": "https://gw.example.com", "headers": {"aeg-x": "1"}}, "aeg-"),
        ("gateway", {"endpoint": "https://gw.example.com", "headers": {"x": "1" * 4097}}, "4096"),
        ("gateway", {"endpoint": "https://gw.example.com", "headers": {"x": "1\r\ny: 2"}}, "line break"),
        ("gateway", {"endpoint": "https://gw.example.com", "headers": {"x": "1\n"}}, "line break"),
        ("gateway", {"endpoint": "https://gw.example.com", "headers": {"x y": "1"}}, "name"),
        ("gateway", {"endpoint": "https://gw.example.com\r\n/"}, "https://"),
        ("gateway", {"endpoint": "https://gw.example.com", "retries": 1}, "retries"),
        ("g", {"endpoint": "https://gw.example.com"}, "name"),
        (
            "gateway",
            {
                "endpoint": "https://gw.example.com",
                "filter": {"advancedFilters": [{"operatorType": "StringIs", "key": "subject", "values": []}]},
            },
            "operatorType",
        ),
    ],
)
async def test_invalid_subscription_is_refused_without_a_handshake(
    acs_emulator, http, name, content, problem
):
    async with http.put(f"{acs_emulator.base_url}/eventgrid/subscriptions/{name}", json=content) as response:
        refused = await response.json()

    assert (response.status, refused["error"]["code"]) == (400, "InvalidRequest")
    assert problem in refused["error"]["message"]


async def test_subscriptions_are_listed_and_deleted(acs_emulator, application, http):
    await subscribe(http, acs_emulator, application.events_url, name="first")
    await subscribe(http, acs_emulator, application.events_url, name="second")
    url = acs_emulator.base_url + "/eventgrid/subscriptions"

    async with http.delete(url + "/First") as response:
        assert response.status == 204
    async with http.delete(url + "/first") as response:
        assert response.status == 404
    async with http.get(url) as response:
        assert [each["name"] for each in (await response.json())["value"]] == ["second"]


@pytest.mark.parametrize("schema", SCHEMAS)
async def test_headers_of_the_request_itself_are_dropped_silently(acs_emulator, application, http, schema):
    headers = {
        "Host": "a",
        "content-length": "1",
        "Content-Encoding": "gzip",
        "content-type": "a/b",
        "x": "1",
    }

    status, created = await subscribe(
        http, acs_emulator, application.events_url, schema=schema, headers=headers
    )
    async with http.post(acs_emulator.base_url + "/eventgrid/publish", json={"type": "t"}) as response:
        assert response.status == 200
    await application.until(lambda: application.deliveries)

    assert status == 201
    assert created["headers"] == headers
    for received in (*application.handshakes, *application.deliveries):
        assert received.headers["x"] == "1"
        assert received.headers["Host"] == application.base_url.removeprefix("http://")
        assert "Content-Encoding" not in received.headers
    assert application.deliveries[0].headers.getall("Content-Type") != ["a/b"]
    assert application.deliveries[0].json


@pytest.mark.parametrize("schema", SCHEMAS)
async def test_endpoint_goes_out_exactly_as_it_was_given(acs_emulator, http, schema):
    asked = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(request.raw_path)
        if request.method == "OPTIONS":
            return web.Response(headers={"WebHook-Allowed-Origin": "*"})
        [event] = await request.json()
        return web.json_response({"validationResponse": event["data"].get("validationCode")})

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    path = "/%7Ea%2Fb?code=a%2Bb+c%3D%3D&x=%41"

    status, _ = await subscribe(
        http, acs_emulator, f"http://127.0.0.1:{runner.addresses[0][1]}{path}", schema=schema
    )

    assert status == 201
    assert asked == [path]
    await runner.cleanup()
