"""Short calls through the whole stack, two pods and faults from a seed: each answered once, nothing left behind."""

import asyncio
import os
import time
from collections import Counter
from dataclasses import dataclass

import pytest

from emulator.faults import Delay, FaultRule, Reset, Status, When
from emulator.faults.rules import Drop, Duplicate, LoseAcknowledgement, Reorder
from emulator.media.pacing import Ticker
from tests.support.left_behind import (
    faults_of_calls,
    faults_of_parts,
    faults_of_recordings,
    until_settled,
)
from tests.support.short_calls import make_call, plans
from tests.support.whole_stack import running_whole_stack

SEED = int(os.environ.get("SOAK_SEED", "20261125"))
"""Of the calls and of the faults: the same seed gives the same again."""
EMULATED = {"time_scale": 0.1, "seed": SEED, "connect_seconds": 0.05, "web_pubsub_recovery_seconds": 3.0}
AT_ONCE = 30
"""Calls; a machine that is busy with other things has them come more slowly, and does not let them ring out."""
LOST = Reset(when=When.AFTER)
FAULTS = [
    FaultRule("storage.*", Status(status=503), probability=0.02),
    FaultRule("storage.*", LOST, probability=0.01),
    FaultRule("storage.*", Delay(ms=300), probability=0.02),
    FaultRule("key_vault.*", Status(status=429, retry_after_seconds=1), probability=0.2),
    FaultRule("answer", Status(status=500), probability=0.05),
    FaultRule("answer", LOST, probability=0.05),
    FaultRule("terminate", Status(status=503), probability=0.1),
    FaultRule("terminate", LOST, probability=0.1),
    FaultRule("transferToParticipant", Status(status=500), probability=0.05),
    FaultRule("transferToParticipant", LOST, probability=0.05),
    FaultRule("startMediaStreaming", Status(status=500), probability=0.1),
    FaultRule("web_pubsub.sendToGroup", Status(status=503), probability=0.05),
    FaultRule("web_pubsub.sendToGroup", Delay(ms=700), probability=0.05),
    FaultRule("web_pubsub.deliver", Drop(), probability=0.05),
    FaultRule("web_pubsub.deliver", Duplicate(copies=2), probability=0.1),
    FaultRule("event_grid.deliver", Duplicate(copies=3), probability=0.2),
    FaultRule("event_grid.deliver", LoseAcknowledgement(), probability=0.1),
    FaultRule("callback.deliver", Drop(), probability=0.03),
    FaultRule("callback.deliver", Reorder(within_ms=500), probability=0.2),
    FaultRule("callback.deliver", Duplicate(copies=2, after_ms=100), probability=0.1),
]
MOST_GROWTH_KB = 10.0
"""A call, of a process that runs warm. One that was not let go would be hundreds: its audio alone is 48 a second."""


@dataclass(frozen=True)
class Size:
    """How many calls there are."""

    calls: int
    per_s: float
    kills: tuple[float, ...]
    """When a pod is killed, and comes back: at so much of the calls."""
    is_memory_told: bool
    """Whether processes live long enough to tell growth from getting warm."""


SHORT = Size(60, 4.0, (0.5,), is_memory_told=False)
LONG = Size(2000, 5.0, (0.15, 0.3), is_memory_told=True)


@pytest.mark.parametrize(
    "size",
    [
        pytest.param(SHORT, id="short"),
        pytest.param(LONG, id="long", marks=[pytest.mark.soak, pytest.mark.timeout(1200)]),
    ],
)
async def test_whole_calls_are_answered_once_and_leave_nothing_behind(tmp_path, size):
    print(f"\nseed {SEED}; SOAK_SEED sets another")
    async with running_whole_stack(tmp_path, emulated=EMULATED) as stack:
        idle = await stack.until_idle()
        for rule in FAULTS:
            stack.cluster.emulator.faults.add(rule)
        began = time.monotonic()
        told = await call_all(stack, size)
        took_s = time.monotonic() - began
        growth = stack.growth_kb_per_s()
        struck = [
            (each.rule.operation, type(each.rule.action).__name__, each.applied)
            for each in stack.cluster.emulator.faults
        ]
        stack.cluster.emulator.faults.clear()
        settled_s = await until_settled(stack, told)
        counted = await stack.counted()
        calls, wrong = await faults_of_calls(stack, told)
        wrong += faults_of_parts(stack, idle, counted)
        wrong += await faults_of_recordings(stack, calls, counted, tmp_path)
    waits = sorted(one.answered_after_s for one in told if one.answered_after_s is not None)
    grown = {name: round(kb * took_s / size.calls, 1) for name, kb in growth.items()}
    print(
        f"{size.calls} calls in {took_s:.0f} s, settled {settled_s:.0f} s later, {len(stack.killed)} pods killed\n"
        f"answered after {waits[len(waits) // 2]:.2f} s (median), {waits[-1]:.1f} s (longest)\n"
        f"ends {dict(Counter(ended.kind_and_cause for ended in calls))}\n"
        f"out of patience {sum(one.lost_patience for one in told)}; "
        f"came to another pod, or lost theirs {sum(ended.changed_hands for ended in calls)}\n"
        f"faults {struck}\nwarnings {dict(stack.lines.warnings)}\ncounted {dict(+counted)}"
    )
    if size.is_memory_told:
        print(f"growth in KB a call {grown}")
        wrong += [f"{name} has grown by {kb} KB a call" for name, kb in grown.items() if kb > MOST_GROWTH_KB]
    print(*wrong, sep="\n")
    assert wrong == []


async def call_all(stack, size):
    """Place all calls at their rate, and kill pods on the way; return what the callers tell."""
    ticker = Ticker()
    places = asyncio.Semaphore(AT_ONCE)
    kills = {round(at * size.calls) for at in size.kills}
    async with asyncio.TaskGroup() as tasks:
        calls = []
        for plan in plans(size.calls, SEED):
            await places.acquire()
            calls.append(tasks.create_task(make_call(stack.cluster.emulator, plan, ticker)))
            calls[-1].add_done_callback(lambda _: places.release())
            if plan.number in kills:
                # The oldest: one that is restarted is the youngest.
                tasks.create_task(stack.kill_and_restart(stack.pool.pods[0], after_s=1.0))
            stack.look_at_workers()
            await asyncio.sleep(1 / size.per_s)
    return [call.result() for call in calls]
