"""Keeping something fresh that is read from afar: one read at a time, in the background, the last good one kept."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

logger = logging.getLogger(__name__)

MIN_INTERVAL_S = 10.0
"""A read on demand (a token names an unknown key) happens at most this often, however many ask."""


class Refresher:
    """Runs `read` when what it read before grows old. Owns at most one task."""

    def __init__(
        self, read: Callable[[], Awaitable[None]], *, max_age_s: float, clock: Callable[[], float]
    ) -> None:
        self._read = read
        self._max_age_s = max_age_s
        self._clock = clock
        self._read_at: float | None = None
        self._tried_at = float("-inf")
        self._task: asyncio.Task[None] | None = None

    @property
    def is_loaded(self) -> bool:
        """Whether it was ever read."""
        return self._read_at is not None

    async def ensure(self) -> None:
        """Wait for the first read; later, only start one in the background when the last has grown old.

        Raises:
            GatewayError: what `read` raises, while nothing has been read yet.
        """
        if self._read_at is not None and self._clock() - self._read_at < self._max_age_s:
            return
        task = self._start()
        if self._read_at is None:
            await asyncio.shield(task)

    async def on_demand(self) -> bool:
        """Read now and wait for it; False, and nothing done, where the last try is too recent."""
        if self._clock() - self._tried_at < MIN_INTERVAL_S:
            return False
        await asyncio.shield(self._start())
        return True

    async def close(self) -> None:
        """End a read under way."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def _start(self) -> asyncio.Task[None]:
        if self._task is None or self._task.done():
            self._tried_at = self._clock()
            self._task = asyncio.create_task(self._run())
            self._task.add_done_callback(_observe)
        return self._task

    async def _run(self) -> None:
        await self._read()
        self._read_at = self._clock()


def _observe(task: asyncio.Task[None]) -> None:
    """Log a failed read: nobody may be waiting for it, and what was read before stays in use."""
    if not task.cancelled() and (error := task.exception()) is not None:
        logger.warning("keys could not be read; the last good ones stay in use", exc_info=error)
