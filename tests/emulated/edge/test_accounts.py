"""Accounts over HTTP: rotated and disabled while the app runs, and a flood of wrong credentials."""

import asyncio
import json
import time
from dataclasses import replace

from shared.security.accounts import hash_secret, rotation_finished, with_next_secret
from tests.emulated.edge.test_handshakes import VALIDATION
from tests.support.gateway import API_SECRET

NEXT = "the-secret-after-the-rotation"
QUICK = {"ACCOUNTS_MAX_AGE_S": "0.3"}
FLOOD_PER_S = 50
FLOOD_S = 3.0


async def until_refused(edge, **headers):
    async with asyncio.timeout(10):
        while (await edge.deliver(VALIDATION, **headers))[0] != 401:
            await asyncio.sleep(0.05)


async def test_a_rotation_while_calls_arrive_loses_none(start_edge):
    edge = await start_edge(**QUICK)
    accounts = edge.connections.accounts
    subscribed, answers = [API_SECRET], []

    async def calls():
        for _ in range(12):
            event = await edge.ring()
            answers.append(await edge.deliver([event], **{"asapp-api-secret": subscribed[-1]}))

    async def rotate():
        hashed = hash_secret(NEXT)
        await accounts.change("demo", lambda a: with_next_secret(a, NEXT, hashed))
        subscribed.append(NEXT)

    await asyncio.gather(calls(), rotate())
    assert [(status, body[0]["outcome"]) for status, body in answers] == [(200, "answered")] * 12
    for secret in (API_SECRET, NEXT):
        assert (await edge.deliver(VALIDATION, **{"asapp-api-secret": secret}))[0] == 200
    await accounts.change("demo", rotation_finished)
    await until_refused(edge)
    assert (await edge.deliver(VALIDATION, **{"asapp-api-secret": NEXT}))[0] == 200


async def test_disabling_takes_effect_without_a_restart(start_edge):
    edge = await start_edge(**QUICK)
    assert (await edge.deliver(VALIDATION))[0] == 200
    await edge.connections.accounts.change("demo", lambda a: replace(a, enabled=False))
    await until_refused(edge)
    await edge.connections.accounts.change("demo", lambda a: replace(a, enabled=True))
    assert (await edge.deliver(VALIDATION))[0] == 200


async def test_a_flood_of_wrong_credentials_delays_and_refuses_no_good_delivery(start_edge):
    edge = await start_edge()
    assert (await edge.deliver(VALIDATION))[0] == 200
    good, started = [], time.monotonic()

    async def deliver_well():
        while time.monotonic() - started < FLOOD_S:
            event, begun = await edge.ring(), time.monotonic()
            status, _ = await edge.deliver([event])
            good.append((status, time.monotonic() - begun))
            await asyncio.sleep(0.1)

    async def deliver_badly(number):
        await asyncio.sleep(number / FLOOD_PER_S)
        pair = {"asapp-api-secret": "wrong"} | ({"asapp-api-id": "nobody"} if number % 2 else {})
        async with edge.http.post(edge.events_url, json=VALIDATION, headers=edge.credentials | pair) as reply:
            return reply.status, json.loads(await reply.read())["detail"]

    flood = (deliver_badly(number) for number in range(int(FLOOD_PER_S * FLOOD_S)))
    _, *bad = await asyncio.gather(deliver_well(), *flood)
    took = time.monotonic() - started
    reads = len(edge.emulator.requests("storage.queryEntities:accounts"))
    print(f"good {len(good)} max {max(s for _, s in good):.3f} s, reads {reads} in {took:.1f} s, "
          f"401 {sum(s == 401 for s, _ in bad)}, 500 {sum(s == 500 for s, _ in bad)}")  # fmt: skip
    assert {status for status, _ in good} == {200}
    assert max(seconds for _, seconds in good) < 1.0
    assert reads <= took + 2
    assert {status for status, _ in bad} == {401, 500}
    assert {detail for status, detail in bad if status == 500} == {
        "too many deliveries with credentials that are not good"
    }
