"""A dependency is away or slow for a while, and calls arrive before, meanwhile and after: what their callers hear."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from emulator.event_grid.subscriptions import EventSubscription
from emulator.faults import Delay, FaultRule, Hang, Status
from emulator.media.line import Line
from emulator.service import Emulator
from tests.support.cluster import Cluster
from tests.support.gateway import CALLER, NUMBER, Edge

OUTAGE_S = 30.0
BEFORE_S = 3.0
AFTER_S = 5.0
PATIENCE_S = 35.0
"""No call rings longer."""
BEFORE, MEANWHILE, AFTER = "before", "meanwhile", "after"
ANSWERED_AT_ONCE_S = 2.0
"""At a caller's ear: as long as answering may take on a busy machine while nothing is away."""


@dataclass(frozen=True)
class Outage:
    """What is wrong meanwhile, and what may become of the calls that arrive then."""

    operations: str
    action: Any
    ends: frozenset[str]
    slowed_s: float = 0.0
    """By how much those that are answered at once may be later than usual."""


AWAY = Status(status=503)
ANSWERED, TURNED_AWAY = frozenset({"answered"}), frozenset({"answered", "rejected"})


def outages(scale: float) -> dict[str, Outage]:
    """The rows; a dependency that is slow is so by so much less."""
    return {
        "storage away": Outage("storage.*", AWAY, TURNED_AWAY),
        "storage silent": Outage("storage.*", Hang(), TURNED_AWAY),
        "storage 1 s slow": Outage("storage.*", Delay(ms=1000 * scale), ANSWERED, slowed_s=5.0),
        "storage 2.5 s slow": Outage("storage.*", Delay(ms=2500 * scale), TURNED_AWAY),
        "storage 4 s slow": Outage("storage.*", Delay(ms=4000 * scale), TURNED_AWAY),
        "blobs silent": Outage("storage.*Blob*", Hang(), ANSWERED),
        "vault away": Outage("key_vault.*", AWAY, ANSWERED),
        "vault silent": Outage("key_vault.*", Hang(), ANSWERED),
        "signals silent": Outage("web_pubsub.*", Hang(), ANSWERED),
    }


@dataclass(frozen=True)
class Heard:
    """One call: when it was placed, how it ended for its caller, after how long, and how often it was delivered."""

    arrived: str
    end: str
    waited_s: float
    deliveries: int


async def live_through(
    running: Edge | Cluster, outage: Outage, *, calls_per_s: float, scale: float = 1.0
) -> list[Heard]:
    """Let calls arrive before, during and after an outage; times are multiplied by `scale`."""
    emulator = running.emulator
    await emulator.event_grid.subscribe(
        EventSubscription(
            name="calls", endpoint=running.events_url, headers=running.credentials, max_delivery_attempts=2
        )
    )
    calls: list[asyncio.Task[Heard]] = []

    async def arriving(when: str, for_s: float, tasks: asyncio.TaskGroup) -> None:
        for _ in range(round(for_s * calls_per_s)):
            calls.append(tasks.create_task(_heard(emulator, when, PATIENCE_S * scale)))
            await asyncio.sleep(scale / calls_per_s)

    async with asyncio.TaskGroup() as tasks:
        await arriving(BEFORE, BEFORE_S, tasks)
        rule = emulator.faults.add(FaultRule(outage.operations, outage.action))
        await arriving(MEANWHILE, OUTAGE_S, tasks)
        emulator.faults.remove(rule)
        await arriving(AFTER, AFTER_S, tasks)
    return [call.result() for call in calls]


async def _heard(emulator: Emulator, arrived: str, patience_s: float) -> Heard:
    line = Line(rate_hz=16_000)
    call = await emulator.calls.place(to=NUMBER, from_=CALLER, line=line)
    settled = asyncio.Event()
    unwatch = call.watch(lambda happening: settled.set() if happening.name in ("answered", "ended") else None)
    try:
        async with asyncio.timeout(patience_s):
            await settled.wait()
        happening = next(each for each in call.happenings if each.name in ("answered", "ended"))
        end = "answered" if happening.name == "answered" else str(call.end)
        answers = sum(each.name == "answered" for each in call.happenings)
        assert answers == (end == "answered")
        deliveries = sum(each.name in ("delivered", "delivery_failed") for each in call.happenings)
        # The delivery under way is not counted yet.
        return Heard(arrived, end, happening.at, deliveries + 1)
    finally:
        unwatch()
        await emulator.calls.caller_hangs_up(call)
        line.close()


def report(name: str, heard: Sequence[Heard]) -> str:
    """Say in a line for each time of arrival what became of the calls, and the longest wait of each kind."""
    lines = []
    for when in (BEFORE, MEANWHILE, AFTER):
        ends = Counter(call.end for call in heard if call.arrived == when)
        told = ", ".join(
            f"{count} {end} ({waits[0]:.1f} to {waits[-1]:.1f} s)"
            for end, count in ends.items()
            if (waits := sorted(call.waited_s for call in heard if (call.arrived, call.end) == (when, end)))
        )
        lines.append(f"{name}, {when}: {told}")
    return "\n".join(lines)


def faults_of(outage: Outage, heard: Sequence[Heard], *, scale: float = 1.0) -> list[str]:
    """Say what is not as it should be."""
    usual_s = ANSWERED_AT_ONCE_S + outage.slowed_s * scale
    found = []
    for call in heard:
        allowed = outage.ends if call.arrived == MEANWHILE else ANSWERED
        if call.end not in allowed:
            found.append(f"a call of {call.arrived} ended {call.end} after {call.waited_s:.1f} s")
        elif (call.arrived != MEANWHILE or outage.ends == ANSWERED) and call.waited_s > usual_s:
            found.append(f"a call of {call.arrived} was answered after {call.waited_s:.1f} s")
    return found
