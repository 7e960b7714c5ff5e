"""The one timer of the process that paces playout: it runs only while some call has audio waiting."""

import asyncio
import logging
import time
from collections.abc import Callable

logger = logging.getLogger(__name__)

Pump = Callable[[int], None]
"""Sends what is due at a time, in monotonic microseconds."""
OnTick = Callable[[int, int], None]
"""Takes by how much, and when, all pumps of a step had run later than they were due; microseconds."""


def monotonic_us() -> int:
    """The clock of playout. The loop's own is cached for a whole turn of the loop, and has milliseconds only."""
    return time.monotonic_ns() // 1000


class Ticker:
    """Calls every pump each `step_s`, then `on_tick`. A pump may add and remove pumps, itself too, while it runs."""

    def __init__(self, step_s: float, on_tick: OnTick = lambda _late_us, _now_us: None) -> None:
        self._step_s = step_s
        self._on_tick = on_tick
        self._due_us = 0
        self._pumps: dict[Pump, None] = {}
        self._timer: asyncio.TimerHandle | None = None

    def add(self, pump: Pump) -> None:
        """Call `pump` from the next step on."""
        self._pumps[pump] = None
        if self._timer is None:
            self._set(monotonic_us())

    def remove(self, pump: Pump) -> None:
        """Call `pump` no more; nothing happens if it was not there."""
        self._pumps.pop(pump, None)
        if not self._pumps and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    @property
    def is_running(self) -> bool:
        """Whether the timer is set."""
        return self._timer is not None

    def _tick(self) -> None:
        now_us, due_us = monotonic_us(), self._due_us
        # The next step is set first: whatever a pump does, the others keep their time.
        self._set(now_us)
        for pump in tuple(self._pumps):
            if pump not in self._pumps:
                continue
            try:
                pump(now_us)
            except Exception:
                logger.exception("a playout pump failed and is stopped")
                self.remove(pump)
        now_us = monotonic_us()
        self._on_tick(now_us - due_us, now_us)

    def _set(self, now_us: int) -> None:
        self._due_us = now_us + round(self._step_s * 1_000_000)
        self._timer = asyncio.get_running_loop().call_later(self._step_s, self._tick)
