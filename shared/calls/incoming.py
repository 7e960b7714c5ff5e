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
from enum import StrEnum
from urllib.parse import urlencode

from shared.acs.event_grid import GridEvent, IncomingCall, read_incoming_call
from shared.adapters.call_automation import Repeatability
from shared.adapters.call_store import CallRow
from shared.adapters.claim_store import TableClaimStore
from shared.adapters.connect import Connections
from shared.calls.admission import Admission
from shared.calls.overflow import Overflow
from shared.calls.pods import PodLoads
from shared.calls.profiles import Profiles
from shared.calls.store_away import StoreAway
from shared.config import FunctionsSettings
from shared.core.call import CallRecord, CallTimes, advance, bind_connection
from shared.core.call_state import CallEvent
from shared.core.claims import (
    Claim,
    Found,
    Outcome,
    finished,
    given_up,
    is_last_chance,
    judge,
    repeatability_id,
    taken_over,
)
from shared.core.ids import claim_key, new_call_id, new_token_id, new_traceparent
from shared.core.profiles import AgentProfile, Routing
from shared.core.variables import read_context
from shared.errors import AcsUnavailable, CallGone, GatewayError, StoreUnavailable, TemporaryFault
from shared.metrics import Metrics
from shared.security.accounts import Account
from shared.security.keyring import Keyring
from shared.security.tokens import Audience, mint

logger = logging.getLogger(__name__)

CALLS_PATH = "/mg-genagent-acs/v1/calls"
MEDIA_PATH = "/media"
WAIT_STEP_S = 0.1
"""How often a delivery looks whether the one that holds the claim is done."""
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
    """Another account's subscription delivered the call first."""
    UNROUTED = "unrouted"


@dataclass(frozen=True, slots=True)
class _Held:
    """A claim that is ours now, with the ETag to write it by."""

    claim: Claim
    etag: str


@dataclass(frozen=True, slots=True)
class _Ringing:
    """Everything known about the call that rings."""

    account: Account
    profile: AgentProfile
    routing: Routing
    """Which the profile is of; a call is never redirected to a number that has a route."""
    call: IncomingCall
    event: GridEvent
    deadline: float
    """Unix seconds after which nobody can answer it any more."""
    store_wait: asyncio.Timeout
    """Until when the store is waited for, where the call can be turned away without it."""


