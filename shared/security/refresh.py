"""Keeping something fresh that is read from afar.

One read at a time, in the background; what was read last stays in use while reads fail.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from shared.errors import GatewayError, TemporaryFault

logger = logging.getLogger(__name__)

MIN_INTERVAL_S = 10.0
"""Between reads while something is in hand, however many tokens name an unknown key, and however often reads fail."""
FIRST_INTERVAL_S = 1.0
"""Between reads while nothing was ever read."""
READ_BUDGET_S = 10.0
"""A read that takes longer has failed."""
OUTDATED_AFTER = 3
"""Times the maximum age after which what is in hand is no longer used without trying to read first: a process
that slept all night must not sign with a key that was disabled meanwhile."""


class Refresher:
    """Runs `read` when what it read before grows old. Owns at most one task. `clock` tells seconds."""

    def __init__(
        self, read: Callable[[], Awaitable[None]], *, max_age_s: float, clock: Callable[[], float]
    ) -> None:
        self._read = read
        self._max_age_s = max_age_s
        self._clock = clock
        self._read_at: float | None = None
        self._tried_at = float("-inf")
        self._fault: GatewayError | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def is_loaded(self) -> bool:
        """Whether it was ever read."""
        return self._read_at is not None

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
        age_s = self._clock() - self._read_at
        if age_s < self._max_age_s:
            return
        if self._is_reading or self._may_try(MIN_INTERVAL_S):
            task = self._start()
            if age_s > self._max_age_s * OUTDATED_AFTER:
                await asyncio.shield(task)

    async def on_demand(self) -> bool:
        """Read now, or join a read under way, and wait; False where the last try is too recent."""
        if not self._is_reading and not self._may_try(MIN_INTERVAL_S):
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
            raise self._fault or TemporaryFault("not read yet")

    @property
    def _is_reading(self) -> bool:
        return self._task is not None and not self._task.done()

    def _may_try(self, interval_s: float) -> bool:
        return self._clock() - self._tried_at >= interval_s

    def _start(self) -> asyncio.Task[None]:
        if self._task is None or self._task.done():
            self._tried_at = self._clock()
            self._task = asyncio.create_task(self._run())
        return self._task

    async def _run(self) -> None:
        """Read once; a failure is kept and logged, for nobody may be waiting."""
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
            self._read_at = self._clock()
            return
        logger.warning("keys could not be read; those read before stay in use", extra={"fault": self.fault})
