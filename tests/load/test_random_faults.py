"""Calls on three processes while every dependency fails now and then, and messages come as they like: from a seed."""

import asyncio
from collections import Counter

import pytest

from emulator.event_grid.subscriptions import EventSubscription
from emulator.faults import FaultRule, Reset, Status, When
from emulator.faults.rules import Delay, Duplicate, LoseAcknowledgement, Reorder
from emulator.media.line import Line
from shared.core.ids import claim_key
from shared.errors import StoreUnavailable
from tests.support.cluster import running_cluster
from tests.support.gateway import CALLER, NUMBER

pytestmark = [pytest.mark.soak, pytest.mark.timeout(600)]

CALLS, RATE, SEED = 500, 12.0, 20261120
LOST = Reset(when=When.AFTER)
FAULTS = [
    FaultRule("storage.*", Status(status=503), probability=0.03),
    FaultRule("storage.*", LOST, probability=0.02),
    FaultRule("storage.*", Delay(ms=500), probability=0.03),
    FaultRule("key_vault.*", Status(status=429, retry_after_seconds=1), probability=0.2),
    FaultRule("answer", Status(status=500), probability=0.1),
    FaultRule("answer", LOST, probability=0.1),
    FaultRule("event_grid.deliver", Duplicate(copies=3), probability=0.3),
    FaultRule("event_grid.deliver", LoseAcknowledgement(), probability=0.1),
    FaultRule("callback.deliver", Reorder(within_ms=500), probability=0.3),
    FaultRule("callback.deliver", Duplicate(copies=2, after_ms=100), probability=0.2),
]


async def test_every_call_is_answered_once_or_recorded_as_missed_whatever_fails(azurite, tmp_path):
    emulated = {"time_scale": 0.1, "seed": SEED, "connect_seconds": 0.1}
    settings = {"CLAIM_LEASE_S": "3", "EVENT_BUDGET_S": "3"}
    outcomes: Counter[str] = Counter()
    answers: Counter[int] = Counter()
    async with running_cluster(azurite, tmp_path, workers=3, emulated=emulated, **settings) as cluster:
        await cluster.emulator.event_grid.subscribe(
            EventSubscription(name="calls", endpoint=cluster.events_url, headers=cluster.credentials)
        )
        for rule in FAULTS:
            cluster.emulator.faults.add(rule)

        async def one_call():
            line = Line(rate_hz=16_000)
            call = await cluster.emulator.calls.place(to=NUMBER, from_=CALLER, line=line)
            times: list[str] = []
            unwatch = call.watch(lambda happening: times.append(happening.name))
            try:
                async with asyncio.timeout(60):
                    while (outcome := await _outcome_of(cluster, call)) is None:
                        await asyncio.sleep(0.25)
                outcomes[outcome] += 1
                answers[times.count("answered")] += 1
                assert (times.count("answered") == 1) == (outcome == "answered")
            finally:
                unwatch()
                await cluster.emulator.calls.caller_hangs_up(call)
                line.close()

        async with asyncio.TaskGroup() as calls:
            for _ in range(CALLS):
                calls.create_task(one_call())
                await asyncio.sleep(1 / RATE)
        applied = [(each.rule.operation, each.applied) for each in cluster.emulator.faults]
    print(f"\n{CALLS} calls: {dict(outcomes)}; answers a call {dict(answers)}; faults {applied}")
    assert outcomes.total() == CALLS
    assert set(answers) <= {0, 1}


async def _outcome_of(cluster, call):
    """What the records say of a call; None while they say nothing final."""
    try:
        found = await cluster.connections.claims.read(claim_key(call.incoming_call_context))
        if found is None:
            return None
        if found[0].outcome is not None:
            return str(found[0].outcome)
        # Storage may fail when an answered call's claim is to be marked: the row has the connection then.
        record = await cluster.connections.calls.get(found[0].call_id)
    except StoreUnavailable:  # the faults strike us too
        return None
    return "answered" if record is not None and record.call_connection_id is not None else None
