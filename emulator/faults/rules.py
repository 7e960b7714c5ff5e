"""Fault rules: what is to go wrong, when, and how often. Pure; everything wrong about a rule is told at once."""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Annotated, Any, ClassVar, Final

import msgspec

from emulator.faults.operations import OF_CALLS, PARTS, REQUESTS, named_by

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
    kw_only=True,
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


Action = Status | Delay | Hang | Pause | Reset | Cut

ACTIONS: Final[Mapping[str, type[Action]]] = {
    str(kind.__struct_config__.tag): kind for kind in (Status, Delay, Hang, Pause, Reset, Cut)
}
"""By `kind`."""


class FaultRule(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True, omit_defaults=True):
    """One thing that is to go wrong.

    Attributes:
        operation: what it strikes, for example `answer`, `key_vault.getSecret`, `storage.insertEntity:calls`,
            `storage.*`.
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
    return msgspec.convert(content, FaultRule)


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
        return [f"there is no operation {pattern}; there are: {', '.join(sorted(REQUESTS))}"]
    found = []
    if ":" in pattern and not any(operation.partition(".")[0] in PARTS for operation in named):
        found.append(f"`operation`: {pattern} has no parts, nothing may follow a colon")
    if content.get("call") is not None and not named & OF_CALLS:
        found.append(f"`call`: requests of {pattern} do not tell of which call they are")
    return found
