"""Deliveries whose credentials are not good: slowed, counted, and logged once a minute.

Whoever guesses is slowed by a penalty that doubles with each failure of an API id (unknown ids share one), up to
4 s. So many attempts wait at a time at most, and so many of one API id, which limits guessing at one account to
about 4 a second in a process; one more is turned away at once. Failures are forgotten after 5 minutes without any.
"""

import asyncio
import logging
import time
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from shared.errors import TooManyAttempts
from shared.metrics import Metrics
from shared.security.directory import Reason

logger = logging.getLogger(__name__)

MAX_WAITING = 64
MAX_WAITING_OF_ONE = 16
FIRST_PENALTY_S = 0.25
MAX_PENALTY_S = 4.0
FORGOTTEN_AFTER_S = 300.0
MAX_REMEMBERED = 1024
"""Accounts whose failures are remembered; the one that failed longest ago goes first."""
LOG_INTERVAL_S = 60.0

NOBODY = "(unknown)"
"""Stands for all API ids that no account has; no account id has parentheses."""


@dataclass(slots=True)
class _Record:
    penalties: int = 0
    last_at: float = 0.0
    logged_at: float = float("-inf")
    unlogged: int = 0


class Attempts:
    """The failures of one process, by account id. `clock` tells seconds, `sleep` waits for some."""

    def __init__(
        self,
        metrics: Metrics,
        *,
        max_penalty_s: float = MAX_PENALTY_S,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._metrics = metrics
        self._max_penalty_s = max_penalty_s
        self._clock = clock
        self._sleep = sleep
        self._waiting: Counter[str] = Counter()
        self._records: OrderedDict[str, _Record] = OrderedDict()

    @contextmanager
    def place(self, who: str) -> Iterator[None]:
        """Hold a place among the attempts that wait. Raises `TooManyAttempts` where there is none."""
        if self._waiting.total() >= MAX_WAITING or self._waiting[who] >= MAX_WAITING_OF_ONE:
            self.refused(who, Reason.THROTTLED)
            raise TooManyAttempts("too many deliveries with credentials that are not good")
        self._waiting[who] += 1
        try:
            yield
        finally:
            self._waiting[who] -= 1
            self._waiting += Counter()  # drops who no longer waits

    async def punish(self, who: str, reason: Reason) -> None:
        """Count a failure, and wait the longer the more there were."""
        record = self.refused(who, reason)
        penalty_s = FIRST_PENALTY_S * 2.0 ** min(record.penalties, 16)
        record.penalties += 1
        await self._sleep(min(penalty_s, self._max_penalty_s))

    def refused(self, who: str, reason: Reason) -> _Record:
        """Count what is refused, and log it if nothing of the account was logged for a minute."""
        self._metrics.credentials_refused.add(1, {"reason": reason.value})
        now = self._clock()
        record = self._records.pop(who, None)
        if record is None or now - record.last_at > FORGOTTEN_AFTER_S:
            record = _Record()
        self._records[who] = record
        if len(self._records) > MAX_REMEMBERED:
            self._records.popitem(last=False)
        record.last_at = now
        record.unlogged += 1
        if now - record.logged_at >= LOG_INTERVAL_S:
            logger.warning(
                "deliveries were refused for their credentials",
                extra={"account": who, "reason": reason.value, "attempts": record.unlogged},
            )
            record.logged_at, record.unlogged = now, 0
        return record
