"""Calls for the media benchmark: opens media sockets as ACS does, speaks 50 times a second, and times what comes.

Reads a media URL a line, or an object with `url` and `headers` (as `python -m emulator media-urls` prints both), and
answers with one JSON object of figures. One timer serves all calls, each in its own phase of the 20 ms.

First every call is silent until all are up; then it is echoed, which gives latency, CPU and memory; then the agent
talks and is interrupted, again and again, where `--barge-seconds` is not 0 (`bench/frames.py` says how).

    python -m emulator media-urls --calls 50 --json | python -m bench.load
"""

import argparse
import asyncio
import gc
import json
import random
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import uvloop
from picows import ws_connect

from bench.callers import PAUSE_S, Call, Clock, Figures
from bench.frames import ECHO, LISTEN
from bench.processes import Usage, usage_of

LATE_S = 0.005
"""A frame sent this much after its time is the load's own fault."""
SPREAD_S = 0.01
SETTLE_S = 1.0
WARM_UP_S = 2.0
DRAIN_S = 5.0
"""At most; an echo may be a late one by its profile."""
DRAIN_STEP_S = 0.25
TALK_SPREAD_S = 3.0


@dataclass(slots=True)
class Spent:
    """Seconds of a stretch of time: how long it was, CPU, and waiting for the core."""

    wall_s: float
    target_s: float
    others_s: float
    waited_s: float


class Meter:
    """What the process under test, and the others of the load's core with this one, use meanwhile."""

    def __init__(self, target: int | None, others: Sequence[int]) -> None:
        self._target = target
        self._others = others

    def target(self) -> Usage:
        return usage_of(self._target) if self._target is not None else Usage(0.0, 0, 0.0)

    async def over(self, seconds: float) -> Spent:
        started_s, target, others_s = time.perf_counter(), self.target(), self._others_s()
        await asyncio.sleep(seconds)
        after = self.target()
        return Spent(
            wall_s=time.perf_counter() - started_s,
            target_s=after.cpu_s - target.cpu_s,
            others_s=self._others_s() - others_s,
            waited_s=after.waited_s - target.waited_s,
        )

    def _others_s(self) -> float:
        return time.process_time() + sum(usage_of(pid).cpu_s for pid in self._others)


def percentile_ms(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1000 if ordered else 0.0


async def connect(lines: Sequence[str], figures: Figures, clock: Clock) -> list[Call]:
    """Open all sockets, one after another; each call is silent from its first frame on."""
    calls = []
    for line in lines:
        entry: Mapping[str, object] = json.loads(line) if line.startswith("{") else {"url": line}
        _, call = await ws_connect(
            lambda: Call(figures), entry["url"], extra_headers=entry.get("headers"), max_frame_size=1 << 20
        )
        call.word = LISTEN
        clock.add(call)
        calls.append(call)
        await asyncio.sleep(SPREAD_S)
    return calls


async def drained(calls: Sequence[Call]) -> int:
    """Wait for the echoes that are still to come; return how many did not."""
    for _ in range(int(DRAIN_S / DRAIN_STEP_S)):
        await asyncio.sleep(DRAIN_STEP_S)
        if all(call.echoes == call.echoes_asked for call in calls):
            break
    return sum(call.echoes_asked - call.echoes for call in calls)


async def measure(
    lines: Sequence[str], meter: Meter, seconds: float, barge_seconds: float
) -> dict[str, float]:
    """Run the calls and return the figures."""
    figures = Figures()
    clock = Clock(figures)
    idle = meter.target()
    clock.run()
    calls = await connect(lines, figures, clock)
    await asyncio.sleep(SETTLE_S)
    for call in calls:
        call.word = ECHO
    await asyncio.sleep(WARM_UP_S)
    figures.is_measuring = True
    figures.messages = 0
    echo = await meter.over(seconds)
    figures.is_measuring = False
    messages, memory = figures.messages, meter.target().rss_bytes
    for call in calls:
        call.rest()
    lost = await drained(calls)
    talked = {}
    if barge_seconds:
        for call in calls:
            call.talk_in(random.uniform(0, TALK_SPREAD_S))
        await asyncio.sleep(TALK_SPREAD_S)
        del figures.first_words_s[:], figures.stops_s[:]
        talk = await meter.over(barge_seconds)
        for call in calls:
            call.rest()
        await asyncio.sleep(PAUSE_S)
        talked = {
            "talk_cpu_ms": talk.target_s * 1000 / talk.wall_s / len(calls),
            "first_words_p50_ms": percentile_ms(figures.first_words_s, 0.5),
            "stop_p50_ms": percentile_ms(figures.stops_s, 0.5),
            "stop_p99_ms": percentile_ms(figures.stops_s, 0.99),
            "stops": len(figures.stops_s),
        }
    clock.stop()
    await asyncio.gather(*(call.close() for call in calls))
    return {
        "calls": len(calls),
        "cpu_ms": echo.target_s * 1000 / echo.wall_s / len(calls),
        "core_share": echo.target_s / echo.wall_s,
        "waited_share": echo.waited_s / echo.wall_s,
        "load_core_share": echo.others_s / echo.wall_s,
        "p50_ms": percentile_ms(figures.latencies_s, 0.5),
        "p99_ms": percentile_ms(figures.latencies_s, 0.99),
        "max_ms": percentile_ms(figures.latencies_s, 1.0),
        "frames": figures.frames,
        "frames_a_message": figures.frames / messages if messages else 0.0,
        "lost": lost,
        "out_of_order": figures.out_of_order,
        "lost_calls": figures.lost_calls,
        "kb_a_call": (memory - idle.rss_bytes) / len(calls) / 1000,
        "idle_mb": idle.rss_bytes / 1e6,
        "unasked_stops": figures.unasked_stops,
        "late_p99_ms": percentile_ms(figures.late_s, 0.99),
        "late_max_ms": percentile_ms(figures.late_s, 1.0),
        "late_share": sum(late_s > LATE_S for late_s in figures.late_s) / max(1, len(figures.late_s)),
        **talked,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=20.0, help="of being echoed")
    parser.add_argument("--barge-seconds", type=float, default=0.0, help="of being talked to")
    parser.add_argument("--target", type=int, metavar="PID", help="the process under test")
    parser.add_argument("--beside", type=int, nargs="*", default=[], metavar="PID", help="others of our core")
    arguments = parser.parse_args()
    lines = [line.strip() for line in sys.stdin if line.strip()]
    if not lines:
        sys.exit("no media URL came")
    # No pause of ours may look like one of the process under test.
    gc.disable()
    meter = Meter(arguments.target, arguments.beside)
    print(json.dumps(uvloop.run(measure(lines, meter, arguments.seconds, arguments.barge_seconds))))


if __name__ == "__main__":
    main()
