"""The Event Grid of the emulated resource: its subscriptions, and what is published to them."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import aiohttp

from emulator.event_grid.delivery import DeadLetters, Delivery, Parcel, Reporter
from emulator.event_grid.events import Event
from emulator.event_grid.handshake import Handshake, Validation
from emulator.event_grid.probation import Probation
from emulator.event_grid.subscriptions import EventSubscription, ProvisioningState
from emulator.faults.registry import Faults
from emulator.tasks import Tasks

MANUAL_VALIDATION_SECONDS: Final = 600
"""How long an endpoint may take to consent through the validation URL."""

MAX_PENDING_DELIVERIES: Final = 10_000
"""Deliveries under way at a time, over all subscriptions; further events are dropped and counted."""

_HANDSHAKE_END_SECONDS: Final = 0.25


@dataclass(eq=False)
class LiveSubscription:
    """A subscription with where it stands."""

    definition: EventSubscription
    validation: Validation = field(default_factory=Validation)
    state: ProvisioningState = ProvisioningState.AWAITING_MANUAL_ACTION
    handshake_ended: asyncio.Event = field(default_factory=asyncio.Event)
    settled: asyncio.Event = field(default_factory=asyncio.Event)
    tasks: Tasks = field(default_factory=Tasks)


class EventGrid:
    """Subscriptions and deliveries.

    Args:
        session: for handshakes and deliveries.
        faults: rules that strike deliveries.
        base_url: of the emulator.
        timeout_seconds: for each request to a webhook.
        time_scale: factor on waits and lifetimes.
        probation: whether endpoints that fail again and again are held back.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        faults: Faults,
        *,
        base_url: str,
        timeout_seconds: float,
        time_scale: float,
        probation: bool,
    ) -> None:
        self.dead_letters = DeadLetters()
        self.dropped_events = 0
        self._subscriptions: dict[str, LiveSubscription] = {}
        self._validating: dict[str, LiveSubscription] = {}
        self._time_scale = time_scale
        self._handshake = Handshake(
            session, base_url=base_url, timeout_seconds=timeout_seconds, time_scale=time_scale
        )
        self._probation = Probation() if probation else None
        self._delivery = Delivery(
            session,
            self.dead_letters,
            faults,
            timeout_seconds=timeout_seconds,
            time_scale=time_scale,
            probation=self._probation,
        )

    def subscriptions(self) -> list[LiveSubscription]:
        """All subscriptions, by age."""
        return list(self._subscriptions.values())

    def find(self, name: str) -> LiveSubscription | None:
        """The subscription of this name, in any case."""
        return self._subscriptions.get(name.lower())

    async def subscribe(self, definition: EventSubscription) -> LiveSubscription:
        """Create or replace a subscription; every change is validated with the endpoint anew.

        Args:
            definition: a valid one, as `read_subscription` makes them.

        Raises:
            SubscriptionRefused: its endpoint does not consent; a subscription that this was to replace stays.
        """
        live = LiveSubscription(definition)
        self._validating[live.validation.token] = live
        try:
            consents = await self._handshake.perform(definition, live.validation)
        except BaseException:
            del self._validating[live.validation.token]
            raise
        finally:
            live.handshake_ended.set()
        replaced = self.find(definition.name)
        if replaced is not None:
            self._validating.pop(replaced.validation.token, None)
            live.tasks = replaced.tasks
        self._subscriptions[definition.name.lower()] = live
        if consents:
            self._settle(live, ProvisioningState.SUCCEEDED)
        else:
            live.tasks.start(self._await_consent(live), name="event-grid-validation")
        return live

    async def consent(self, code: str, token: str) -> bool:
        """Somebody opened a validation URL.

        Returns:
            Whether this ends a validation. It does not while the handshake request is still unanswered: the
            real service does not count that either.
        """
        live = self._validating.get(token)
        if live is None or live.validation.code != code:
            return False
        try:
            # The answer to the handshake may be on its way; one that waits for us before it answers is not.
            async with asyncio.timeout(_HANDSHAKE_END_SECONDS):
                await live.handshake_ended.wait()
        except TimeoutError:
            return False
        if self._validating.get(token) is not live:
            return live.state is ProvisioningState.SUCCEEDED
        self._settle(live, ProvisioningState.SUCCEEDED)
        return True

    async def unsubscribe(self, name: str) -> bool:
        """Remove a subscription and drop its pending deliveries; False when there is none of this name."""
        live = self._subscriptions.pop(name.lower(), None)
        if live is None:
            return False
        self._validating.pop(live.validation.token, None)
        if self._probation is not None:
            self._probation.forget(live.definition.endpoint)
        await live.tasks.close()
        return True

    def publish(self, events: Sequence[Event], report: Reporter | None = None) -> int:
        """Send events to all subscriptions that want them; returns at once.

        Args:
            events: published together.
            report: called after every delivery attempt.

        Returns:
            To how many subscriptions something is being delivered.
        """
        reached = 0
        reporters = () if report is None else (report,)
        for live in self.subscriptions():
            wanted = [event for event in events if live.definition.filter.matches(event)]
            if live.state is not ProvisioningState.SUCCEEDED or not wanted:
                continue
            reached += 1
            size = live.definition.max_events_per_batch or 1
            for first in range(0, len(wanted), size):
                together = wanted[first : first + size]
                if self._pending() >= MAX_PENDING_DELIVERIES:
                    self.dropped_events += len(together)
                    continue
                live.tasks.start(
                    self._delivery.deliver(live.definition, Parcel(together, reporters), live.tasks),
                    name="event-grid-delivery",
                )
        return reached

    async def close(self) -> None:
        """Drop all subscriptions and pending deliveries."""
        for live in self.subscriptions():
            await self.unsubscribe(live.definition.name)

    def _pending(self) -> int:
        return sum(len(live.tasks) for live in self._subscriptions.values())

    def _settle(self, live: LiveSubscription, state: ProvisioningState) -> None:
        live.state = state
        live.settled.set()
        self._validating.pop(live.validation.token, None)

    async def _await_consent(self, live: LiveSubscription) -> None:
        try:
            async with asyncio.timeout(MANUAL_VALIDATION_SECONDS * self._time_scale):
                await live.settled.wait()
        except TimeoutError:
            self._settle(live, ProvisioningState.FAILED)
