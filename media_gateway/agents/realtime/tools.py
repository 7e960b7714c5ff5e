"""The tools that every realtime agent has: what it is told of them, and what it may give them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from shared.acs.media import read_digit
from shared.core.profiles import BuiltIn, RealtimeAgent
from shared.core.variables import within_limits

MAX_ARGUMENTS_CHARS = 64 * 1024
MAX_DIGITS_SENT = 64
NO_ARGUMENTS: Mapping[str, Any] = {"type": "object", "properties": {}}


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """What an agent is told of a tool. `parameters` is JSON Schema."""

    name: str
    description: str
    parameters: Mapping[str, Any]


class ArgumentsInvalid(Exception):
    """An agent gave a tool what it does not take. The text is for the agent, and quotes nothing of it."""


def specs(settings: RealtimeAgent, *, is_recorded: bool) -> Sequence[ToolSpec]:
    """Return the tools of an agent: those of every agent as far as they can do something, and its own."""
    found = [
        ToolSpec(
            BuiltIn.END_CALL,
            "End the call. Say goodbye first; the call ends when the caller has heard it.",
            NO_ARGUMENTS,
        ),
        ToolSpec(
            BuiltIn.SET_VARIABLES,
            "Keep what was learned in the call, as pairs of text that leave with it.",
            _object(variables={"type": "object", "additionalProperties": {"type": "string"}}),
        ),
        ToolSpec(
            BuiltIn.SEND_DTMF,
            "Press keys towards the other side: 0 to 9, *, #, A to D.",
            _object(digits={"type": "string", "pattern": "^[0-9*#A-D]+$"}),
        ),
    ]
    if settings.transfer_targets:
        found.append(
            ToolSpec(
                BuiltIn.TRANSFER_CALL,
                "Send the caller on. Say so first; the call moves when the caller has heard it.",
                _object(destination={"type": "string", "enum": sorted(settings.transfer_targets)}),
            )
        )
    if is_recorded:
        found += [
            ToolSpec(
                BuiltIn.PAUSE_RECORDING,
                "Record nothing from now on. Use it before the caller gives a card number or the like.",
                NO_ARGUMENTS,
            ),
            ToolSpec(BuiltIn.RESUME_RECORDING, "Record again.", NO_ARGUMENTS),
        ]
    return [*found, *(ToolSpec(t.name, t.description, t.parameters or NO_ARGUMENTS) for t in settings.tools)]


def read_arguments(text: str) -> dict[str, Any]:
    """Return the arguments of a tool call, which come as JSON in a text. Raises `ArgumentsInvalid`."""
    if len(text) > MAX_ARGUMENTS_CHARS:
        raise ArgumentsInvalid("the arguments are too long")
    try:
        arguments = msgspec.json.decode(text) if text.strip() else {}
    except (msgspec.DecodeError, RecursionError):
        raise ArgumentsInvalid("the arguments are not JSON") from None
    if not isinstance(arguments, dict):
        raise ArgumentsInvalid("the arguments must be an object")
    return arguments


def read_digits(arguments: Mapping[str, Any]) -> str:
    """Return the keys to press, in any spelling. Raises `ArgumentsInvalid`."""
    given = arguments.get("digits")
    digits = [read_digit(one) for one in given.replace(" ", "")] if isinstance(given, str) else []
    if not 0 < len(digits) <= MAX_DIGITS_SENT or None in digits:
        raise ArgumentsInvalid("digits must be 1 to 64 of 0123456789*#ABCD")
    return "".join(digit for digit in digits if digit is not None)


def read_variables(arguments: Mapping[str, Any]) -> dict[str, str]:
    """Return the variables to set: texts, numbers and truth values, as text. Raises `ArgumentsInvalid`."""
    given = arguments.get("variables", arguments)
    if not isinstance(given, Mapping) or not given:
        raise ArgumentsInvalid("variables must be an object of texts")
    texts: dict[str, str] = {}
    for name, value in given.items():
        if isinstance(value, bool):
            texts[name] = "true" if value else "false"
        elif isinstance(value, str | int | float):
            texts[name] = str(value)
        else:
            raise ArgumentsInvalid("each variable must be a text")
    kept = within_limits(texts)
    if kept != texts:
        raise ArgumentsInvalid("a variable's name or value is too long, or there are too many")
    return kept


def read_destination(arguments: Mapping[str, Any], settings: RealtimeAgent) -> str:
    """Return the raw id to transfer to. Raises `ArgumentsInvalid`."""
    name = arguments.get("destination")
    target = settings.transfer_targets.get(name) if isinstance(name, str) else None
    if target is None:
        raise ArgumentsInvalid(f"destination must be one of: {', '.join(sorted(settings.transfer_targets))}")
    return target


def _object(**properties: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
