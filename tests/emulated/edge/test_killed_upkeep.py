"""A Functions process is killed at each step of closing a call that nobody holds; the next run, by another, ends it."""

import asyncio

import pytest

from emulator.faults import When
from emulator.media.line import Line
from shared.core.call_state import CallState, Cause
from tests.support.cluster import running_cluster
from tests.support.lost_calls import aged, lost_call

STEPS = {
    "before the row is fenced": ("storage.updateEntity:calls", When.BEFORE),
    "after the row is fenced": ("storage.updateEntity:calls", When.AFTER),
    "before the hang-up": ("terminate", When.BEFORE),
    "after the hang-up": ("terminate", When.AFTER),
}


async def forget_calls(connections):
    """Leave no call of another test for upkeep to find."""
    table = connections.tables.get_table_client("calls")
    async for row in table.list_entities(select=["PartitionKey", "RowKey"]):
        await table.delete_entity(row["PartitionKey"], row["RowKey"])


async def run_upkeep(cluster, worker):
    async with cluster.http.post(f"{worker.url}/admin/functions/upkeep", json={}) as response:
        assert response.status == 202


@pytest.mark.timeout(180)
async def test_a_process_killed_at_any_step_leaves_no_call_that_nobody_ends(azurite, tmp_path):
    async with running_cluster(azurite, tmp_path, workers=1) as cluster:
        await forget_calls(cluster.connections)
        (other,) = cluster.workers
        for step, (operation, when) in STEPS.items():
            line = Line(rate_hz=16_000)
            placed, call_id = await lost_call(cluster.emulator, cluster.connections, line)
            victim = await cluster.add_worker()
            cluster.emulator.faults.hold_next(operation, when=when)
            await run_upkeep(cluster, victim)
            held = await cluster.emulator.faults.held(operation)
            await victim.kill()
            held.drop()
            found = await cluster.connections.calls.get(call_id)
            assert not found.state.is_final, step
            await cluster.connections.calls.change(call_id, lambda record: aged(record, 120))
            await run_upkeep(cluster, other)
            async with asyncio.timeout(20):
                while not (record := await cluster.connections.calls.get(call_id)).state.is_final:
                    await asyncio.sleep(0.02)
            assert (record.state, record.cause) == (CallState.ENDED, Cause.OWNER_LOST), step
            assert record.epoch > 1, step
            assert placed.end is not None, step
            line.close()
