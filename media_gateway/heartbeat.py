"""The pod's heartbeat: every second it says in the `pods` table that it lives, how full it is, and what it holds."""

import asyncio
import logging
import time
from collections.abc import Callable

from media_gateway.calls import Calls
from media_gateway.outside import PodRows
from media_gateway.pod import Pod
from media_gateway.saturation import LoadWatch
from shared.core.admission import HEARTBEAT_FRESH_S, PodLoad
from shared.core.liveness import DEAD_AFTER_S
from shared.errors import StoreUnavailable

logger = logging.getLogger(__name__)

NEWS_S = 0.1
"""How soon a call that came is in the heartbeat: who finds the pod dead knows of no other."""


class Heartbeat:
    """Beats, and by that knows whether storage answers.

    Args:
        rows: Where it beats.
        pod: This process.
        calls: Its calls.
        load: How late it is.
        held: Returns the ids of all calls that this pod owns; others take them over if it dies.
    """

    def __init__(
        self,
        rows: PodRows,
        pod: Pod,
        calls: Calls,
        load: LoadWatch,
        held: Callable[[], tuple[str, ...]] = tuple,
    ) -> None:
        self._rows = rows
        self._pod = pod
        self._calls = calls
        self._load = load
        self._held = held
        self._told: frozenset[str] = frozenset()
        """The calls that the last beat named."""
        self._beat_at: float | None = None
        self._is_failing = False

    @property
    def is_fresh(self) -> bool:
        """Whether storage took a heartbeat of late."""
        return self._beat_at is not None and time.monotonic() - self._beat_at < HEARTBEAT_FRESH_S

    async def run(self) -> None:
        """Beat until cancelled: each `heartbeat_s`, and when there are calls that the last beat did not name."""
        loop = asyncio.get_running_loop()
        due_at = loop.time()
        while True:
            if loop.time() >= due_at or not self._told.issuperset(self._held()):
                # However long storage takes: others count the time between two beats.
                due_at = loop.time() + self._pod.timing.heartbeat_s
                await self._beat()
            await asyncio.sleep(min(NEWS_S, max(0.0, due_at - loop.time())))

    async def stop(self) -> None:
        """Take the pod out of the table, unless a call is left that others are to take over.

        A dead row would only be skipped, so a failure is no matter.
        """
        if self._held():
            logger.warning("calls are left to other pods", extra={"calls": len(self._held())})
            return
        try:
            async with asyncio.timeout(self._pod.timing.heartbeat_timeout_s):
                await self._rows.remove(self._pod.name)
        except (StoreUnavailable, TimeoutError):
            logger.warning("the heartbeat row could not be removed")

    async def _beat(self) -> None:
        calls = len(self._calls)
        takes_more = not (self._calls.is_draining or self._load.is_saturated)
        capacity = self._calls.capacity if takes_more else calls
        held = self._held()
        self._told = frozenset(held)
        try:
            async with asyncio.timeout(self._pod.timing.heartbeat_timeout_s):
                await self._rows.beat(PodLoad(self._pod.name, calls, capacity, self._pod.clock(), held))
        except Exception as error:  # noqa: BLE001 - an odd answer of storage must not end every call of the pod
            self._pod.counters["heartbeats_failed"] += 1
            if not self._is_failing:
                logger.warning("heartbeats do not get through", extra={"error": type(error).__name__})
            self._is_failing = True
            return
        now = time.monotonic()
        if self._beat_at is not None and now - self._beat_at > DEAD_AFTER_S:
            self._calls.doubt()
        self._beat_at = now
        if self._is_failing:
            logger.info("heartbeats get through again")
        self._is_failing = False
