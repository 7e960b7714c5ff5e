"""Azurite for tests: one in memory for each test process, shared by its tests.

Tests share its tables and containers, so each uses names or partitions of its own.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from emulator.azurite import azurite_in_memory, connection_string


@dataclass(frozen=True)
class Azurite:
    """Where the storage emulator listens."""

    connection_string: str
    ports: dict[str, int]


@pytest.fixture(scope="session")
def azurite() -> Iterator[Azurite]:
    """The storage emulator, on free ports; it starts in about a second and forgets all at the end."""
    with azurite_in_memory() as ports:
        yield Azurite(connection_string(**ports), ports)


@pytest.fixture
def storage_connection_string(azurite: Azurite) -> str:
    """The connection string of the shared Azurite."""
    return azurite.connection_string
