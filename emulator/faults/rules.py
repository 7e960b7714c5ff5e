"""Fault rules: what is to go wrong, when, and how often. Pure; everything wrong about a rule is told at once."""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Annotated, Any, ClassVar, Final, get_args

import msgspec

from emulator.faults.operations import (
    ALL,
    CALLBACK,
    OF_CALLS,
    REQUESTS,
    WEB_PUBSUB_DELIVER,
    WITH_PARTS,
    named_by,
)

MAX_RULES: Final = 1_000
"""Rules at a time; those that are used up make room."""

MAX_DELAY_MS: Final = 3_600_000

Count = Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]
Milliseconds = Annotated[float, msgspec.Meta(ge=0, le=MAX_DELAY_MS)]


class RuleRefused(ValueError):
    """A rule is not valid.

    Attributes:
        problems: everything that is wrong with it.
    """

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(self.problems))


class TooManyRules(ValueError):
    """There are `MAX_RULES` rules already, and none of them is used up."""


class When(StrEnum):
    """Where in a request's way the fault strikes.

    `before`: the operation is not performed (or only afterwards, for what lets it go on).
    `after`: it is performed, and it is the reply that is replaced, lost or late.
    """

    BEFORE = "before"
    AFTER = "after"


class _Action(
    msgspec.Struct,
    frozen=True,
    rename="camel",
    tag_field="kind",
    forbid_unknown_fields=True,
    omit_defaults=True,
):
    """What goes wrong."""


class Status(_Action, frozen=True, tag="status"):
    """The service answers an error, in its own shape.

    Attributes:
        code: the service's word or number for it; its usual one for the status when None.
        retry_after_seconds: what the `Retry-After` header says.
    """

    status: Annotated[int, msgspec.Meta(ge=400, le=599)]
    code: str | None = None
    message: str = "Injected fault."
    retry_after_seconds: Annotated[int, msgspec.Meta(ge=0, le=86_400)] | None = None
    when: When = When.BEFORE

    def headers(self) -> dict[str, str]:
        """What goes with the status."""
        return {} if self.retry_after_seconds is None else {"Retry-After": str(self.retry_after_seconds)}


class Delay(_Action, frozen=True, tag="delay"):
    """Everything goes well, `ms` milliseconds (of the real clock) later."""

    ms: Milliseconds
    when: When = When.BEFORE


class Hang(_Action, frozen=True, tag="hang"):
    """No answer, until the client goes away or the rule is removed; then the request goes on."""

    when: When = When.BEFORE


class Pause(_Action, frozen=True, tag="pause"):
    """The request is held until somebody releases or drops it, even when its client is gone."""

    when: When = When.BEFORE


class Reset(_Action, frozen=True, tag="reset"):
    """The connection is reset without an answer."""

    when: When = When.BEFORE


class Cut(_Action, frozen=True, tag="cut"):
    """The operation is performed; the connection is reset after the headers and half of the body."""

    when: ClassVar[When] = When.AFTER


class Duplicate(_Action, frozen=True, tag="duplicate"):
    """The message is sent `copies` times, at once or each `after_ms` later than the one before."""

    copies: Annotated[int, msgspec.Meta(ge=2, le=100)] = 2
    after_ms: Milliseconds = 0


class Reorder(_Action, frozen=True, tag="reorder"):
    """The message is sent at a drawn time within a window, so that messages overtake one another."""

    within_ms: Milliseconds


class Batch(_Action, frozen=True, tag="batch"):
    """Messages to the same address share one request: as soon as there are `size`, or `within_ms` after the first."""

    within_ms: Milliseconds
    size: Annotated[int, msgspec.Meta(ge=2, le=1_000)] = 2


class Drop(_Action, frozen=True, tag="drop"):
    """The message is never sent."""


class Malformation(StrEnum):
    """How a message's body is spoiled."""

    TRUNCATED = "truncated"
    WRONG_TYPES = "wrongTypes"
    MISSING_DATA = "missingData"
    UNKNOWN_ENVELOPE = "unknownEnvelope"


class Malform(_Action, frozen=True, tag="malform"):
    """The message's body is spoiled."""

    variant: Malformation


class LoseAcknowledgement(_Action, frozen=True, tag="loseAcknowledgement"):
    """The application's answer gets lost, so that the message is sent again as after a time-out."""


class TokenFlaw(StrEnum):
    """What is wrong with the token of a callback."""

    MISSING = "missing"
    FORGED = "forged"
    EXPIRED = "expired"
    UNKNOWN_KEY = "unknownKey"
    WRONG_AUDIENCE = "wrongAudience"
    WRONG_ISSUER = "wrongIssuer"


class Token(_Action, frozen=True, tag="token"):
    """The callback comes with a token that does not prove it."""

    flaw: TokenFlaw


