"""Pods are killed, stand still, and are replaced, while callers talk: how long each of them hears nothing.

The rows happen one after the other, on pods that begin anew where one was lost.
"""

import asyncio
import time

import numpy as np
import pytest
import pytest_asyncio

from media_gateway.recording.recorder import PART_S
from shared.core.call_state import CallEvent, CallState, Cause
from tests.emulated.survival.rows import Lived, Results, Rows, check, items_of, selected
from tests.support.survival import Scale, surviving

pytestmark = pytest.mark.timeout(300)

ROWS = Rows()
AT_LENGTH = Rows()
"""What takes longer than it tells more than `tests/emulated/media_gateway`."""
ECHO = "+18005550180"
GATEWAY_FILE = {
    "version": 1,
    "profiles": {"echo": {"kind": "echo", "recording": {"format": "wav"}}},
    "routes": [{"account": "demo", "to": ECHO, "profile": "echo"}],
}
DRAIN_S = 2
SETTINGS = {"DRAIN_S": str(DRAIN_S), "TERMINATION_GRACE_S": "30"}
AT_SCALE = Scale(killed=40, frozen=40, drained=40, rolling=40)
UNNOTICED_S = 0.8
"""A busy machine may make so much silence by itself."""
TAKEN_OVER_S = 5.0
RATE_HZ = 24_000


@ROWS.row("A pod is killed under load", "ACS comes to another one, which goes on", at_most_s=3)
async def pod_is_killed(gateway):
    callers = await gateway.talk(ECHO, gateway.scale.killed)
    pod, victims, others = await shared_out(gateway, callers)
    await victims[0].until(lambda: victims[0].now_s - victims[0].first_heard_s > PART_S + 1)
    at = moment(callers)
    await gateway.pods.kill(pod)
    await asyncio.gather(*(caller.until_hears() for caller in victims))
    again = asyncio.create_task(gateway.pods.restart(pod))
    await asyncio.gather(*(caller.until_hears(1.0) for caller in callers))
    waited_s = max(caller.waited_s(since_s=at[caller]) for caller in victims)
    assert max(caller.waited_s(since_s=at[caller]) for caller in others) < UNNOTICED_S
    await again
    await gateway.hang_up(callers)
    for caller in victims:
        record = await ended_by_the_caller(gateway, caller)
        assert_owners_took_turns(record, pod.instance)
    await assert_one_recording(gateway, victims[0], waited_s)
    return Lived(len(victims), waited_s)


@ROWS.row("A pod is killed, and ACS does not come back by itself", "another pod has ACS do so", at_most_s=10)
async def pod_is_killed_and_acs_gives_up(gateway):
    callers = await gateway.talk(ECHO, gateway.scale.killed)
    pod, victims, _ = await shared_out(gateway, callers)
    backends = [backend for backend in gateway.ingress.backends if backend.url != pod.url]
    for backend in backends:
        backend.is_draining = True
    at = moment(callers)
    tries = {caller: len(caller.times("media_failed")) for caller in victims}
    killed_at = time.time()
    await gateway.pods.kill(pod)
    for caller in victims:
        await caller.until(lambda caller=caller: len(caller.times("media_failed")) == tries[caller] + 3)
    for backend in backends:
        backend.is_draining = False
    await asyncio.gather(*(caller.until_hears() for caller in victims))
    again = asyncio.create_task(gateway.pods.restart(pod))
    await asyncio.gather(*(caller.until_hears(1.0) for caller in callers))
    waited_s = max(caller.waited_s(since_s=at[caller]) for caller in victims)
    await again
    await gateway.hang_up(callers)
    taken_after_s = []
    for caller in victims:
        record = await ended_by_the_caller(gateway, caller)
        taken_at = next(entry.at for entry in record.history if entry.event is CallEvent.TAKEN_OVER)
        taken_after_s.append(taken_at - killed_at)
        assert_owners_took_turns(record, pod.instance)
    assert max(taken_after_s) <= TAKEN_OVER_S + UNNOTICED_S
    return Lived(len(victims), waited_s, f"all were taken over after {max(taken_after_s):.1f} s")


@ROWS.row(
    "A pod stands still, and comes back when its calls are another's", "another pod goes on", at_most_s=10
)
async def pod_stands_still(gateway):
    callers = await gateway.talk(ECHO, gateway.scale.frozen)
    pod, victims, _ = await shared_out(gateway, callers)
    at = moment(callers)
    pod.process.freeze()
    for caller in victims:
        await gateway.until_record(caller, lambda record: record.owner != pod.instance)
    await asyncio.gather(*(caller.until_hears(1.0) for caller in victims))
    before = [await gateway.pod_of(caller) for caller in victims]
    epochs = [(await gateway.record(caller)).epoch for caller in victims]
    waited_s = max(caller.waited_s(since_s=at[caller]) for caller in victims)
    pod.process.thaw()
    thawed = moment(callers)
    await asyncio.gather(*(caller.until_hears(2.0) for caller in callers))
    assert max(caller.waited_s(since_s=thawed[caller]) for caller in callers) < UNNOTICED_S
    assert [await gateway.pod_of(caller) for caller in victims] == before
    assert [(await gateway.record(caller)).epoch for caller in victims] == epochs
    assert len(gateway.log_of(pod.name, "ownership_lost")) == len(victims)
    await gateway.hang_up(callers)
    for caller in victims:
        record = await ended_by_the_caller(gateway, caller)
        assert_owners_took_turns(record, pod.instance)
    await assert_one_recording(gateway, victims[0], waited_s)
    # One that stood still takes no calls for a while.
    await gateway.pods.restart(pod)
    return Lived(len(victims), waited_s)


