"""Event Grid's subscriptions: whether each call that has a route is delivered, once, in time and with credentials."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shared.acs.event_grid import INCOMING_CALL
from shared.admin.checks.contract import Check, Failed, Site, routing_or_skip
from shared.admin.checks.management import listed, resources
from shared.admin.checks.outside import EVENTS_PATH, IVR_EVENTS_PATH
from shared.core.event_filters import (
    EVERYBODY,
    FiltersImpossible,
    Operator,
    Webhook,
    filters_of,
    webhook_of,
)
from shared.core.profiles import Routing
from shared.security.accounts import Account

API_VERSION = "2025-02-15"
TOPICS = "Microsoft.EventGrid/systemTopics"
ACS_TOPIC = "microsoft.communication.communicationservices"
SCHEMAS = frozenset({"EventGridSchema", "CloudEventSchemaV1_0"})
MAX_ATTEMPTS = 3
MAX_TTL_MINUTES = 1
"""A call rings about 30 s: Event Grid's later tries are about callers who have gone."""
CALLED = "data.to.rawid"
"""The one key that is understood here, in lower case; filtered by any other, a subscription counts as everybody's."""


@dataclass(frozen=True, slots=True)
class Subscription:
    """What counts of an event subscription."""

    name: str
    endpoint: str
    """Without a query: Azure shows none."""
    state: str
    schema: str
    types: frozenset[str] | None
    """None: all."""
    is_of_called: bool
    """False: of everybody who is not `called`."""
    called: frozenset[str]
    """Raw ids."""
    attempts: int
    ttl_minutes: int
    headers: frozenset[str] | None
    """Names in lower case; None where Azure does not say."""

    @property
    def gets_calls(self) -> bool:
        """Whether it delivers calls that ring."""
        return self.types is None or INCOMING_CALL in self.types

    def gets(self, called: str) -> bool:
        """Whether it delivers the calls to a raw id."""
        return self.gets_calls and (called in self.called) is self.is_of_called


async def event_grid(site: Site) -> str:
    """Read the subscriptions and compare them with routes and accounts."""
    routing = await routing_or_skip(site)
    subscriptions = await (_local(site) if site.is_local else _of_azure(site))
    accounts = await site.connections.accounts.all()
    base_url = site.settings.callback_base_url
    if faults := list(faults_of(subscriptions, routing, accounts, base_url)):
        raise Failed("; ".join(faults))
    return f"{len(routing.own_numbers)} routed numbers are delivered here, once each"


def faults_of(
    subscriptions: Sequence[Subscription], routing: Routing, accounts: Sequence[Account], base_url: str
) -> Iterator[str]:
    """Yield what is wrong; numbers are counted, never named.

    Args:
        subscriptions: all of the ACS resource's topic.
        routing: says who is to be delivered where: agents and the IVR have a webhook each.
        accounts: whose headers may be sent.
        base_url: of the Functions app.
    """
    webhooks = {Webhook.AGENTS: base_url + EVENTS_PATH, Webhook.IVR: base_url + IVR_EVENTS_PATH}
    ours = [subscription for subscription in subscriptions if subscription.endpoint in webhooks.values()]
    if not ours:
        yield "no subscription delivers to this gateway"
        return
    for subscription in ours:
        yield from (f"{subscription.name}: {fault}" for fault in _faults_of_one(subscription, accounts))
    yield from _faults_of_filters(ours, routing, webhooks)
    targets = {route.to: webhooks[webhook_of(route)] for route in routing.routes if route.to != EVERYBODY}
    counts = [
        sum(subscription.gets(called) for subscription in subscriptions if subscription.endpoint == target)
        for called, target in targets.items()
    ]
    if missed := counts.count(0):
        yield f"{missed} of {len(counts)} routed numbers are in no subscription's filter"
    if doubled := sum(count > 1 for count in counts):
        yield f"{doubled} routed numbers are delivered here by several subscriptions"
    for subscription in subscriptions:
        stray = [
            called
            for called, target in targets.items()
            if subscription.endpoint != target and subscription.gets(called)
        ]
        if stray:
            yield f"{subscription.name} delivers {len(stray)} routed numbers elsewhere, to be answered there too"


