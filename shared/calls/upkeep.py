"""The upkeep of the gateway, every few minutes: what nobody else ends is closed, and what is old is deleted.

Its parts run beside each other, each within the same time. What a part has no time for, or what it fails at, is found
again by the next run, and keeps no other part from its work. Two runs at once do no harm.
"""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping

from shared.adapters.dead_letters import BlobDeadLetters
from shared.calls.ivr import Ivr
from shared.calls.lost_calls import LostCalls
from shared.calls.retention import Retention
from shared.errors import GatewayError, meaning
from shared.metrics import Metrics

logger = logging.getLogger(__name__)

RUN_BUDGET_S = 60.0
"""Half of what the host gives a function (`functionTimeout` in host.json), and less than runs are apart."""
OPEN_CALLS_BUDGET_S = 50.0
"""Likewise, of a run each minute."""

Part = Callable[[Counter[str]], Awaitable[None]]
"""Counts what it does, by what it was."""


class Upkeep:
    """Runs the parts. `clock` tells Unix seconds; `budget_s` is for each part of a run."""

    def __init__(
        self,
        lost_calls: LostCalls,
        retention: Retention,
        dead_letters: BlobDeadLetters,
        ivr: Ivr,
        metrics: Metrics,
        *,
        budget_s: float = RUN_BUDGET_S,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._dead_letters = dead_letters
        self._metrics = metrics
        self._budget_s = budget_s
        self._clock = clock
        self._look_after_open_calls = ivr.look_after_open_calls
        self._parts: Mapping[str, Part] = {
            "calls": lost_calls.close,
            "claims": retention.expire_claims,
            "old_calls": retention.expire_calls,
            "recordings": retention.expire_recordings,
            "profiles": retention.prune_profiles,
            "dead_letters": self._count_dead_letters,
        }

    async def run(self) -> Mapping[str, Mapping[str, int]]:
        """Do all that is due, log it in one line, and return what each part did. Raises nothing."""
        begun_at = time.monotonic()
        done: dict[str, Counter[str]] = {name: Counter() for name in self._parts}
        ends = await asyncio.gather(
            *(self._run(name, part, done[name], self._budget_s) for name, part in self._parts.items())
        )
        logger.info(
            "upkeep has run",
            extra={
                "took_s": round(time.monotonic() - begun_at, 1),
                "ends": dict(Counter(ends)),
                "done": {name: dict(+counts) for name, counts in done.items() if +counts},
            },
        )
        return done

    async def run_each_minute(self) -> Mapping[str, int]:
        """Look after the calls at the IVR: their callers hear nothing meanwhile. Raises nothing."""
        done = Counter[str]()
        await self._run("ivr", self._look_after_open_calls, done, OPEN_CALLS_BUDGET_S)
        return +done

    async def _run(self, name: str, part: Part, done: Counter[str], budget_s: float) -> str:
        """Run one part; count, and return how it ended, as metrics call it."""
        end = await self._end_of(name, part, done, budget_s)
        self._metrics.upkeep_parts.add(1, {"part": name, "end": end})
        for what, count in done.items():
            self._metrics.upkeep_done.add(count, {"part": name, "what": what})
        return end

    async def _end_of(self, name: str, part: Part, done: Counter[str], budget_s: float) -> str:
        try:
            async with asyncio.timeout(budget_s):
                await part(done)
        except TimeoutError:
            logger.info("a part of upkeep goes on at the next run", extra={"part": name})
            return "out_of_time"
        except GatewayError as error:
            logger.warning("a part of upkeep failed", extra={"part": name, "fault": str(error)})
            return meaning(error).metric
        except Exception as error:  # the other parts go on
            logger.exception("a part of upkeep failed in an unexpected way", extra={"part": name})
            return meaning(error).metric
        return "done"

    async def _count_dead_letters(self, _: Counter[str]) -> None:
        letters = await self._dead_letters.look()
        age_s = 0.0 if letters.oldest is None else max(0.0, self._clock() - letters.oldest.timestamp())
        self._metrics.dead_letters.set(letters.count)
        self._metrics.dead_letters_oldest.set(age_s)
        if letters.count:
            logger.warning(
                "Event Grid has given events up",
                extra={"letters": letters.count, "oldest_s": round(age_s)},
            )
