"""A run does all its parts beside each other; what fails or takes long keeps no other part from its work."""

import asyncio
import logging
import time

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from shared.adapters.blobs import BlobContainer
from shared.adapters.connect import LocalCredential
from shared.adapters.dead_letters import CONTAINER
from shared.calls.ivr import Ivr
from shared.calls.upkeep import Upkeep
from shared.config import StorageSettings
from shared.core.call import CallTimes
from shared.core.call_state import CallState
from shared.errors import StoreRefused
from shared.metrics import Metrics
from tests.emulated.upkeep.conftest import NOW, call_id_at
from tests.support.records import CONNECTION_ID, call_record


@pytest.fixture
def reader():
    return InMemoryMetricReader()


@pytest.fixture
def upkeep(connections, lost_calls, retention, clock, reader):
    metrics = Metrics(MeterProvider([reader]).get_meter("test"))

    def made(budget_s=20.0):
        ivr = Ivr(connections.ivr_calls, None, None, None, sounds_url="", clock=clock)
        return Upkeep(
            lost_calls, retention(), connections.dead_letters, ivr, metrics, budget_s=budget_s, clock=clock
        )

    return made


@pytest.fixture
async def letters(own_storage):
    """Lays dead letters, as Event Grid does."""
    container = BlobContainer(StorageSettings(None, own_storage), LocalCredential(), CONTAINER)
    await container.make()
    yield container
    for entry in await container.entries(""):
        await container.delete(entry.name, entry.etag)
    await container.close()


def measured(reader):
    """Every instrument's values, by its name and its attributes."""
    data = reader.get_metrics_data()
    return {
        (metric.name, *(point.attributes or {}).values()): point.value
        for resource in (data.resource_metrics if data else ())
        for scope in resource.scope_metrics
        for metric in scope.metrics
        for point in metric.data.data_points
    }


async def lost_call(connections):
    record = call_record(
        CallState.STREAMING,
        call_id=call_id_at(NOW - 600),
        times=CallTimes(created=NOW - 600),
        call_connection_id=CONNECTION_ID,
        owner="pod-1",
    )
    await connections.calls.create(record)


async def test_a_run_counts_what_it_did_and_says_it_in_one_line(connections, upkeep, reader, caplog):
    await lost_call(connections)
    await connections.answers.add("call-1", 0.0)
    with caplog.at_level(logging.INFO, logger="shared.calls.upkeep"):
        done = await upkeep().run()
    assert done["calls"] == {"owner_lost": 1}
    (line,) = [record for record in caplog.records if record.message == "upkeep has run"]
    assert line.done == {"calls": {"owner_lost": 1}, "claims": {"answers": 1}}
    assert line.ends == {"done": 6}
    seen = measured(reader)
    assert seen["gateway.upkeep.done", "calls", "owner_lost"] == 1
    assert seen["gateway.upkeep.done", "claims", "answers"] == 1
    assert seen["gateway.upkeep.parts", "recordings", "done"] == 1


@pytest.mark.parametrize(
    ("fault", "end"),
    [(StoreRefused("blob storage answered 403"), "store_refused"), (KeyError("x"), "internal")],
)
async def test_a_part_that_fails_keeps_no_other_from_its_work(
    connections, upkeep, reader, monkeypatch, fault, end
):
    await lost_call(connections)

    async def failing(*_args, **_options):
        raise fault

    monkeypatch.setattr(connections.profiles, "current", failing)
    monkeypatch.setattr(connections.claims, "expire", lambda _: failing_pages(fault))
    assert (await upkeep().run())["calls"] == {"owner_lost": 1}
    seen = measured(reader)
    assert seen["gateway.upkeep.parts", "claims", end] == seen["gateway.upkeep.parts", "profiles", end] == 1
    assert seen["gateway.upkeep.parts", "old_calls", "done"] == 1


async def failing_pages(fault):
    raise fault
    yield 0


async def test_a_part_that_has_no_time_left_goes_on_at_the_next_run(
    connections, upkeep, lost_calls, acs, clock, reader
):
    await lost_call(connections)
    acs.answers.clear()
    assert (await upkeep(budget_s=2.0).run())["calls"] == {}
    assert measured(reader)["gateway.upkeep.parts", "calls", "out_of_time"] == 1
    acs.answers.set()
    clock.now += 61
    assert (await upkeep().run())["calls"] == {"owner_lost": 1}


async def test_dead_letters_are_counted_with_the_age_of_the_oldest(upkeep, letters, reader, clock, caplog):
    await upkeep().run()
    seen = measured(reader)
    assert seen["gateway.deadletters",] == seen["gateway.deadletters.oldest",] == 0
    for number in range(3):
        await letters.create(f"TOPIC/SUBSCRIPTION/2027/1/15/8/{number}.json", b"[]")
    clock.now = time.time() + 600
    await upkeep().run()
    seen = measured(reader)
    assert seen["gateway.deadletters",] == 3
    assert seen["gateway.deadletters.oldest",] == pytest.approx(600, abs=30)
    assert [record.letters for record in caplog.records if hasattr(record, "letters")] == [3]


async def test_a_run_that_is_killed_and_two_at_once_leave_nothing_undone(connections, upkeep, acs, clock):
    await lost_call(connections)
    acs.answers.clear()
    killed = asyncio.create_task(upkeep().run())
    while not acs.hung_up:
        await asyncio.sleep(0.005)
    killed.cancel()
    await asyncio.wait((killed,))
    acs.answers.set()
    clock.now += 61
    both = await asyncio.gather(upkeep().run(), upkeep().run())
    assert sum(done["calls"]["owner_lost"] for done in both) == 1
