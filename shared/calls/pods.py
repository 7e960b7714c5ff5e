"""What the pods last said of themselves, read at most once a second however many calls arrive."""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence

from shared.adapters.pod_store import TablePodStore
from shared.core.admission import HEARTBEAT_FRESH_S, PodLoad
from shared.errors import StoreUnavailable

logger = logging.getLogger(__name__)

MAX_AGE_S = 1.0
READ_BUDGET_S = 1.0
"""Admission is not worth more of a caller's waiting; past it the load is unknown, and the call is answered."""


class PodLoads:
    """The pods' loads. `clock` tells seconds for their age here."""

    def __init__(self, store: TablePodStore, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._clock = clock
        self._loads: Sequence[PodLoad] | None = None
        self._read_at = float("-inf")
        self._reading = asyncio.Lock()

    async def current(self) -> Sequence[PodLoad] | None:
        """Return what every pod last said; None where the store does not answer in time."""
        async with self._reading:
            if self._clock() - self._read_at > MAX_AGE_S:
                try:
                    async with asyncio.timeout(READ_BUDGET_S):
                        self._loads = await self._store.all()
                except (StoreUnavailable, TimeoutError):
                    logger.warning("the pods' load could not be read")
                    self._loads = None
                self._read_at = self._clock()
        return self._loads

    async def is_live(self, name: str, now: float) -> bool:
        """Whether a pod beat of late (`now` in Unix seconds); unknown counts as live."""
        loads = await self.current()
        if loads is None:
            return True
        return any(load.name == name and now - load.at <= HEARTBEAT_FRESH_S for load in loads)
