"""Event Grid deliveries and callbacks that misbehave on purpose, as a real webhook sees them."""

import asyncio
import json

import jwt
import pytest

from emulator.event_grid.subscriptions import EventSubscription
from emulator.faults import (
    Batch,
    Delay,
    Drop,
    Duplicate,
    FaultRule,
    LoseAcknowledgement,
    Malform,
    Malformation,
    Reorder,
    RuleRefused,
    Status,
    Token,
    TokenFlaw,
)
from emulator.media.line import Line
from tests.support.shapes import example

DELIVER, CALLBACK = "event_grid.deliver", "callback.deliver"
CONNECTED = "callback.deliver:CallConnected"
SCHEMAS = ["EventGridSchema", "CloudEventSchemaV1_0"]


@pytest.fixture
async def subscribed(acs_emulator, application):
    """The application gets IncomingCall events; more or other subscriptions by calling it."""

    async def subscribe(name: str = "gateway", **content) -> None:
        definition = EventSubscription(name=name, endpoint=application.events_url, **content)
        await acs_emulator.event_grid.subscribe(definition)

    return subscribe


def ids(application) -> list[str]:
    return [event["data"]["correlationId"] for each in application.deliveries for event in each.json]


async def settled(application, count: int, more_s: float = 0.05) -> None:
    """Wait for so many deliveries, and a moment for those that are not to come."""
    await application.until(lambda: len(application.deliveries) >= count)
    await asyncio.sleep(more_s)
    assert len(application.deliveries) == count


@pytest.mark.parametrize("after_ms", [0, 20])
async def test_delivery_is_duplicated(acs_emulator, application, subscribed, place_call, after_ms):
    await subscribed()
    acs_emulator.faults.add(FaultRule(DELIVER, Duplicate(copies=3, after_ms=after_ms), times=1))

    await place_call()

    await settled(application, 3)
    assert len({(each.body, each.headers["aeg-delivery-count"]) for each in application.deliveries}) == 1


async def test_late_delivery_is_overtaken(acs_emulator, application, subscribed, place_call):
    await subscribed()
    first = await place_call()
    await application.until(lambda: application.deliveries)
    acs_emulator.faults.add(FaultRule(DELIVER, Delay(ms=80), times=1))

    late, prompt = await place_call(), await place_call()

    await settled(application, 3)
    assert ids(application) == [call.correlation_id for call in (first, prompt, late)]


async def order_of(start_emulator, application, seed: int) -> list[str]:
    """In which order six callers' events arrive when they are reordered."""
    emulator = await start_emulator(seed=seed, faults=(FaultRule(DELIVER, Reorder(within_ms=400)),))
    await emulator.event_grid.subscribe(EventSubscription(name="gateway", endpoint=application.events_url))
    before = len(application.deliveries)
    for number in range(6):
        await emulator.calls.place(to="+18005550199", from_=f"+1425555{number:04}", line=Line(rate_hz=16_000))
    await application.until(lambda: len(application.deliveries) == before + 6)
    return [each.json[0]["data"]["from"]["rawId"] for each in application.deliveries[before:]]


async def test_deliveries_overtake_one_another_as_the_seed_wants(start_emulator, application):
    seed = 1903  # its draws lie 60 ms apart or more, so that a busy machine changes nothing

    first = await order_of(start_emulator, application, seed)

    assert first != sorted(first)
    assert await order_of(start_emulator, application, seed) == first


@pytest.mark.parametrize("schema", SCHEMAS)
async def test_events_of_separate_publications_share_a_request(
    acs_emulator, application, subscribed, place_call, happened, schema
):
    await subscribed(schema=schema)
    acs_emulator.faults.add(FaultRule(DELIVER, Batch(size=2, within_ms=5_000), times=2))

    calls = [await place_call() for _ in range(3)]

    await application.until(lambda: len(application.deliveries) == 2)
    batch = next(
        each for each in application.deliveries if isinstance(each.json, list) and len(each.json) == 2
    )
    assert [event["data"]["correlationId"] for event in batch.json] == [
        call.correlation_id for call in calls[:2]
    ]
    for call in calls:
        await happened(call, "delivered")


async def test_batch_that_is_not_filled_leaves_at_the_end_of_its_time(
    acs_emulator, application, subscribed, place_call
):
    await subscribed()
    acs_emulator.faults.add(FaultRule(DELIVER, Batch(size=5, within_ms=20)))

    await place_call()

    await settled(application, 1)


