"""What is read from afar stays fresh, whatever becomes of the clock, and a fault keeps nobody's request alive."""

import asyncio
import gc
import weakref

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import StoreUnavailable
from shared.refresh import MIN_INTERVAL_S, Refresher

NOW = 1_800_000_000.0
MAX_AGE_S = 20.0
HOUR_S = 3600.0


class Source:
    """What is read, and the clock by which it is."""

    def __init__(self):
        self.now = NOW
        self.reads = 0
        self.fault = None
        self.refresher = Refresher(self.read, max_age_s=MAX_AGE_S, clock=lambda: self.now)

    async def read(self):
        self.reads += 1
        await asyncio.sleep(0)
        if self.fault is not None:
            raise self.fault


@pytest.fixture
async def source():
    source = Source()
    yield source
    await source.refresher.close()


async def test_a_clock_that_is_set_back_does_not_put_the_next_read_off(source):
    await source.refresher.ensure()
    source.now -= HOUR_S
    await source.refresher.ensure()
    await asyncio.sleep(0)
    assert source.reads == 2


async def test_a_first_read_that_failed_is_tried_again_when_the_clock_was_set_back(source):
    source.fault = StoreUnavailable("away")
    with pytest.raises(StoreUnavailable):
        await source.refresher.ensure()
    source.fault = None
    source.now -= HOUR_S
    await source.refresher.ensure()
    assert source.refresher.is_loaded


async def test_a_read_by_a_clock_that_ran_ahead_proves_nothing(source):
    await source.refresher.ensure()
    source.now -= HOUR_S
    assert not source.refresher.is_newer_than(source.now + HOUR_S / 2)
    async with asyncio.timeout(1):
        await source.refresher.newer_than(source.now + HOUR_S / 2)
    assert source.reads == 2


async def test_who_stops_waiting_stops_nobody_else(source):
    waiting = [asyncio.create_task(source.refresher.ensure()) for _ in range(3)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    await asyncio.gather(*waiting[1:])
    assert (source.reads, source.refresher.is_loaded) == (1, True)


class Request:
    """Something that whoever waits has in hand."""


async def test_a_fault_does_not_keep_what_those_who_waited_had_in_hand(source):
    source.fault = StoreUnavailable("away")

    async def wait(request):
        await source.refresher.ensure()
        return request

    requests = [Request() for _ in range(20)]
    alive = [weakref.ref(request) for request in requests]
    for request in requests:
        with pytest.raises(StoreUnavailable):
            await wait(request)
    del request, requests
    with pytest.raises(StoreUnavailable):
        await source.refresher.ensure()
    gc.collect()
    assert [ref() for ref in alive if ref() is not None] == []


async def test_reads_that_fail_are_made_no_more_often_than_others(source):
    await source.refresher.ensure()
    source.fault = StoreUnavailable("away")
    for second in range(int(MAX_AGE_S), int(MAX_AGE_S + 3 * MIN_INTERVAL_S)):
        source.now = NOW + second
        await source.refresher.ensure()
        source.refresher.nudge()
        await asyncio.sleep(0.001)
    assert source.reads == 1 + 3


@given(st.floats(0, 2 * NOW), st.floats(0.1, 600))
async def test_a_pause_between_reads_ends_whatever_fractions_the_clock_tells(now, interval_s):
    source, slept = Source(), []
    source.now = now

    async def sleep(seconds):
        slept.append(seconds)
        assert len(slept) < 5
        source.now += seconds

    source.refresher._sleep, source.refresher._min_interval_s = sleep, interval_s
    await source.refresher.ensure()
    await source.refresher.read_anew()
    assert source.reads == 2
    assert sum(slept) == pytest.approx(interval_s, abs=1e-5)
