"""From the webhook to the answer: how long a caller waits for the Functions app.

Event Grid (the emulator's) delivers to a Functions host in a process of its own, with Azurite beside it. Measured
is the time from the call being placed to ACS having received and accepted the answer: delivery, two table writes,
two tokens, the SDK's request, and the loopback network both ways.

    python -m bench.answer [--rate 20] [--seconds 30]
"""

import argparse
import asyncio
import base64
import contextlib
import os
import secrets
import statistics
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

from emulator.azurite import azurite_in_memory, connection_string
from emulator.calls import Call
from emulator.event_grid.subscriptions import EventSubscription
from emulator.functions_host.command import READY_LINE
from emulator.media.line import Line
from emulator.numbers import CALLED, CALLER
from emulator.service import Emulator
from emulator.settings import EmulatorSettings
from shared.adapters.connect import connect
from shared.adapters.tables import create_tables
from shared.config import functions_settings
from shared.core.admission import PodLoad
from shared.security.accounts import Account, hash_secret, new_api_id, new_api_secret
from shared.security.keyring import CALLBACK_KEY_SECRET, MEDIA_KEY_SECRET

ROOT = Path(__file__).resolve().parent.parent
FAR_FUTURE_S = 3600.0
PORT = 47071


@contextlib.asynccontextmanager
async def functions_host(settings: dict[str, str]) -> AsyncIterator[str]:
    """The Functions app in a process of its own; yields its URL."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "emulator", "functions", "--root", str(ROOT), "--port", str(PORT)),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL, cwd=ROOT, env=os.environ | settings,
    )  # fmt: skip
    try:
        async with asyncio.timeout(30):
            while process.stdout and not (line := (await process.stdout.readline()).decode()).startswith(
                READY_LINE
            ):
                if not line:
                    raise SystemExit("the Functions host ended at its start")
        yield line.removeprefix(READY_LINE).strip()
    finally:
        process.terminate()
        await process.wait()


@contextlib.asynccontextmanager
async def stack() -> AsyncIterator[Emulator]:
    """Everything up, seeded, and subscribed."""
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
            "CALLBACK_BASE_URL": f"http://127.0.0.1:{PORT}",
            "MEDIA_BASE_URL": "ws://127.0.0.1:9",
        }
        api_secret = new_api_secret()
        account = Account("demo", "Bench", new_api_id(), (hash_secret(api_secret),))
        async with connect(functions_settings(settings).common) as connections:
            await create_tables(connections.tables)
            for name in (MEDIA_KEY_SECRET, CALLBACK_KEY_SECRET):
                await connections.vault.add_version(name, base64.b64encode(secrets.token_bytes(32)).decode())
            await connections.accounts.create(account)
            await connections.pods.beat(PodLoad("bench", 0, 100_000, time.time() + FAR_FUTURE_S))
        url = await exits.enter_async_context(functions_host(settings))
        headers = {"asapp-api-id": account.api_id, "asapp-api-secret": api_secret}
        await emulator.event_grid.subscribe(
            EventSubscription(name="bench", endpoint=f"{url}/mg-genagent-acs/v1/acs-events", headers=headers)
        )
        yield emulator


async def one_call(emulator: Emulator, waits_ms: list[float]) -> None:
    """Place one call, note how long its answer took, and hang up."""
    line = Line(rate_hz=16_000)
    call: Call = await emulator.calls.place(to=CALLED, from_=CALLER, line=line)
    answered = asyncio.Event()
    unwatch = call.watch(lambda happening: answered.set() if happening.name == "answered" else None)
    try:
        async with asyncio.timeout(20):
            await answered.wait()
        waits_ms.append(next(h.at for h in call.happenings if h.name == "answered") * 1000)
    finally:
        unwatch()
        await emulator.calls.caller_hangs_up(call)
        line.close()


async def measure(rate: float, seconds: float) -> None:
    """Place calls at an even rate and print the percentiles of their waiting."""
    async with stack() as emulator:
        warm_up: list[float] = []
        for _ in range(10):
            await one_call(emulator, warm_up)
        waits_ms: list[float] = []
        started = time.monotonic()
        async with asyncio.TaskGroup() as calls:
            for number in range(int(rate * seconds)):
                await asyncio.sleep(max(0.0, started + number / rate - time.monotonic()))
                calls.create_task(one_call(emulator, waits_ms))
        cuts = statistics.quantiles(waits_ms, n=100)
        print(
            f"placed to answered, {len(waits_ms)} calls at {rate:g}/s: first (cold) {warm_up[0]:.1f} ms, "
            f"p50 {cuts[49]:.1f} ms, p90 {cuts[89]:.1f} ms, p99 {cuts[98]:.1f} ms, max {max(waits_ms):.1f} ms"
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rate", type=float, default=20)
    parser.add_argument("--seconds", type=float, default=30)
    arguments = parser.parse_args()
    asyncio.run(measure(arguments.rate, arguments.seconds))
