"""Variables: pairs of text that come in with a call as its custom context, and that leave with it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import msgspec

from shared.acs.identifiers import to_address
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
"""As a transfer's target: whom the call goes back to."""
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


CALLER, CALLED, CORRELATION_ID = "caller", "called", "correlationId"
OF_THE_CALL = frozenset(name.lower() for name in (CALLER, CALLED, CORRELATION_ID))
"""Names of variables that say what ACS says of the call, whatever headers it has."""


class ContextSettings(msgspec.Struct, frozen=True, omit_defaults=True):
    """What an agent is told of the context of its calls, and which headers mean something to the gateway."""

    variables: tuple[str, ...] | None = None
    """Names of the input variables that it gets, in any case and in either spelling of User-To-User; None: all."""
    return_header: str = RETURN_TO
    """VoIP header with the raw id of whom a call is sent back to when the agent is done with it."""
    task_header: str = "taskName"
    """VoIP header that names the agent's task."""


@dataclass(frozen=True, slots=True)
class CallContext:
    """What a call brings along."""

    variables: Mapping[str, str] = field(repr=False)
    return_to: str | None = field(default=None, repr=False)
    task: str = field(default="", repr=False)


def read_context(voip: Mapping[str, str], sip: Mapping[str, str], settings: ContextSettings) -> CallContext:
    """Return what an incoming call's headers say; a VoIP header goes before the SIP header of its name.

    Whom a call goes back to, and its task, are read from VoIP headers alone, and the former must be an ACS user.
    Anyone can put a SIP header into a call, and a number there would be dialled at our cost.
    """
    return_to, task = None, ""
    variables = dict(_sip_variables(sip))
    for name, value in voip.items():
        if name.lower() == settings.return_header.lower():
            return_to = value if _is_acs_user(value) else None
        elif name.lower() == settings.task_header.lower():
            task = value if len(value) <= MAX_VALUE_CHARS else ""
        else:
            variables[name] = value
    foreign = {name: value for name, value in variables.items() if name.lower() not in OF_THE_CALL}
    return CallContext(within_limits(_allowed(foreign, settings)), return_to, task)


def input_variables(
    came_in: Mapping[str, str], settings: ContextSettings, *, caller: str, called: str, correlation_id: str
) -> dict[str, str]:
    """Return all that an agent is told of its call: what came in with it, and what ACS says of it.

    Args:
        came_in: the variables that `read_context` has found.
        settings: of the agent's profile.
        caller: raw id; a number becomes what people write (`+1...`), as does `called`.
        called: raw id.
        correlation_id: the same for all calls of a journey.
    """
    own = {CALLER: to_address(caller), CALLED: to_address(called), CORRELATION_ID: correlation_id}
    known = {name: value for name, value in own.items() if value}
    return {**came_in, **_allowed(known, settings)}


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


def _allowed(variables: Mapping[str, str], settings: ContextSettings) -> Mapping[str, str]:
    if settings.variables is None:
        return variables
    names = {_folded(name) for name in settings.variables}
    return {name: value for name, value in variables.items() if _folded(name) in names}


def _folded(name: str) -> str:
    """Return what names have in common that mean the same header."""
    lowered = name.lower()
    return USER_TO_USER if lowered in USER_TO_USER_NAMES else lowered


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
