"""Variables: pairs of text that come in with a call as its custom context, and that leave with it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import msgspec

from shared.core.transfers import (
    SIP_PREFIX,
    USER_TO_USER,
    USER_TO_USER_NAMES,
    TargetKind,
    TransferInvalid,
    target_kind,
)

MAX_VARIABLES = 100
MAX_NAME_CHARS = 64
MAX_VALUE_CHARS = 1024
"""ACS's own limits for a VoIP header; a context past them did not come through the documented API."""
MAX_JSON_BYTES = 256 * 1024
"""Of all variables together: what has to be escaped grows sixfold, and a row of Table storage holds 1 MiB."""

RETURN_TO = "returnTo"
"""Header with the raw id of whom a call is sent back to when the agent is done with it: no variable of the agent's.
As a transfer's target it stands for that id."""
OUTCOME = "outcome"
"""Header that tells whoever gets a call back why."""


class ReturnOutcome(StrEnum):
    """Why a call is sent back."""

    AGENT = "AGENT"
    """The agent wants a person to go on with it."""
    SYSTEM = "SYSTEM"
    """The agent is done."""
    FAILED = "FAILED"
    """No agent could be had."""


@dataclass(frozen=True, slots=True)
class CallContext:
    """What a call brings along."""

    variables: Mapping[str, str] = field(repr=False)
    return_to: str | None = field(default=None, repr=False)


def read_context(voip: Mapping[str, str], sip: Mapping[str, str]) -> CallContext:
    """Return the variables of an incoming call's headers; a VoIP header goes before the SIP header of its name.

    `returnTo` counts as a VoIP header that names an ACS user. Anyone can put a SIP header into a call, and a number
    there would be dialled at our cost.
    """
    return_to: str | None = None
    variables = dict(_sip_variables(sip))
    for name, value in voip.items():
        if name.lower() == RETURN_TO.lower():
            return_to = value if _is_acs_user(value) else None
        else:
            variables[name] = value
    return CallContext(within_limits(variables), return_to)


def returned(variables: Mapping[str, str], outcome: ReturnOutcome) -> dict[str, str]:
    """Return what goes along with a call that is sent back."""
    others = {name: value for name, value in variables.items() if name.lower() != OUTCOME}
    return {OUTCOME: outcome.value, **others}


def within_limits(pairs: Mapping[str, str]) -> dict[str, str]:
    """Return the pairs that a call may carry, without those past the limits."""
    variables: dict[str, str] = {}
    size = 0
    for name, value in pairs.items():
        if not (0 < len(name) <= MAX_NAME_CHARS and len(value) <= MAX_VALUE_CHARS):
            continue
        size += len(msgspec.json.encode((name, value)))
        if len(variables) == MAX_VARIABLES or size > MAX_JSON_BYTES:
            break
        variables[name] = value
    return variables


def _sip_variables(headers: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield what callers and carriers may say, under names by which it can go on as SIP headers too."""
    for name, value in headers.items():
        lowered = name.lower()
        if lowered in USER_TO_USER_NAMES:
            yield USER_TO_USER, value
        elif lowered.startswith(SIP_PREFIX.lower()):
            yield SIP_PREFIX + name[len(SIP_PREFIX) :], value


def _is_acs_user(raw_id: str) -> bool:
    try:
        return target_kind(raw_id) is TargetKind.ACS_USER
    except TransferInvalid:
        return False