async def test_dropped_event_never_arrives(acs_emulator, application, subscribed, place_call, happened):
    await subscribed()
    acs_emulator.faults.add(FaultRule(DELIVER, Drop(), times=1))

    dropped, kept = await place_call(), await place_call()

    await happened(dropped, "delivery_failed")
    await settled(application, 1)
    assert ids(application) == [kept.correlation_id]
    assert acs_emulator.event_grid.dead_letters.all() == []


async def test_lost_acknowledgement_makes_event_grid_deliver_again(
    acs_emulator, application, subscribed, place_call
):
    await subscribed()
    acs_emulator.faults.add(FaultRule(DELIVER, LoseAcknowledgement(), times=2))

    await place_call()

    await settled(application, 3)
    assert [each.headers["aeg-delivery-count"] for each in application.deliveries] == ["0", "1", "2"]


@pytest.mark.parametrize("schema", SCHEMAS)
@pytest.mark.parametrize("variant", Malformation)
async def test_malformed_delivery(acs_emulator, application, subscribed, place_call, schema, variant):
    await subscribed(schema=schema)
    acs_emulator.faults.add(FaultRule(DELIVER, Malform(variant=variant)))

    await place_call()

    await settled(application, 1)
    [received] = application.deliveries
    if variant is Malformation.TRUNCATED:
        with pytest.raises(json.JSONDecodeError):
            _ = received.json
        return
    event = received.json[0] if isinstance(received.json, list) else received.json
    match variant:
        case Malformation.WRONG_TYPES:
            assert (event["id"], event["data"]["incomingCallContext"]) == (17, 17)
        case Malformation.MISSING_DATA:
            assert "data" not in event
            assert event["id"]
        case Malformation.UNKNOWN_ENVELOPE:
            assert not {"eventType", "type", "data"} & event.keys()


async def test_event_of_one_call_and_type_is_held(acs_emulator, application, subscribed, place_call):
    await subscribed()
    acs_emulator.faults.hold_next("event_grid.deliver:IncomingCall", call="+14255550101")

    held_call, other = await place_call(from_="+14255550101"), await place_call()
    held = await acs_emulator.faults.held(DELIVER)

    await settled(application, 1)
    assert ids(application) == [other.correlation_id]
    held.release()
    await application.until(lambda: held_call.correlation_id in ids(application))


async def test_rule_for_everything_leaves_alone_what_its_action_does_not_fit(
    acs_emulator, application, subscribed, place_call
):
    await subscribed()
    acs_emulator.faults.add(FaultRule("*", Status(status=500)))

    await place_call()

    await settled(application, 1)


@pytest.mark.parametrize(
    "rule",
    [
        FaultRule(DELIVER, Status(status=500)),
        FaultRule(DELIVER, Token(flaw=TokenFlaw.FORGED)),
        FaultRule(DELIVER, Delay(ms=1, when="after")),
        FaultRule("answer", Drop()),
    ],
)
def test_action_that_is_not_possible_there_is_refused(acs_emulator, rule):
    with pytest.raises(RuleRefused, match="not possible at"):
        acs_emulator.faults.add(rule)


async def test_callback_is_duplicated(acs_emulator, aio_client, place_call, application):
    acs_emulator.faults.add(FaultRule(CONNECTED, Duplicate(copies=2)))

    await aio_client.answer(await place_call(), application)

    await application.until(lambda: len(application.callbacks) == 3)
    assert sorted(application.event_types()) == ["CallConnected", "CallConnected", "ParticipantsUpdated"]


async def test_late_callback_is_overtaken(acs_emulator, aio_client, place_call, application):
    acs_emulator.faults.add(FaultRule(CONNECTED, Delay(ms=60)))

    await aio_client.answer(await place_call(), application)

    await application.until(lambda: len(application.callbacks) == 2)
    assert application.event_types() == ["ParticipantsUpdated", "CallConnected"]


async def test_callbacks_share_a_request(acs_emulator, aio_client, place_call, application):
    acs_emulator.faults.add(FaultRule(CALLBACK, Batch(size=2, within_ms=5_000)))

    await aio_client.answer(await place_call(), application)

    await application.until(lambda: application.callbacks)
    assert application.event_types() == ["CallConnected", "ParticipantsUpdated"]
    assert len(application.callbacks) == 1


async def test_dropped_callback_never_arrives(acs_emulator, aio_client, place_call, application, happened):
    acs_emulator.faults.add(FaultRule(CONNECTED, Drop()))
    call = await place_call()

    await aio_client.answer(call, application)

    await happened(call, "callback")
    assert application.event_types() == ["ParticipantsUpdated"]


