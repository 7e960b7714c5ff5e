"""Many deliveries of many calls, from a seed: duplicates, races and both envelopes."""

import asyncio
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from emulator.media.line import Line
from shared.core.ids import claim_key
from tests.support.cluster import Cluster
from tests.support.gateway import CALLER, NUMBER, incoming_call
from tests.support.records import data_json

RACE = 8
"""Deliveries at the same moment, of every fourth call."""


@dataclass
class Delivered:
    """What came of it all."""

    deliveries: int = 0
    answers: Counter[str] = field(default_factory=Counter)
    """How often ACS performed an answer, by call."""
    outcomes: Counter[tuple[int, str]] = field(default_factory=Counter)
    """Statuses and outcomes that Event Grid was told."""
    claims: Counter[str] = field(default_factory=Counter)
    states: Counter[str] = field(default_factory=Counter)
    call_ids: set[str] = field(default_factory=set)


async def deliver_all(cluster: Cluster, *, calls: int, deliveries: int, at_once: int, seed: int) -> Delivered:
    """Let `calls` ring and deliver each several times; `at_once` calls are under way at a time."""
    generator = random.Random(seed)
    counts = _counts(calls, deliveries)
    found = Delivered()
    slots = asyncio.Semaphore(at_once)
    plans = [(count, generator.random()) for count in counts]
    generator.shuffle(plans)

    async def one(count: int, seed_of_call: float) -> None:
        async with slots:
            await _one_call(cluster, count, random.Random(seed_of_call), found)

    async with asyncio.TaskGroup() as tasks:
        for count, seed_of_call in plans:
            tasks.create_task(one(count, seed_of_call))
    return found


def _counts(calls: int, deliveries: int) -> list[int]:
    """Deliveries of each call: a quarter is raced, the others share the rest evenly."""
    raced = calls // 4
    rest, others = deliveries - raced * RACE, calls - raced
    return [RACE] * raced + [rest // others + (number < rest % others) for number in range(others)]


async def _one_call(cluster: Cluster, count: int, generator: random.Random, found: Delivered) -> None:
    line = Line(rate_hz=16_000)
    call = await cluster.emulator.calls.place(to=NUMBER, from_=CALLER, line=line)
    event = incoming_call(call.incoming_call_context, correlation_id=call.correlation_id)
    bodies = list(_bodies(event, count, generator))
    unwatch = call.watch(
        lambda happening: found.answers.update([call.correlation_id] if happening.name == "answered" else [])
    )
    try:
        if count == RACE:
            await asyncio.gather(*(_deliver(cluster, body, found) for body in bodies))
        else:
            for body in bodies:
                await _deliver(cluster, body, found)
        claim = await cluster.connections.claims.read(claim_key(call.incoming_call_context))
        assert claim is not None
        found.claims[str(claim[0].outcome)] += 1
        found.call_ids.add(claim[0].call_id)
        record = await cluster.connections.calls.get(claim[0].call_id)
        found.states["none" if record is None else record.state.value] += 1
    finally:
        unwatch()
        await cluster.emulator.calls.caller_hangs_up(call)
        line.close()


def _bodies(event: dict[str, Any], count: int, generator: random.Random) -> Iterator[Any]:
    """The event in either envelope, alone or in an array."""
    cloud_event = data_json("event_grid/incoming_call.cloud_event.json")
    cloud_event |= {"id": event["id"], "time": event["eventTime"], "data": event["data"]}
    for _ in range(count):
        body = generator.choice((event, cloud_event))
        yield generator.choice((body, [body]))


async def _deliver(cluster: Cluster, body: Any, found: Delivered) -> None:
    found.deliveries += 1
    async with cluster.http.post(cluster.events_url, json=body, headers=cluster.credentials) as response:
        answer = await response.json(content_type=None)
        outcome = answer[0]["outcome"] if response.status == 200 else answer.get("detail", "")
        found.outcomes[(response.status, outcome)] += 1
