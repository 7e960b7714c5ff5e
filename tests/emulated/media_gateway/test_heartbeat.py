"""The pod says that it lives and how full it is, and knows by that whether storage answers."""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace

from media_gateway.heartbeat import Heartbeat
from tests.support.media import QUICK, running_gateway


async def test_pod_says_how_full_it_is(gateway, agent):
    loads = gateway.outside.pods.loads
    assert (loads["pod-a"].calls, loads["pod-a"].capacity) == (0, 10)
    await gateway.place()
    await gateway.until(lambda: loads["pod-a"].calls == 1)
    await gateway.until(lambda: agent.sink)
    agent.sink.end()
    await gateway.until(lambda: loads["pod-a"].calls == 0)


async def test_pod_that_stops_in_order_takes_its_row_along():
    async with running_gateway() as gateway:
        pods = gateway.outside.pods
        assert "pod-a" in pods.loads
    assert pods.loads == {}


@asynccontextmanager
async def beating(gateway, held, timing):
    """A second heartbeat of the same process, under another name."""
    core = gateway.core
    pod = replace(core.pod, name="pod-b", timing=timing)
    heartbeat = Heartbeat(gateway.outside.pods, pod, core.calls, core._load, lambda: tuple(held))
    task = asyncio.create_task(heartbeat.run())
    try:
        await gateway.until(lambda: "pod-b" in gateway.outside.pods.loads)
        yield heartbeat
    finally:
        task.cancel()
        await asyncio.wait((task,))


async def test_a_call_that_came_is_named_at_once_and_not_only_when_the_next_beat_is_due(gateway):
    loads, held = gateway.outside.pods.loads, []
    async with beating(gateway, held, replace(QUICK, heartbeat_s=60)):
        first = loads["pod-b"]
        assert first.held == ()
        held.append("call-1")
        await gateway.until(lambda: loads["pod-b"].held == ("call-1",))
        held.clear()
        second = loads["pod-b"]
        await asyncio.sleep(0.3)
        assert loads["pod-b"] is second


async def test_pod_that_stops_with_calls_in_hand_leaves_its_row_for_others_to_find(gateway):
    loads, held = gateway.outside.pods.loads, ["call-1"]
    async with beating(gateway, held, QUICK) as heartbeat:
        pass
    await heartbeat.stop()
    assert loads["pod-b"].held == ("call-1",)
    held.clear()
    await heartbeat.stop()
    assert "pod-b" not in loads


async def test_storage_that_is_away_shows_in_readiness_and_costs_no_call(gateway, monkeypatch):
    monkeypatch.setattr("media_gateway.heartbeat.HEARTBEAT_FRESH_S", 0.2)
    call = await gateway.place()
    await gateway.until_streaming(call)
    gateway.outside.pods.is_away = True
    await gateway.until(lambda: not gateway.core.is_ready)
    status, report = await gateway.get("/readyz")
    assert (status, report["checks"]["storage"]) == (503, "no answer")
    assert report["counters"]["heartbeats_failed"] > 0
    call.socket.send_audio(b"\1\0" * 480)
    await call.socket.until_heard(b"\1\0" * 480)

    gateway.outside.pods.is_away = False
    await gateway.until(lambda: gateway.core.is_ready)


async def test_odd_error_of_storage_ends_no_call(gateway, monkeypatch):
    async def fail(load):
        await asyncio.sleep(0)
        raise KeyError("not an error of ours")

    call = await gateway.place()
    monkeypatch.setattr(gateway.outside.pods, "beat", fail)
    await gateway.until(lambda: gateway.core.pod.counters["heartbeats_failed"] > 2)
    call.socket.send_audio(b"\1\0" * 480)
    await call.socket.until_heard(b"\1\0" * 480)
