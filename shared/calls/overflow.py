"""What becomes of a ringing call that is not answered: rejected, or redirected where its account says so."""

import logging
import uuid
from collections.abc import Collection
from typing import Protocol

from shared.acs.event_grid import IncomingCall
from shared.adapters.call_automation import CallControl, Repeatability
from shared.core.admission import redirect_target
from shared.core.call_state import CallEvent
from shared.core.claims import Claim, Outcome
from shared.errors import AcsRefused, CallGone
from shared.security.accounts import Account

logger = logging.getLogger(__name__)


class Journeys(Protocol):
    """What was redirected before."""

    async def may_redirect(self, correlation_id: str, call_id: str) -> bool:
        """Whether no other call of the journey was. Raises `StoreUnavailable`."""
        ...


class Overflow:
    """Turns calls away."""

    def __init__(self, acs: CallControl, journeys: Journeys) -> None:
        self._acs = acs
        self._journeys = journeys

    async def turn_away(
        self,
        account: Account,
        call: IncomingCall,
        *,
        claim: Claim,
        own_numbers: Collection[str],
        blocked: bool,
    ) -> tuple[Outcome, CallEvent]:
        """Redirect or reject a call; return its outcome, and the event that says so.

        Args:
            account: whose call it is.
            call: as it was announced.
            claim: on the call; its ids make the request the same one whoever sends it.
            own_numbers: raw ids that a call is never redirected to.
            blocked: whether the account blocks the caller, who is always rejected.

        Raises:
            AcsUnavailable: whether ACS did it is unknown.
            StoreUnavailable: whether the journey was redirected before is unknown.
        """
        target = None if blocked else await self._target(account, call, claim, own_numbers)
        try:
            if target is not None and await self._redirected(call, claim, target):
                return Outcome.REDIRECTED, CallEvent.REDIRECT_SENT
        except CallGone:
            return Outcome.MISSED, CallEvent.CALLER_GONE
        return await self.reject(call, claim=claim, blocked=blocked)

    async def reject(
        self, call: IncomingCall, *, claim: Claim, blocked: bool = False
    ) -> tuple[Outcome, CallEvent]:
        """Reject a call, whatever the account's overflow; otherwise as `turn_away`."""
        try:
            await self._acs.reject(
                incoming_call_context=call.context,
                blocked=blocked,
                repeatability=_repeatability(claim, "reject"),
            )
        except CallGone:
            return Outcome.MISSED, CallEvent.CALLER_GONE
        return Outcome.REJECTED, CallEvent.REJECT_SENT

    async def _redirected(self, call: IncomingCall, claim: Claim, target: str) -> bool:
        """Redirect the call; False where ACS refuses the target, which no second try would mend."""
        try:
            await self._acs.redirect(
                incoming_call_context=call.context,
                target=target,
                repeatability=_repeatability(claim, "redirect"),
            )
        except AcsRefused as error:
            logger.error(  # noqa: TRY400 - a setting is wrong, not the code
                "ACS refuses the account's overflow target: the call is rejected",
                extra={"call_id": claim.call_id, "account": claim.account_id, "fault": str(error)},
            )
            return False
        return True

    async def _target(
        self, account: Account, call: IncomingCall, claim: Claim, own_numbers: Collection[str]
    ) -> str | None:
        target = redirect_target(
            account.overflow_to,
            caller=call.caller.raw_id,
            called=call.called.raw_id,
            own_numbers=own_numbers,
        )
        if target is None or not call.correlation_id:
            return target
        if await self._journeys.may_redirect(call.correlation_id, claim.call_id):
            return target
        logger.error(
            "a redirected call came back: the account's overflow leads to a number of ours",
            extra={"call_id": claim.call_id, "account": account.account_id},
        )
        return None


def _repeatability(claim: Claim, operation: str) -> Repeatability:
    """Return what makes a repeated request the same one, and no other operation's."""
    request_id = uuid.uuid5(uuid.UUID(claim.repeatability_id), operation)
    return Repeatability(str(request_id), claim.made_at)
