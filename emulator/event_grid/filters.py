"""Which events a subscription wants.

AND between filters, OR between the values of one filter. String comparisons and keys ignore case. A missing
key fails every positive operator and passes every negative one.
"""

import operator as operators
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, TypeAlias, TypeGuard

import msgspec

from emulator.event_grid.events import DeliverySchema, Event

MAX_FILTERS = 25
MAX_VALUES = 25
MAX_VALUE_CHARS = 512

Number: TypeAlias = int | float
Range: TypeAlias = tuple[Number, Number]
"""From and to, both included."""


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
    NUMBER_IN = "NumberIn"
    NUMBER_NOT_IN = "NumberNotIn"
    NUMBER_LESS_THAN = "NumberLessThan"
    NUMBER_LESS_THAN_OR_EQUALS = "NumberLessThanOrEquals"
    NUMBER_GREATER_THAN = "NumberGreaterThan"
    NUMBER_GREATER_THAN_OR_EQUALS = "NumberGreaterThanOrEquals"
    NUMBER_IN_RANGE = "NumberInRange"
    NUMBER_NOT_IN_RANGE = "NumberNotInRange"
    BOOL_EQUALS = "BoolEquals"
    IS_NULL_OR_UNDEFINED = "IsNullOrUndefined"
    IS_NOT_NULL = "IsNotNull"


_NEGATED: Mapping[Operator, Operator] = {
    Operator.STRING_NOT_IN: Operator.STRING_IN,
    Operator.STRING_NOT_BEGINS_WITH: Operator.STRING_BEGINS_WITH,
    Operator.STRING_NOT_ENDS_WITH: Operator.STRING_ENDS_WITH,
    Operator.STRING_NOT_CONTAINS: Operator.STRING_CONTAINS,
    Operator.NUMBER_NOT_IN: Operator.NUMBER_IN,
    Operator.NUMBER_NOT_IN_RANGE: Operator.NUMBER_IN_RANGE,
}

_OF_STRINGS: Mapping[Operator, Callable[[str, str], bool]] = {
    Operator.STRING_IN: str.__eq__,
    Operator.STRING_BEGINS_WITH: str.startswith,
    Operator.STRING_ENDS_WITH: str.endswith,
    Operator.STRING_CONTAINS: str.__contains__,
}

_OF_NUMBERS: Mapping[Operator, Callable[[Number, Number], bool]] = {
    Operator.NUMBER_IN: operators.eq,
    Operator.NUMBER_LESS_THAN: operators.lt,
    Operator.NUMBER_LESS_THAN_OR_EQUALS: operators.le,
    Operator.NUMBER_GREATER_THAN: operators.gt,
    Operator.NUMBER_GREATER_THAN_OR_EQUALS: operators.ge,
}


class AdvancedFilter(msgspec.Struct, frozen=True, rename="camel", kw_only=True, forbid_unknown_fields=True):
    """One condition on one value of the event: `values`, or where there can be but one, `value`."""

    operator_type: Operator
    key: str
    values: tuple[str | Number | Range, ...] = ()
    value: bool | Number | None = None

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

    @property
    def is_sound(self) -> bool:
        """Whether it names what its operator compares with, and nothing else."""
        wanted: tuple[object, ...] = self.values if self.value is None else (*self.values, self.value)
        match _NEGATED.get(self.operator_type, self.operator_type):
            case Operator.IS_NULL_OR_UNDEFINED | Operator.IS_NOT_NULL:
                return not wanted
            case Operator.BOOL_EQUALS:
                return isinstance(self.value, bool) and not self.values
            case Operator.NUMBER_IN_RANGE:
                return all(isinstance(value, tuple) for value in wanted)
            case operator if operator in _OF_NUMBERS:
                is_one = operator is not Operator.NUMBER_IN
                return all(map(_is_number, wanted)) and (self.value is not None) is is_one
            case _:
                return all(isinstance(value, str) for value in wanted)

    def _compares(self, operator: Operator, found: object) -> bool:
        if isinstance(found, str) and operator in _OF_STRINGS:
            of_strings, text = _OF_STRINGS[operator], found.lower()
            return any(of_strings(text, value.lower()) for value in self.values if isinstance(value, str))
        if not _is_number(found):
            return False
        if operator is Operator.NUMBER_IN_RANGE:
            ranges = (value for value in self.values if isinstance(value, tuple))
            return any(low <= found <= high for low, high in ranges)
        of_numbers = _OF_NUMBERS.get(operator)
        wanted = filter(_is_number, (*self.values, self.value))
        return of_numbers is not None and any(of_numbers(found, value) for value in wanted)


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
        if any(isinstance(value, str) and len(value) > MAX_VALUE_CHARS for value in values):
            found.append(f"a filter value longer than {MAX_VALUE_CHARS} characters")
        found += [
            f"{condition.operator_type} with a value of another kind"
            for condition in self.advanced_filters
            if not condition.is_sound
        ]
        return found


def _is_number(value: object) -> TypeGuard[Number]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _look_up(event: Mapping[str, Any], key: str) -> object:
    """The value at a dotted key, or None; a name of the event that itself has a dot cannot be addressed."""
    found: object = event
    for part in key.lower().split("."):
        if not isinstance(found, Mapping):
            return None
        found = next((value for name, value in found.items() if name.lower() == part), None)
    return found
