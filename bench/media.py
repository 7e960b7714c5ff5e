"""The media path beside its practical limit: CPU, latency, barge-in and memory of calls at 24 kHz.

In interleaved rounds, each in fresh processes: a bare bridge, and the media gateway with recording off and on, between
the same load and the same realtime service. The gateway is compiled as it is in the image. Two cores are needed: one
for the process under test alone, one for all the others.

    python -m bench.media [--calls 50 150 250 400] [--rounds 5] [--seconds 10] [--markdown]
    python -m bench.media --agent echo             the gateway's own echo agent, without a service
    python -m bench.media --playout-ms 20 40 100   the curve of the chunks that go to ACS
    python -m bench.media --append-ms 20 40 100    the curve of the chunks that go to the agent
    python -m bench.media --profile                where the time goes
    python -m bench.media --interpreted            the gateway as it is on a laptop, nothing compiled
"""

import argparse
import asyncio
import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bench import media_profile
from bench.media_gateway_alone import call_id_of, media_url
from bench.media_tables import (
    BARE,
    OFF,
    ON,
    Figures,
    compared,
    faults_of,
    goals_of,
    machine,
    median_of,
    rendered,
    table_of,
)
from bench.processes import ROOT, asked, server

CORES = sorted(os.sched_getaffinity(0))[:2]


@dataclass(frozen=True)
class Variant:
    """A process to be measured: the bare bridge, or the gateway with some options."""

    name: str
    options: tuple[str, ...] = ()
    service: bool = True
    """Whether a realtime service is behind it."""
    recorded: bool = False

    def command(self, calls: int, behind: Sequence[str]) -> tuple[str, ...]:
        if self.name == BARE:
            return ("bench.bare_bridge", *behind)
        return ("bench.media_gateway_alone", "--calls", str(calls), *behind, *self.options)

    def urls(self, calls: int, port: int) -> str:
        lines = []
        for number in range(calls):
            headers = {"x-ms-call-connection-id": call_id_of(number)}
            lines.append(json.dumps({"url": media_url(port, number), "headers": headers}))
        return "\n".join(lines)


async def run_once(
    variant: Variant,
    calls: int,
    seconds: float,
    barge_seconds: float,
    code: Path,
    profile: media_profile.Profile | None = None,
) -> Figures:
    """Run one variant once, by the code in a folder, and return its figures."""
    target_core, load_core = CORES
    async with contextlib.AsyncExitStack() as exits:
        behind, beside = [], []
        if variant.service:
            service = await exits.enter_async_context(server("bench.realtime_echo", core=load_core))
            behind += ["--service", f"ws://127.0.0.1:{service.port}/v1/realtime"]
            beside.append(str(service.pid))
        if variant.recorded:
            blobs = await exits.enter_async_context(server("bench.blob_sink", core=load_core))
            behind += ["--blobs", str(blobs.port)]
            beside.append(str(blobs.pid))
        command = variant.command(calls, behind)
        target = await exits.enter_async_context(server(*command, core=target_core, code=code))
        if profile is not None:
            await exits.enter_async_context(profile.of(target.pid, calls, seconds))
        figures = await asked(
            *("bench.load", "--seconds", str(seconds), "--target", str(target.pid), "--beside", *beside),
            *("--barge-seconds", str(barge_seconds if variant.service else 0.0)),
            core=load_core,
            text=variant.urls(calls, target.port),
        )
    return figures | {"recording_parts_lost": target.counters.get("recording_parts_lost", 0)}


async def measure(
    variants: Sequence[Variant], arguments: argparse.Namespace, code: Path
) -> dict[tuple[int, str], dict[str, float]]:
    """Run all variants at all numbers of calls, in interleaved rounds; return the medians."""
    results = {}
    for calls in arguments.calls:
        rounds: dict[str, list[Figures]] = {variant.name: [] for variant in variants}
        for number in range(1, arguments.rounds + 1):
            for variant in variants:
                figures = await run_once(variant, calls, arguments.seconds, arguments.barge_seconds, code)
                rounds[variant.name].append(figures)
                print(
                    f"{calls} calls, round {number}, {variant.name}: {figures['cpu_ms']:.2f} ms CPU, "
                    f"p99 {figures['p99_ms']:.2f} ms, {figures['lost']:.0f} lost",
                    file=sys.stderr,
                )
        results |= {(calls, name): median_of(runs) for name, runs in rounds.items()}
    return compared(results)


