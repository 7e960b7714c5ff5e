"""Signals: what one process of the gateway tells another about a call. They name calls and say nothing of them.

A signal may be lost, come twice or come late: the store, which is written first, has all that it points to. Its JSON
is published as `shared/signals.schema.json`. Processes of two releases meet during a deployment, so members that are
new to the reader are passed over, and whole signals that are new to it are told apart from broken ones.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeAlias

import msgspec

VERSION = 1
"""Of every signal; raised when a member changes its meaning or goes."""

CallId = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]


class EventsStored(msgspec.Struct, frozen=True, tag_field="kind", tag="events"):
    """The call has callback events in the store that its owner may not have seen: look there."""

    call_id: CallId
    version: Literal[1] = 1


class CallTaken(msgspec.Struct, frozen=True, tag_field="kind", tag="taken"):
    """Another pod has taken the call over, at `epoch`: whoever holds it by an older one lets go."""

    call_id: CallId
    epoch: Annotated[int, msgspec.Meta(ge=1)]
    version: Literal[1] = 1


Signal: TypeAlias = EventsStored | CallTaken

KINDS = frozenset({"events", "taken"})


class UnknownSignal(Exception):
    """A kind or a version that came after this release."""


class MalformedSignal(Exception):
    """Not a signal, or one that lacks what its kind needs. The text says where, and quotes nothing."""


class _Head(msgspec.Struct):
    """What tells every signal, of any release."""

    kind: str
    version: Annotated[int, msgspec.Meta(ge=1)]


def encode(signal: Signal) -> Mapping[str, Any]:
    """Return the signal as a JSON object."""
    shown: dict[str, Any] = msgspec.to_builtins(signal)
    return shown


def decode(message: object) -> Signal:
    """Return the signal that a decoded JSON value is.

    Raises:
        UnknownSignal: it is of a later release.
        MalformedSignal: it is none.
    """
    try:
        head = msgspec.convert(message, _Head)
        if head.kind in KINDS and head.version == VERSION:
            signal: Signal = msgspec.convert(message, Signal)
            return signal
    except msgspec.ValidationError as error:
        raise MalformedSignal(str(error)) from None
    raise UnknownSignal("of a later release")
