"""A pod whose loop is busy takes no more calls, keeps those that it has, and takes calls again when it is in time."""

import asyncio
import json
import time
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from media_gateway import saturation
from tests.support.media import QUICK, running_gateway

BLOCK_S = 0.25
BUSY = replace(QUICK, lag_allowed_s=0.15, lag_step_s=0.01, lag_window_s=1.5, lag_forgiven_s=0.4)


def hold_up_the_loop(seconds):
    time.sleep(seconds)


@asynccontextmanager
async def busy_loop():
    """Hold the loop up again and again."""

    async def work():
        while True:
            hold_up_the_loop(BLOCK_S)
            await asyncio.sleep(0)

    working = asyncio.create_task(work())
    try:
        yield
    finally:
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)


@pytest.fixture
async def gateway():
    async with running_gateway(timing=BUSY) as running:
        yield running


def load(gateway):
    return gateway.core._load


async def test_a_busy_pod_is_not_ready_then_refuses_then_recovers(gateway):
    pods = gateway.outside.pods
    status, report = await gateway.get("/readyz")
    assert (status, report["checks"]["load"]) == (200, "ok")
    assert pods.loads["pod-a"].capacity == 10

    async with busy_loop():
        await gateway.until(lambda: load(gateway).is_full)
        status, report = await gateway.get("/readyz")
        assert (status, report["checks"]["load"]) == (503, "saturated")
        assert report["load_percent"] >= 100
        status, body = await gateway.refusal(gateway.answer())
        assert (status, json.loads(body)["detail"]) == (503, "saturated")
        await gateway.until(lambda: pods.loads["pod-a"].capacity == 0)

    await gateway.until(lambda: gateway.core.is_ready)
    await gateway.until(lambda: pods.loads["pod-a"].capacity == 10)
    call = await gateway.place()
    await gateway.until_streaming(call)
    assert gateway.core.pod.counters["saturations"] >= 1


async def test_a_saturated_pod_still_takes_the_call_that_was_sent_here_before(gateway, monkeypatch):
    monkeypatch.setattr(saturation, "FULL_SHARE", 1000.0)
    async with busy_loop():
        await gateway.until(lambda: load(gateway).is_saturated)
        assert not gateway.core.is_ready
        call = await gateway.place()
    await gateway.until_streaming(call)


async def test_calls_in_progress_go_on_while_the_pod_is_saturated(gateway):
    call = await gateway.place()
    await gateway.until_streaming(call)
    async with busy_loop():
        await gateway.until(lambda: load(gateway).is_full)
        call.socket.send_audio(b"\1\0" * 480)
        await call.socket.until_heard(b"\1\0" * 480)
    assert len(gateway.core.calls) == 1


async def test_one_stall_takes_no_pod_out(gateway):
    hold_up_the_loop(BLOCK_S)
    await asyncio.sleep(0.1)
    assert (await gateway.get("/readyz"))[0] == 200
