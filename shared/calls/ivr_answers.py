"""Answering a call for the IVR: claim it, write its row, answer; each exactly once.

The claim is the gateway's own, by the same key and in another name: whatever subscriptions deliver, a call has one
answer. A call that has come round in a circle is rejected.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from shared.acs.event_grid import GridEvent, IncomingCall, read_incoming_call
from shared.adapters.call_automation import CallControl, Repeatability
from shared.adapters.claim_store import TableClaimStore
from shared.adapters.ivr_store import TableIvrStore
from shared.calls.admission import is_blocked
from shared.calls.incoming import WAIT_STEP_S, Delivered
from shared.calls.ivr_flows import Flows
from shared.config import FunctionsSettings
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
from shared.core.ids import claim_key, new_call_id, new_token_id, new_traceparent
from shared.core.ivr_call import IvrCall, bound_to
from shared.core.journeys import Arrival, Pass, arrival
from shared.core.variables import OUTCOME
from shared.errors import AcsUnavailable, CallGone, GatewayError, TemporaryFault
from shared.metrics import Metrics
from shared.security.accounts import Account
from shared.security.keyring import Keyring
from shared.security.tokens import Audience, mint

logger = logging.getLogger(__name__)

IVR_PATH = "/mg-genagent-acs/v1/ivr"
MARK_BUDGET_S = 1.5
"""For what is written down once a call is answered."""


@dataclass(frozen=True, slots=True)
class _Ringing:
    """Everything known about the call that rings."""

    account: Account
    call: IncomingCall
    version: int
    flow: str
    identity: str
    deadline: float
    """Unix seconds after which nobody can answer it any more."""


class IvrAnswerer:
    """Answers calls. `clock` tells Unix seconds."""

    def __init__(
        self,
        settings: FunctionsSettings,
        claims: TableClaimStore,
        calls: TableIvrStore,
        acs: CallControl,
        flows: Flows,
        *,
        callback_keys: Keyring,
        metrics: Metrics,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._claims = claims
        self._calls = calls
        self._acs = acs
        self._flows = flows
        self._callback_keys = callback_keys
        self._metrics = metrics
        self._clock = clock

    async def incoming(self, account: Account, event: GridEvent, *, deadline: float) -> Delivered:  # noqa: ARG002 - as the gateway's
        """Answer the call of an IncomingCall event by its flow, unless another delivery did.

        Raises:
            MalformedMessage: the event does not hold what answering needs.
            TemporaryFault: the same event may be delivered again with success.
        """
        call = read_incoming_call(event)
        version, routing = await self._flows.current()
        flow = routing.flow_for(account.account_id, call.called.raw_id)
        if flow is None:
            is_agents = routing.profile_for(account.account_id, call.called.raw_id) is not None
            logger.warning(
                "a call that no flow serves was delivered to the IVR",
                extra={"account": account.account_id, "is_of_an_agent": is_agents},
            )
            return Delivered.UNROUTED
        identity = routing.identity_of(account.account_id, flow)
        ring_deadline = event.at + self._settings.ring_deadline_s
        ringing = _Ringing(account, call, version, flow, identity, ring_deadline)
        held = await self._claim(self._new_claim(ringing, event))
        if isinstance(held, Delivered):
            return held
        claim, etag = held
        try:
            delivered = await self._settle(ringing, claim, etag)
        except TemporaryFault:
            await self._give_up(claim, etag)
            raise
        logger.info(
            "a call was delivered to the IVR",
            extra={"call_id": claim.call_id, "account": account.account_id, "outcome": delivered.value},
        )
        return delivered

    def _new_claim(self, ringing: _Ringing, event: GridEvent) -> Claim:
        key = claim_key(ringing.call.context)
        return Claim(
            key=key,
            event_id=event.event_id,
            # Another name than the gateway's claims have, which leaves alone what is not its own.
            account_id=f"ivr/{ringing.account.account_id}",
            call_id=new_call_id(),
            media_jti="",
            repeatability_id=repeatability_id(key),
            made_at=event.at,
            holder=new_token_id(),
            lease_until=self._clock() + self._settings.claim_lease_s,
        )

    async def _claim(self, mine: Claim) -> tuple[Claim, str] | Delivered:
        """Win the claim, or wait until whoever holds it is done or its lease runs out."""
        etag = await self._claims.insert(mine)
        if etag is not None:
            return mine, etag
        while True:
            found = await self._claims.read(mine.key)
            if found is None:
                raise TemporaryFault("the claim on the call vanished")
            claim, etag = found
            if claim.account_id != mine.account_id:
                self._metrics.accounts_overlapping.add(1, {"account": mine.account_id})
                logger.error(
                    "a call of the IVR was delivered elsewhere too: the subscriptions' filters overlap"
                )
                return Delivered.OVERLAPPING
            if claim.holder == mine.holder:
                return claim, etag
            match judge(claim, self._clock()):
                case Found.FINISHED:
                    return Delivered.DUPLICATE
                case Found.TAKE_OVER:
                    next_claim = taken_over(claim, mine.holder, self._clock(), self._settings.claim_lease_s)
                    written = await self._claims.replace(next_claim, etag)
                    if written is not None:
                        return next_claim, written
                case Found.WAIT:
                    await asyncio.sleep(WAIT_STEP_S)

    async def _settle(self, ringing: _Ringing, claim: Claim, etag: str) -> Delivered:
        """Bring a claim that is ours to its outcome."""
        tried = await self._calls.read(claim.call_id) if claim.attempts > 1 else None
        if tried is not None and tried.record.call_connection_id is not None:
            return await self._finish(claim, etag, Outcome.ANSWERED)
        if self._clock() > ringing.deadline:
            return await self._finish(claim, etag, Outcome.MISSED)
        if is_blocked(ringing.account, ringing.call.caller.raw_id):
            return await self._reject(ringing, claim, etag, is_blocked=True)
        record = tried.record if tried is not None else await self._new_call(ringing, claim)
        if record is None:
            return await self._reject(ringing, claim, etag, is_blocked=False)
        await self._calls.create(record)
        return await self._answer(ringing, claim, etag, record, may_be_answered=tried is not None)

    async def _new_call(self, ringing: _Ringing, claim: Claim) -> IvrCall | None:
        """Return the call's first row; None where it has come round in a circle."""
        call = ringing.call
        outcome = next((value for name, value in call.voip_headers.items() if name.lower() == OUTCOME), "")
        earlier: Sequence[IvrCall] = ()
        if call.correlation_id:
            journey = await self._calls.journey(call.correlation_id)
            earlier = [each for each in journey if each.call_id != claim.call_id]
        what = arrival(
            [Pass(each.transferred_to) for each in earlier], called=call.called.raw_id, outcome=outcome
        )
        if what is Arrival.LOOP:
            logger.error(
                "a call has come round to the IVR in a circle, and is rejected",
                extra={"call_id": claim.call_id, "flow": ringing.flow, "passes": len(earlier)},
            )
            return None
        return IvrCall(
            call_id=claim.call_id,
            account_id=ringing.account.account_id,
            flow=ringing.flow,
            flow_version=ringing.version,
            caller=call.caller.raw_id,
            called=call.called.raw_id,
            correlation_id=call.correlation_id,
            server_call_id=call.server_call_id,
            traceparent=new_traceparent(),
            created=self._clock(),
            identity=ringing.identity,
            outcome=outcome if what is Arrival.BACK else "",
            context={**call.sip_headers, **call.voip_headers},
        )

    async def _answer(
        self, ringing: _Ringing, claim: Claim, etag: str, record: IvrCall, *, may_be_answered: bool
    ) -> Delivered:
        try:
            connection_id = await self._acs.answer_without_media(
                incoming_call_context=ringing.call.context,
                callback_url=await self._callback_url(record),
                call_id=record.call_id,
                repeatability=Repeatability(claim.repeatability_id, claim.made_at),
                cognitive_services_endpoint=self._settings.cognitive_services_endpoint,
            )
        except CallGone as gone:
            if may_be_answered:
                # Whether the earlier try answered shows in a callback, if not yet then soon.
                raise AcsUnavailable(f"an earlier try may have answered, and now {gone}") from gone
            return await self._finish(claim, etag, Outcome.MISSED)
        try:
            async with asyncio.timeout(MARK_BUDGET_S):
                await self._calls.change(
                    record.call_id,
                    lambda call: call if call.call_connection_id else bound_to(call, connection_id),
                )
                return await self._finish(claim, etag, Outcome.ANSWERED)
        except (GatewayError, TimeoutError) as error:
            # It is answered all the same; callbacks bind it too.
            logger.warning(
                "an answered call could not be marked",
                extra={"call_id": record.call_id, "fault": type(error).__name__},
            )
        return Delivered.ANSWERED

    async def _reject(self, ringing: _Ringing, claim: Claim, etag: str, *, is_blocked: bool) -> Delivered:
        try:
            await self._acs.reject(
                incoming_call_context=ringing.call.context,
                blocked=is_blocked,
                repeatability=Repeatability(claim.repeatability_id, claim.made_at),
            )
        except CallGone:
            return await self._finish(claim, etag, Outcome.MISSED)
        return await self._finish(claim, etag, Outcome.REJECTED)

    async def _finish(self, claim: Claim, etag: str, outcome: Outcome) -> Delivered:
        if await self._claims.replace(finished(claim, outcome), etag) is None:
            return Delivered.DUPLICATE
        self._metrics.calls.add(1, {"account": claim.account_id, "outcome": outcome.value})
        return Delivered(outcome.value)

    async def _give_up(self, claim: Claim, etag: str) -> None:
        """Let the next delivery take the claim at once; should this fail too, the lease runs out by itself."""
        try:
            await self._claims.replace(given_up(claim), etag)
        except GatewayError as error:
            logger.info(
                "a claim could not be given up", extra={"call_id": claim.call_id, "fault": str(error)}
            )

    async def _callback_url(self, call: IvrCall) -> str:
        token = mint(
            Audience.CALLBACK,
            call_id=call.call_id,
            account_id=call.account_id,
            jti=new_token_id(),
            signing=await self._callback_keys.signing_key(),
        )
        query = urlencode({"token": token, "traceparent": call.traceparent})
        return f"{self._settings.callback_base_url}{IVR_PATH}/{call.call_id}/events?{query}"
