"""The clock of all calls."""

import asyncio
import itertools

from emulator.media.pacing import CATCH_UP_S, FRAME_S, PHASES, Pacing, Schedule, Ticker


def deadlines(schedule: Schedule, now_s: float) -> list[float]:
    return [round(deadline_s, 6) for _, deadline_s in schedule.due(now_s)]


def test_a_line_is_due_every_20_ms_from_a_fixed_start():
    schedule = Schedule(100.0)
    schedule.add(lambda now, late: None, 100.0)
    found = deadlines(schedule, 101.0)
    assert len(found) == 50
    steps = {round(later - earlier, 6) for earlier, later in itertools.pairwise(found)}
    assert steps == {FRAME_S}


def test_late_calls_do_not_add_up():
    schedule = Schedule(0.0)
    schedule.add(lambda now, late: None, 0.0)
    found = [deadline for n in range(1, 500) for deadline in deadlines(schedule, n * FRAME_S + 0.007)]
    assert abs((found[-1] - found[0]) - (len(found) - 1) * FRAME_S) < 1e-6


def test_missed_frames_are_caught_up_in_order():
    schedule = Schedule(0.0)
    schedule.add(lambda now, late: None, 0.0)
    first = deadlines(schedule, 0.02)
    rest = deadlines(schedule, 0.5)
    assert rest == sorted(rest)
    assert len(first + rest) == 25
    assert schedule.skipped_frames == 0


def test_a_long_stall_is_skipped_and_counted():
    schedule = Schedule(0.0)
    schedule.add(lambda now, late: None, 0.0)
    schedule.add(lambda now, late: None, 0.0)
    list(schedule.due(0.02))
    caught_up = list(schedule.due(60.0))
    assert schedule.skipped_frames > 2 * 2900
    assert len(caught_up) <= 2 * (CATCH_UP_S / FRAME_S + 1)
    assert len(caught_up) + schedule.skipped_frames >= 2 * 2997


def test_lines_are_spread_over_the_phases():
    schedule = Schedule(0.0)
    for _ in range(3 * PHASES):
        schedule.add(lambda now, late: None, 0.0)
    found = deadlines(schedule, FRAME_S)
    assert {found.count(deadline) for deadline in found} == {3}
    assert len(set(found)) == PHASES


def test_nobody_is_due_when_there_is_nobody():
    schedule = Schedule(0.0)
    assert schedule.next_s() is None
    assert list(schedule.due(5.0)) == []


def test_a_line_that_comes_after_a_pause_is_not_owed_the_pause():
    schedule = Schedule(0.0)
    schedule.add(lambda now, late: None, 500.0)
    assert len(deadlines(schedule, 500.1)) <= 6
    assert schedule.skipped_frames == 0


def test_a_line_removed_by_another_in_the_same_moment_is_not_called():
    schedule = Schedule(0.0)

    def first(now, late):
        pass

    def second(now, late):
        pass

    schedule.add(first, 0.0)
    for _ in range(PHASES - 1):
        schedule.add(lambda now, late: None, 0.0)
    schedule.add(second, 0.0)
    called = []
    for tick, _ in schedule.due(0.02):
        called.append(tick)
        schedule.remove(second)
    assert first in called
    assert second not in called


def test_pacing_counts_late_frames_and_drift():
    pacing = Pacing()
    for n, late_s in enumerate((0.0, 0.001, 0.006, 0.002)):
        pacing.add(10 + n * FRAME_S + late_s, late_s)
    assert pacing.summary() == {
        "frames": 4,
        "late_frames": 1,
        "mean_late_ms": 2.25,
        "max_late_ms": 6.0,
        "drift_ms": 2.0,
    }


async def test_the_ticker_calls_at_50_hz_by_the_real_clock():
    loop = asyncio.get_running_loop()
    ticker, pacing, done = Ticker(), Pacing(), asyncio.Event()

    def tick(now_s: float, late_s: float) -> None:
        pacing.add(now_s, late_s)
        if pacing.frames == 15:
            ticker.remove(tick)
            done.set()

    started = loop.time()
    ticker.add(tick)
    async with asyncio.timeout(5):
        await done.wait()
    assert loop.time() - started >= 14 * FRAME_S - 0.002
    assert pacing.frames == 15


async def test_a_line_that_fails_is_stopped_and_the_others_go_on(caplog):
    ticker, calls, done = Ticker(), [], asyncio.Event()

    def broken(now_s: float, late_s: float) -> None:
        calls.append("broken")
        raise RuntimeError("no")

    def sound(now_s: float, late_s: float) -> None:
        calls.append("sound")
        if calls.count("sound") == 3:
            ticker.remove(sound)
            done.set()

    ticker.add(broken)
    ticker.add(sound)
    async with asyncio.timeout(5):
        await done.wait()
    assert calls.count("broken") == 1
    assert "A line failed and was stopped" in caplog.text
