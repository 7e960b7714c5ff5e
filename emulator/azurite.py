"""Azurite, the storage emulator: how it is started, and how it is reached. Its telemetry stays off."""

import contextlib
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from emulator.ports import LOOPBACK

FOLDER = Path(__file__).with_suffix("")
"""Where package.json pins it and `npm ci` puts it."""
SERVICES = ("Blob", "Queue", "Table")
ACCOUNT = "devstoreaccount1"
# The published key of every storage emulator; it guards nothing.
ACCOUNT_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
MEMORY_LIMIT_MB = 512

_LISTENING = re.compile(r"Azurite (\w+) service is successfully listening at http://[^:]+:(\d+)")


class AzuriteMissingError(Exception):
    """Azurite, or the Node that runs it, is not installed."""


def azurite_command(*, blob: int, queue: int, table: int, data: Path | None = None) -> list[str]:
    """Return the command line that serves on these ports of the loopback address (0: free ones).

    Without `data` it keeps everything in memory, and what is stored ends with it.

    Raises:
        AzuriteMissingError: it cannot be run; the message says what to do.
    """
    node = shutil.which("node")
    if node is None:
        raise AzuriteMissingError("Node.js is not installed: install version 20 or later")
    script = FOLDER / "node_modules" / "azurite" / "dist" / "src" / "azurite.js"
    if not script.is_file():
        raise AzuriteMissingError("Azurite is not installed: run `make setup`")
    where = (
        ["--inMemoryPersistence", "--extentMemoryLimit", str(MEMORY_LIMIT_MB)]
        if data is None
        else ["--location", str(data)]
    )
    ports = {"blob": blob, "queue": queue, "table": table}
    listen = [
        text
        for name, port in ports.items()
        for text in (f"--{name}Host", LOOPBACK, f"--{name}Port", str(port))
    ]
    # SDKs ask for newer API versions than the pinned Azurite knows.
    return [node, str(script), "--silent", "--disableTelemetry", "--skipApiVersionCheck", *where, *listen]


def listening_service(line: str) -> tuple[str, int] | None:
    """Return the service and port that a line of Azurite's output announces, if it does."""
    found = _LISTENING.search(line)
    return (found[1], int(found[2])) if found else None


@contextlib.contextmanager
def azurite_in_memory() -> Iterator[dict[str, int]]:
    """Run Azurite on free ports, within tests and measurements; yields the port of `blob`, `queue` and `table`.

    Raises:
        AzuriteMissingError: it cannot be run.
        RuntimeError: it ended at its start.
    """
    command = azurite_command(blob=0, queue=0, table=0)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 - built here
        try:
            ports: dict[str, int] = {}
            while set(ports) != set(SERVICES):
                line = process.stdout.readline() if process.stdout else ""
                if not line:
                    raise RuntimeError("Azurite ended at its start")
                if service := listening_service(line):
                    ports[service[0]] = service[1]
            yield {name.lower(): port for name, port in ports.items()}
        finally:
            # In memory: there is nothing that an orderly end would save.
            process.kill()


def connection_string(**ports: int) -> str:
    """Return the connection string of an Azurite whose `blob`, `queue` and `table`, or some of them, are there."""
    endpoints = "".join(
        f"{name.capitalize()}Endpoint=http://{LOOPBACK}:{port}/{ACCOUNT};" for name, port in ports.items()
    )
    return f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={ACCOUNT_KEY};{endpoints}"