def _faults_of_filters(
    ours: Sequence[Subscription], routing: Routing, webhooks: Mapping[Webhook, str]
) -> Iterator[str]:
    """Compare with the filters that the routes make: what is too much, and whether every other call comes."""
    try:
        wanted = filters_of(routing)
    except FiltersImpossible as impossible:
        yield from impossible.faults
        return
    for each in wanted:
        endpoint = webhooks[each.webhook]
        if each.operator is Operator.IS_NOT_IN and not any(
            one.endpoint == endpoint and one.gets_calls and not one.is_of_called for one in ours
        ):
            yield f"{each.name}: no subscription delivers every other call (*)"
    for one in ours:
        if one.is_of_called and (unrouted := len(one.called - routing.own_numbers)):
            yield f"{one.name}: {unrouted} numbers of its filter have no route, and ring in vain"


def _faults_of_one(subscription: Subscription, accounts: Sequence[Account]) -> Iterator[str]:
    if subscription.state != "Succeeded":
        yield f"its state is {subscription.state}"
    if subscription.schema not in SCHEMAS:
        yield f"schema {subscription.schema} cannot be read"
    if not subscription.gets_calls:
        yield f"it does not deliver {INCOMING_CALL}"
    if subscription.attempts > MAX_ATTEMPTS:
        yield f"{subscription.attempts} attempts, where {MAX_ATTEMPTS} are enough"
    if subscription.ttl_minutes > MAX_TTL_MINUTES:
        yield f"a time to live of {subscription.ttl_minutes} minutes, where a call rings 30 s"
    if subscription.headers is not None and not any(
        {account.api_id_header, account.api_secret_header} <= subscription.headers for account in accounts
    ):
        yield "it sends the two headers of no account"


async def _local(site: Site) -> list[Subscription]:
    url = f"{site.settings.common.acs_endpoint}/eventgrid/subscriptions"
    async with site.http.get(url) as response:
        response.raise_for_status()
        document = await response.json()
    return [_from_emulator(shown) for shown in document["value"]]


async def _of_azure(site: Site) -> list[Subscription]:
    found: list[Subscription] = []
    for topic in await resources(site, TOPICS, API_VERSION):
        if str(topic["properties"].get("topicType", "")).lower() == ACS_TOPIC:
            shown = await listed(site, f"{topic['id']}/eventSubscriptions", API_VERSION)
            found += map(from_management, shown)
    return found


def _from_emulator(shown: Mapping[str, Any]) -> Subscription:
    return Subscription(
        name=shown["name"],
        endpoint=shown["endpoint"],
        state=shown["provisioningState"],
        schema=shown["schema"],
        types=_types(shown["filter"]),
        is_of_called=_is_of_called(shown["filter"]),
        called=_called(shown["filter"]),
        attempts=shown["maxDeliveryAttempts"],
        ttl_minutes=shown["eventTimeToLiveInMinutes"],
        headers=frozenset(name.lower() for name in shown["headers"]),
    )


def from_management(shown: Mapping[str, Any]) -> Subscription:
    """Return a subscription from what the management API shows of it; Azure's own defaults stand for what it omits."""
    properties = shown["properties"]
    destination = properties.get("destination", {}).get("properties", {})
    retries = properties.get("retryPolicy") or {}
    mappings = destination.get("deliveryAttributeMappings")
    return Subscription(
        name=shown["name"],
        endpoint=str(destination.get("endpointBaseUrl") or "").partition("?")[0],
        state=properties.get("provisioningState", ""),
        schema=properties.get("eventDeliverySchema") or "EventGridSchema",
        types=_types(properties.get("filter") or {}),
        is_of_called=_is_of_called(properties.get("filter") or {}),
        called=_called(properties.get("filter") or {}),
        attempts=retries.get("maxDeliveryAttempts", 30),
        ttl_minutes=retries.get("eventTimeToLiveInMinutes", 1440),
        headers=None if mappings is None else frozenset(mapping["name"].lower() for mapping in mappings),
    )


def _types(shown: Mapping[str, Any]) -> frozenset[str] | None:
    types = shown.get("includedEventTypes")
    return frozenset(types) if types else None


def _condition(shown: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the filter by who is called; one that excludes nobody where there is none."""
    for condition in shown.get("advancedFilters") or ():
        if condition["operatorType"] in list(Operator) and condition["key"].lower() == CALLED:
            found: Mapping[str, Any] = condition
            return found
    return {"operatorType": Operator.IS_NOT_IN, "values": ()}


def _is_of_called(shown: Mapping[str, Any]) -> bool:
    return Operator(_condition(shown)["operatorType"]) is Operator.IS_IN


def _called(shown: Mapping[str, Any]) -> frozenset[str]:
    return frozenset(_condition(shown)["values"])


CHECKS = (
    Check(
        "event-grid",
        "each routed number's calls are delivered here, once, in time and with credentials",
        event_grid,
        "provision again (azd provision); by hand: docs/deploy.md, The event subscription by hand",
    ),
)