def variants_of(arguments: argparse.Namespace) -> tuple[Variant, ...]:
    if arguments.playout_ms:
        return tuple(Variant(f"playout {ms} ms", ("--chunk-ms", str(ms))) for ms in arguments.playout_ms)
    if arguments.append_ms:
        return tuple(Variant(f"append {ms} ms", ("--append-ms", str(ms))) for ms in arguments.append_ms)
    if arguments.agent == "echo":
        return (Variant("gateway, echo agent", service=False),)
    return (Variant(BARE), Variant(OFF), Variant(ON, recorded=True))


def report(results: dict[tuple[int, str], dict[str, float]], arguments: argparse.Namespace) -> None:
    markdown = arguments.markdown
    print(machine(CORES))
    print(
        f"Median of {arguments.rounds} interleaved rounds of {arguments.seconds:g} s. CPU ms: a call and second, "
        "while echoed (CPU talk: while the agent talks). p50, p99, max: a frame there and back. added: to the bare "
        "bridge. stop: from the caller's word to StopAudio. words: from asking to the answer's first audio.\n"
    )
    print(rendered(table_of(results), markdown=markdown))
    goals = goals_of(results)
    if len(goals) > 1:
        print("\n" + rendered(goals, markdown=markdown))
    for fault in faults_of(results):
        print(f"\nDoubtful: {fault}.")


async def show_profiles(variants: Sequence[Variant], arguments: argparse.Namespace, code: Path) -> None:
    """Say where the CPU time goes: by shared object in each variant, and by function in the gateway."""
    calls = arguments.calls[0]
    profiles = {}
    for variant in variants:
        profile = media_profile.Profile()
        figures = await run_once(variant, calls, arguments.seconds, 0.0, code, profile)
        profiles[variant.name] = (profile, figures["cpu_ms"])
    print(rendered(media_profile.by_object(profiles), markdown=arguments.markdown))
    for variant in variants:
        if variant.name == BARE:
            continue
        with media_profile.file() as path:
            profiled = replace(variant, options=(*variant.options, "--profile", str(path)))
            await run_once(profiled, calls, arguments.seconds, 0.0, code)
            print(f"\n{variant.name}:\n")
            print(rendered(media_profile.by_function(path), markdown=arguments.markdown))


@contextlib.contextmanager
def compiled() -> Iterator[Path]:
    """Compile the code as it is in the image, and yield the folder that it is in."""
    print("compiling, for about a minute ...", file=sys.stderr)
    with tempfile.TemporaryDirectory(prefix="acs-voice-gateway-bench-") as folder:
        code = Path(folder) / "code"
        command = [sys.executable, str(ROOT / "tools/compile.py"), str(code), "--also", "bench"]
        subprocess.run(command, check=True)
        yield code


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--calls", type=int, nargs="+", default=[50, 150, 250, 400])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=10.0, help="of being echoed, in each round")
    parser.add_argument("--barge-seconds", type=float, default=10.0, help="of being talked to, in each round")
    parser.add_argument("--agent", choices=["realtime", "echo"], default="realtime")
    parser.add_argument("--playout-ms", type=int, nargs="+", default=[], metavar="MS")
    parser.add_argument("--append-ms", type=int, nargs="+", default=[], metavar="MS")
    parser.add_argument("--profile", action="store_true", help="at the first number of calls only")
    parser.add_argument("--interpreted", action="store_true", help="compile nothing")
    parser.add_argument("--markdown", action="store_true", help="for docs/performance.md")
    arguments = parser.parse_args()
    if len(CORES) < 2:
        sys.exit("two cores are needed: one for the process under test, one for load and service")
    variants = variants_of(arguments)
    with contextlib.nullcontext(ROOT) if arguments.interpreted else compiled() as code:
        if arguments.profile:
            asyncio.run(show_profiles(variants, arguments, code))
        else:
            report(asyncio.run(measure(variants, arguments, code)), arguments)


if __name__ == "__main__":
    main()
