"""Delivering events to one subscription: attempts, waits, and the dead letter at the end."""

import asyncio
import json
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import aiohttp
from yarl import URL

from emulator.event_grid.events import CLOUD_EVENTS_VERSION, METADATA_VERSION, DeliverySchema, Event
from emulator.event_grid.handshake import JSON_CONTENT_TYPE, ORIGIN
from emulator.event_grid.probation import Probation
from emulator.event_grid.retry import (
    DROPPED,
    HELD_BACK,
    SOCKET_ERROR,
    TIMED_OUT,
    Attempt,
    give_up_reason,
    wait_seconds,
)
from emulator.event_grid.subscriptions import EventSubscription
from emulator.faults.messages import Gathering, malformed, send_as_often_as_told, wait_as_told
from emulator.faults.operations import EVENT_GRID
from emulator.faults.registry import Faults, Occasion, Strike
from emulator.faults.rules import Batch, LoseAcknowledgement, Malform
from emulator.tasks import Tasks
from emulator.wire.timestamps import event_grid_time

MAX_DEAD_LETTERS: Final = 1_000
"""Dead letters that can still be read; beyond that the oldest are dropped and counted."""

CLOUD_EVENT_CONTENT_TYPE: Final = "application/cloudevents+json; charset=utf-8"
CLOUD_EVENT_BATCH_CONTENT_TYPE: Final = "application/cloudevents-batch+json; charset=utf-8"

TIME_TO_LIVE_EXCEEDED: Final = "TimeToLiveExceeded"


@dataclass(frozen=True)
class DeliveryReport:
    """One attempt, for whoever published the event.

    Attributes:
        subscription: the subscription's name.
        attempt: 1 for the first.
        result: how it went.
    """

    subscription: str
    attempt: int
    result: Attempt


Reporter = Callable[[DeliveryReport], None]


class DeadLetters:
    """Events that were given up, as Event Grid would write them to storage."""

    def __init__(self) -> None:
        self._letters: deque[dict[str, Any]] = deque(maxlen=MAX_DEAD_LETTERS)
        self.dropped = 0

    def add(self, letter: dict[str, Any]) -> None:
        """Keep one; the oldest goes when there are too many."""
        self.dropped += len(self._letters) == MAX_DEAD_LETTERS
        self._letters.append(letter)

    def all(self) -> list[dict[str, Any]]:
        """The letters, the oldest first."""
        return list(self._letters)


@dataclass(frozen=True)
class Parcel:
    """Events that are delivered as one request, and who wants to know of it.

    Attributes:
        reporters: called after each attempt.
    """

    events: Sequence[Event]
    reporters: Sequence[Reporter] = ()

    def report(self, subscription: EventSubscription, attempt: int, result: Attempt) -> None:
        """Tell all who want to know how an attempt went."""
        for reporter in self.reporters:
            reporter(DeliveryReport(subscription.name, attempt, result))


