"""Calls that ring while the store is away: turned away as their account has it, and counted.

Nothing is claimed then, so deliveries and processes know nothing of one another. ACS keeps them apart: all of them ask
it for the same, as the same request, and a call that was answered rings no more. When this is done, and when not, is
`docs/decisions/0010-calls-while-storage-is-away.md`.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeVar

from shared.acs.event_grid import IncomingCall
from shared.adapters.call_automation import CallControl
from shared.calls.admission import is_blocked
from shared.calls.overflow import Overflow
from shared.core.claims import Claim, Outcome
from shared.core.remembered import Remembered
from shared.errors import AcsUnavailable
from shared.metrics import Metrics
from shared.security.accounts import Account

logger = logging.getLogger(__name__)

T = TypeVar("T")

RESERVED = 1 / 2
"""Of a delivery's time, from when on the store is not waited for: another delivery waited in vain already."""
ASKING = 2 / 5
"""Of a delivery's time, that ACS has to turn the call away. The rest is for saying how it went."""
REMEMBERED_S = 60.0
"""Longer than any call rings, and as long as Event Grid should try."""
MAX_REMEMBERED = 10_000
"""Calls: more than a process answers meanwhile. The oldest is forgotten then, and ACS alone tells what became of it."""


class Settled(StrEnum):
    """What became of a call for which the store could not be asked."""

    REJECTED = "rejected"
    REDIRECTED = "redirected"
    DUPLICATE = "duplicate"
    """Another delivery to this process had turned it away."""
    MISSED = "missed"
    """It rings out: ACS did not take the request, or the ringing is over."""
    UNKNOWN = "unknown"
    """Another delivery may have answered it, or the caller has gone."""

    @property
    def is_done(self) -> bool:
        """Whether the call was turned away; for any other a later delivery may find out what became of it."""
        return self in (Settled.REJECTED, Settled.REDIRECTED, Settled.DUPLICATE)


@dataclass(slots=True)
class _Known:
    """What this process knows of a ringing call."""

    may_be_answered: bool = False
    settled: Settled | None = None
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Deliveries at the same time turn it away one after another, so that one does."""


class StoreAway:
    """Turns calls away without the store. `event_budget_s` is a delivery's time, `clock` tells Unix seconds."""

    def __init__(
        self,
        acs: CallControl,
        metrics: Metrics,
        *,
        event_budget_s: float,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.reserved_s = event_budget_s * RESERVED
        self._asking_s = event_budget_s * ASKING
        self._overflow = Overflow(acs, self)
        self._metrics = metrics
        self._clock = clock
        self._calls = Remembered[_Known](limit=MAX_REMEMBERED, for_s=REMEMBERED_S)
        self._journeys = Remembered[str](limit=MAX_REMEMBERED, for_s=REMEMBERED_S)
        """Claim keys of the calls that were redirected, by correlation id."""

    def may_be_answered(self, key: str) -> None:
        """Note that somebody may answer the call of a claim: it is not turned away any more."""
        self._known(key).may_be_answered = True

    def was_turned_away(self, key: str) -> bool:
        """Whether the call of a claim was turned away by this process: nothing is left to be done."""
        known = self._calls.get(key, self._clock())
        return known is not None and known.settled is not None and known.settled.is_done

    async def turn_away(
        self,
        account: Account,
        call: IncomingCall,
        *,
        claim: Claim,
        own_numbers: Collection[str],
        ring_deadline: float,
    ) -> Settled:
        """Redirect or reject a call, unless it may be answered; count what became of it.

        Args:
            account: as it was last known.
            call: as it was announced.
            claim: what was to be claimed, whether or not it was.
            own_numbers: raw ids that a call is never redirected to.
            ring_deadline: Unix seconds after which nobody is there to be turned away.
        """
        known = self._known(claim.key)
        async with known.turn:
            if self.was_turned_away(claim.key):
                return Settled.DUPLICATE
            if known.may_be_answered:
                settled = Settled.UNKNOWN
            elif self._clock() > ring_deadline:
                settled = Settled.MISSED
            else:
                settled = await self._ask(account, call, claim, own_numbers)
            if settled is Settled.REDIRECTED:
                self._remember(self._journeys, call.correlation_id, claim.key)
            if settled is not known.settled:
                known.settled = settled
                self._metrics.calls_without_store.add(
                    1, {"account": claim.account_id, "outcome": settled.value}
                )
        logger.warning(
            "the store is away: a call was not answered",
            extra={"call_id": claim.call_id, "account": claim.account_id, "outcome": settled.value},
        )
        return settled

    async def _ask(
        self, account: Account, call: IncomingCall, claim: Claim, own_numbers: Collection[str]
    ) -> Settled:
        try:
            async with asyncio.timeout(self._asking_s):
                outcome, _ = await self._overflow.turn_away(
                    account,
                    call,
                    claim=claim,
                    own_numbers=own_numbers,
                    blocked=is_blocked(account, call.caller.raw_id),
                )
        except (AcsUnavailable, TimeoutError) as error:
            logger.warning(
                "the store is away, and ACS does not turn a call away",
                extra={"call_id": claim.call_id, "fault": f"{type(error).__name__}: {error}"},
            )
            return Settled.MISSED
        # ACS knows it no longer: the caller gave up, or another process did something with the call.
        return Settled.UNKNOWN if outcome is Outcome.MISSED else Settled(outcome.value)

    async def may_redirect(self, correlation_id: str, call_id: str) -> bool:  # noqa: ARG002 - as the table is asked
        """Whether no other call of the journey was redirected by this process: one that was comes here no more."""
        return self._journeys.get(correlation_id, self._clock()) is None

    def _known(self, key: str) -> _Known:
        known = self._calls.get(key, self._clock())
        if known is None:
            known = _Known()
            self._remember(self._calls, key, known)
        return known

    def _remember(self, where: Remembered[T], key: str, value: T) -> None:
        if early := where.put(key, value, self._clock()):
            self._metrics.calls_forgotten.add(early)
