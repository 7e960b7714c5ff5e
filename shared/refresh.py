"""Keeping something fresh that is read from afar.

One read at a time, in the background; what was read last stays in use while reads fail.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from shared.errors import GatewayError, TemporaryFault

logger = logging.getLogger(__name__)

MIN_INTERVAL_S = 10.0
"""By default, between reads while something is in hand, however many ask for one, and however often reads fail."""
FIRST_INTERVAL_S = 1.0
"""Between reads while nothing was ever read."""
READ_BUDGET_S = 10.0
"""A read that takes longer has failed."""
OUTDATED_AFTER = 3
"""Times the maximum age after which what is in hand is no longer used without trying to read first: a process
that slept all night must not sign with a key that was disabled meanwhile."""
OUTDATED_WAIT_S = 3.0
"""For that try: a ringing call does not wait longer for what is probably good still."""


class Refresher:
    """Runs `read` when what it read before grows old. Owns at most one task. `clock` tells seconds."""

    def __init__(
        self,
        read: Callable[[], Awaitable[None]],
        *,
        max_age_s: float,
        clock: Callable[[], float],
        outdated_s: float | None = None,
        wait_s: float = OUTDATED_WAIT_S,
        min_interval_s: float = MIN_INTERVAL_S,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        """`outdated_s`: the age from which a read is waited for, `wait_s` at most."""
        self.max_age_s = max_age_s
        self._read = read
        self._outdated_s = max_age_s * OUTDATED_AFTER if outdated_s is None else outdated_s
        self._wait_s = wait_s
        self._min_interval_s = min_interval_s
        self._clock = clock
        self._sleep = sleep
        self._begun = 0
        self._ended = 0
        """Counts of reads; there is one at a time."""
        self._read_at: float | None = None
        self._tried_at = float("-inf")
        self._fault: GatewayError | None = None
        """Raised anew for each who waits, without the frames of those before: their requests would live as long."""
        self._task: asyncio.Task[None] | None = None

    @property
    def is_loaded(self) -> bool:
        """Whether it was ever read."""
        return self._read_at is not None

    @property
    def age_s(self) -> float:
        """How long ago the last good read began; infinite while there was none."""
        return float("inf") if self._read_at is None else self._clock() - self._read_at

    @property
    def fault(self) -> str | None:
        """Why the last read failed; None where it did not."""
        return None if self._fault is None else str(self._fault)

    def begin(self) -> None:
        """Start the first read, if it is still owed, without waiting for it."""
        if self._read_at is None and self._may_try(FIRST_INTERVAL_S):
            self._start()

    async def ensure(self) -> None:
        """Wait for the first read; later, only start one in the background when the last has grown old.

        Raises:
            GatewayError: why the last read failed, while nothing has been read yet.
        """
        if self._read_at is None:
            await self._first()
            return
        age_s = self.age_s
        if 0 <= age_s < self.max_age_s:
            return
        if self._is_reading or self._may_try(self._min_interval_s):
            # Who only now comes back from a long sleep waits; who has tried in vain knows that there is no use.
            has_slept = self._fault is None or self._clock() - self._tried_at > self._outdated_s
            task = self._start()
            if age_s > self._outdated_s and has_slept:
                await asyncio.wait({task}, timeout=self._wait_s)

    def nudge(self) -> None:
        """Start a read, unless the last try is too recent, without waiting for it."""
        if not self._is_reading and self._may_try(self._min_interval_s):
            self._start()

    async def read_anew(self) -> None:
        """Wait for a read that begins after this call; all who wait meanwhile share it.

        Raises:
            GatewayError: why that read failed.
        """
        begun_before = self._begun
        while self._ended <= begun_before:
            await self._next()
        if self._fault is not None:
            raise self._fault.with_traceback(None)

    def is_newer_than(self, moment: float) -> bool:
        """Whether what is in hand was asked for at `moment` or later: what was there then is in it.

        A read in the future proves nothing: the clock was set back since.
        """
        return self._read_at is not None and moment <= self._read_at <= self._clock()

    async def newer_than(self, moment: float) -> None:
        """Wait for a read that begins at `moment` or later: one is made as soon as the last try is old enough.

        Raises:
            GatewayError: why that read failed.
        """
        moment = min(moment, self._clock())
        while not self.is_newer_than(moment):
            if await self._next() and self._fault is not None and self._tried_at >= moment:
                raise self._fault.with_traceback(None)

    async def _next(self) -> bool:
        """Wait for the read under way or the one that may begin now, or else until one may; return which it was."""
        pause_s = self._pause_s(self._min_interval_s)
        if not self._is_reading and pause_s > 0:
            await self._sleep(pause_s)
            return False
        await asyncio.shield(self._start())
        return True

    async def close(self) -> None:
        """End a read under way."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _first(self) -> None:
        if self._is_reading or self._may_try(FIRST_INTERVAL_S):
            await asyncio.shield(self._start())
        if self._read_at is None:
            raise (self._fault or TemporaryFault("not read yet")).with_traceback(None)

    @property
    def _is_reading(self) -> bool:
        return self._task is not None and not self._task.done()

    def _may_try(self, interval_s: float) -> bool:
        return self._pause_s(interval_s) <= 0

    def _pause_s(self, interval_s: float) -> float:
        """Return how long the last try is still too recent; one in the future was before the clock was set back."""
        now = self._clock()
        return 0.0 if now < self._tried_at else self._tried_at + interval_s - now

    def _start(self) -> asyncio.Task[None]:
        if self._task is None or self._task.done():
            self._tried_at = self._clock()
            self._begun += 1
            self._task = asyncio.create_task(self._run())
        return self._task

    async def _run(self) -> None:
        """Read once; a failure is kept and logged, for nobody may be waiting."""
        begun_at = self._tried_at
        try:
            async with asyncio.timeout(READ_BUDGET_S):
                await self._read()
        except GatewayError as error:
            self._fault = error
        except TimeoutError:
            self._fault = TemporaryFault("did not answer in time")
        except Exception as error:
            logger.exception("a read failed")
            self._fault = TemporaryFault(f"failed: {type(error).__name__}")
        else:
            self._fault = None
            # What is read may be as old as the read's begin.
            self._read_at = begun_at
            return
        finally:
            self._ended = self._begun
        logger.warning("a refresh failed; what was read before stays in use", extra={"fault": self.fault})
