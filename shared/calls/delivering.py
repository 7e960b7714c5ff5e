"""One delivery of a call that rings, whoever is to answer it: an agent, or a flow.

It claims the call and has it settled. Where the store is away, and no later delivery would come in time, the call is
turned away without it.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar

from shared.acs.event_grid import GridEvent, IncomingCall
from shared.adapters.connect import Connections
from shared.calls.claiming import Claiming, Held
from shared.calls.store_away import StoreAway
from shared.config import FunctionsSettings
from shared.core.claims import Claim, is_last_chance
from shared.core.profiles import Routing
from shared.errors import AcsUnavailable, CallGone, StoreUnavailable, TemporaryFault
from shared.metrics import Metrics
from shared.security.accounts import Account

logger = logging.getLogger(__name__)

ANSWER_TRIES = 2
"""Within one delivery; the next delivery comes after ten seconds of ringing."""
ANSWER_PAUSE_S = 0.2
MARK_BUDGET_S = 1.5
"""For each thing to write down once a call is answered."""


class Delivered(StrEnum):
    """What became of one IncomingCall event."""

    ANSWERED = "answered"
    MISSED = "missed"
    REJECTED = "rejected"
    REDIRECTED = "redirected"
    DUPLICATE = "duplicate"
    OVERLAPPING = "overlapping"
    """Another subscription delivered the call first: another account's, or the other of agents' and the IVR's."""
    UNROUTED = "unrouted"


@dataclass(frozen=True, slots=True)
class Limits:
    """How long a delivery has."""

    ring_deadline: float
    """Unix seconds after which nobody can answer the call any more."""
    is_last: bool
    """Whether no later delivery would come in time."""
    store_wait: asyncio.Timeout
    """Until when the store is waited for, where the call can be turned away without it."""


@dataclass(frozen=True, slots=True)
class Ringing:
    """What is known about a call that rings."""

    account: Account
    call: IncomingCall
    event: GridEvent
    routing: Routing
    """By which it is answered; a call is never redirected to a number that has a route."""
    limits: Limits


R = TypeVar("R", bound=Ringing)


class Deliveries:
    """Takes them. `clock` tells Unix seconds."""

    def __init__(
        self,
        settings: FunctionsSettings,
        connections: Connections,
        metrics: Metrics,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._metrics = metrics
        self._clock = clock
        self.claiming = Claiming(connections.claims, metrics, lease_s=settings.claim_lease_s, clock=clock)
        self._store_away = StoreAway(
            connections.call_control, metrics, event_budget_s=settings.event_budget_s, clock=clock
        )

    def limits(self, event: GridEvent, *, deadline: float) -> Limits:
        """Return how long a delivery has that is over at `deadline`, by the loop's clock."""
        is_last = is_last_chance(
            self._clock() - event.at,
            ring_deadline_s=self._settings.ring_deadline_s,
            event_budget_s=self._settings.event_budget_s,
        )
        store_wait = asyncio.timeout_at(deadline - self._store_away.reserved_s if is_last else None)
        return Limits(event.at + self._settings.ring_deadline_s, is_last, store_wait)

    async def deliver(
        self,
        ringing: R,
        mine: Claim,
        *,
        settle: Callable[[R, Held], Awaitable[Delivered]],
        close: Callable[[R, Claim], Awaitable[None]] | None = None,
    ) -> Delivered:
        """Have a call brought to its outcome, unless another delivery did.

        Args:
            ringing: the call.
            mine: the claim to win.
            settle: brings a claim that is ours to its outcome.
            close: does what is left to do of a call that nobody answered, once its claim is finished. Every later
                delivery does so too: whoever finished the claim may have died before.

        Raises:
            TemporaryFault: the same event may be delivered again with success.
        """
        if self._store_away.was_turned_away(mine.key):
            return Delivered.DUPLICATE
        limits = ringing.limits
        try:
            async with limits.store_wait:
                return await self._deliver(ringing, mine, settle, close)
        except (StoreUnavailable, TimeoutError):
            if not limits.is_last:
                raise
            settled = await self._store_away.turn_away(
                ringing.account,
                ringing.call,
                claim=mine,
                own_numbers=ringing.routing.own_numbers,
                ring_deadline=limits.ring_deadline,
            )
            if not settled.is_done:
                raise
            return Delivered(settled.value)

    async def _deliver(
        self,
        ringing: R,
        mine: Claim,
        settle: Callable[[R, Held], Awaitable[Delivered]],
        close: Callable[[R, Claim], Awaitable[None]] | None,
    ) -> Delivered:
        found = await self.claiming.win(mine, on_found=lambda: self.leave_to_the_store(ringing, mine))
        if isinstance(found, Claim):
            if found.account_id != mine.account_id:
                self._metrics.accounts_overlapping.add(1, {"account": mine.account_id})
                logger.error("two subscriptions deliver the same call", extra={"account": mine.account_id})
                return Delivered.OVERLAPPING
            if close is not None and found.closed_by:
                await close(ringing, found)
            return Delivered.DUPLICATE
        try:
            delivered = await settle(ringing, found)
        except TemporaryFault:
            await self.claiming.give_up(found)
            raise
        logger.info(
            "a call was delivered",
            extra={
                "call_id": found.claim.call_id,
                "account": mine.account_id,
                "outcome": delivered.value,
            },
        )
        return delivered

    def leave_to_the_store(self, ringing: Ringing, claim: Claim) -> None:
        """From now on the call may be answered, and only the store tells: it is not turned away without it."""
        self._store_away.may_be_answered(claim.key)
        ringing.limits.store_wait.reschedule(None)


async def answered(ask: Callable[[], Awaitable[str]], *, may_be_answered: bool) -> str | None:
    """Ask ACS to answer; return the id of the connection, or None where the caller gave up.

    Args:
        ask: sends the request, each time the same one.
        may_be_answered: whether that was done before.

    Raises:
        AcsUnavailable: whether the call was answered is unknown.
    """
    tries_left = ANSWER_TRIES
    while True:
        try:
            return await ask()
        except CallGone as gone:
            if may_be_answered:
                # Whether the earlier try answered shows in a callback or a socket, if not yet then soon;
                # the ring deadline ends the waiting.
                raise AcsUnavailable(f"an earlier try may have answered, and now {gone}") from gone
            return None
        except AcsUnavailable:
            tries_left -= 1
            if not tries_left:
                raise
            may_be_answered = True
            await asyncio.sleep(ANSWER_PAUSE_S)


async def mark(call_id: str, *marks: Awaitable[Any]) -> None:
    """Write down that a call is up; whatever fails here, it is.

    Its callbacks and its socket bind the connection too, and another delivery finds that out. To ask for
    one by a 500 would only add load to a store that is away, and so would waiting for it.
    """
    results = await asyncio.gather(
        *(asyncio.wait_for(each, MARK_BUDGET_S) for each in marks), return_exceptions=True
    )
    for result in results:
        if isinstance(result, BaseException):
            logger.warning(
                "an answered call could not be marked",
                extra={"call_id": call_id, "fault": f"{type(result).__name__}: {result}"},
            )
