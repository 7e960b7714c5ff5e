"""From the webhook to the answer: how long a caller waits for the Functions app, and how many it answers.

Event Grid (the emulator's) delivers to a Functions host in a process of its own, with Azurite beside it. Measured
is the time from the call being placed to ACS having received and accepted the answer: delivery, the table writes,
two tokens, the SDK's request, and the loopback network both ways. The worker's CPU is its process's own; the rest
of the machine is shared with the emulator and Azurite, which do more work for a call than the worker does.

    python -m bench.answer [--rate 50] [--seconds 30] [--profile]
"""

import argparse
import asyncio
import base64
import contextlib
import os
import secrets
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from emulator.azurite import azurite_in_memory, connection_string
from emulator.call import Call
from emulator.event_grid.subscriptions import EventSubscription
from emulator.functions_host.command import READY_LINE
from emulator.media.line import Line
from emulator.numbers import CALLED, CALLER
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
COLD_CALLS = 10
COLD_RUNS = 5
AT_ONCE = 16
"""Calls under way at a time when the worker is given all that it takes."""
TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")


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
async def functions_host(settings: dict[str, str], profile: Path | None) -> AsyncIterator[tuple[str, int]]:
    """The Functions app in a process of its own; yields its URL and process id."""
    module = ("bench.profiled_host", str(profile)) if profile else ("emulator", "functions")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", *module, "--root", str(ROOT), "--port", str(PORT)),
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
async def stack(profile: Path | None = None, **changes: str) -> AsyncIterator[Stack]:
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
            "CALLBACK_BASE_URL": f"http://127.0.0.1:{PORT}",
            "MEDIA_BASE_URL": "ws://127.0.0.1:9",
            **changes,
        }
        api_secret = new_api_secret()
        account = Account("demo", "Bench", new_api_id(), (hash_secret(api_secret),))
        async with connect(functions_settings(settings).common) as connections:
            await create_tables(connections.tables)
            await publish_file(connections.config_blobs, load_gateway_file(ROOT / "gateway.yaml"))
            for name in (MEDIA_KEY_SECRET, CALLBACK_KEY_SECRET):
                await connections.vault.add_version(name, base64.b64encode(secrets.token_bytes(32)).decode())
            await connections.accounts.create(account)
            await connections.pods.beat(PodLoad("bench", 0, 100_000, time.time() + FAR_FUTURE_S))
        url, worker = await exits.enter_async_context(functions_host(settings, profile))
        headers = {"asapp-api-id": account.api_id, "asapp-api-secret": api_secret}
        await emulator.event_grid.subscribe(
            EventSubscription(name="bench", endpoint=f"{url}/mg-genagent-acs/v1/acs-events", headers=headers)
        )
        yield Stack(emulator, worker)


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


async def warmed_up(running: Stack) -> None:
    """Let the worker have its first calls, and their callbacks."""
    for _ in range(20):
        await one_call(running.emulator, [])
    await asyncio.sleep(1)


async def at_a_rate(rate: float, seconds: float) -> None:
    """Place calls at an even rate and print the percentiles of their waiting."""
    async with stack() as running:
        await warmed_up(running)
        waits_ms: list[float] = []
        cpu_s, started = running.cpu_s(), time.monotonic()
        async with asyncio.TaskGroup() as calls:
            for number in range(int(rate * seconds)):
                await asyncio.sleep(max(0.0, started + number / rate - time.monotonic()))
                calls.create_task(one_call(running.emulator, waits_ms))
        cpu_ms = (running.cpu_s() - cpu_s) * 1000 / len(waits_ms)
    cuts = statistics.quantiles(waits_ms, n=100)
    print(
        f"placed to answered, {len(waits_ms)} calls at {rate:g}/s: p50 {cuts[49]:.1f} ms, p90 {cuts[89]:.1f} ms, "
        f"p99 {cuts[98]:.1f} ms, max {max(waits_ms):.1f} ms; worker's CPU {cpu_ms:.1f} ms a call, callbacks included"
    )


async def sustained(seconds: float, profile: Path | None) -> None:
    """Keep `AT_ONCE` calls under way, and print how many one worker answers a second."""
    async with stack(profile) as running:
        await warmed_up(running)
        waits_ms: list[float] = []
        cpu_s, started = running.cpu_s(), time.monotonic()

        async def caller() -> None:
            while time.monotonic() - started < seconds:
                await one_call(running.emulator, waits_ms)

        await asyncio.gather(*(caller() for _ in range(AT_ONCE)))
        took_s = time.monotonic() - started
        cpu_s = running.cpu_s() - cpu_s
    print(
        f"sustained by one worker, {AT_ONCE} at a time: {len(waits_ms) / took_s:.0f} answered calls/s "
        f"(p50 {statistics.median(waits_ms):.0f} ms); worker's CPU {cpu_s * 1000 / len(waits_ms):.1f} ms a call, "
        f"{cpu_s / took_s:.0%} of a core: {len(waits_ms) / cpu_s:.0f} calls/s on a core of its own"
    )


async def cold() -> None:
    """Print how long ten calls at once wait on a process that has never seen one."""
    tenths_ms: list[float] = []
    for _ in range(COLD_RUNS):
        async with stack() as running:
            waits_ms: list[float] = []
            await asyncio.gather(*(one_call(running.emulator, waits_ms) for _ in range(COLD_CALLS)))
            tenths_ms.append(max(waits_ms))
    print(
        f"ten calls at once on a cold process, to the tenth answer, {COLD_RUNS} runs: "
        f"median {statistics.median(tenths_ms):.0f} ms, {min(tenths_ms):.0f} to {max(tenths_ms):.0f} ms"
    )


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rate", type=float, default=50, help="calls a second")
    parser.add_argument("--seconds", type=float, default=20, help="of each measurement")
    parser.add_argument("--profile", action="store_true", help="only say where the worker's time goes")
    arguments = parser.parse_args()
    if arguments.profile:
        with tempfile.TemporaryDirectory() as folder:
            profile = Path(folder) / "worker.prof"
            asyncio.run(sustained(arguments.seconds, profile))
            show(profile)
        return
    asyncio.run(cold())
    asyncio.run(at_a_rate(arguments.rate, arguments.seconds))
    asyncio.run(sustained(arguments.seconds, None))


def show(profile: Path) -> None:
    """Print a profile by package: own time, as a share of the time the worker was not waiting."""
    import pstats

    statistics_ = pstats.Stats(str(profile))
    own: dict[str, float] = {}
    for (file, _, name), (_, _, own_s, _, _) in statistics_.stats.items():  # type: ignore[attr-defined]
        if name == "<method 'poll' of 'select.epoll' objects>":
            continue
        own[package_of(file, name)] = own.get(package_of(file, name), 0.0) + own_s
    total = sum(own.values())
    for package, own_s in sorted(own.items(), key=lambda item: -item[1])[:25]:
        print(f"{own_s / total:6.1%}  {package}")


def package_of(file: str, name: str) -> str:
    """Name what a function belongs to: a package of ours or of somebody else's, or the interpreter."""
    for marker in ("site-packages/", "python3."):
        if marker in file:
            parts = file.rpartition(marker)[2].split("/")
            return "/".join(parts[: 3 if parts[0] == "azure" else 1 if marker == "site-packages/" else 2])
    if file.startswith(str(ROOT)):
        return "/".join(Path(file).relative_to(ROOT).parts[:2])
    return f"built-in {name}"


if __name__ == "__main__":
    main()
