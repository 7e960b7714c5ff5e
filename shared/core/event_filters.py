"""Which calls Event Grid is to deliver where: the filters of its subscriptions, made of the routes.

An account has a webhook for its agents and one for its flows, each with subscriptions of its own. The limits are Event
Grid's.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from shared.core.profiles import Route, Routing

MAX_VALUES = 25
"""Of all filters of a subscription together."""
MAX_VALUE_CHARS = 512
MAX_NAME_CHARS = 64
EVERYBODY = "*"


class Webhook(StrEnum):
    """Who takes the calls."""

    AGENTS = "agents"
    IVR = "ivr"


class Operator(StrEnum):
    """How the called raw id, `data.to.rawId`, is compared with a filter's values."""

    IS_IN = "StringIn"
    IS_NOT_IN = "StringNotIn"


@dataclass(frozen=True, slots=True)
class EventFilter:
    """One subscription: whose it is, and what it lets through."""

    name: str
    """Of the subscription."""
    account: str
    webhook: Webhook
    operator: Operator
    called: tuple[str, ...] = ()
    """Raw ids; none with `IS_NOT_IN` is no filter at all."""

    def lets_through(self, raw_id: str) -> bool:
        """Whether calls to a raw id are delivered."""
        return (raw_id in self.called) is (self.operator is Operator.IS_IN)


class FiltersImpossible(Exception):
    """No filters can be made that give each call to one webhook; `faults` says why, and names no number."""

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__("; ".join(faults))
        self.faults = tuple(faults)


def filters_of(routing: Routing) -> Sequence[EventFilter]:
    """Return the filters by which each route's calls come to its webhook, and to no other.

    Raises:
        FiltersImpossible: routes of every other call overlap, or something is larger than Event Grid takes.
    """
    groups: dict[tuple[str, Webhook], list[str]] = {}
    for route in routing.routes:
        groups.setdefault((route.account, webhook_of(route)), []).append(route.to)
    filters = [
        each
        for (account, webhook), called in groups.items()
        for each in _of_one(account, webhook, called, routing)
    ]
    if faults := list(_faults(filters)):
        raise FiltersImpossible(faults)
    return filters


def webhook_of(route: Route) -> Webhook:
    """Return who takes the calls of a route."""
    return Webhook.AGENTS if route.flow is None else Webhook.IVR


def _of_one(account: str, webhook: Webhook, called: Sequence[str], routing: Routing) -> Iterator[EventFilter]:
    name = f"{'gateway' if webhook is Webhook.AGENTS else 'ivr'}-{account}"
    if EVERYBODY in called:
        others = sorted(routing.own_numbers - set(called))
        yield EventFilter(name, account, webhook, Operator.IS_NOT_IN, tuple(others))
        return
    for start in range(0, len(called), MAX_VALUES):
        part = tuple(called[start : start + MAX_VALUES])
        yield EventFilter(
            name if start == 0 else f"{name}-{start // MAX_VALUES + 1}",
            account,
            webhook,
            Operator.IS_IN,
            part,
        )


def _faults(filters: Sequence[EventFilter]) -> Iterator[str]:
    of_everybody = [each for each in filters if each.operator is Operator.IS_NOT_IN]
    if len(of_everybody) > 1:
        names = " and ".join(each.name for each in of_everybody)
        yield f"{names}: one route alone can be of every other call (*)"
    for each in of_everybody:
        if (excluded := len(each.called)) > MAX_VALUES:
            yield f"{each.name}: every other call (*) excludes {excluded} numbers, Event Grid takes {MAX_VALUES}"
    for each in filters:
        if len(each.name) > MAX_NAME_CHARS:
            yield f"{each.name}: the account's id is too long for the name of a subscription"
        if any(len(raw_id) > MAX_VALUE_CHARS for raw_id in each.called):
            yield f"{each.name}: a raw id has more than {MAX_VALUE_CHARS} characters"
