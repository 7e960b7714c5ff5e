"""The clock of all calls: one timer for the whole process, 50 ticks a second for each line.

`Schedule` knows when who is due and is given the time; `Ticker` sets the event loop's timer by it.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from emulator.media.pcm import FRAME_MS

FRAME_S: Final = FRAME_MS / 1000
LATE_S: Final = 0.005
"""A frame sent this much after its time is late: the measurement itself was slow, not the gateway."""

PHASES: Final = 10
"""Lines are spread over ten phases of 2 ms: real callers do not speak in step, and frames of 150 calls in one
burst would measure the burst."""

EARLY_S: Final = 0.0005
"""Timers have a resolution of 1 ms; what is due this soon is run rather than waited for."""

CATCH_UP_S: Final = 1.0
"""After a stall up to this long the missed frames are sent at once, so that no audio time is lost. A longer
one (a debugger, a suspended machine) is skipped and counted."""

Tick = Callable[[float, float], None]
"""Called 50 times a second with the time and how late that is, both in seconds."""

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Pacing:
    """How well frames kept to their time. Tells a slow gateway from a slow measurement."""

    frames: int = 0
    late_frames: int = 0
    max_late_ms: float = 0.0
    drift_ms: float = 0.0
    """How far the last frame was from where a perfect clock, started with the first, would have put it."""
    _sum_late_s: float = 0.0
    _first_s: float = 0.0

    def add(self, now_s: float, late_s: float) -> None:
        """Count one frame."""
        if self.frames == 0:
            self._first_s = now_s
        self.frames += 1
        if late_s > 0:
            self._sum_late_s += late_s
            self.max_late_ms = max(self.max_late_ms, late_s * 1000)
            if late_s > LATE_S:
                self.late_frames += 1
        self.drift_ms = (now_s - self._first_s) * 1000 - (self.frames - 1) * FRAME_MS

    @property
    def mean_late_ms(self) -> float:
        """The mean lateness."""
        return self._sum_late_s / self.frames * 1000 if self.frames else 0.0

    def summary(self) -> dict[str, int | float]:
        """Return the figures as they appear in reports, milliseconds to two places."""
        return {
            "frames": self.frames,
            "late_frames": self.late_frames,
            "mean_late_ms": round(self.mean_late_ms, 2),
            "max_late_ms": round(self.max_late_ms, 2),
            "drift_ms": round(self.drift_ms, 2),
        }


class Schedule:
    """Who is due when: pure, time is an argument.

    Deadlines are multiples of one step from a fixed start, so that errors of single timers never add up.
    """

    def __init__(self, start_s: float) -> None:
        self._start_s = start_s
        self._step = 0
        self._phases: tuple[dict[Tick, None], ...] = tuple({} for _ in range(PHASES))
        self.skipped_frames = 0

    def __len__(self) -> int:
        return sum(map(len, self._phases))

    def add(self, tick: Tick, now_s: float) -> None:
        """Make `tick` due every 20 ms from now on, in the phase that has the fewest."""
        if not len(self):
            self._step = self._step_after(now_s)
        min(self._phases, key=len)[tick] = None

    def remove(self, tick: Tick) -> None:
        """Make `tick` due no longer; unknown ones are ignored."""
        for phase in self._phases:
            phase.pop(tick, None)

    def due(self, now_s: float) -> Iterator[tuple[Tick, float]]:
        """Yield who is due by now, with the deadline, in order; ticks may come and go meanwhile."""
        self._skip_stall(now_s)
        while self._deadline_s(self._step) <= now_s + EARLY_S:
            deadline_s = self._deadline_s(self._step)
            phase = self._phases[self._step % PHASES]
            self._step += 1
            for tick in tuple(phase):
                if tick in phase:
                    yield tick, deadline_s

    def next_s(self) -> float | None:
        """Return the next deadline that somebody has, or None when there is nobody."""
        for step in range(self._step, self._step + PHASES):
            if self._phases[step % PHASES]:
                return self._deadline_s(step)
        return None

    def _deadline_s(self, step: int) -> float:
        return self._start_s + step * FRAME_S / PHASES

    def _step_after(self, now_s: float) -> int:
        return int((now_s - self._start_s) / FRAME_S * PHASES) + 1

    def _skip_stall(self, now_s: float) -> None:
        behind_s = now_s - self._deadline_s(self._step)
        if behind_s > CATCH_UP_S:
            frames = int(behind_s / FRAME_S)
            self._step += frames * PHASES
            self.skipped_frames += frames * len(self)


class Ticker:
    """One timer that calls every line 50 times a second on the monotonic clock.

    Share one among all lines of a process. It needs no closing: without lines it sets no timer.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._schedule = Schedule(clock())
        self._timer: asyncio.TimerHandle | None = None

    @property
    def skipped_frames(self) -> int:
        """Frames that were never sent because the process stood still too long."""
        return self._schedule.skipped_frames

    def add(self, tick: Tick) -> None:
        """Call `tick` 50 times a second from now on. Must be called on the event loop."""
        self._schedule.add(tick, self._clock())
        self._set_timer()

    def remove(self, tick: Tick) -> None:
        """Stop calling `tick`; it may be the one that runs now."""
        self._schedule.remove(tick)
        self._set_timer()

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        next_s = self._schedule.next_s()
        if next_s is not None:
            delay_s = max(0.0, next_s - self._clock())
            self._timer = asyncio.get_running_loop().call_later(delay_s, self._run)

    def _run(self) -> None:
        self._timer = None
        for tick, deadline_s in self._schedule.due(self._clock()):
            now_s = self._clock()
            try:
                tick(now_s, now_s - deadline_s)
            except Exception:
                logger.exception("A line failed and was stopped")
                self._schedule.remove(tick)
        self._set_timer()