class Delivery:
    """Brings events to webhooks.

    Args:
        session: for the requests.
        dead_letters: where undeliverable events go.
        faults: rules that strike attempts.
        timeout_seconds: for each request; Event Grid waits 30 s.
        time_scale: factor on the waits between attempts.
        probation: holds endpoints back that fail again and again; none does where it is None.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        dead_letters: DeadLetters,
        faults: Faults,
        *,
        timeout_seconds: float,
        time_scale: float,
        probation: Probation | None,
    ) -> None:
        self._session = session
        self._dead_letters = dead_letters
        self._faults = faults
        self._timeout = aiohttp.ClientTimeout(total=timeout_seconds)
        self._time_scale = time_scale
        self._probation = probation
        self._gathering: Gathering[Parcel] = Gathering()

    async def deliver(self, subscription: EventSubscription, parcel: Parcel, tasks: Tasks) -> None:
        """Deliver events as one request, again and again until they are acknowledged or given up.

        Their age counts waits in protocol seconds and requests in real ones, so that a scaled schedule
        expires after as many attempts as the real one.

        Args:
            subscription: who gets them.
            parcel: what is delivered.
            tasks: own what is sent later.
        """
        loop = asyncio.get_running_loop()
        published = attempted = event_grid_time()
        age_seconds = 0.0
        attempts_made = 0
        attempt = HELD_BACK
        while True:
            age_seconds += await self._probation_served(subscription)
            reason = TIME_TO_LIVE_EXCEEDED
            # The time to live is looked at only when the next attempt is due.
            if age_seconds <= subscription.ttl_seconds:
                occasion = _occasion(subscription, parcel.events[0])
                strike = self._faults.take(occasion)
                gathered = await self._gathered(subscription, parcel, strike, attempts_made)
                if gathered is None:
                    return
                parcel = gathered
                begun = loop.time()
                attempted = event_grid_time()
                if await wait_as_told(self._faults, strike, occasion):
                    attempt = await self._attempt(subscription, parcel.events, attempts_made, strike, tasks)
                else:
                    attempt = DROPPED
                age_seconds += loop.time() - begun
                attempts_made += 1
                parcel.report(subscription, attempts_made, attempt)
                if attempt is DROPPED:
                    return
                self._note(subscription, attempt)
                if attempt.delivered:
                    return
                given_up = give_up_reason(
                    attempt, attempts_made=attempts_made, max_attempts=subscription.max_delivery_attempts
                )
                if given_up is None:
                    wait = wait_seconds(attempt, attempts_made=attempts_made)
                    await asyncio.sleep(wait * self._time_scale)
                    age_seconds += wait
                    continue
                reason = given_up
            for event in parcel.events:
                self._dead_letters.add(
                    _dead_letter(
                        event.envelope(subscription.schema),
                        schema=subscription.schema,
                        reason=reason,
                        attempts=attempts_made,
                        outcome=attempt.outcome,
                        published=published,
                        last_attempt=attempted,
                    )
                )
            return

    async def _probation_served(self, subscription: EventSubscription) -> float:
        """Wait until the endpoint is on no probation any more; how long that was, in protocol seconds."""
        if self._probation is None:
            return 0.0
        served = 0.0
        while remaining := self._probation.remaining_seconds(subscription.endpoint, now=self._now()):
            await asyncio.sleep(remaining * self._time_scale)
            served += remaining
        return served

    def _note(self, subscription: EventSubscription, attempt: Attempt) -> None:
        if self._probation is not None:
            self._probation.note(subscription.endpoint, attempt, now=self._now())

    def _now(self) -> float:
        """The time in protocol seconds."""
        return asyncio.get_running_loop().time() / self._time_scale

    async def _gathered(
        self, subscription: EventSubscription, parcel: Parcel, strike: Strike | None, attempts_made: int
    ) -> Parcel | None:
        """The parcel, with those that a rule wants in the same request; None when it goes with another."""
        if strike is None or not isinstance(strike.action, Batch) or attempts_made:
            return parcel
        action = strike.action
        parcels = await self._gathering.join(
            subscription.name, parcel, size=action.size, within_seconds=action.within_ms / 1000
        )
        if parcels is None:
            return None
        return Parcel(
            [event for each in parcels for event in each.events],
            [reporter for each in parcels for reporter in each.reporters],
        )

    async def _attempt(
        self,
        subscription: EventSubscription,
        events: Sequence[Event],
        attempts_made: int,
        strike: Strike | None,
        tasks: Tasks,
    ) -> Attempt:
        action = strike.action if strike is not None else None
        content = _content(subscription, events)
        body = (
            malformed(content, action.variant)
            if isinstance(action, Malform)
            else json.dumps(content).encode()
        )
        headers = _headers(subscription, events, attempts_made)

        async def post() -> Attempt:
            return await self._post(subscription.endpoint, body, headers)

        attempt = await send_as_often_as_told(strike, post, tasks)
        return TIMED_OUT if isinstance(action, LoseAcknowledgement) else attempt

    async def _post(self, endpoint: str, body: bytes, headers: Mapping[str, str]) -> Attempt:
        try:
            async with self._session.post(
                URL(endpoint, encoded=True),
                data=body,
                headers=headers,
                timeout=self._timeout,
                allow_redirects=False,
            ) as response:
                return Attempt.answered(response.status)
        except TimeoutError:
            return TIMED_OUT
        except (aiohttp.ClientError, ValueError):  # ValueError: no host's name
            return SOCKET_ERROR


def _occasion(subscription: EventSubscription, event: Event) -> Occasion:
    name = event.type.removeprefix("Microsoft.Communication.")
    thing = f"{subscription.name} {name} {event.thing or event.subject}"
    return Occasion(EVENT_GRID, name, event.call_names, thing, about=f"{name} to {subscription.name}")


def _in_array(subscription: EventSubscription, events: Sequence[Event]) -> bool:
    """Whether events come as an array: a CloudEvent does only in a batch."""
    return (
        subscription.schema is DeliverySchema.EVENT_GRID
        or subscription.max_events_per_batch is not None
        or len(events) > 1
    )


def _content(
    subscription: EventSubscription, events: Sequence[Event]
) -> list[dict[str, Any]] | dict[str, Any]:
    envelopes = [event.envelope(subscription.schema) for event in events]
    return envelopes if _in_array(subscription, events) else envelopes[0]


def _headers(subscription: EventSubscription, events: Sequence[Event], attempts_made: int) -> dict[str, str]:
    headers = {
        **subscription.sent_headers,
        "aeg-event-type": "Notification",
        "aeg-subscription-name": subscription.name.upper(),
        "aeg-delivery-count": str(attempts_made),
    }
    if subscription.schema is DeliverySchema.EVENT_GRID:
        return {
            **headers,
            "Content-Type": JSON_CONTENT_TYPE,
            "aeg-data-version": events[0].data_version,
            "aeg-metadata-version": METADATA_VERSION,
        }
    batched = _in_array(subscription, events)
    return {
        **headers,
        "Content-Type": CLOUD_EVENT_BATCH_CONTENT_TYPE if batched else CLOUD_EVENT_CONTENT_TYPE,
        "aeg-data-version": CLOUD_EVENTS_VERSION,
        "aeg-metadata-version": CLOUD_EVENTS_VERSION,
        "WebHook-Request-Origin": ORIGIN,
        "Origin": ORIGIN,
    }


def _dead_letter(
    envelope: dict[str, Any],
    *,
    schema: DeliverySchema,
    reason: str,
    attempts: int,
    outcome: str,
    published: str,
    last_attempt: str,
) -> dict[str, Any]:
    notes: dict[str, Any] = {
        "deadLetterReason": reason,
        "deliveryAttempts": attempts,
        "lastDeliveryOutcome": outcome,
        "publishTime": published,
        "lastDeliveryAttemptTime": last_attempt,
    }
    if schema is DeliverySchema.CLOUD_EVENTS:  # attribute names of CloudEvents are all lower case
        notes = {name.lower(): value for name, value in notes.items()}
    return {**envelope, **notes}
