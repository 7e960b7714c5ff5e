"""The Functions app in a process of its own, with Azurite and the emulator beside it: what its benchmarks run on."""

import asyncio
import base64
import contextlib
import os
import secrets
import signal
import sys
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from emulator.azurite import azurite_in_memory, connection_string
from emulator.event_grid.subscriptions import EventSubscription
from emulator.functions_host.command import READY_LINE
from emulator.identity import OPENID_METADATA_PATH
from emulator.service import Emulator
from emulator.settings import EmulatorSettings
from shared.adapters.connect import connect
from shared.adapters.tables import create_tables
from shared.admin.publish import publish_file
from shared.config import functions_settings
from shared.core.admission import PodLoad
from shared.gateway_file import load_gateway_file
from shared.security.accounts import Account, hash_secret, new_api_id, new_api_secret
from shared.security.keyring import CALLBACK_KEY_SECRET, MEDIA_KEY_SECRET

ROOT = Path(__file__).resolve().parent.parent
FAR_FUTURE_S = 3600.0
PORT = 47071
TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
HOST = ("emulator", "functions")
"""Module and arguments of the Functions host."""
AGENTS_EVENTS_PATH = "/mg-genagent-acs/v1/acs-events"


@dataclass
class Stack:
    """The running parts."""

    emulator: Emulator
    worker: int
    """Process id of the Functions host."""

    def cpu_s(self) -> float:
        """CPU seconds that the worker has used."""
        fields = Path(f"/proc/{self.worker}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS_A_SECOND


@contextlib.asynccontextmanager
async def functions_host(settings: dict[str, str], host: Sequence[str]) -> AsyncIterator[tuple[str, int]]:
    """The Functions app in a process of its own; yields its URL and process id."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", *host, "--root", str(ROOT), "--port", str(PORT)),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL, cwd=ROOT, env=os.environ | settings,
    )  # fmt: skip
    try:
        async with asyncio.timeout(30):
            while process.stdout and not (line := (await process.stdout.readline()).decode()).startswith(
                READY_LINE
            ):
                if not line:
                    raise SystemExit("the Functions host ended at its start")
        yield line.removeprefix(READY_LINE).strip(), process.pid
    finally:
        process.send_signal(signal.SIGINT)
        await process.wait()


@contextlib.asynccontextmanager
async def stack(
    host: Sequence[str] = HOST,
    *,
    gateway_file: Path = ROOT / "gateway.yaml",
    events_path: str = AGENTS_EVENTS_PATH,
    **changes: str,
) -> AsyncIterator[Stack]:
    """Everything up, seeded, and subscribed; the worker has not seen a call yet. `changes` are more settings."""
    async with contextlib.AsyncExitStack() as exits:
        storage = connection_string(**exits.enter_context(azurite_in_memory()))
        emulator = Emulator(EmulatorSettings())
        await emulator.start()
        exits.push_async_callback(emulator.stop)
        settings = {
            "ACS_ENDPOINT": emulator.base_url,
            "ACS_ACCESS_KEY": emulator.settings.access_key,
            "KEY_VAULT_URL": emulator.key_vault_url,
            "KEY_VAULT_CA_FILE": str(emulator.key_vault_ca_file),
            "AZURE_CREDENTIAL": "local",
            "STORAGE_CONNECTION_STRING": storage,
            "WEB_PUBSUB_CONNECTION_STRING": emulator.web_pubsub_connection_string,
            "ACS_RESOURCE_ID": emulator.settings.resource_id,
            "ACS_OPENID_METADATA_URL": emulator.base_url + OPENID_METADATA_PATH,
            "ACS_JWT_VERIFIED_ON": "callbacks",
            "CALLBACK_BASE_URL": f"http://127.0.0.1:{PORT}",
            "MEDIA_BASE_URL": "ws://127.0.0.1:9",
            **changes,
        }
        api_secret = new_api_secret()
        account = Account("demo", "Bench", new_api_id(), (hash_secret(api_secret),))
        async with connect(functions_settings(settings).common) as connections:
            await create_tables(connections.tables)
            await publish_file(connections.config_blobs, load_gateway_file(gateway_file))
            for name in (MEDIA_KEY_SECRET, CALLBACK_KEY_SECRET):
                await connections.vault.add_version(name, base64.b64encode(secrets.token_bytes(32)).decode())
            await connections.accounts.create(account)
            await connections.pods.beat(PodLoad("bench", 0, 100_000, time.time() + FAR_FUTURE_S))
        url, worker = await exits.enter_async_context(functions_host(settings, host))
        headers = {"asapp-api-id": account.api_id, "asapp-api-secret": api_secret}
        await emulator.event_grid.subscribe(
            EventSubscription(name="bench", endpoint=url + events_path, headers=headers)
        )
        yield Stack(emulator, worker)
