"""Timer functions: run when they are due, and at once when they are asked to.

As in the real host, a timer that is still at work when it is due again is not run twice at a time, and what is asked
for runs beside it. The real one keeps in storage when a timer ran last, and makes up for what it missed while it was
down; this one does not, so that no run is ever past due.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from emulator.functions_host.app import Function
from emulator.functions_host.invocation import Invoker
from emulator.functions_host.schedule import BadScheduleError, Schedule, parse_schedule

NEVER = "0001-01-01T00:00:00"
"""What .NET has for a time that was not yet."""

logger = logging.getLogger(__name__)


@dataclass
class _Timer:
    function: Function
    schedule: Schedule
    is_disabled: bool
    last: datetime | None = None


class Timers:
    """The timer functions of an app. Owns a task for each, and one for each run.

    Args:
        invoker: runs the functions.
        settings: of the app: `%NAME%` as a schedule is looked up in it, and `AzureWebJobs.<function>.Disabled` keeps
            a timer from running by itself.
        clock: now, in UTC.
    """

    def __init__(
        self,
        invoker: Invoker,
        settings: Mapping[str, str],
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._invoker = invoker
        self._settings = settings
        self._clock = clock
        self._timers: dict[str, _Timer] = {}
        self._waiting: list[asyncio.Task[None]] = []
        self._running: set[asyncio.Task[None]] = set()

    def add(self, function: Function) -> None:
        """Take a timer function.

        Raises:
            BadScheduleError: its schedule cannot be read.
        """
        expression = function.schedule
        if expression.startswith("%") and expression.endswith("%"):
            name = expression.strip("%")
            if name not in self._settings:
                raise BadScheduleError(f"%{name}% does not resolve to a value: there is no such setting")
            expression = self._settings[name]
        schedule = parse_schedule(expression)
        schedule.next_after(self._clock())
        disabled = self._settings.get(f"AzureWebJobs.{function.name}.Disabled", "").lower() in ("true", "1")
        self._timers[function.name.lower()] = _Timer(function, schedule, disabled)

    def is_disabled(self, name: str) -> bool:
        """Whether a timer runs only when it is asked to."""
        timer = self._timers.get(name.lower())
        return timer is not None and timer.is_disabled

    def start(self) -> None:
        """Run each timer when it is due, from now on."""
        timers = [timer for timer in self._timers.values() if not timer.is_disabled]
        self._waiting = [asyncio.create_task(self._keep(timer)) for timer in timers]

    def run_now(self, name: str) -> bool:
        """Begin to run a timer; False where there is none of this name, whatever its case."""
        timer = self._timers.get(name.lower())
        if timer is not None:
            self._run(timer)
        return timer is not None

    async def close(self, drain_s: float) -> None:
        """Start no more runs, let those under way end within the drain time, then cancel them."""
        for waiting in self._waiting:
            waiting.cancel()
        if self._running:
            await asyncio.wait(self._running, timeout=drain_s)
        for running in self._running:
            running.cancel()
        await asyncio.gather(*self._waiting, *self._running, return_exceptions=True)

    async def _keep(self, timer: _Timer) -> None:
        due = timer.schedule.next_after(self._clock())
        while True:
            await asyncio.sleep((due - self._clock()).total_seconds())
            # Cancelling the wait leaves the run alone.
            await asyncio.wait((self._run(timer),))
            # A clock that woke us a little early must not make one moment come twice.
            due = timer.schedule.next_after(max(due, self._clock()))

    def _run(self, timer: _Timer) -> asyncio.Task[None]:
        info = self._info(timer)
        timer.last = self._clock()
        run = asyncio.create_task(self._invoker.invoke_timer(timer.function, info))
        self._running.add(run)
        run.add_done_callback(self._running.discard)
        return run

    def _info(self, timer: _Timer) -> dict[str, object]:
        """Return what the host tells the worker of a run."""
        last = NEVER if timer.last is None else timer.last.isoformat()
        status = {
            "Last": last,
            "LastUpdated": last,
            "Next": timer.schedule.next_after(self._clock()).isoformat(),
        }
        return {
            "Schedule": {"AdjustForDST": True},
            "ScheduleStatus": status if timer.function.is_monitored else None,
            "IsPastDue": False,
        }
