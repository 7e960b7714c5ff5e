"""From the webhook to the answer: how long a caller waits for the Functions app, and how many it answers.

Event Grid (the emulator's) delivers to a Functions host in a process of its own, with Azurite beside it. Measured
is the time from the call being placed to ACS having received and accepted the answer: delivery, the table writes,
two tokens, the SDK's request, and the loopback network both ways. The worker's CPU is its process's own; the rest
of the machine is shared with the emulator and Azurite, which do more work for a call than the worker does.

    python -m bench.answer [--rate 50] [--seconds 30] [--profile]
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from pathlib import Path

from bench.functions_app import HOST, ROOT, Stack, stack
from emulator.call import Call
from emulator.media.line import Line
from emulator.numbers import CALLED, CALLER
from emulator.service import Emulator

COLD_CALLS = 10
COLD_RUNS = 5
AT_ONCE = 16
"""Calls under way at a time when the worker is given all that it takes."""


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
    host = HOST if profile is None else ("bench.profiled_host", str(profile))
    async with stack(host) as running:
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
