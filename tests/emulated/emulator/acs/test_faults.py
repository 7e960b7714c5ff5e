"""Fault rules at Call Automation, Key Vault and the identity endpoints, as the real SDKs see them."""

import asyncio

import aiohttp
import pytest
from azure.core.exceptions import HttpResponseError, ServiceRequestError, ServiceResponseError

from emulator.faults import Cut, Delay, FaultRule, Hang, Reset, Status, When
from emulator.media.line import Line

METADATA = "/calling/.well-known/acsopenidconfiguration"
PATIENCE_S = 5.0


async def until(condition) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not condition():
            await asyncio.sleep(0.002)


def answered(call) -> bool:
    return any(happening.name == "answered" for happening in call.happenings)


async def test_next_requests_of_the_operation_fail_as_told(acs_emulator, client, place_call, application):
    call = await place_call()

    acs_emulator.faults.fail_next("answer", Status(status=429, code="8516", message="Slow down."), times=2)

    for _ in range(2):
        with pytest.raises(HttpResponseError) as failed:
            await client.answer(call, application)
        assert (failed.value.status_code, failed.value.error.code) == (429, "8516")
        assert "Slow down." in failed.value.message
    assert (await client.answer(call, application)).call_connection_id


async def test_status_may_say_when_to_come_again(acs_emulator, aio_client, place_call):
    call = await place_call()
    acs_emulator.faults.fail_next("reject", Status(status=503, retry_after_seconds=7))

    with pytest.raises(HttpResponseError) as failed:
        await aio_client("reject_call", call.incoming_call_context)

    assert (failed.value.status_code, failed.value.error.code) == (503, "InternalServerError")
    assert failed.value.response.headers["Retry-After"] == "7"


@pytest.mark.parametrize("action", [Reset(when=When.AFTER), Cut(), Status(status=500, when=When.AFTER)])
async def test_reply_that_is_lost_leaves_the_operation_performed(
    acs_emulator, client, place_call, application, action
):
    call = await place_call()
    acs_emulator.faults.add(FaultRule("answer", action, times=1))

    with pytest.raises((HttpResponseError, ServiceResponseError, ServiceRequestError, aiohttp.ClientError)):
        await client.answer(call, application)

    assert answered(call)


@pytest.mark.parametrize("action", [Reset(), Status(status=500)])
async def test_request_that_is_lost_is_not_performed(acs_emulator, client, place_call, application, action):
    call = await place_call()
    acs_emulator.faults.add(FaultRule("answer", action, times=1))

    with pytest.raises((HttpResponseError, ServiceResponseError, ServiceRequestError)):
        await client.answer(call, application)

    assert not answered(call)
    assert (await client.answer(call, application)).call_connection_id


async def test_cut_reply_has_its_headers_and_half_of_its_body(acs_emulator, http):
    async with http.get(acs_emulator.base_url + METADATA) as response:
        whole = await response.read()
    acs_emulator.faults.add(FaultRule("identity.openidMetadata", Cut(), times=1))

    async with http.get(acs_emulator.base_url + METADATA) as response:
        assert (response.status, response.content_length) == (200, len(whole))
        with pytest.raises(aiohttp.ClientPayloadError):
            await response.read()


@pytest.mark.parametrize("when", When)
async def test_slow_request_is_performed(acs_emulator, aio_client, place_call, application, when):
    call = await place_call()
    acs_emulator.faults.add(FaultRule("answer", Delay(ms=60, when=when)))
    begun = asyncio.get_running_loop().time()

    await aio_client.answer(call, application)

    assert asyncio.get_running_loop().time() - begun >= 0.06


async def test_hanging_request_ends_with_its_client(acs_emulator, http):
    rule = acs_emulator.faults.add(FaultRule("identity.keys", Hang()))

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await http.get(acs_emulator.base_url + "/calling/keys")

    assert rule.applied == 1
    await until(lambda: not rule._waiting)


async def test_hanging_request_goes_on_when_the_rule_is_removed(
    acs_emulator, aio_client, place_call, application
):
    call = await place_call()
    rule = acs_emulator.faults.add(FaultRule("answer", Hang()))
    answer = asyncio.create_task(aio_client.answer(call, application))
    await until(lambda: rule.applied)

    assert not answer.done()
    assert not answered(call)
    acs_emulator.faults.remove(rule)

    assert (await answer).call_connection_id


async def test_nothing_hangs_when_the_emulator_stops(start_emulator, http):
    emulator = await start_emulator()
    emulator.faults.add(FaultRule("identity.keys", Hang()))
    emulator.faults.hold_next("identity.openidMetadata")
    requests = [
        asyncio.create_task(http.get(emulator.base_url + path)) for path in (METADATA, "/calling/keys")
    ]
    await emulator.faults.held("identity.*")
    begun = asyncio.get_running_loop().time()

    await emulator.stop()

    assert asyncio.get_running_loop().time() - begun < 1
    assert [type(error) for error in await asyncio.gather(*requests, return_exceptions=True)] != []


async def test_request_is_held_before_it_is_performed_until_it_is_released(
    acs_emulator, client, place_call, application
):
    call = await place_call()
    acs_emulator.faults.hold_next("answer")
    answer = asyncio.create_task(client.answer(call, application))

    held = await acs_emulator.faults.held("answer")

    assert not answered(call)
    held.release()
    assert (await answer).call_connection_id
    assert acs_emulator.faults.all_held() == []


