"""What a schema cannot say of one step of a flow document; checked before a call runs it, not during one."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from shared.acs.identifiers import PHONE_PREFIX, to_raw_id
from shared.core.flow_model import BUILT_IN, BUILT_IN_SENSITIVE, LANGUAGE, MAX_SPEECH_SILENCE_S
from shared.core.flow_texts import TemplateInvalid, filled, names_in
from shared.core.flow_values import is_pattern, matches
from shared.core.transfers import TargetKind, TransferInvalid, context_for, target_kind
from shared.flow_paths import given
from shared.flow_prompts import language_faults, prompt_faults, prompts_of
from shared.gateway_document import Place
from shared.realtime_faults import realtime_faults

Faults = Iterator[tuple[Place, str]]


def step_faults(step: Mapping[str, Any], document: Mapping[str, Any]) -> Faults:
    """Yield (place, text) of each fault of a step of the right shape."""
    languages, variables = document["languages"], document.get("variables", {})
    for place, prompt in prompts_of(step):
        yield from (((*place, *within), text) for within, text in prompt_faults(prompt, languages))
    for place, name in _targets(step):
        if name not in variables and name != LANGUAGE:
            yield (
                place,
                f"'{name}' is not the flow's to set"
                if name in BUILT_IN
                else f"there is no variable '{name}'",
            )
    for member in ("send", "context", "variables"):
        for name, template in step.get(member, {}).items():
            yield from _template_faults((member, name), template)
    match step["kind"]:
        case "ask":
            yield from _input_faults(step)
            yield from _choice_faults(step, languages)
            yield from _label_faults(step, languages, variables)
        case "confirm":
            yield from _choice_faults(step, languages)
        case "branch":
            yield from _branch_faults(step, variables)
        case "http":
            yield from _http_faults(step, variables)
        case "set":
            yield from _set_faults(step, languages, variables)
        case "transfer":
            yield from _transfer_faults(step)


def choices_of(step: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the choices of a question by label; a confirmation has the two `yes` and `no`."""
    if step["kind"] == "confirm":
        return {label: step[label] for label in ("yes", "no")}
    choices: Mapping[str, Any] = step.get("choices", {})
    return choices


def by_language(phrases: Any, languages: Collection[str]) -> dict[str, list[str]]:
    """Return the phrases of a choice for each language."""
    return dict.fromkeys(languages, phrases) if isinstance(phrases, list) else dict(phrases)


def _targets(step: Mapping[str, Any]) -> Iterator[tuple[Place, str]]:
    """Yield (place, name) of the variables that a step sets."""
    member = {"ask": "variable", "http": "save", "set": "variables"}.get(step["kind"], "")
    for name in sorted(given(step)):
        yield (member,) if member == "variable" else (member, name), name


def _template_faults(place: Place, template: str) -> Faults:
    try:
        names_in(template)
    except TemplateInvalid as invalid:
        yield place, str(invalid)


def _input_faults(step: Mapping[str, Any]) -> Faults:
    digits, choices = step.get("digits"), step.get("choices")
    if not any(member in step for member in ("digits", "speech", "choices")):
        yield (), "asks for nothing: digits, speech, or choices"
    if choices is not None and (digits is not None or "speech" in step):
        yield ("choices",), "are asked for alone: without digits and speech"
    if digits is not None:
        if ("length" in digits) == ("min" in digits or "max" in digits) or ("min" in digits) != (
            "max" in digits
        ):
            yield ("digits",), "has a length, or min and max"
        elif digits.get("min", 0) > digits.get("max", 0):
            yield ("digits", "min"), "is more than max"
    if "next" not in step and not (choices and all("next" in choice for choice in choices.values())):
        yield (), "has no next, and not every choice has one"
    if "speech" in step and step.get("silence_s", 0) > MAX_SPEECH_SILENCE_S:
        yield ("silence_s",), f"is more than {MAX_SPEECH_SILENCE_S}, which ACS waits for speech"


def _choice_faults(step: Mapping[str, Any], languages: Collection[str]) -> Faults:
    choices = choices_of(step)
    within: Place = ("choices",) if step["kind"] == "ask" else ()
    keys = Counter(choice["key"] for choice in choices.values() if "key" in choice)
    by_voice = [label for label, choice in choices.items() if "phrases" in choice]
    for label, choice in choices.items():
        place = (*within, label)
        if "key" not in choice and "phrases" not in choice:
            yield place, "cannot be chosen: it has neither key nor phrases"
        elif by_voice and "phrases" not in choice:
            yield place, "has no phrases, and others have: ACS wants them of all or of none"
        if keys[choice.get("key", "")] > 1:
            yield (*place, "key"), "chooses something else, too"
        phrases = choice.get("phrases")
        if isinstance(phrases, list) and len(languages) > 1:
            yield (*place, "phrases"), "are for no language, and the flow has several"
        elif isinstance(phrases, dict):
            yield from (((*place, "phrases", *at), text) for at, text in language_faults(phrases, languages))
    yield from _phrase_faults(choices, languages, within)
    if by_voice and step.get("silence_s", 0) > MAX_SPEECH_SILENCE_S:
        yield ("silence_s",), f"is more than {MAX_SPEECH_SILENCE_S}, which ACS waits for speech"


