"""Upkeep on a storage emulator of its own, which each test finds empty; the time is what the test says."""

import asyncio
import logging
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from emulator.azurite import azurite_in_memory, connection_string
from shared.adapters.connect import connect
from shared.adapters.tables import TABLES, create_tables
from shared.calls.lost_calls import LostCalls
from shared.calls.retention import Retention
from shared.config import functions_settings
from shared.core.admission import PodLoad
from shared.core.ids import first_call_id, partitions
from shared.core.upkeep import CallLimits
from tests.unit.settings.test_config import LOCAL

NOW = 1_800_000_000.0
PARTITIONS = 32
LIMITS = CallLimits(ring_deadline_s=25.0, lost_after_s=60.0)


@pytest.fixture(autouse=True)
def records_as_they_were_made():
    """Take off what a Functions app that this process has served put on pytest's own handlers."""
    for handler in logging.getLogger().handlers:
        handler.filters.clear()


class Clock:
    """Unix seconds, moved by hand."""

    def __init__(self, now):
        self.now = now

    def __call__(self):
        return self.now


@dataclass
class Acs:
    """Takes hang-ups, and answers as it is told."""

    hung_up: list = field(default_factory=list)
    fault: Exception | None = None
    answers: asyncio.Event = field(default_factory=asyncio.Event)

    async def hang_up(self, call_connection_id, *, for_everyone):
        assert for_everyone
        self.hung_up.append(call_connection_id)
        await self.answers.wait()
        if self.fault is not None:
            raise self.fault


@pytest.fixture(scope="session")
def own_storage():
    with azurite_in_memory() as ports:
        yield connection_string(**ports)


@pytest.fixture
def open_connections(own_storage):
    """Connect anew, as another process would: `async with open_connections() as connections`."""

    @asynccontextmanager
    async def opened(**settings):
        env = LOCAL | {"STORAGE_CONNECTION_STRING": own_storage} | settings
        async with connect(functions_settings(env).common) as connections:
            yield connections

    return opened


@pytest.fixture
async def connections(open_connections):
    async with open_connections() as connections:
        await create_tables(connections.tables)
        await connections.config_blobs.make()
        yield connections
        for name in TABLES:
            table = connections.tables.get_table_client(name)
            async for row in table.list_entities(select=["PartitionKey", "RowKey"]):
                await table.delete_entity(row["PartitionKey"], row["RowKey"])
        for entry in await connections.config_blobs.entries(""):
            await connections.config_blobs.delete(entry.name, entry.etag)
        await connections.recordings.delete(await connections.recordings.names(""))


@pytest.fixture(autouse=True)
def fewer_partitions(monkeypatch):
    """All 256 take a second to look through."""
    for module in ("lost_calls", "retention"):
        monkeypatch.setattr(f"shared.calls.{module}.partitions", lambda: partitions()[:PARTITIONS])


@pytest.fixture
def clock():
    return Clock(NOW)


@pytest.fixture
def acs():
    acs = Acs()
    acs.answers.set()
    return acs


@pytest.fixture
def lost_calls(connections, acs, clock):
    return LostCalls(connections.calls, connections.pods, acs, LIMITS, clock=clock)


@pytest.fixture
def retention(connections, lost_calls, clock):
    """Retention with settings of one's own: `retention(RECORDING_RETENTION_DAYS="30")`."""

    def made(**settings):
        return Retention(connections, lost_calls, functions_settings(LOCAL | settings).upkeep, clock=clock)

    return made


def call_id_at(at, number=0):
    """The id of a call made at `at`; calls of one moment are told apart by `number`, the partition below 256."""
    return f"{first_call_id(at)}-7000-8000-{number:012x}"


def beat(name, at):
    return PodLoad(name, 0, 10, at)
