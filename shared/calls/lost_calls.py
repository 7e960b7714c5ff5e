"""Closing calls that nobody holds any more: fenced, hung up in ACS, and ended, so that a killed run is done again."""

import logging
import random
import time
from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial

from shared.adapters.call_automation import CallControl
from shared.adapters.call_store import TableCallStore
from shared.adapters.pod_store import TablePodStore
from shared.core.call import CallRecord, advance
from shared.core.call_state import CallEvent
from shared.core.ids import partitions
from shared.core.upkeep import OVER_AFTER_S, CallLimits, closed, why_closed
from shared.errors import AcsUnavailable, CallGone, NotFound, StoreUnavailable
from shared.in_turns import in_turns

logger = logging.getLogger(__name__)

LOOKED_BACK_S = 48 * 3600.0
"""For calls that are not over. None lasts longer than four hours, and upkeep may have been away for a while."""
LOOKED_AT_ONCE = 8
"""Partitions, then calls."""


class LostCalls:
    """Finds and closes them. `clock` tells Unix seconds."""

    def __init__(
        self,
        calls: TableCallStore,
        pods: TablePodStore,
        acs: CallControl,
        limits: CallLimits,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._calls = calls
        self._pods = pods
        self._acs = acs
        self._limits = limits
        self._clock = clock

    async def open_calls(self) -> list[str]:
        """Return the ids of all calls that are not over. Raises `StoreUnavailable`."""
        look = partial(self._calls.open_calls, since=self._clock() - LOOKED_BACK_S)
        return [
            call_id for ids in await in_turns(look, partitions(), at_once=LOOKED_AT_ONCE) for call_id in ids
        ]

    async def close(self, done: Counter[str]) -> None:
        """Close every call that nobody else will; count them by their cause in `done`, and what could not be done.

        Raises:
            StoreUnavailable: the pods' heartbeats, or which calls are open, cannot be read; nothing is closed then.
        """
        beats = await self._pods.beats()
        found = await self.open_calls()
        # In any order: a run that has no time for all of them should not leave out the same ones each time.
        random.shuffle(found)
        await in_turns(partial(self._look_at, beats, done), found, at_once=LOOKED_AT_ONCE)

    async def _look_at(self, beats: Mapping[str, float], done: Counter[str], call_id: str) -> None:
        """Close one call, if it is to be; what cannot be done now, the next run does."""
        try:
            await self._close(beats, done, call_id)
        except NotFound:
            pass
        except StoreUnavailable as error:
            done["failed"] += 1
            logger.warning("a call could not be closed", extra={"call_id": call_id, "fault": str(error)})

    async def _close(self, beats: Mapping[str, float], done: Counter[str], call_id: str) -> None:
        taken: CallRecord | None = None

        def take(record: CallRecord) -> CallRecord:
            nonlocal taken
            # It may run again on what somebody wrote meanwhile, a pod that took the call over or another run.
            taken = None
            seen, now = beats.get(record.owner or ""), self._clock()
            why = why_closed(record, owner_seen=seen, now=now, limits=self._limits)
            if why is None:
                return record
            taken = closed(record, why, now)
            return taken

        await self._calls.change(call_id, take)
        if taken is None:
            return
        if not taken.state.is_final:
            if not await self._is_hung_up(taken):
                done["not_hung_up"] += 1
                return
            taken = await self._calls.change(call_id, self._ended)
        cause = taken.cause.value if taken.cause is not None else ""
        done[cause] += 1
        logger.warning("a call that nobody held was closed", extra={"call_id": call_id, "cause": cause})

    async def _is_hung_up(self, record: CallRecord) -> bool:
        """Hang the call up; False where ACS does not say that it is over, and a later try may help."""
        if record.call_connection_id is None:
            return True
        try:
            await self._acs.hang_up(record.call_connection_id, for_everyone=True)
        except CallGone:
            pass
        except AcsUnavailable as error:
            logger.warning(
                "a call that nobody holds could not be hung up",
                extra={"call_id": record.call_id, "fault": str(error)},
            )
            return self._clock() - record.times.created > OVER_AFTER_S
        return True

    def _ended(self, record: CallRecord) -> CallRecord:
        return record if record.state.is_final else advance(record, CallEvent.HUNG_UP, self._clock())
