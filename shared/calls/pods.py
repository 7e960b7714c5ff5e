"""What the pods last said of themselves, read about once a second however many calls arrive."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence

from shared.adapters.answer_store import TableAnswerStore
from shared.adapters.pod_store import TablePodStore
from shared.core.admission import HEARTBEAT_FRESH_S, PodLoad, Room, room
from shared.errors import GatewayError, StoreUnavailable
from shared.refresh import Refresher

MAX_AGE_S = 1.0
"""Then a call starts a read in the background, so that under load none waits for one."""
OUTDATED_S = 2.0
"""Then a call waits for the read."""
READ_BUDGET_S = 1.0
"""Admission is not worth more of a caller's waiting; past it the load is unknown, and the call is answered."""
CONNECTING_S = 1.0
"""From answering a call until a pod holds its socket. A beat older than that after the answer cannot count it."""
REMEMBERED_S = HEARTBEAT_FRESH_S + OUTDATED_S + CONNECTING_S
"""For how long an answer may matter: no live pod's word is older."""


class PodLoads:
    """The pods' loads, and the calls that all processes sent them of late. `clock` tells Unix seconds."""

    def __init__(
        self, pods: TablePodStore, answers: TableAnswerStore, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._pods = pods
        self._answers = answers
        self._clock = clock
        self._loads: Sequence[PodLoad] = ()
        self._others: Mapping[str, float] = {}
        self._ours: dict[str, float] = {}
        self.refresher = Refresher(
            self._read,
            max_age_s=MAX_AGE_S,
            outdated_s=OUTDATED_S,
            wait_s=READ_BUDGET_S,
            min_interval_s=MAX_AGE_S,
            clock=clock,
        )

    async def reserve(self, call_id: str) -> Room:
        """Say whether a pod has room for one more call, and count the call as answered unless there is none.

        Nothing is awaited between the two, so that calls at the same moment see one another.
        """
        loads, now = await self._current(), self._clock()
        self._ours = {call: at for call, at in self._ours.items() if now - at <= REMEMBERED_S}
        beats = [load.at for load in loads or () if now - load.at <= HEARTBEAT_FRESH_S]
        counted_until = min(beats, default=now) - CONNECTING_S
        answered = {**self._others, **self._ours}
        pending = sum(at > counted_until for call, at in answered.items() if call != call_id)
        found = room(loads, pending, now)
        if found is not Room.FULL:
            self._ours[call_id] = now
        return found

    def cancel(self, call_id: str) -> None:
        """Take a call out of the count again: it is not answered after all."""
        self._ours.pop(call_id, None)

    async def announce(self, call_id: str) -> None:
        """Let the other processes count the call. Raises `StoreUnavailable`."""
        await self._answers.add(call_id, self._clock())

    async def live(self) -> frozenset[str] | None:
        """Return the names of the pods that beat of late; None where it is not known."""
        loads, now = await self._current(), self._clock()
        if loads is None:
            return None
        return frozenset(load.name for load in loads if now - load.at <= HEARTBEAT_FRESH_S)

    async def _current(self) -> Sequence[PodLoad] | None:
        """Return what every pod last said; None where the store does not answer in time."""
        try:
            await self.refresher.ensure()
        except GatewayError:
            return None
        return self._loads if self.refresher.fault is None else None

    async def _read(self) -> None:
        now, is_away = self._clock(), False
        try:
            async with asyncio.timeout(READ_BUDGET_S), asyncio.TaskGroup() as reads:
                loads = reads.create_task(self._pods.since(now - HEARTBEAT_FRESH_S))
                others = reads.create_task(self._answers.since(now - REMEMBERED_S))
        except* (StoreUnavailable, TimeoutError):
            is_away = True
        if is_away:
            raise StoreUnavailable("the pods' load could not be read")
        self._loads, self._others = loads.result(), others.result()
