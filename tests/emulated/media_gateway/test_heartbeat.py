"""The pod says that it lives and how full it is, and knows by that whether storage answers."""

import asyncio

from tests.support.media import running_gateway


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
