"""How late the process is, as a share of what callers do not hear: quick to rise, slow to fall, deaf to one stall."""

import asyncio
import time
from collections import Counter

import pytest

from media_gateway.saturation import MAX_SAMPLES, LoadWatch, Saturation
from media_gateway.ticker import Ticker
from media_gateway.timing import Timing
from shared.core.playout import PlayoutLimits

STEP_US = 50_000
WINDOW_US = 5_000_000
FORGIVEN_US = 750_000


class Loop:
    """A loop whose timer is late by what the test says, and the share after each step."""

    def __init__(self, feed="lag"):
        self.now_us = 10_000_000
        self.saturation = Saturation(
            allowed_us=150_000, step_us=STEP_US, window_us=WINDOW_US, forgiven_us=FORGIVEN_US
        )
        self.feed = getattr(self.saturation, feed)

    def step(self, late_us=1_000, *, times=1):
        for _ in range(times):
            self.now_us += STEP_US + late_us
            self.feed(late_us, self.now_us)
        return self.saturation.share(self.now_us)


def test_what_is_allowed_is_the_lead_that_playout_keeps_less_one_step():
    timing = Timing()
    assert timing.lag_allowed_s + timing.tick_s == pytest.approx(PlayoutLimits().lead_ms / 1000)


def test_a_process_that_was_never_late_has_all_its_room():
    assert Loop().step(times=0) == 0
    assert Loop().step(0, times=100) == 0
    assert Loop().step(-500, times=100) == 0


@pytest.mark.parametrize("feed", ["lag", "playout_late"])
@pytest.mark.parametrize(
    ("late_us", "share"), [(15_000, 0.1), (127_500, 0.85), (150_000, 1.0), (600_000, 4.0)]
)
def test_the_share_is_what_is_late_all_the_time(feed, late_us, share):
    assert Loop(feed).step(late_us, times=20) == pytest.approx(share)


@pytest.mark.parametrize("stalls_us", [(700_000,), (400_000, 200_000), (100_000,) * 5])
def test_a_little_time_lost_now_and_then_is_forgiven(stalls_us):
    loop = Loop()
    loop.step(times=50)
    for late_us in stalls_us:
        loop.step(late_us)
        loop.step(times=5)
    assert loop.step() < 0.01


def test_a_stall_that_makes_both_timers_late_is_one():
    loop = Loop()
    loop.step(500_000)
    loop.saturation.playout_late(500_000, loop.now_us)
    assert loop.step() < 0.01


@pytest.mark.parametrize("late_us", [200_000, 1_000_000, 3_000_000])
def test_a_loop_that_stands_still_again_and_again_is_found_at_once(late_us):
    loop = Loop()
    loop.step(times=100)
    began_us, late_us_sum = loop.now_us, 0
    while loop.step(late_us) < 1:
        late_us_sum += late_us
    assert late_us_sum <= FORGIVEN_US
    assert loop.now_us - began_us <= FORGIVEN_US + late_us + STEP_US


def test_it_falls_when_the_window_has_passed():
    loop = Loop()
    loop.step(300_000, times=10)
    late_until_us = loop.now_us
    shares = {}
    while loop.now_us < late_until_us + WINDOW_US:
        share = loop.step(0)
        shares[loop.now_us - late_until_us] = share
    assert {share for age_us, share in shares.items() if age_us < WINDOW_US - 3 * 350_000} == {2.0}
    assert loop.step(0) == 0


def test_samples_are_bounded_however_many_come():
    loop = Loop()
    for now_us in range(10 * MAX_SAMPLES):
        loop.saturation.lag(1000, now_us)
    assert len(loop.saturation._lags) == MAX_SAMPLES


def hold_up_the_loop(seconds):
    time.sleep(seconds)


@pytest.fixture
async def watch():
    watch = LoadWatch(Timing(lag_allowed_s=0.02, lag_step_s=0.005), Counter())
    watch.start()
    yield watch
    watch.close()


async def test_a_busy_loop_is_noticed_and_counted_once(watch, caplog):
    async with asyncio.timeout(10):
        while not watch.is_full:
            hold_up_the_loop(0.06)
            await asyncio.sleep(0)
    assert watch.is_saturated
    assert watch.percent >= 100
    assert watch._counters == {"saturations": 1}
    (record,) = caplog.records
    assert record.getMessage() == "the process is late, and takes no more calls"


async def test_a_watch_that_is_closed_measures_no_more(watch):
    watch.close()
    share = watch.share
    hold_up_the_loop(0.05)
    await asyncio.sleep(0.02)
    assert watch.share == share


async def test_the_ticker_tells_how_late_the_last_of_its_pumps_was_done():
    ticks = []
    done = asyncio.Event()

    def on_tick(late_us, now_us):
        ticks.append(late_us)
        done.set()

    ticker = Ticker(0.001, on_tick)
    ticker.add(lambda now_us: time.sleep(0.03))
    async with asyncio.timeout(5):
        await done.wait()
    ticker._pumps.clear()
    ticker.remove(None)
    assert ticks[0] >= 30_000
