"""Answering a call that rings: claim it, write its row, mint its tokens, answer; each exactly once.

The order is what makes it safe. The claim is won by one delivery; the row stands before ACS hears the answer,
because callbacks and the media socket may arrive before the answer returns; and whatever dies in between is
taken up by the next delivery with the same ids, which ACS recognises as the same request.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from urllib.parse import urlencode

from shared.acs.event_grid import GridEvent, read_incoming_call
from shared.adapters.call_automation import Repeatability
from shared.adapters.call_store import CallRow
from shared.adapters.connect import Connections
from shared.calls.admission import Admission
from shared.calls.claiming import Held
from shared.calls.delivering import Delivered, Deliveries, Ringing, answered, mark
from shared.calls.overflow import Overflow
from shared.calls.pods import PodLoads
from shared.calls.profiles import Profiles
from shared.config import FunctionsSettings
from shared.core.call import CallRecord, CallTimes, advance, bind_connection
from shared.core.call_state import CallEvent
from shared.core.claims import Claim, Outcome
from shared.core.ids import new_token_id, new_traceparent
from shared.core.profiles import AgentProfile
from shared.core.variables import read_context
from shared.errors import TemporaryFault
from shared.security.accounts import Account
from shared.security.keyring import Keyring
from shared.security.tokens import Audience, mint

logger = logging.getLogger(__name__)

CALLS_PATH = "/mg-genagent-acs/v1/calls"
MEDIA_PATH = "/media"


@dataclass(frozen=True, slots=True)
class _Ringing(Ringing):
    """A call that rings for an agent."""

    profile: AgentProfile


class CallAnswerer:
    """Answers calls. `clock` tells Unix seconds."""

    def __init__(
        self,
        settings: FunctionsSettings,
        connections: Connections,
        profiles: Profiles,
        deliveries: Deliveries,
        *,
        media_keys: Keyring,
        callback_keys: Keyring,
        admission: Admission,
        pods: PodLoads,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._claims = connections.claims
        self._calls = connections.calls
        self._acs = connections.call_control
        self._overflow = Overflow(connections.call_control, connections.claims)
        self._profiles = profiles
        self._deliveries = deliveries
        self._claiming = deliveries.claiming
        self._media_keys = media_keys
        self._callback_keys = callback_keys
        self._admission = admission
        self._pods = pods
        self._clock = clock

    async def incoming(self, account: Account, event: GridEvent, *, deadline: float) -> Delivered:
        """Answer the call of an IncomingCall event, unless another delivery did.

        Where the store is away, and no later delivery would come in time, the call is turned away. `deadline`, by
        the loop's clock, is when the delivery's time is over; cancelling it then is the caller's.

        Raises:
            MalformedMessage: the event does not hold what answering needs.
            TemporaryFault: the same event may be delivered again with success.
        """
        call = read_incoming_call(event)
        routing = await self._profiles.routing()
        profile = routing.profile_for(account.account_id, call.called.raw_id)
        if profile is None:
            logger.warning("no route for a call", extra={"account": account.account_id})
            return Delivered.UNROUTED
        for keys in (self._media_keys, self._callback_keys):
            # A cold process reads the vault while it claims the call, not after.
            keys.refresher.begin()
        limits = self._deliveries.limits(event, deadline=deadline)
        ringing = _Ringing(account, call, event, routing, limits, profile)
        claim = self._claiming.new(call, event, account_id=account.account_id)
        delivered = await self._deliveries.deliver(ringing, claim, settle=self._settle, close=self._write_end)
        if delivered is not Delivered.ANSWERED:
            self._pods.cancel(claim.call_id)
        return delivered

    async def _settle(self, ringing: _Ringing, held: Held) -> Delivered:
        """Bring a claim that is ours to its outcome."""
        # The row is written just before ACS is asked: where it stands, an earlier holder may have answered.
        tried = await self._calls.read(held.claim.call_id) if held.claim.attempts > 1 else None
        if tried is not None and tried.record.call_connection_id is not None:
            return await self._mark_answered(ringing, held, tried, tried.record.call_connection_id)
        if self._clock() > ringing.limits.ring_deadline:
            return await self._close(ringing, held, Outcome.MISSED, CallEvent.RING_EXPIRED)
        if tried is not None:
            return await self._answer(ringing, held, tried, may_be_answered=True)
        call_id = held.claim.call_id
        admitted = await self._admission.admit(
            ringing.account, ringing.profile, ringing.call, call_id=call_id
        )
        if isinstance(admitted, CallEvent):
            outcome, done = await self._overflow.turn_away(
                ringing.account,
                ringing.call,
                claim=held.claim,
                own_numbers=ringing.routing.own_numbers,
                blocked=admitted is CallEvent.CALLER_BLOCKED,
            )
            return await self._close(ringing, held, outcome, admitted, done)
        record = replace(self._new_record(ringing, held.claim, CallEvent.ANSWER_SENT), slot=admitted.slot)
        created = await self._calls.create(record)
        # There already: the client's second try met its first, whose reply was lost. Or an earlier holder, late
        # but alive, wrote it just now: then it is about to answer.
        row = created or await self._calls.read(call_id)
        if row is None:
            raise TemporaryFault("the call's row vanished")
        return await self._answer(ringing, held, row, may_be_answered=created is None)

    async def _answer(
        self, ringing: _Ringing, held: Held, row: CallRow, *, may_be_answered: bool
    ) -> Delivered:
        """Ask ACS to answer; `row` is the call's row as it was last seen."""
        claim, record = held.claim, row.record
        self._deliveries.leave_to_the_store(ringing, claim)
        callback_url, media_url = await self._urls(record)

        async def ask() -> str:
            return await self._acs.answer(
                incoming_call_context=ringing.call.context,
                callback_url=callback_url,
                media_url=media_url,
                audio_format=record.profile.audio_format,
                call_id=claim.call_id,
                repeatability=Repeatability(claim.repeatability_id, claim.made_at),
                cognitive_services_endpoint=self._settings.cognitive_services_endpoint,
            )

        connection_id = await answered(ask, may_be_answered=may_be_answered)
        if connection_id is None:
            self._pods.cancel(claim.call_id)
            return await self._close(ringing, held, Outcome.MISSED, CallEvent.CALLER_GONE)
        return await self._mark_answered(ringing, held, row, connection_id)

    async def _mark_answered(
        self, ringing: _Ringing, held: Held, row: CallRow, connection_id: str
    ) -> Delivered:
        call_id = held.claim.call_id
        await mark(
            call_id,
            self._calls.change(call_id, lambda r: bind_connection(r, connection_id), known=row),
            self._claiming.finish(held, Outcome.ANSWERED),
            # For people: dead letters name the event. Never worth an answer, so it comes after.
            self._claims.index_event(ringing.event.event_id, held.claim.key),
            self._pods.announce(call_id),
            self._admission.hold(row.record.slot, call_id, lasts_s=row.record.profile.max_duration_s),
        )
        return Delivered.ANSWERED

    async def _close(self, ringing: _Ringing, held: Held, outcome: Outcome, *events: CallEvent) -> Delivered:
        """Record a call that nobody answered: what happened to it, and how it thereby ended.

        The claim goes first: who lost it meanwhile must not touch the row of whoever answers now.
        """
        claim = await self._claiming.finish(held, outcome, *events)
        if claim is None:
            return Delivered.DUPLICATE
        await self._write_end(ringing, claim)
        return Delivered(outcome.value)

    async def _write_end(self, ringing: _Ringing, claim: Claim) -> None:
        """Write the row of a call that nobody answered, unless that is done.

        A call that turns out to be bound was answered after all.
        """
        if not await self._calls.create(self._new_record(ringing, claim, *claim.closed_by)):
            await self._calls.change(
                claim.call_id,
                lambda r: (
                    r
                    if r.state.is_final or r.call_connection_id is not None
                    else self._advanced(r, *claim.closed_by)
                ),
            )

    def _advanced(self, record: CallRecord, *events: CallEvent) -> CallRecord:
        now = self._clock()
        for event in events:
            record = advance(record, event, now)
        return record

    def _new_record(self, ringing: _Ringing, claim: Claim, *events: CallEvent) -> CallRecord:
        context = read_context(ringing.call.voip_headers, ringing.call.sip_headers, ringing.profile.context)
        record = CallRecord(
            call_id=claim.call_id,
            account_id=ringing.account.account_id,
            profile=ringing.profile,
            caller=ringing.call.caller.raw_id,
            called=ringing.call.called.raw_id,
            correlation_id=ringing.call.correlation_id,
            server_call_id=ringing.call.server_call_id,
            variables=context.variables,
            return_to=context.return_to,
            task=context.task,
            media_jti=claim.media_jti,
            traceparent=new_traceparent(),
            times=CallTimes(created=self._clock()),
        )
        return self._advanced(record, *events)

    async def _urls(self, record: CallRecord) -> tuple[str, str]:
        """Return the callback URL and the media URL, each with its own token and the call's trace context."""
        media_key, callback_key = await asyncio.gather(
            self._media_keys.signing_key(), self._callback_keys.signing_key()
        )
        who = {"call_id": record.call_id, "account_id": record.account_id}
        media = mint(Audience.MEDIA, jti=record.media_jti, signing=media_key, **who)
        callback = mint(Audience.CALLBACK, jti=new_token_id(), signing=callback_key, **who)
        callback_query = urlencode({"token": callback, "traceparent": record.traceparent})
        media_query = urlencode({"token": media, "traceparent": record.traceparent})
        return (
            f"{self._settings.callback_base_url}{CALLS_PATH}/{record.call_id}/events?{callback_query}",
            f"{self._settings.media_base_url}{MEDIA_PATH}/{record.call_id}?{media_query}",
        )
