"""Whether a ringing call is answered: who calls, the room on the pods, the account's limit, the agent's quota.

A store that does not answer is unknown, not full and not empty: then the call is answered, and the pods have the
last word.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from shared.acs.event_grid import IncomingCall
from shared.acs.identifiers import without_leg
from shared.adapters.call_store import TableCallStore
from shared.adapters.ivr_store import TableIvrStore
from shared.adapters.slot_store import TableSlotStore
from shared.calls.pods import PodLoads
from shared.core.admission import Room
from shared.core.call_state import CallEvent
from shared.core.profiles import AgentProfile
from shared.errors import StoreUnavailable
from shared.security.accounts import Account

logger = logging.getLogger(__name__)

READ_BUDGET_S = 1.0
"""For one limit; past it it is unknown."""
UNANSWERED_S = 60.0
"""For how long a place is held for a call that was not answered yet: no call rings longer."""
SPARE_S = 60.0
"""How much longer than a call may last its place is held, in case nobody tells of its end."""
MINUTE_S = 60.0


@dataclass(frozen=True, slots=True)
class Admitted:
    """The call is answered; `slot` is the place it takes among the account's calls, if they are limited."""

    slot: str | None = None


def is_blocked(account: Account, caller: str) -> bool:
    """Whether the account takes no calls from `caller`, a raw id."""
    return without_leg(caller) in account.blocked_callers


class Admission:
    """Admits calls. `clock` tells Unix seconds."""

    def __init__(
        self,
        pods: PodLoads,
        slots: TableSlotStore,
        calls: TableCallStore,
        ivr_calls: TableIvrStore,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._pods = pods
        self._slots = slots
        self._calls = calls
        self._ivr_calls = ivr_calls
        self._clock = clock

    async def admit(
        self, account: Account, profile: AgentProfile, call: IncomingCall, *, call_id: str
    ) -> Admitted | CallEvent:
        """Take all that an agent's call needs, or return why it is not answered, having taken nothing.

        Asked again for the same call, by whoever took its claim over, it finds what was taken before.
        """
        if is_blocked(account, call.caller.raw_id):
            return CallEvent.CALLER_BLOCKED
        if await self._pods.reserve(call_id) is Room.FULL:
            return CallEvent.NO_ROOM
        admitted = await self._place(account, call, call_id)
        if isinstance(admitted, CallEvent):
            self._pods.cancel(call_id)
        elif profile.connections_per_minute is not None:
            pool = f"agent-{profile.name}"
            free, _ = await self._take(pool, profile.connections_per_minute, call_id, MINUTE_S)
            if not free:
                self._pods.cancel(call_id)
                if admitted.slot is not None:
                    await self._give_back(admitted.slot, call_id)
                return CallEvent.AGENT_BUSY
        return admitted

    async def admit_to_flow(
        self, account: Account, call: IncomingCall, *, call_id: str
    ) -> Admitted | CallEvent:
        """Take what a call at the IVR needs, likewise: a place of the account, and no pod."""
        if is_blocked(account, call.caller.raw_id):
            return CallEvent.CALLER_BLOCKED
        return await self._place(account, call, call_id)

    async def hold(self, slot: str | None, call_id: str, *, lasts_s: float) -> None:
        """Hold an answered call's place for as long as it may last. Raises `StoreUnavailable`."""
        if slot is not None:
            await self._slots.keep(slot, call_id, self._clock() + lasts_s + SPARE_S)

    async def _place(self, account: Account, call: IncomingCall, call_id: str) -> Admitted | CallEvent:
        """Take a place among the account's calls; where none is free, that of an earlier call of the same journey."""
        if account.max_calls is None:
            return Admitted()
        free, slot = await self._take(
            f"account-{account.account_id}",
            account.max_calls,
            call_id,
            UNANSWERED_S,
            journey=call.correlation_id,
            is_over=self._is_over,
        )
        return Admitted(slot) if free else CallEvent.ACCOUNT_FULL

    async def _take(
        self,
        pool: str,
        size: int,
        call_id: str,
        held_s: float,
        *,
        journey: str = "",
        is_over: Callable[[str], Awaitable[bool]] | None = None,
    ) -> tuple[bool, str | None]:
        """Return whether there is a free place, and the one that was taken; unknown is free."""
        now = self._clock()
        try:
            async with asyncio.timeout(READ_BUDGET_S):
                slot = await self._slots.take(
                    pool,
                    size,
                    holder=call_id,
                    now=now,
                    until=now + held_s,
                    journey=journey,
                    is_over=is_over,
                )
        except (StoreUnavailable, TimeoutError):
            logger.warning("a limit could not be looked at: the call is admitted", extra={"call_id": call_id})
            return True, None
        return slot is not None, slot

    async def _is_over(self, call_id: str) -> bool:
        record = await self._calls.get(call_id)
        if record is not None:
            return record.state.is_final
        row = await self._ivr_calls.read(call_id)
        return row is not None and row.record.ended is not None

    async def _give_back(self, slot: str, call_id: str) -> None:
        try:
            async with asyncio.timeout(READ_BUDGET_S):
                await self._slots.release(slot, call_id)
        except (StoreUnavailable, TimeoutError):
            logger.warning("a call's place could not be given back", extra={"call_id": call_id})