async def test_callback_whose_answer_is_lost_comes_again(acs_emulator, aio_client, place_call, application):
    acs_emulator.faults.add(FaultRule(CONNECTED, LoseAcknowledgement(), times=1))

    await aio_client.answer(await place_call(), application)

    await application.until(lambda: application.event_types().count("CallConnected") == 2)


async def test_malformed_callback(acs_emulator, aio_client, place_call, application):
    acs_emulator.faults.add(FaultRule(CALLBACK, Malform(variant=Malformation.MISSING_DATA)))

    await aio_client.answer(await place_call(), application)

    await application.until(lambda: len(application.callbacks) == 2)
    assert all("data" not in event for event in application.events())


@pytest.mark.parametrize(
    ("flaw", "error"),
    [
        (TokenFlaw.FORGED, jwt.InvalidSignatureError),
        (TokenFlaw.EXPIRED, jwt.ExpiredSignatureError),
        (TokenFlaw.UNKNOWN_KEY, KeyError),
        (TokenFlaw.WRONG_AUDIENCE, jwt.InvalidAudienceError),
        (TokenFlaw.WRONG_ISSUER, jwt.InvalidIssuerError),
    ],
)
async def test_callback_does_not_prove_itself(acs_emulator, aio_client, place_call, application, flaw, error):
    acs_emulator.faults.add(FaultRule(CALLBACK, Token(flaw=flaw)))

    await aio_client.answer(await place_call(), application)

    await application.until(lambda: application.callbacks)
    token = application.callbacks[0].headers["Authorization"].removeprefix("Bearer ")
    keys = jwt.PyJWKSet.from_dict(acs_emulator.identity.keys())
    with pytest.raises(error):
        jwt.decode(
            token,
            keys[jwt.get_unverified_header(token)["kid"]].key,
            algorithms=["RS256"],
            issuer=acs_emulator.identity.issuer,
            audience=acs_emulator.settings.resource_id,
        )


async def test_callback_comes_without_a_token(acs_emulator, aio_client, place_call, application):
    acs_emulator.faults.add(FaultRule(CALLBACK, Token(flaw=TokenFlaw.MISSING)))

    await aio_client.answer(await place_call(), application)

    await application.until(lambda: application.callbacks)
    assert "Authorization" not in application.callbacks[0].headers


async def test_endpoint_that_fails_again_and_again_gets_no_new_events_for_a_while(
    start_emulator, application, http
):
    """Three 404 put it on probation for 5 minutes; at this scale that is 0.3 s."""
    emulator = await start_emulator(probation=True)
    subscription = EventSubscription(name="gateway", endpoint=application.events_url, max_delivery_attempts=1)
    await emulator.event_grid.subscribe(subscription)
    application.delivery_statuses.extend([404] * 3)
    url, event = f"{emulator.base_url}/eventgrid/publish", example("event_grid_envelope")[0]
    for number in range(1, 4):
        await http.post(url, json=event)
        await application.until(lambda number=number: len(application.deliveries) == number)
        await dead_letters(emulator, number)
    failed_at = asyncio.get_running_loop().time()

    await http.post(url, json=event)

    await application.until(lambda: len(application.deliveries) == 4)
    assert asyncio.get_running_loop().time() - failed_at > 0.25


async def dead_letters(emulator, count: int) -> None:
    async with asyncio.timeout(5):
        while len(emulator.event_grid.dead_letters.all()) < count:
            await asyncio.sleep(0.001)


async def test_event_that_does_not_outlive_a_probation_is_given_up_untried(start_emulator, application, http):
    emulator = await start_emulator(probation=True, time_scale=0.0001)
    subscription = EventSubscription(
        name="gateway",
        endpoint=application.events_url,
        max_delivery_attempts=1,
        event_time_to_live_in_minutes=1,
    )
    await emulator.event_grid.subscribe(subscription)
    application.delivery_statuses.extend([401] * 3)
    url, event = f"{emulator.base_url}/eventgrid/publish", example("event_grid_envelope")[0]
    for number in range(1, 4):
        await http.post(url, json=event)
        await dead_letters(emulator, number)

    await http.post(url, json=event)
    await dead_letters(emulator, 4)

    letter = emulator.event_grid.dead_letters.all()[-1]
    outcome = (letter["deadLetterReason"], letter["lastDeliveryOutcome"], letter["deliveryAttempts"])
    assert outcome == ("TimeToLiveExceeded", "Probation", 0)
    assert len(application.deliveries) == 3
