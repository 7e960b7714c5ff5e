"""What the pods last said of themselves, read at most once a second however many calls arrive."""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence

from shared.adapters.pod_store import TablePodStore
from shared.core.admission import HEARTBEAT_FRESH_S, PodLoad, Room, room
from shared.errors import StoreUnavailable

logger = logging.getLogger(__name__)

MAX_AGE_S = 1.0
READ_BUDGET_S = 1.0
"""Admission is not worth more of a caller's waiting; past it the load is unknown, and the call is answered."""
CONNECTING_S = 1.0
"""From answering a call until a pod holds its socket. A beat older than that after the answer cannot count it."""
REMEMBERED_S = HEARTBEAT_FRESH_S + MAX_AGE_S + CONNECTING_S
"""For how long an answer may matter: no live pod's word is older."""


class PodLoads:
    """The pods' loads, and the calls that this process sent them of late. `clock` tells Unix seconds."""

    def __init__(self, store: TablePodStore, *, clock: Callable[[], float] = time.time) -> None:
        self._store = store
        self._clock = clock
        self._loads: Sequence[PodLoad] | None = None
        self._read_at = float("-inf")
        self._reading = asyncio.Lock()
        self._answered: deque[float] = deque()

    async def room(self) -> Room:
        """Say whether a pod has room for one more call."""
        loads, now = await self._current(), self._clock()
        while self._answered and now - self._answered[0] > REMEMBERED_S:
            self._answered.popleft()
        beats = [load.at for load in loads or () if now - load.at <= HEARTBEAT_FRESH_S]
        counted_until = min(beats, default=now) - CONNECTING_S
        return room(loads, sum(at > counted_until for at in self._answered), now)

    def answered(self) -> None:
        """Count a call that is being answered, until a pod's own count has it."""
        self._answered.append(self._clock())

    async def is_live(self, name: str) -> bool:
        """Whether a pod beat of late; unknown counts as live."""
        loads, now = await self._current(), self._clock()
        return loads is None or any(
            load.name == name and now - load.at <= HEARTBEAT_FRESH_S for load in loads
        )

    async def _current(self) -> Sequence[PodLoad] | None:
        """Return what every pod last said; None where the store does not answer in time."""
        async with self._reading:
            if abs(self._clock() - self._read_at) > MAX_AGE_S:
                try:
                    async with asyncio.timeout(READ_BUDGET_S):
                        self._loads = await self._store.since(self._clock() - HEARTBEAT_FRESH_S)
                except (StoreUnavailable, TimeoutError):
                    logger.warning("the pods' load could not be read")
                    self._loads = None
                self._read_at = self._clock()
            return self._loads