RequestAction = Status | Delay | Hang | Pause | Reset | Cut
MessageAction = Delay | Pause | Duplicate | Reorder | Batch | Drop | Malform | LoseAcknowledgement | Token
Action = RequestAction | MessageAction

ACTIONS: Final[Mapping[str, type[Action]]] = {
    str(kind.__struct_config__.tag): kind for kind in get_args(Action)
}
"""By `kind`."""


def fits(action: Action, operation: str) -> bool:
    """Whether an action is possible at an operation."""
    if operation in REQUESTS:
        return isinstance(action, RequestAction)
    if isinstance(action, Delay | Pause):
        return action.when is When.BEFORE
    if operation == WEB_PUBSUB_DELIVER:
        return isinstance(action, Duplicate | Reorder | Drop)
    return isinstance(action, MessageAction) and (operation == CALLBACK or not isinstance(action, Token))


class FaultRule(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True, omit_defaults=True):
    """One thing that is to go wrong.

    Attributes:
        operation: what it strikes, for example `answer`, `storage.insertEntity:calls`, `callback.deliver`; `*`
            stands for any characters. Of the operations that it names it strikes those where the action is possible.
        action: what goes wrong.
        call: strikes this call only: its correlation id, or the number or identity of either party.
        nth: the first matching occasion that it strikes, counted from 1 since the rule was added.
        times: how often it strikes; always when None.
        probability: of each strike, drawn from the seed, the rule, and the identity and attempt of the occasion.
    """

    operation: str
    action: Action
    call: str | None = None
    nth: Count = 1
    times: Count | None = None
    probability: Annotated[float, msgspec.Meta(gt=0, le=1)] = 1.0

    def matches(self, operation: str, part: str, names: frozenset[str]) -> bool:
        """Whether an occasion of this operation, part (a table, ...) and call names is one of the rule's."""
        pattern, colon, part_pattern = self.operation.partition(":")
        return (
            fnmatchcase(operation, pattern)
            and fits(self.action, operation)
            and (not colon or fnmatchcase(part, part_pattern))
            and (self.call is None or self.call in names)
        )


def read_rule(content: object) -> FaultRule:
    """Check a rule's JSON.

    Raises:
        RuleRefused: with everything that is wrong.
    """
    if not isinstance(content, dict):
        raise RuleRefused(["a rule must be a JSON object"])
    problems = [*_problems(content, FaultRule, skipped="action"), *_action_problems(content.get("action"))]
    problems += _meaning_problems(content)
    if problems:
        raise RuleRefused(problems)
    rule = msgspec.convert(content, FaultRule)
    if not any(fits(rule.action, operation) for operation in named_by(rule.operation)):
        raise RuleRefused([f"`action`: what it does is not possible at {rule.operation}"])
    return rule


def check_rule(rule: FaultRule) -> None:
    """Check a rule that was made in Python, where nothing has been checked yet.

    Raises:
        RuleRefused: with everything that is wrong.
    """
    read_rule(msgspec.to_builtins(rule))


def _problems(content: dict[str, Any], shape: type[msgspec.Struct], *, skipped: str) -> list[str]:
    """What is wrong with each member by itself: msgspec would tell of the first only."""
    known = {field.encode_name: field for field in msgspec.structs.fields(shape)}
    found = [
        f"`{name}` is unknown; there are: {', '.join(known)}"
        for name in content
        if name not in (*known, skipped)
    ]
    for name, field in known.items():
        if name == skipped:
            continue
        if name in content:
            try:
                msgspec.convert(content[name], field.type)
            except msgspec.ValidationError as error:
                found.append(f"`{name}`: {error}")
        elif field.required:
            found.append(f"`{name}` is missing")
    return found


def _action_problems(action: object) -> list[str]:
    kinds = ", ".join(ACTIONS)
    if not isinstance(action, dict):
        return [f"`action` must be an object with one of these kinds: {kinds}"]
    shape = ACTIONS.get(str(action.get("kind")))
    if shape is None:
        return [f"`action.kind` must be one of: {kinds}"]
    return [f"action: {problem}" for problem in _problems(action, shape, skipped="kind")]


def _meaning_problems(content: dict[str, Any]) -> list[str]:
    pattern = content.get("operation")
    if not isinstance(pattern, str):
        return []
    named = named_by(pattern)
    if not named:
        return [f"there is no operation {pattern}; there are: {', '.join(sorted(ALL))}"]
    found = []
    if ":" in pattern and not any(operation.partition(".")[0] in WITH_PARTS for operation in named):
        found.append(f"`operation`: {pattern} has no parts, nothing may follow a colon")
    if content.get("call") is not None and not named & OF_CALLS:
        found.append(f"`call`: {pattern} does not tell of which call it is")
    return found