def _phrase_faults(choices: Mapping[str, Any], languages: Collection[str], within: Place) -> Faults:
    taken: dict[tuple[str, str], str] = {}
    for label, choice in choices.items():
        for language, phrases in by_language(choice.get("phrases", {}), languages).items():
            for phrase in phrases:
                other = taken.setdefault((language, phrase.casefold()), label)
                if other != label:
                    yield (*within, label, "phrases"), f"'{phrase}' chooses '{other}', too"


def _label_faults(
    step: Mapping[str, Any], languages: Collection[str], variables: Mapping[str, Any]
) -> Faults:
    variable = step.get("variable", "")
    for label in step.get("choices", {}):
        yield from _value_faults(("choices", label), variable, label, languages, variables)


def _branch_faults(step: Mapping[str, Any], variables: Mapping[str, Any]) -> Faults:
    if step["variable"] not in (*variables, *BUILT_IN):
        yield ("variable",), f"there is no variable '{step['variable']}'"
    for index, case in enumerate(step["cases"]):
        if ("is" in case) == ("matches" in case):
            yield ("cases", index), "has one of is and matches"
        if "matches" in case and not is_pattern(case["matches"]):
            yield (
                ("cases", index, "matches"),
                "is no regular expression, or has look-around or back-references",
            )


def _http_faults(step: Mapping[str, Any], variables: Mapping[str, Any]) -> Faults:
    # A request of a flow is one of a tool: the same rules for URL and headers.
    yield from (
        (place[2:], text) for place, text in realtime_faults({"tools": [step]}) if place[0] == "tools"
    )
    if step.get("method") == "GET":
        for name, template in step.get("send", {}).items():
            for variable in _sensitive_in(template, variables):
                yield ("send", name), f"'{variable}' is sensitive, and URLs land in logs; use POST"


def _set_faults(step: Mapping[str, Any], languages: Collection[str], variables: Mapping[str, Any]) -> Faults:
    for name, template in step["variables"].items():
        place, declared = ("variables", name), variables.get(name, {})
        if not declared.get("sensitive", False):
            for variable in _sensitive_in(template, variables):
                yield place, f"takes in '{variable}', which is sensitive, and so must be sensitive too"
        if not _names(template):
            yield from _value_faults(place, name, filled(template, {}), languages, variables)
        elif "pattern" in declared:
            yield place, "has a pattern, which a text with variables cannot be checked against beforehand"


def _value_faults(
    place: Place, variable: str, value: str, languages: Collection[str], variables: Mapping[str, Any]
) -> Faults:
    """Check a value that is known beforehand; empty is no value, which every variable may have."""
    pattern = variables.get(variable, {}).get("pattern")
    if value and pattern is not None and is_pattern(pattern) and not matches(pattern, value):
        yield place, f"does not match the pattern of '{variable}'"
    if variable == LANGUAGE and value not in languages:
        yield place, f"there is no language '{value}'"


def _transfer_faults(step: Mapping[str, Any]) -> Faults:
    target = to_raw_id(step["to"])
    if "caller_id" in step and not target.startswith(PHONE_PREFIX):
        yield ("caller_id",), "is shown to phones only, and to is no number"
    try:
        kind = target_kind(target)
    except TransferInvalid as invalid:
        yield ("to",), invalid.limit
        return
    context = {name: _without_values(template) for name, template in step.get("context", {}).items()}
    for name, value in context.items():
        try:
            carried = context_for(target, {name: value})
        except TransferInvalid as invalid:
            yield ("context", name), invalid.limit
            continue
        if not (carried.voip or carried.sip):
            yield (
                ("context", name),
                "does not go along: a phone gets User-To-User and X-MS-Custom-... alone"
                if kind is TargetKind.PHONE
                else "does not go along: Teams gets nothing",
            )
    try:
        context_for(target, dict.fromkeys(context, ""))
    except TransferInvalid as invalid:
        yield ("context",), invalid.limit


def _without_values(template: str) -> str:
    try:
        return filled(template, {})
    except TemplateInvalid:
        return ""


def _sensitive_in(template: str, variables: Mapping[str, Any]) -> list[str]:
    return sorted(
        name
        for name in _names(template)
        if name in BUILT_IN_SENSITIVE or variables.get(name, {}).get("sensitive", False)
    )


def _names(template: str) -> frozenset[str]:
    try:
        return names_in(template)
    except TemplateInvalid:
        return frozenset()
