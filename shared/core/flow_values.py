"""Which values a flow takes: from callers, from APIs, and from what came in with the call."""

from collections.abc import Mapping
from typing import Any

import jsonschema_rs

from shared.core.flow_events import Heard
from shared.core.flow_model import MAX_VALUE_CHARS, Ask, Digits, Flow
from shared.core.flow_texts import cleaned

MAX_NUMBER_BITS = 64
_DIGITS = frozenset("0123456789")


def is_pattern(pattern: str) -> bool:
    """Whether it is a regular expression that can be tried in linear time: no look-around, no back-references."""
    try:
        _matcher(pattern)
    except (ValueError, jsonschema_rs.ValidationError):
        return False
    return True


def matches(pattern: str, value: str) -> bool:
    """Whether the whole of a clean value matches.

    Python's own expressions would do for most; but one bad pattern and one long value would stop the process.
    """
    return bool(_matcher(pattern).is_valid(value))


def accepted(flow: Flow, variable: str, value: str) -> str | None:
    """Return the value as the variable takes it; None where it is too long, or does not match its pattern."""
    clean = cleaned(value)
    declared = flow.variables.get(variable)
    pattern = None if declared is None else declared.pattern
    if len(clean) > MAX_VALUE_CHARS or (pattern is not None and not matches(pattern, clean)):
        return None
    return clean


def answer_in(flow: Flow, ask: Ask, heard: Heard) -> str | None:
    """Return the answer to a question, None where it is none. Of speech the first 512 characters are kept."""
    if ask.choices:
        return _label(ask, heard)
    answer: str | None = None
    if heard.digits is not None and ask.digits is not None:
        answer = _keyed(ask.digits, heard.digits)
    elif heard.speech is not None and ask.speech is not None:
        answer = cleaned(heard.speech).strip()[:MAX_VALUE_CHARS]
    if not answer or ask.variable is None:
        return answer or None
    return accepted(flow, ask.variable, answer)


def value_at(path: str, body: Any) -> str | None:
    """Return what stands at `customer.tier` or `items.0.id` as text; None where nothing does, or no plain value."""
    for key in path.split("."):
        if isinstance(body, Mapping):
            body = body.get(key)
        elif isinstance(body, list) and key.isdecimal() and int(key) < len(body):
            body = body[int(key)]
        else:
            return None
    match body:
        case str():
            return body
        case bool():
            return "true" if body else "false"
        case int() if body.bit_length() <= MAX_NUMBER_BITS:
            return str(body)
        case float():
            return str(body)
        case _:
            return None


def _label(ask: Ask, heard: Heard) -> str | None:
    if heard.digits is not None:
        return next((label for label, choice in ask.choices.items() if choice.key == heard.digits), None)
    return heard.choice if heard.choice in ask.choices else None


def _keyed(digits: Digits, keys: str) -> str | None:
    pressed = keys.rstrip(digits.stop) if digits.stop else keys
    return pressed if digits.min <= len(pressed) <= digits.max and _DIGITS.issuperset(pressed) else None


def _matcher(pattern: str) -> Any:
    schema = {"pattern": f"^(?:{pattern})$"}
    return jsonschema_rs.Draft202012Validator(schema, pattern_options=jsonschema_rs.RegexOptions())
