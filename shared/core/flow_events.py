"""What happens to a flow: an action was done or failed, or the caller is gone.

An event of an action names it by its id, which ACS carries as the operation's context. Values that callers, other
systems and numbers bring are in no `repr`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from shared.core.ai_link import advice_of


class Failure(StrEnum):
    """Why an action failed, as far as a flow cares."""

    NO_INPUT = "no_input"
    NO_MATCH = "no_match"
    """Something was said or pressed, and it is no answer."""
    SPEECH_AWAY = "speech_away"
    """The speech service cannot be used: not linked, no right to it, a quota, a fault of its own."""
    OTHER = "other"


_FAILURES: Mapping[int, Failure] = {
    8510: Failure.NO_INPUT,
    **dict.fromkeys((8532, 8547, 8563), Failure.NO_MATCH),
    # A prompt of recognise that could not be said, speech that could not be listened to, and the end of the service.
    **dict.fromkeys((8511, 8570, 8572), Failure.SPEECH_AWAY),
}


def failure_of(code: int, sub_code: int) -> Failure:
    """Return what codes of PlayFailed, RecognizeFailed or of a refused request mean."""
    if advice_of(code, sub_code) is not None:
        return Failure.SPEECH_AWAY
    return _FAILURES.get(sub_code, Failure.OTHER)


@dataclass(frozen=True, slots=True)
class Started:
    """The call is connected."""

    caller: str = field(default="", repr=False)
    called: str = field(default="", repr=False)
    correlation_id: str = ""
    ivr_identity: str = field(default="", repr=False)
    """Raw id by which the agent may send the call back; empty: it cannot."""
    outcome: str = ""
    """What became of the call at the agent that sent it back (`AGENT`, `SYSTEM`, `FAILED`); empty: none has."""
    context: Mapping[str, str] = field(default_factory=dict, repr=False)
    """All headers of the call's custom context; those that the flow has no variable for are left."""


@dataclass(frozen=True, slots=True)
class Done:
    """Said, transferred, or hung up."""

    action_id: str


@dataclass(frozen=True, slots=True)
class Heard:
    """The caller's answer: one of the three."""

    action_id: str
    digits: str | None = field(default=None, repr=False)
    """As on the keys (`1234#`)."""
    speech: str | None = field(default=None, repr=False)
    choice: str | None = field(default=None, repr=False)
    """Label."""


@dataclass(frozen=True, slots=True)
class HttpAnswered:
    """An API has answered, with whatever status."""

    action_id: str
    status: int
    body: Any = field(default=None, repr=False)
    """Decoded JSON; None where it is none."""


@dataclass(frozen=True, slots=True)
class Failed:
    """The action could not be done, or nothing was heard of it in time (`Failure.OTHER`)."""

    action_id: str
    failure: Failure = Failure.OTHER


@dataclass(frozen=True, slots=True)
class CallerGone:
    """The call is over."""


FlowEvent = Started | Done | Heard | HttpAnswered | Failed | CallerGone