async def test_request_is_held_after_it_was_performed_and_its_reply_is_dropped(
    acs_emulator, client, place_call, application
):
    call = await place_call()
    acs_emulator.faults.hold_next("answer", when=When.AFTER)
    answer = asyncio.create_task(client.answer(call, application))

    held = await acs_emulator.faults.held("answer")

    assert answered(call)
    held.drop()
    with pytest.raises((ServiceResponseError, ServiceRequestError)):
        await answer


async def test_held_request_is_performed_when_it_is_released_although_its_client_has_died(
    acs_emulator, aio_client, place_call, application
):
    call = await place_call()
    acs_emulator.faults.hold_next("answer")
    answer = asyncio.create_task(aio_client.answer(call, application))
    held = await acs_emulator.faults.held("answer")
    answer.cancel()
    await asyncio.gather(answer, return_exceptions=True)

    held.release()

    await until(lambda: answered(call))


async def test_each_held_request_is_given_out_once(acs_emulator, http):
    for _ in range(2):
        acs_emulator.faults.hold_next("identity.keys")
    requests = [asyncio.create_task(http.get(acs_emulator.base_url + "/calling/keys")) for _ in range(2)]

    first, second = [await acs_emulator.faults.held("identity.keys") for _ in range(2)]

    assert first is not second
    with pytest.raises(TimeoutError):
        await acs_emulator.faults.held(within_seconds=0.01)
    acs_emulator.faults.clear()
    assert [response.status for response in await asyncio.gather(*requests)] == [200, 200]


async def test_rule_may_be_limited_to_one_call(acs_emulator, aio_client, place_call, application):
    spared, struck = await place_call(from_="+14255550101"), await place_call()
    acs_emulator.faults.add(FaultRule("*", Status(status=500), call=struck.correlation_id))

    answered_call = await aio_client.answer(spared, application)
    await aio_client.on_call(answered_call.call_connection_id, "hang_up", is_for_everyone=True)

    with pytest.raises(HttpResponseError):
        await aio_client.answer(struck, application)


async def test_call_may_be_named_by_a_party_and_struck_by_its_connection(
    acs_emulator, aio_client, place_call, application
):
    call = await place_call(from_="+14255550101")
    acs_emulator.faults.add(FaultRule("hangup", Status(status=500), call="+14255550101", times=1))
    connection = (await aio_client.answer(call, application)).call_connection_id

    with pytest.raises(HttpResponseError):
        await aio_client.on_call(connection, "hang_up", is_for_everyone=False)

    await aio_client.on_call(connection, "hang_up", is_for_everyone=False)


async def test_only_the_nth_request_is_struck(acs_emulator, http):
    acs_emulator.faults.add(FaultRule("identity.keys", Status(status=503), nth=2, times=1))

    statuses = []
    for _ in range(4):
        async with http.get(acs_emulator.base_url + "/calling/keys") as response:
            statuses.append(response.status)

    assert statuses == [200, 503, 200, 200]


async def test_rules_strike_in_the_order_in_which_they_were_added(acs_emulator, http):
    acs_emulator.faults.fail_next("identity.*", Status(status=503), times=2)
    acs_emulator.faults.fail_next("identity.keys", Status(status=500))

    statuses = []
    for _ in range(4):
        async with http.get(acs_emulator.base_url + "/calling/keys") as response:
            statuses.append(response.status)

    assert statuses == [503, 503, 500, 200]


async def test_requests_can_be_looked_at(acs_emulator, aio_client, place_call, application):
    call = await place_call()

    await aio_client.answer(call, application)

    [request] = acs_emulator.requests("answer")
    assert (request.method, request.path[:30]) == ("POST", "/calling/callConnections:answe")
    assert request.headers["Repeatability-Request-ID"]


async def test_rules_of_the_settings_are_in_force_from_the_start(start_emulator, http):
    emulator = await start_emulator(faults=(FaultRule("identity.keys", Status(status=503), times=1),))

    async with http.get(emulator.base_url + "/calling/keys") as response:
        assert response.status == 503


async def fate(start_emulator, make_client, application, seed: int, order) -> dict[str, bool]:
    """Which of these callers' answers are struck by a rule of one in two, when they call in this order."""
    rule = FaultRule("answer", Status(status=500), probability=0.5)
    emulator = await start_emulator(seed=seed, faults=(rule,))
    client = await make_client(emulator)

    async def try_answer(caller: str) -> bool:
        call = await emulator.calls.place(to="+18005550199", from_=caller, line=Line(rate_hz=16_000))
        try:
            await client.answer(call, application)
        except HttpResponseError:
            return True
        return False

    return dict(zip(order, await asyncio.gather(*map(try_answer, order)), strict=True))


@pytest.mark.parametrize("make_client", ["aio"], indirect=True)
async def test_a_seed_gives_the_same_faults_whatever_the_order(start_emulator, make_client, application):
    callers = [f"+1425555{number:04}" for number in range(16)]

    first = await fate(start_emulator, make_client, application, 7, callers)
    again = await fate(start_emulator, make_client, application, 7, callers[::-1])
    other = await fate(start_emulator, make_client, application, 8, callers)

    assert first == again != other
    assert 0 < sum(first.values()) < 16
