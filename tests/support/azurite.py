"""Azurite for tests: one in memory for each test process, shared by its tests.

Tests share its tables and containers, so each uses names or partitions of its own.
"""

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from emulator.azurite import SERVICES, azurite_command, connection_string, listening_service


@dataclass(frozen=True)
class Azurite:
    """Where the storage emulator listens."""

    connection_string: str
    ports: dict[str, int]


@pytest.fixture(scope="session")
def azurite() -> Iterator[Azurite]:
    """The storage emulator, on free ports; it starts in about a second and forgets all at the end."""
    command = azurite_command(blob=0, queue=0, table=0)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            ports = {}
            while set(ports) != set(SERVICES):
                line = process.stdout.readline()
                assert line, "Azurite ended at its start"
                if service := listening_service(line):
                    ports[service[0]] = service[1]
            named = {name.lower(): port for name, port in ports.items()}
            yield Azurite(connection_string(**named), named)
        finally:
            # In memory: there is nothing that an orderly end would save.
            process.kill()


@pytest.fixture
def storage_connection_string(azurite: Azurite) -> str:
    """The connection string of the shared Azurite."""
    return azurite.connection_string
