"""Delivering events to one subscription: attempts, waits, and the dead letter at the end."""

import asyncio
import json
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import aiohttp
from yarl import URL

from emulator.event_grid.events import CLOUD_EVENTS_VERSION, METADATA_VERSION, DeliverySchema, Event
from emulator.event_grid.handshake import JSON_CONTENT_TYPE, ORIGIN
from emulator.event_grid.retry import SOCKET_ERROR, TIMED_OUT, Attempt, give_up_reason, wait_seconds
from emulator.event_grid.subscriptions import EventSubscription
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


class Delivery:
    """Brings events to webhooks.

    Args:
        session: for the requests.
        dead_letters: where undeliverable events go.
        timeout_seconds: for each request; Event Grid waits 30 s.
        time_scale: factor on the waits between attempts.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        dead_letters: DeadLetters,
        *,
        timeout_seconds: float,
        time_scale: float,
    ) -> None:
        self._session = session
        self._dead_letters = dead_letters
        self._timeout = aiohttp.ClientTimeout(total=timeout_seconds)
        self._time_scale = time_scale

    async def deliver(
        self, subscription: EventSubscription, events: Sequence[Event], report: Reporter | None
    ) -> None:
        """Deliver events as one request, again and again until they are acknowledged or given up.

        Their age counts waits in protocol seconds and requests in real ones, so that a scaled schedule
        expires after as many attempts as the real one.
        """
        loop = asyncio.get_running_loop()
        published = event_grid_time()
        age_seconds = 0.0
        attempts_made = 0
        while True:
            begun = loop.time()
            attempted = event_grid_time()
            attempt = await self._attempt(subscription, events, attempts_made)
            age_seconds += loop.time() - begun
            attempts_made += 1
            if report is not None:
                report(DeliveryReport(subscription.name, attempts_made, attempt))
            if attempt.delivered:
                return
            reason = give_up_reason(
                attempt, attempts_made=attempts_made, max_attempts=subscription.max_delivery_attempts
            )
            if reason is None:
                wait = wait_seconds(attempt, attempts_made=attempts_made)
                await asyncio.sleep(wait * self._time_scale)
                age_seconds += wait
                # The time to live is looked at only when the next attempt is due.
                if age_seconds <= subscription.ttl_seconds:
                    continue
                reason = TIME_TO_LIVE_EXCEEDED
            for event in events:
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

    async def _attempt(
        self, subscription: EventSubscription, events: Sequence[Event], attempts_made: int
    ) -> Attempt:
        """One attempt; the copies that a subscription asks for go out at the same time and do not count."""
        first, *_ = await asyncio.gather(
            *(self._post(subscription, events, attempts_made) for _ in range(subscription.copies))
        )
        return first

    async def _post(
        self, subscription: EventSubscription, events: Sequence[Event], attempts_made: int
    ) -> Attempt:
        try:
            async with self._session.post(
                URL(subscription.endpoint, encoded=True),
                data=_body(subscription, events),
                headers=_headers(subscription, events[0], attempts_made),
                timeout=self._timeout,
                allow_redirects=False,
            ) as response:
                return Attempt.answered(response.status)
        except TimeoutError:
            return TIMED_OUT
        except (aiohttp.ClientError, ValueError):  # ValueError: no host's name
            return SOCKET_ERROR


def _body(subscription: EventSubscription, events: Sequence[Event]) -> bytes:
    envelopes = [event.envelope(subscription.schema) for event in events]
    single = subscription.schema is DeliverySchema.CLOUD_EVENTS and subscription.max_events_per_batch is None
    return json.dumps(envelopes[0] if single else envelopes).encode()


def _headers(subscription: EventSubscription, event: Event, attempts_made: int) -> dict[str, str]:
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
            "aeg-data-version": event.data_version,
            "aeg-metadata-version": METADATA_VERSION,
        }
    batched = subscription.max_events_per_batch is not None
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
