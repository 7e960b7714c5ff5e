"""What goes along with a transferred call: its variables, as the custom context that the target's leg can carry.

Sources: Call Automation's how-to on custom context, for limits and for which target gets which headers; its pages on
direct routing, for the characters of SIP headers.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from shared.acs.identifiers import PHONE_PREFIX

MAX_VOIP_HEADERS = 1000
MAX_SIP_HEADERS = 5
"""Beside User-To-User."""
MAX_NAME_CHARS = 64
"""Of either kind; of a SIP header with its prefix."""
MAX_VOIP_VALUE_CHARS = 1024
MAX_SIP_VALUE_CHARS = 256

USER_TO_USER = "User-To-User"
SIP_PREFIX = "X-MS-Custom-"

USER_TO_USER_NAMES = frozenset({"user-to-user", "usertouser"})
"""In lower case. An incoming call spells it `userToUser`, and wants it sent as `User-To-User`."""


@dataclass(frozen=True, slots=True)
class _Limits:
    """Of one kind of headers."""

    names: re.Pattern[str]
    values: re.Pattern[str]
    value_chars: int
    headers: int
    what: str


_VOIP = _Limits(
    names=re.compile(r"[^\x00-\x1f\x7f\ud800-\udfff]+"),
    # Everything but control characters (values may have lines and tabs) and halves of characters, which no JSON
    # carries: what came in with a call can go on with it.
    values=re.compile(r"[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]*"),
    value_chars=MAX_VOIP_VALUE_CHARS,
    headers=MAX_VOIP_HEADERS,
    what="VoIP headers",
)
_SIP = _Limits(
    names=re.compile(r"[A-Za-z0-9.!%*_+~-]+"),
    values=re.compile(r"[A-Za-z0-9=;.!%*_+~-]*"),
    value_chars=MAX_SIP_VALUE_CHARS,
    headers=MAX_SIP_HEADERS,
    what="custom SIP headers",
)


class TransferInvalid(Exception):
    """A transfer that ACS would refuse. The text names what is at fault and the limit, never the value."""

    def __init__(self, key: str, limit: str) -> None:
        super().__init__(f"{key}: {limit}")
        self.key = key
        """`target`, or the name of the variable."""
        self.limit = limit


class TargetKind(StrEnum):
    """What a raw id names, as far as a transfer cares."""

    PHONE = "phone"
    ACS_USER = "acs_user"
    TEAMS = "teams"
    """A Teams user or app, or an ACS user that acts for a Teams user."""


_KINDS: tuple[tuple[re.Pattern[str], TargetKind], ...] = (
    (re.compile(re.escape(PHONE_PREFIX) + r"\+[0-9]{3,15}"), TargetKind.PHONE),
    (re.compile(r"8:(acs|gcch-acs|dod-acs|spool):[^_\s]+_[^_\s]+"), TargetKind.ACS_USER),
    (re.compile(r"8:(acs|gcch-acs|dod-acs):[^_\s]+_[^_\s]+_[^_\s]+"), TargetKind.TEAMS),
    (re.compile(r"8:(orgid|teamsvisitor|gcch|dod):\S+"), TargetKind.TEAMS),
    (re.compile(r"28:\S+"), TargetKind.TEAMS),
)


@dataclass(frozen=True, slots=True)
class TransferContext:
    """The headers that go along with a transfer, within ACS's limits."""

    voip: Mapping[str, str] = field(default_factory=dict, repr=False)
    sip: Mapping[str, str] = field(default_factory=dict, repr=False)


def target_kind(target: str) -> TargetKind:
    """Return what a raw id names.

    Raises:
        TransferInvalid: nothing that a call can be transferred to.
    """
    for pattern, kind in _KINDS:
        if pattern.fullmatch(target):
            return kind
    raise TransferInvalid("target", "must be a phone number, an ACS user, or a Teams user or app")


def context_for(target: str, variables: Mapping[str, str]) -> TransferContext:
    """Return what of a call's variables goes along to a raw id, checked.

    | target   | what goes along                                                                          |
    |----------|------------------------------------------------------------------------------------------|
    | ACS user | every variable, as a VoIP header                                                         |
    | phone    | `User-To-User` and `X-MS-Custom-...`, as SIP headers; of use behind direct routing alone |
    | Teams    | nothing: custom context is documented for the other two                                  |

    Raises:
        TransferInvalid: no such target, or a variable that goes along is past a limit.
    """
    context, faults = _carried(target_kind(target), variables)
    if faults:
        raise faults[0]
    return context


def what_fits(target: str, variables: Mapping[str, str]) -> tuple[TransferContext, Sequence[str]]:
    """Return what goes along all the same where some is past a limit, and the names of what is left out for that.

    The caller who waits counts more than what goes along. Where there is too much, the first go.

    Raises:
        TransferInvalid: no such target.
    """
    context, faults = _carried(target_kind(target), variables)
    return context, [fault.key for fault in faults]


def _carried(
    kind: TargetKind, variables: Mapping[str, str]
) -> tuple[TransferContext, Sequence[TransferInvalid]]:
    limits = _SIP if kind is TargetKind.PHONE else _VOIP
    headers: dict[str, str] = {}
    faults: list[TransferInvalid] = []
    counted = 0
    for name, value in variables.items():
        header = _header(kind, name)
        if header is None:
            continue
        is_counted = limits is not _SIP or header != USER_TO_USER
        try:
            _check(header, value, limits, is_full=is_counted and counted == limits.headers)
        except TransferInvalid as fault:
            faults.append(fault)
        else:
            headers[header] = value
            counted += is_counted
    return TransferContext(sip=headers) if limits is _SIP else TransferContext(voip=headers), faults


def _header(kind: TargetKind, name: str) -> str | None:
    """Return the header that a variable goes as; None: it does not go."""
    if kind is TargetKind.ACS_USER:
        return name
    if kind is TargetKind.TEAMS:
        return None
    lowered = name.lower()
    if lowered in USER_TO_USER_NAMES:
        return USER_TO_USER
    return SIP_PREFIX + name[len(SIP_PREFIX) :] if lowered.startswith(SIP_PREFIX.lower()) else None


def _check(name: str, value: str, limits: _Limits, *, is_full: bool) -> None:
    if len(name) > MAX_NAME_CHARS:
        raise TransferInvalid(name[:MAX_NAME_CHARS], f"name longer than {MAX_NAME_CHARS} characters")
    if not limits.names.fullmatch(name):
        raise TransferInvalid(name, "name empty, or with a character that a header's may not have")
    if len(value) > limits.value_chars:
        raise TransferInvalid(name, f"value longer than {limits.value_chars} characters")
    if not limits.values.fullmatch(value):
        raise TransferInvalid(name, "value with a character that a header's may not have")
    if is_full:
        raise TransferInvalid(name, f"more than {limits.headers} {limits.what}")