class CallAnswerer:
    """Answers calls. `clock` tells Unix seconds."""

    def __init__(
        self,
        settings: FunctionsSettings,
        connections: Connections,
        profiles: Profiles,
        *,
        media_keys: Keyring,
        callback_keys: Keyring,
        admission: Admission,
        pods: PodLoads,
        metrics: Metrics,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._claims: TableClaimStore = connections.claims
        self._calls = connections.calls
        self._acs = connections.call_control
        self._overflow = Overflow(connections.call_control, connections.claims)
        self._profiles = profiles
        self._media_keys = media_keys
        self._callback_keys = callback_keys
        self._admission = admission
        self._store_away = StoreAway(
            connections.call_control, metrics, event_budget_s=settings.event_budget_s, clock=clock
        )
        self._pods = pods
        self._metrics = metrics
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
        claim = self._new_claim(account, call, event)
        if self._store_away.was_turned_away(claim.key):
            return Delivered.DUPLICATE
        is_last = is_last_chance(
            self._clock() - event.at,
            ring_deadline_s=self._settings.ring_deadline_s,
            event_budget_s=self._settings.event_budget_s,
        )
        ring_deadline = event.at + self._settings.ring_deadline_s
        store_wait = asyncio.timeout_at(deadline - self._store_away.reserved_s if is_last else None)
        ringing = _Ringing(account, profile, routing, call, event, ring_deadline, store_wait)
        try:
            async with store_wait:
                return await self._deliver(ringing, claim)
        except (StoreUnavailable, TimeoutError):
            if not is_last:
                raise
            settled = await self._store_away.turn_away(
                account, call, claim=claim, own_numbers=routing.own_numbers, ring_deadline=ring_deadline
            )
            if not settled.is_done:
                raise
            self._pods.cancel(claim.call_id)
            return Delivered(settled.value)

    async def _deliver(self, ringing: _Ringing, mine: Claim) -> Delivered:
        """Bring the call to its outcome, as far as the store lets it."""
        held = await self._claim(ringing, mine)
        account_id = ringing.account.account_id
        if isinstance(held, Delivered):
            if held is Delivered.OVERLAPPING:
                self._metrics.accounts_overlapping.add(1, {"account": account_id})
                logger.error(
                    "two accounts' subscriptions deliver the same call", extra={"account": account_id}
                )
            return held
        try:
            delivered = await self._settle(ringing, held)
        except TemporaryFault:
            await self._give_up(held)
            raise
        logger.info(
            "a call was delivered",
            extra={"call_id": held.claim.call_id, "account": account_id, "outcome": delivered.value},
        )
        return delivered

    def _new_claim(self, account: Account, call: IncomingCall, event: GridEvent) -> Claim:
        key = claim_key(call.context)
        return Claim(
            key=key,
            event_id=event.event_id,
            account_id=account.account_id,
            call_id=new_call_id(),
            media_jti=new_token_id(),
            repeatability_id=repeatability_id(key),
            made_at=event.at,
            holder=new_token_id(),
            lease_until=self._clock() + self._settings.claim_lease_s,
        )

    def _leave_to_the_store(self, ringing: _Ringing, claim: Claim) -> None:
        """From now on the call may be answered, and only the store tells: it is not turned away without it."""
        self._store_away.may_be_answered(claim.key)
        ringing.store_wait.reschedule(None)

    async def _claim(self, ringing: _Ringing, mine: Claim) -> _Held | Delivered:
        """Win the claim, or wait until whoever holds it is done or its lease runs out.

        A claim of another account is left alone, come what may: that account's deliveries go on with it.
        """
        etag = await self._claims.insert(mine)
        if etag is not None:
            return _Held(mine, etag)
        self._leave_to_the_store(ringing, mine)
        while True:
            found = await self._claims.read(mine.key)
            if found is None:
                raise TemporaryFault("the claim on the call vanished")
            claim, etag = found
            if claim.account_id != mine.account_id:
                return Delivered.OVERLAPPING
            if claim.holder == mine.holder:
                # Our write did get through: its reply was lost, and the client's second try met the first.
                return _Held(claim, etag)
            match judge(claim, self._clock()):
                case Found.FINISHED:
                    if claim.closed_by:
                        await self._write_end(ringing, claim)
                    return Delivered.DUPLICATE
                case Found.TAKE_OVER:
                    next_claim = taken_over(claim, mine.holder, self._clock(), self._settings.claim_lease_s)
                    written = await self._claims.replace(next_claim, etag)
                    if written is not None:
                        return _Held(next_claim, written)
                case Found.WAIT:
                    await asyncio.sleep(WAIT_STEP_S)

    async def _settle(self, ringing: _Ringing, held: _Held) -> Delivered:
        """Bring a claim that is ours to its outcome."""
        # The row is written just before ACS is asked: where it stands, an earlier holder may have answered.
        tried = await self._calls.read(held.claim.call_id) if held.claim.attempts > 1 else None
        if tried is not None and tried.record.call_connection_id is not None:
            return await self._mark_answered(ringing, held, tried, tried.record.call_connection_id)
        if self._clock() > ringing.deadline:
            return await self._close(ringing, held, Outcome.MISSED, CallEvent.RING_EXPIRED)
        if tried is not None:
            return await self._answer(ringing, held, tried, may_be_answered=True)
        call_id, caller = held.claim.call_id, ringing.call.caller.raw_id
        admitted = await self._admission.admit(
            ringing.account, ringing.profile, caller=caller, call_id=call_id
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
        self, ringing: _Ringing, held: _Held, row: CallRow, *, may_be_answered: bool
    ) -> Delivered:
        """Ask ACS to answer; `row` is the call's row as it was last seen."""
        claim, record = held.claim, row.record
        self._leave_to_the_store(ringing, claim)
        callback_url, media_url = await self._urls(record)
        for tries in range(1, ANSWER_TRIES + 1):
            try:
                connection_id = await self._acs.answer(
                    incoming_call_context=ringing.call.context,
                    callback_url=callback_url,
                    media_url=media_url,
                    audio_format=record.profile.audio_format,
                    call_id=claim.call_id,
                    repeatability=Repeatability(claim.repeatability_id, claim.made_at),
                    cognitive_services_endpoint=self._settings.cognitive_services_endpoint,
                )
                break
            except CallGone as gone:
                if may_be_answered:
                    # Whether the earlier try answered shows in a callback or a socket, if not yet then soon;
                    # the ring deadline ends the waiting.
                    raise AcsUnavailable(f"an earlier try may have answered, and now {gone}") from gone
                logger.info("a caller gave up", extra={"call_id": claim.call_id, "fault": str(gone)})
                self._pods.cancel(claim.call_id)
                return await self._close(ringing, held, Outcome.MISSED, CallEvent.CALLER_GONE)
            except AcsUnavailable:
                if tries == ANSWER_TRIES:
                    raise
                may_be_answered = True
                await asyncio.sleep(ANSWER_PAUSE_S)
        return await self._mark_answered(ringing, held, row, connection_id)

    async def _mark_answered(
        self, ringing: _Ringing, held: _Held, row: CallRow, connection_id: str
    ) -> Delivered:
        """Write down that the call is up; whatever fails here, it is.

        Its callbacks and its socket bind the connection too, and another delivery finds that out. To ask for
        one by a 500 would only add load to a store that is away, and so would waiting for it.
        """
        call_id = held.claim.call_id
        results = await asyncio.gather(
            *(
                asyncio.wait_for(mark, MARK_BUDGET_S)
                for mark in (
                    self._calls.change(call_id, lambda r: bind_connection(r, connection_id), known=row),
                    self._finish(ringing, held, Outcome.ANSWERED),
                    # For people: dead letters name the event. Never worth an answer, so it comes after.
                    self._claims.index_event(ringing.event.event_id, held.claim.key),
                    self._pods.announce(call_id),
                    self._admission.answered(row.record),
                )
            ),
            return_exceptions=True,
        )
        for result in results:
            if isinstance(result, BaseException):
                logger.warning(
                    "an answered call could not be marked",
                    extra={"call_id": call_id, "fault": f"{type(result).__name__}: {result}"},
                )
        return Delivered.ANSWERED

    async def _close(self, ringing: _Ringing, held: _Held, outcome: Outcome, *events: CallEvent) -> Delivered:
        """Record a call that nobody answered: what happened to it, and how it thereby ended.

        The claim goes first: who lost it meanwhile must not touch the row of whoever answers now.
        """
        claim = await self._finish(ringing, held, outcome, *events)
        if claim is None:
            return Delivered.DUPLICATE
        await self._write_end(ringing, claim)
        return Delivered(outcome.value)

    async def _write_end(self, ringing: _Ringing, claim: Claim) -> None:
        """Write the row of a call that nobody answered, unless that is done.

        Every later delivery does so too: whoever finished the claim may have died before it did. A call that
        turns out to be bound was answered after all.
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

    async def _finish(
        self, ringing: _Ringing, held: _Held, outcome: Outcome, *closed_by: CallEvent
    ) -> Claim | None:
        """Finish the claim, and count the call; None: it was lost meanwhile, and both are for whoever took it."""
        claim = finished(held.claim, outcome, closed_by)
        if await self._claims.replace(claim, held.etag) is None:
            # Or is it ours? The client's second try meets its first, whose reply was lost.
            found = await self._claims.read(claim.key)
            if found is None or found[0] != claim:
                return None
        self._metrics.calls.add(1, {"account": ringing.account.account_id, "outcome": outcome.value})
        return claim

    async def _give_up(self, held: _Held) -> None:
        """Let the next delivery take the claim at once; should this fail too, the lease runs out by itself."""
        try:
            await self._claims.replace(given_up(held.claim), held.etag)
        except GatewayError as error:
            logger.info(
                "a claim could not be given up", extra={"call_id": held.claim.call_id, "fault": str(error)}
            )

    def _advanced(self, record: CallRecord, *events: CallEvent) -> CallRecord:
        now = self._clock()
        for event in events:
            record = advance(record, event, now)
        return record

    def _new_record(self, ringing: _Ringing, claim: Claim, *events: CallEvent) -> CallRecord:
        context = read_context(ringing.call.voip_headers, ringing.call.sip_headers)
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
