"""From a caller's key to what the IVR has them hear next: how long one step of a flow takes.

A flow asks one question after another, and the caller answers each with a key. Measured is the time from ACS (the
emulator) having the answer to its being asked for the next thing: its token is signed and the callback sent, both
tokens are checked, the row is read, the flow goes on, the row is written, and the SDK's request is signed and sent,
over the loopback network both ways. The Functions host is a process of its own, and so is Azurite. Then the same
again by a host that says where the time goes.

    python -m bench.ivr [--answers 400] [--markdown]
"""

import argparse
import asyncio
import json
import statistics
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from bench.functions_app import HOST, Stack, stack
from bench.media_tables import rendered
from emulator.call import Happening
from emulator.media.line import Line
from emulator.numbers import CALLED, CALLER
from emulator.service import Emulator

EVENTS_PATH = "/mg-genagent-acs/v1/ivr-events"
QUESTIONS = 20
"""That a call answers, before the caller hangs up."""
WARM_UP_CALLS = 3
THINKS_S = 0.1
"""From the beginning of a question to the key, which interrupts it."""
AT_ONCE = (1, 4)
"""Calls at a time."""
WITHIN_S = 60.0
STEPS_HEAD = ("calls at a time", "steps", "p50 ms", "p90", "p99", "worker's CPU ms")
PARTS_HEAD = ("part", "times", "p50 ms", "p90")

FLOW = """\
version: 1
languages: {en-US: {voice: en-US-AvaMultilingualNeural}}
variables: {account: {default: "", sensitive: true}}
start: account
steps:
  account:
    kind: ask
    prompt: Next?
    digits: {length: 1}
    variable: account
    next: account
    otherwise: bye
  bye: {kind: hang_up}
"""
GATEWAY = f"""\
version: 1
profiles: {{bank: {{kind: echo}}}}
flows: {{questions: questions.yaml}}
routes: [{{account: demo, to: "{CALLED}", flow: questions}}]
"""


async def one_call(emulator: Emulator, steps_ms: list[float]) -> None:
    """Answer questions, note how long each next one took to come, and hang up."""
    line = Line(rate_hz=16_000)
    call = await emulator.calls.place(to=CALLED, from_=CALLER, line=line)
    over = asyncio.Event()

    def follow(happening: Happening) -> None:
        if happening.name != "recognize_started":
            return
        asked = list(call.recognitions)
        if len(asked) > 1:
            steps_ms.append((asked[-1].asked_at - (asked[-2].ended_at or 0.0)) * 1000)
        if len(asked) > QUESTIONS:
            over.set()
        else:
            asyncio.get_running_loop().call_later(THINKS_S, call.press, "1")

    unwatch = call.watch(follow)
    try:
        async with asyncio.timeout(WITHIN_S):
            await over.wait()
    finally:
        unwatch()
        await emulator.calls.caller_hangs_up(call)
        line.close()


async def measured(running: Stack, answers: int, at_once: int) -> list[str]:
    """Let calls answer questions, so many at a time; return the row of the table."""
    steps_ms: list[float] = []

    async def caller() -> None:
        for _ in range(max(1, answers // QUESTIONS // at_once)):
            await one_call(running.emulator, steps_ms)

    cpu_s = running.cpu_s()
    await asyncio.gather(*(caller() for _ in range(at_once)))
    cpu_ms = (running.cpu_s() - cpu_s) * 1000 / len(steps_ms)
    cuts = statistics.quantiles(steps_ms, n=100)
    figures = (cuts[49], cuts[89], cuts[98], cpu_ms)
    return [str(at_once), str(len(steps_ms)), *(f"{figure:.1f}" for figure in figures)]


async def run(answers: int, host: Sequence[str], at_once: Sequence[int]) -> list[list[str]]:
    """Start everything, and measure."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "questions.yaml").write_text(FLOW)
        gateway_file = Path(folder) / "gateway.yaml"
        gateway_file.write_text(GATEWAY)
        async with stack(
            host,
            gateway_file=gateway_file,
            events_path=EVENTS_PATH,
            COGNITIVE_SERVICES_ENDPOINT="https://ai.example.com",
        ) as running:
            for _ in range(WARM_UP_CALLS):
                await one_call(running.emulator, [])
            return [await measured(running, answers, calls) for calls in at_once]


def parts(took_ms: Mapping[str, Sequence[float]]) -> list[list[str]]:
    """Return the rows of the table of a step's parts."""
    return [
        [part, str(len(each)), f"{statistics.median(each):.2f}", f"{statistics.quantiles(each, n=10)[8]:.2f}"]
        for part, each in took_ms.items()
    ]


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--answers", type=int, default=400, help="of each measurement")
    parser.add_argument("--markdown", action="store_true", help="print tables for docs/performance.md")
    arguments = parser.parse_args()
    rows = asyncio.run(run(arguments.answers, HOST, AT_ONCE))
    print(rendered([STEPS_HEAD, *rows], markdown=arguments.markdown))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "took.json"
        asyncio.run(run(arguments.answers, ("bench.timed_host", str(file)), (1,)))
        took_ms = json.loads(file.read_text())
    print("\none call at a time, by part:")
    print(rendered([PARTS_HEAD, *parts(took_ms)], markdown=arguments.markdown))


if __name__ == "__main__":
    main()
