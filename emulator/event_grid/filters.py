"""Which events a subscription wants.

AND between filters, OR between the values of one filter. String comparisons and keys ignore case. A missing
key fails every positive operator and passes every negative one.
"""

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any

import msgspec

from emulator.event_grid.events import DeliverySchema, Event

MAX_FILTERS = 25
MAX_VALUES = 25
MAX_VALUE_CHARS = 512


class Operator(StrEnum):
    """How a value of the event is compared."""

    STRING_IN = "StringIn"
    STRING_NOT_IN = "StringNotIn"
    STRING_BEGINS_WITH = "StringBeginsWith"
    STRING_NOT_BEGINS_WITH = "StringNotBeginsWith"
    STRING_ENDS_WITH = "StringEndsWith"
    STRING_NOT_ENDS_WITH = "StringNotEndsWith"
    STRING_CONTAINS = "StringContains"
    STRING_NOT_CONTAINS = "StringNotContains"
    BOOL_EQUALS = "BoolEquals"
    IS_NULL_OR_UNDEFINED = "IsNullOrUndefined"
    IS_NOT_NULL = "IsNotNull"


_NEGATED: Mapping[Operator, Operator] = {
    Operator.STRING_NOT_IN: Operator.STRING_IN,
    Operator.STRING_NOT_BEGINS_WITH: Operator.STRING_BEGINS_WITH,
    Operator.STRING_NOT_ENDS_WITH: Operator.STRING_ENDS_WITH,
    Operator.STRING_NOT_CONTAINS: Operator.STRING_CONTAINS,
}

_COMPARISONS: Mapping[Operator, Callable[[str, str], bool]] = {
    Operator.STRING_IN: str.__eq__,
    Operator.STRING_BEGINS_WITH: str.startswith,
    Operator.STRING_ENDS_WITH: str.endswith,
    Operator.STRING_CONTAINS: str.__contains__,
}


class AdvancedFilter(msgspec.Struct, frozen=True, rename="camel", kw_only=True, forbid_unknown_fields=True):
    """One condition on one value of the event; `values` for strings, `value` for booleans."""

    operator_type: Operator
    key: str
    values: tuple[str, ...] = ()
    value: bool | None = None

    def matches(self, event: Mapping[str, Any]) -> bool:
        """Whether an event, as JSON values in any envelope, meets the condition."""
        found = _look_up(event, self.key)
        match self.operator_type:
            case Operator.IS_NULL_OR_UNDEFINED:
                return found is None
            case Operator.IS_NOT_NULL:
                return found is not None
            case Operator.BOOL_EQUALS:
                return isinstance(found, bool) and found is self.value
            case operator if operator in _NEGATED:
                return not self._compares(_NEGATED[operator], found)
            case operator:
                return self._compares(operator, found)

    def _compares(self, operator: Operator, found: object) -> bool:
        if not isinstance(found, str):
            return False
        compare = _COMPARISONS[operator]
        return any(compare(found.lower(), value.lower()) for value in self.values)


class EventFilter(msgspec.Struct, frozen=True, rename="camel", kw_only=True, forbid_unknown_fields=True):
    """Everything a subscription asks of an event."""

    included_event_types: tuple[str, ...] | None = None
    subject_begins_with: str = ""
    subject_ends_with: str = ""
    advanced_filters: tuple[AdvancedFilter, ...] = ()

    def matches(self, event: Event) -> bool:
        """Whether the subscription gets this event."""
        if self.included_event_types is not None:
            included = {name.lower() for name in self.included_event_types}
            if event.type.lower() not in included:
                return False
        subject = event.subject.lower()
        if not subject.startswith(self.subject_begins_with.lower()):
            return False
        if not subject.endswith(self.subject_ends_with.lower()):
            return False
        values = {**event.envelope(DeliverySchema.EVENT_GRID), **event.envelope(DeliverySchema.CLOUD_EVENTS)}
        return all(condition.matches(values) for condition in self.advanced_filters)

    def faults(self) -> list[str]:
        """What Event Grid would refuse about this filter."""
        values = [value for condition in self.advanced_filters for value in condition.values]
        found = []
        if len(self.advanced_filters) > MAX_FILTERS:
            found.append(f"more than {MAX_FILTERS} advanced filters")
        if len(values) > MAX_VALUES:
            found.append(f"more than {MAX_VALUES} values over all advanced filters")
        if any(len(value) > MAX_VALUE_CHARS for value in values):
            found.append(f"a filter value longer than {MAX_VALUE_CHARS} characters")
        return found


def _look_up(event: Mapping[str, Any], key: str) -> object:
    """The value at a dotted key, or None; a name of the event that itself has a dot cannot be addressed."""
    found: object = event
    for part in key.lower().split("."):
        if not isinstance(found, Mapping):
            return None
        found = next((value for name, value in found.items() if name.lower() == part), None)
    return found
