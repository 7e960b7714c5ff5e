"""A request that is sent again under the same Repeatability-Request-ID."""

import asyncio
import json

from emulator.call_automation.repeatability import MAX_REMEMBERED, Answer, Repeatability
from emulator.faults import Status
from emulator.media.line import Line
from tests.support.acs_signing import send


def answer_body(call, application) -> bytes:
    return json.dumps(
        {"incomingCallContext": call.incoming_call_context, "callbackUri": application.callback_url}
    ).encode()


async def test_repeated_answer_gets_the_first_answer(acs_emulator, http, place_call, application):
    call = await place_call()
    body = answer_body(call, application)
    headers = {
        "Repeatability-Request-ID": "3f0b",
        "Repeatability-First-Sent": "Fri, 20 Nov 2026 17:40:52 GMT",
    }

    first = await send(http, acs_emulator, "POST", "/callConnections:answer", body, headers=headers)
    second = await send(http, acs_emulator, "POST", "/callConnections:answer", body, headers=headers)
    other = await send(
        http,
        acs_emulator,
        "POST",
        "/callConnections:answer",
        body,
        headers={"Repeatability-Request-ID": "77aa"},
    )

    assert first[0] == 200
    assert second == first
    assert other[0] == 404


async def test_repetition_is_a_new_request_where_it_is_ignored(start_emulator, http, application):
    emulator = await start_emulator(repeatability=False)
    call = await emulator.calls.place(to="+18005550199", from_="+14255550100", line=Line(rate_hz=16_000))
    body = answer_body(call, application)
    headers = {"Repeatability-Request-ID": "3f0b"}

    first, _ = await send(http, emulator, "POST", "/callConnections:answer", body, headers=headers)
    second, _ = await send(http, emulator, "POST", "/callConnections:answer", body, headers=headers)

    assert (first, second) == (200, 404)


async def test_temporary_failure_is_not_replayed(acs_emulator, http, place_call, application):
    call = await place_call()
    body = answer_body(call, application)
    acs_emulator.faults.fail_next("answer", Status(status=503, message="Try again."))
    headers = {"Repeatability-Request-ID": "3f0b"}

    first, error = await send(http, acs_emulator, "POST", "/callConnections:answer", body, headers=headers)
    second, _ = await send(http, acs_emulator, "POST", "/callConnections:answer", body, headers=headers)

    assert (first, second) == (503, 200)
    assert error["error"]["message"] == "Try again."


async def test_repetition_waits_for_the_first_request():
    repeatability = Repeatability()
    performed = []
    proceed = asyncio.Event()

    async def perform() -> Answer:
        performed.append(1)
        await proceed.wait()
        return Answer(200, b"{}")

    first = asyncio.create_task(repeatability.first_answer("answer", "1", perform))
    second = asyncio.create_task(repeatability.first_answer("answer", "1", perform))
    await asyncio.sleep(0)
    proceed.set()

    assert await asyncio.gather(first, second) == [Answer(200, b"{}")] * 2
    assert performed == [1]


async def test_repetition_is_performed_when_the_first_request_broke_off():
    repeatability = Repeatability()
    begun = asyncio.Event()

    async def never() -> Answer:
        begun.set()
        await asyncio.Event().wait()
        raise AssertionError

    async def perform() -> Answer:
        return Answer(204)

    first = asyncio.create_task(repeatability.first_answer("answer", "1", never))
    await begun.wait()
    second = asyncio.create_task(repeatability.first_answer("answer", "1", perform))
    await asyncio.sleep(0)
    first.cancel()

    assert await second == Answer(204)


async def test_only_so_many_answers_are_remembered():
    repeatability = Repeatability()
    count = 0

    async def perform() -> Answer:
        nonlocal count
        count += 1
        return Answer(204)

    for number in range(MAX_REMEMBERED + 1):
        await repeatability.first_answer("answer", str(number), perform)
    await repeatability.first_answer("answer", str(MAX_REMEMBERED), perform)
    assert count == MAX_REMEMBERED + 1
    await repeatability.first_answer("answer", "0", perform)
    assert count == MAX_REMEMBERED + 2
