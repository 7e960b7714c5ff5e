"""The one timer of the process: it runs while it has work, and one pump's fault is nobody else's."""

import asyncio

from media_gateway.ticker import Ticker


async def until(condition):
    async with asyncio.timeout(5):
        while True:
            if condition():
                return
            await asyncio.sleep(0.001)


async def test_timer_runs_only_while_somebody_needs_it():
    ticker, ticks = Ticker(0.002), []
    assert not ticker.is_running
    ticker.add(ticks.append)
    assert ticker.is_running
    await until(lambda: len(ticks) >= 3)
    ticker.remove(ticks.append)
    assert not ticker.is_running
    count = len(ticks)
    await asyncio.sleep(0.01)

    assert len(ticks) == count
    assert ticks == sorted(ticks)


async def test_pump_may_remove_itself_and_others_while_it_runs():
    ticker, ticks = Ticker(0.002), []

    def first(now_us):
        ticks.append("first")
        ticker.remove(first)
        ticker.remove(second)

    def second(now_us):
        ticks.append("second")

    ticker.add(first)
    ticker.add(second)
    await until(lambda: ticks)

    assert ticks == ["first"]
    assert not ticker.is_running


async def test_pump_that_fails_is_stopped_and_the_others_go_on(caplog):
    ticker, ticks = Ticker(0.002), []

    def broken(now_us):
        raise RuntimeError("broken")

    ticker.add(broken)
    ticker.add(ticks.append)
    await until(lambda: len(ticks) >= 2)
    ticker.remove(ticks.append)

    assert [record.getMessage() for record in caplog.records] == ["a playout pump failed and is stopped"]
    assert not ticker.is_running
