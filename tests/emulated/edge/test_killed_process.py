"""A Functions process is killed at each step of an answer, while two others serve."""

import asyncio
import contextlib

import pytest

from emulator.event_grid.subscriptions import EventSubscription
from emulator.faults import When
from emulator.media.line import Line
from shared.core.call_state import CallState
from shared.core.claims import Outcome
from shared.core.ids import claim_key
from tests.support.cluster import running_cluster
from tests.support.gateway import CALLER, NUMBER

LEASE_S = 1.0
SCALE = 0.02
"""Event Grid delivers again after 0.2 s, 0.6 s, 1.2 s, 6 s."""

STEPS = {
    "before the claim": ("storage.insertEntity:incoming", When.BEFORE),
    "after the claim": ("storage.insertEntity:incoming", When.AFTER),
    "before the row": ("storage.insertEntity:calls", When.BEFORE),
    "after the row, before the answer": ("answer", When.BEFORE),
    "after the answer, before its reply": ("answer", When.AFTER),
    "before the row has the connection": ("storage.updateEntity:calls", When.BEFORE),
    "before the claim is marked": ("storage.updateEntity:incoming", When.BEFORE),
    "after the claim is marked, before Event Grid hears": ("storage.updateEntity:incoming", When.AFTER),
}


@contextlib.asynccontextmanager
async def ringing(cluster):
    """A call that rings, delivered by Event Grid, and what it was answered by."""
    line = Line(rate_hz=16_000)
    call = await cluster.emulator.calls.place(to=NUMBER, from_=CALLER, line=line)
    try:
        yield call
    finally:
        await cluster.emulator.calls.caller_hangs_up(call)
        line.close()


async def found_claim(cluster, call):
    found = await cluster.connections.claims.read(claim_key(call.incoming_call_context))
    return None if found is None else found[0]


async def until_finished(cluster, call):
    async with asyncio.timeout(20):
        while (claim := await found_claim(cluster, call)) is None or claim.outcome is None:
            await asyncio.sleep(0.02)
    return claim


async def killed_at(cluster, step):
    """Kill the process that has a new call in hand at `step`; return the call's id then, and the story's end."""
    operation, when = STEPS[step]
    victim = await cluster.add_worker()
    # No cold start within the time of the delivery that is looked at.
    async with cluster.http.get(f"{victim.url}/readyz") as response:
        assert response.status == 200, await response.text()
    cluster.front.next_event = victim
    cluster.emulator.faults.hold_next(operation, when=when)
    async with ringing(cluster) as call:
        held = await cluster.emulator.faults.held(operation)
        claimed = await found_claim(cluster, call)
        await victim.kill()
        held.drop()
        claim = await until_finished(cluster, call)
        record = await cluster.connections.calls.get(claim.call_id)
        answers = [happening for happening in call.happenings if happening.name == "answered"]
        return claimed, claim, record, len(answers)


@pytest.mark.timeout(180)
async def test_a_process_killed_at_any_step_leaves_its_call_answered_once(azurite, tmp_path):
    settings = {"CLAIM_LEASE_S": str(LEASE_S), "EVENT_BUDGET_S": str(LEASE_S)}
    # Callbacks come after the kill, so that what is held is the delivery's own request.
    emulated = {"time_scale": SCALE, "connect_seconds": 3.0}
    async with running_cluster(azurite, tmp_path, workers=2, emulated=emulated, **settings) as cluster:
        await cluster.emulator.event_grid.subscribe(
            EventSubscription(name="calls", endpoint=cluster.events_url, headers=cluster.credentials)
        )
        for step in STEPS:
            claimed, claim, record, answers = await killed_at(cluster, step)
            assert answers == 1, step
            assert claim.outcome is Outcome.ANSWERED, step
            assert claimed is None or claimed.call_id == claim.call_id, step
            assert (claimed is None) == (step == "before the claim"), step
            assert record is not None, step
            assert record.state is CallState.ANSWERING, step


async def test_a_call_whose_process_died_and_that_rang_out_is_recorded_as_missed(azurite, tmp_path):
    settings = {"CLAIM_LEASE_S": "2", "EVENT_BUDGET_S": "2", "RING_DEADLINE_S": "1.5"}
    emulated = {"time_scale": 0.1}
    async with running_cluster(azurite, tmp_path, workers=1, emulated=emulated, **settings) as cluster:
        await cluster.emulator.event_grid.subscribe(
            EventSubscription(name="calls", endpoint=cluster.events_url, headers=cluster.credentials)
        )
        claimed, claim, record, answers = await killed_at(cluster, "after the claim")
    assert claimed.call_id == claim.call_id
    assert (claim.outcome, record.state, answers) == (Outcome.MISSED, CallState.MISSED, 0)