@ROWS.row("A pod is told to stop", "it goes on for `DRAIN_S`, then on another pod", at_most_s=3.5)
async def pod_drains(gateway):
    callers = await gateway.talk(ECHO, gateway.scale.drained)
    pod, victims, _ = await shared_out(gateway, callers)
    at = moment(callers)
    stopping = asyncio.create_task(gateway.pods.stop(pod))
    await victims[0].until(lambda: victims[0].now_s - at[victims[0]] >= DRAIN_S - 0.5)
    assert max(caller.waited_s(since_s=at[caller]) for caller in callers) < UNNOTICED_S
    late = (await gateway.talk(ECHO, 1))[0]
    assert await gateway.pod_of(late) is not pod
    await stopping
    await gateway.pods.restart(pod)
    await asyncio.gather(*(caller.until_hears(0.5) for caller in callers))
    waited_s = max(caller.waited_s(since_s=at[caller]) for caller in victims)
    assert pod.process.exit_code == 0
    await gateway.hang_up([*callers, late])
    for caller in callers:
        await ended_by_the_caller(gateway, caller)
    await assert_one_recording(gateway, victims[0], waited_s)
    return Lived(len(victims), waited_s)


@ROWS.row("Both pods are replaced, one after the other", "nobody is cut off", at_most_s=3.5)
async def rolling_restart(gateway):
    callers = await gateway.talk(ECHO, gateway.scale.rolling)
    at = moment(callers)
    await gateway.pods.rolling_restart()
    await asyncio.gather(*(caller.until_hears(0.5) for caller in callers))
    waited_s = max(caller.waited_s(since_s=at[caller]) for caller in callers)
    await gateway.hang_up(callers)
    for caller in callers:
        await ended_by_the_caller(gateway, caller)
    return Lived(len(callers), waited_s)


@AT_LENGTH.row(
    "A pod is killed, and media do not come back", "an apology that ACS plays, the end", at_most_s=18
)
async def media_of_a_killed_pod_stay_away(gateway):
    callers = await gateway.talk(ECHO, gateway.scale.frozen)
    pod, victims, others = await shared_out(gateway, callers)
    backends = [backend for backend in gateway.ingress.backends if backend.url != pod.url]
    for backend in backends:
        backend.is_draining = True
    at = moment(callers)
    await gateway.pods.kill(pod)
    await asyncio.gather(*(caller.until_ended() for caller in victims))
    for backend in backends:
        backend.is_draining = False
    waited_s = max(caller.waited_s(since_s=at[caller]) for caller in victims)
    for caller in victims:
        assert caller.times("play_completed")
        assert (await gateway.final(caller)).cause is Cause.MEDIA_LOST
    await gateway.pods.restart(pod)
    await gateway.hang_up(others)
    return Lived(len(victims), waited_s)


def moment(callers):
    """What time it is for each."""
    return {caller: caller.now_s for caller in callers}


async def shared_out(gateway, callers):
    """The pod that holds the first caller's call; those whose calls it holds, and the others."""
    pods = dict(zip(callers, [await gateway.pod_of(caller) for caller in callers], strict=True))
    pod = pods[callers[0]]
    victims = [caller for caller in callers if pods[caller] is pod]
    others = [caller for caller in callers if pods[caller] is not pod]
    assert len(victims) >= len(callers) // 3
    return pod, victims, others


async def ended_by_the_caller(gateway, caller):
    """The row of a call that nothing but its caller has ended."""
    record = await gateway.final(caller)
    assert (record.state, record.cause) == (CallState.ENDED, Cause.CALLER_HUNG_UP)
    return record


def assert_owners_took_turns(record, lost):
    """The lost pod wrote nothing once another one had the call; the history is in the order of time."""
    times = [entry.at for entry in record.history]
    assert times == sorted(times)
    assert record.owner != lost
    changes = [entry for entry in record.history if entry.event is CallEvent.TAKEN_OVER]
    assert changes
    assert 1 + len(changes) <= record.epoch <= 2 + len(changes)


async def assert_one_recording(gateway, caller, waited_s):
    """What both pods recorded is one recording: the caller is in it from first to last, but while nobody listened."""
    record = await gateway.final(caller)
    samples = await gateway.recording(record)
    answered_s = record.times.ended - record.times.streaming
    assert abs(len(samples) / RATE_HZ - answered_s) < 2
    said = np.abs(samples[:, 0]) > 256
    silent = np.diff(np.concatenate(([0], np.flatnonzero(said), [len(said)])))
    assert silent.max() / RATE_HZ < waited_s + PART_S + 1


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def results(request, azurite, tmp_path_factory):
    """Let all rows of this module happen."""
    results = Results()
    folder = tmp_path_factory.mktemp("survival")
    async with surviving(azurite, folder, GATEWAY_FILE, **SETTINGS) as gateway:
        await results.live(gateway, selected(request, ROWS))
    return results


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def results_at_scale(request, azurite, tmp_path_factory):
    """The same with more calls."""
    results = Results()
    folder = tmp_path_factory.mktemp("survival")
    async with surviving(azurite, folder, GATEWAY_FILE, scale=AT_SCALE, **SETTINGS) as gateway:
        for rows in (ROWS, AT_LENGTH):
            await results.live(gateway, selected(request, rows))
    return results


@pytest.mark.parametrize("rows", items_of(ROWS))
def test_what_the_caller_gets(rows, results, record_property):
    check(rows, results, record_property)


@pytest.mark.soak
@pytest.mark.timeout(600)
@pytest.mark.parametrize("rows", items_of(ROWS, AT_LENGTH))
def test_what_forty_callers_get(rows, results_at_scale, record_property):
    check(rows, results_at_scale, record_property)
