"""Answering a call for the IVR: claim it, write its row, answer; each exactly once.

The claim is the gateway's own, by the same key and in another name: whatever subscriptions deliver, a call has one
answer. A call that has come round in a circle is rejected.
"""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from msgspec.structs import replace

from shared.acs.event_grid import GridEvent, read_incoming_call
from shared.adapters.call_automation import Repeatability
from shared.adapters.connect import Connections
from shared.calls.admission import Admission
from shared.calls.claiming import Held
from shared.calls.delivering import Delivered, Deliveries, Ringing, answered, mark
from shared.calls.ivr_flows import Flows
from shared.calls.overflow import Overflow
from shared.config import FunctionsSettings
from shared.core.call_state import CallEvent
from shared.core.claims import Claim, Outcome
from shared.core.ids import new_token_id, new_traceparent
from shared.core.ivr_call import IvrCall, bound_to, not_answered
from shared.core.journeys import Arrival, Pass, arrival
from shared.core.variables import OUTCOME
from shared.security.accounts import Account
from shared.security.keyring import Keyring
from shared.security.tokens import LIFETIME_S, Audience, mint

logger = logging.getLogger(__name__)

IVR_PATH = "/mg-genagent-acs/v1/ivr"


@dataclass(frozen=True, slots=True)
class _Ringing(Ringing):
    """A call that rings for a flow."""

    version: int
    """Of the gateway document that the flow is in."""
    flow: str
    identity: str


class IvrAnswerer:
    """Answers calls. `clock` tells Unix seconds."""

    def __init__(
        self,
        settings: FunctionsSettings,
        connections: Connections,
        flows: Flows,
        deliveries: Deliveries,
        *,
        callback_keys: Keyring,
        admission: Admission,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._calls = connections.ivr_calls
        self._acs = connections.call_control
        self._overflow = Overflow(connections.call_control, connections.claims)
        self._flows = flows
        self._deliveries = deliveries
        self._claiming = deliveries.claiming
        self._callback_keys = callback_keys
        self._admission = admission
        self._clock = clock

    async def incoming(self, account: Account, event: GridEvent, *, deadline: float) -> Delivered:
        """Answer the call of an IncomingCall event by its flow, unless another delivery did.

        While the store is away this goes as with an agent's call (`CallAnswerer.incoming`).

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
        # A cold process reads the vault while it claims the call, not after.
        self._callback_keys.refresher.begin()
        identity = routing.identity_of(account.account_id, flow)
        limits = self._deliveries.limits(event, deadline=deadline)
        ringing = _Ringing(account, call, event, routing, limits, version, flow, identity)
        # Another name than the claims of agents' calls have, which leave alone what is not their own.
        claim = self._claiming.new(call, event, account_id=f"ivr/{account.account_id}")
        return await self._deliveries.deliver(ringing, claim, settle=self._settle)

    async def _settle(self, ringing: _Ringing, held: Held) -> Delivered:
        """Bring a claim that is ours to its outcome."""
        claim = held.claim
        tried = await self._calls.read(claim.call_id) if claim.attempts > 1 else None
        if tried is not None and tried.record.call_connection_id is not None:
            return await self._mark_answered(held, tried.record, tried.record.call_connection_id)
        if self._clock() > ringing.limits.ring_deadline:
            return await self._close(held, Outcome.MISSED, CallEvent.RING_EXPIRED)
        if tried is not None:
            return await self._answer(ringing, held, tried.record, may_be_answered=True)
        record = await self._new_call(ringing, claim)
        if record is None:
            outcome, done = await self._overflow.reject(ringing.call, claim=claim)
            return await self._close(held, outcome, done)
        admitted = await self._admission.admit_to_flow(ringing.account, ringing.call, call_id=claim.call_id)
        if isinstance(admitted, CallEvent):
            outcome, done = await self._overflow.turn_away(
                ringing.account,
                ringing.call,
                claim=claim,
                own_numbers=ringing.routing.own_numbers,
                blocked=admitted is CallEvent.CALLER_BLOCKED,
            )
            return await self._close(held, outcome, admitted, done)
        record = replace(record, slot=admitted.slot)
        created = await self._calls.create(record)
        # There already: as with an agent's call, its writer may be about to answer.
        return await self._answer(ringing, held, record, may_be_answered=not created)

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
        self, ringing: _Ringing, held: Held, record: IvrCall, *, may_be_answered: bool
    ) -> Delivered:
        claim = held.claim
        self._deliveries.leave_to_the_store(ringing, claim)
        callback_url = await self._callback_url(record)

        async def ask() -> str:
            return await self._acs.answer_without_media(
                incoming_call_context=ringing.call.context,
                callback_url=callback_url,
                call_id=record.call_id,
                repeatability=Repeatability(claim.repeatability_id, claim.made_at),
                cognitive_services_endpoint=self._settings.cognitive_services_endpoint,
            )

        connection_id = await answered(ask, may_be_answered=may_be_answered)
        if connection_id is None:
            await self._calls.change(record.call_id, lambda call: not_answered(call, self._clock()))
            return await self._close(held, Outcome.MISSED, CallEvent.CALLER_GONE)
        return await self._mark_answered(held, record, connection_id)

    async def _mark_answered(self, held: Held, record: IvrCall, connection_id: str) -> Delivered:
        call_id = record.call_id
        await mark(
            call_id,
            self._calls.change(
                call_id, lambda call: call if call.call_connection_id else bound_to(call, connection_id)
            ),
            self._claiming.finish(held, Outcome.ANSWERED),
            self._admission.hold(record.slot, call_id, lasts_s=LIFETIME_S[Audience.CALLBACK]),
        )
        return Delivered.ANSWERED

    async def _close(self, held: Held, outcome: Outcome, *events: CallEvent) -> Delivered:
        """Record in the claim what became of a call that nobody answered."""
        finished = await self._claiming.finish(held, outcome, *events)
        return Delivered.DUPLICATE if finished is None else Delivered(outcome.value)

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
