"""Azurite, the storage emulator: how it is started, and how it is reached. Its telemetry stays off."""

import re
import shutil
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


def connection_string(*, blob: int, queue: int, table: int) -> str:
    """Return the connection string of an Azurite on these ports."""
    ports = {"Blob": blob, "Queue": queue, "Table": table}
    endpoints = "".join(f"{name}Endpoint=http://{LOOPBACK}:{port}/{ACCOUNT};" for name, port in ports.items())
    return f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={ACCOUNT_KEY};{endpoints}"
