"""Watching the other pods' heartbeats: who of them is dead."""

import asyncio
import logging
import time
from collections import Counter

from media_gateway.outside import PodRows
from shared.core.liveness import DEAD_AFTER_S, SeenPods

logger = logging.getLogger(__name__)


class PodWatch:
    """What this pod knows of the others.

    Args:
        rows: Where pods beat.
        own: This pod's name; it is alive.
        counters: Of the pod.
        dead_after_s: For how long a pod is silent until it is dead.
        read_s: For a read; past it nothing is known.
    """

    def __init__(
        self,
        rows: PodRows,
        *,
        own: str,
        counters: Counter[str],
        dead_after_s: float = DEAD_AFTER_S,
        read_s: float = 2.0,
    ) -> None:
        self._rows = rows
        self._own = own
        self._counters = counters
        self._read_s = read_s
        self._seen = SeenPods(dead_after_s)
        self._is_failing = False

    def is_dead(self, name: str) -> bool:
        """Whether a pod is known to beat no more."""
        return name != self._own and self._seen.is_dead(name, time.monotonic())

    @property
    def dead(self) -> frozenset[str]:
        """The dead pods whose rows are still there."""
        return self._seen.dead(time.monotonic()) - {self._own}

    @property
    def sees_another(self) -> bool:
        """Whether another pod is in the table that is not known to be dead."""
        return bool(self._seen.beats.keys() - self._seen.dead(time.monotonic()) - {self._own})

    async def read(self) -> None:
        """Look once at all heartbeats. Raises nothing: while storage is away, nobody is dead."""
        asked_at = time.monotonic()
        try:
            async with asyncio.timeout(self._read_s):
                beats = await self._rows.beats()
        except Exception as error:  # noqa: BLE001 - an odd answer of storage must not end the watch
            self._counters["pod_reads_failed"] += 1
            if not self._is_failing:
                logger.warning("heartbeats cannot be read", extra={"error": type(error).__name__})
            self._is_failing = True
            return
        self._is_failing = False
        self._seen = self._seen.read(beats, asked_at=asked_at, answered_at=time.monotonic())
