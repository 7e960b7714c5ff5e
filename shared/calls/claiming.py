"""Claiming a call that rings, so that of many deliveries, to agents and to the IVR, one brings it to its outcome."""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from shared.acs.event_grid import GridEvent, IncomingCall
from shared.adapters.claim_store import TableClaimStore
from shared.core.call_state import CallEvent
from shared.core.claims import (
    Claim,
    Found,
    Outcome,
    finished,
    given_up,
    judge,
    repeatability_id,
    taken_over,
)
from shared.core.ids import claim_key, new_call_id, new_token_id
from shared.errors import GatewayError, TemporaryFault
from shared.metrics import Metrics

logger = logging.getLogger(__name__)

WAIT_STEP_S = 0.1
"""How often a delivery looks whether the one that holds the claim is done."""


@dataclass(frozen=True, slots=True)
class Held:
    """A claim that is ours now, with the ETag to write it by."""

    claim: Claim
    etag: str


class Claiming:
    """Claims calls. `lease_s` is for one holder, `clock` tells Unix seconds. All methods raise `StoreUnavailable`."""

    def __init__(
        self,
        claims: TableClaimStore,
        metrics: Metrics,
        *,
        lease_s: float,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._claims = claims
        self._metrics = metrics
        self._lease_s = lease_s
        self._clock = clock

    def new(self, call: IncomingCall, event: GridEvent, *, account_id: str) -> Claim:
        """Return the claim that a delivery is to win; of all that deliver the call, `account_id` has it then."""
        key = claim_key(call.context)
        return Claim(
            key=key,
            event_id=event.event_id,
            account_id=account_id,
            call_id=new_call_id(),
            media_jti=new_token_id(),
            repeatability_id=repeatability_id(key),
            made_at=event.at,
            holder=new_token_id(),
            lease_until=self._clock() + self._lease_s,
        )

    async def win(self, mine: Claim, *, on_found: Callable[[], None]) -> Held | Claim:
        """Win the claim, or wait until whoever holds it is done or its lease runs out.

        Returns what another delivery made of the call: its finished claim, or one of another account, which is left
        alone, come what may: that account's deliveries go on with it. `on_found` is called when there is one.
        """
        etag = await self._claims.insert(mine)
        if etag is not None:
            return Held(mine, etag)
        on_found()
        while True:
            found = await self._claims.read(mine.key)
            if found is None:
                raise TemporaryFault("the claim on the call vanished")
            claim, etag = found
            if claim.account_id != mine.account_id:
                return claim
            if claim.holder == mine.holder:
                # Our write did get through: its reply was lost, and the client's second try met the first.
                return Held(claim, etag)
            match judge(claim, self._clock()):
                case Found.FINISHED:
                    return claim
                case Found.TAKE_OVER:
                    next_claim = taken_over(claim, mine.holder, self._clock(), self._lease_s)
                    written = await self._claims.replace(next_claim, etag)
                    if written is not None:
                        return Held(next_claim, written)
                case Found.WAIT:
                    await asyncio.sleep(WAIT_STEP_S)

    async def finish(self, held: Held, outcome: Outcome, *closed_by: CallEvent) -> Claim | None:
        """Finish the claim, and count the call; None: it was lost meanwhile, and both are for whoever took it."""
        claim = finished(held.claim, outcome, closed_by)
        if await self._claims.replace(claim, held.etag) is None:
            # Or is it ours? The client's second try meets its first, whose reply was lost.
            found = await self._claims.read(claim.key)
            if found is None or found[0] != claim:
                return None
        self._metrics.calls.add(1, {"account": claim.account_id, "outcome": outcome.value})
        return claim

    async def give_up(self, held: Held) -> None:
        """Let the next delivery take the claim at once; should this fail too, the lease runs out by itself."""
        try:
            await self._claims.replace(given_up(held.claim), held.etag)
        except GatewayError as error:
            logger.info(
                "a claim could not be given up", extra={"call_id": held.claim.call_id, "fault": str(error)}
            )
