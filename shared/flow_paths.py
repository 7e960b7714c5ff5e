"""The ways through a flow document: which steps there are, whether each is reached, and what is known on the way."""

from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from typing import Any, NamedTuple

from shared.core.flow_model import BUILT_IN
from shared.core.flow_texts import TemplateInvalid, names_in
from shared.flow_prompts import prompts_of, texts_of
from shared.gateway_document import Place


class Way(NamedTuple):
    """One way on from a step."""

    place: Place
    to: str
    is_answer: bool
    """Whether only an answer of the caller leads there."""
    is_success: bool
    """Whether the step has given its variables their values then."""


def ways(step: Mapping[str, Any]) -> Iterator[Way]:
    """Yield every way on."""
    asks = step["kind"] in ("ask", "confirm")
    if "next" in step:
        yield Way(("next",), step["next"], asks, is_success=True)
    for label, choice in step.get("choices", {}).items():
        if "next" in choice:
            yield Way(("choices", label, "next"), choice["next"], is_answer=True, is_success=True)
    for label in ("yes", "no"):
        if label in step:
            yield Way((label, "next"), step[label]["next"], is_answer=True, is_success=True)
    for index, case in enumerate(step.get("cases", ())):
        yield Way(("cases", index, "next"), case["next"], is_answer=False, is_success=True)
    if "otherwise" in step:
        yield Way(("otherwise",), step["otherwise"], is_answer=False, is_success=False)


def templates(step: Mapping[str, Any]) -> Iterator[tuple[Place, str]]:
    """Yield (place, template) of all that a step says, sends, or gives to variables."""
    for place, prompt in prompts_of(step):
        yield from (((*place, *within), text) for within, text in texts_of(prompt))
    for member in ("send", "context"):
        yield from (((member, name), text) for name, text in step.get(member, {}).items())
    if step["kind"] == "set":
        yield from ((("variables", name), text) for name, text in step["variables"].items())


def given(step: Mapping[str, Any]) -> frozenset[str]:
    """Return the variables that have a value when the step succeeds."""
    by_answer = {step["variable"]} if step["kind"] == "ask" and "variable" in step else set()
    return frozenset(by_answer | {*step.get("save", ())} | {*step.get("variables", ())})


def path_faults(document: Mapping[str, Any]) -> Iterator[tuple[Place, str]]:
    """Yield (place, text): ways to nowhere, steps that no way leads to, loops, and variables without a value."""
    steps = document["steps"]
    for root in ("start", "returns"):
        if root in document and document[root] not in steps:
            yield (root,), f"there is no step '{document[root]}'"
    for name, step in steps.items():
        for way in ways(step):
            if way.to not in steps:
                yield ("steps", name, *way.place), f"there is no step '{way.to}'"
    known = _known(document)
    for name in steps:
        if name not in known:
            yield ("steps", name), "no way leads here"
    yield from _loop_faults(steps)
    declared = {*BUILT_IN, *document.get("variables", {})}
    for name, values in known.items():
        for place, template in templates(steps[name]):
            for variable in sorted(_names(template)):
                if variable not in declared:
                    yield ("steps", name, *place), f"there is no variable '{variable}'"
                elif variable not in values:
                    text = f"'{variable}' may have no value here; it could have a default"
                    yield ("steps", name, *place), text


def _known(document: Mapping[str, Any]) -> dict[str, frozenset[str]]:
    """Return the steps that are reached, each with the variables that have a value whatever way led to it."""
    steps = document["steps"]
    always = frozenset(BUILT_IN).union(
        name for name, variable in document.get("variables", {}).items() if "default" in variable
    )
    known = {
        document[root]: always
        for root in ("start", "returns")
        if root in document and document[root] in steps
    }
    to_do = list(known)
    while to_do:
        name = to_do.pop()
        for way in ways(steps[name]):
            if way.to not in steps:
                continue
            after = known[name] | (given(steps[name]) if way.is_success else frozenset())
            # Ways that meet know what each of them knows. It only ever shrinks, and so comes to an end.
            met = known[way.to] & after if way.to in known else after
            if known.get(way.to) != met:
                known[way.to] = met
                to_do.append(way.to)
    return known


def _loop_faults(steps: Mapping[str, Any]) -> Iterator[tuple[Place, str]]:
    # As keys, which keep their order: the same document always gives the same faults.
    graph = {
        name: dict.fromkeys(way.to for way in ways(step) if not way.is_answer) for name, step in steps.items()
    }
    while True:
        try:
            TopologicalSorter(graph).prepare()
        except CycleError as error:
            # The first is the last again, and each is a way from the one after it.
            cycle: list[str] = error.args[1][:0:-1]
            way_round = " -> ".join([*cycle, cycle[0]])
            yield ("steps", cycle[0]), f"goes round without an answer of the caller: {way_round}"
            del graph[cycle[-1]][cycle[0]]
        else:
            return


def _names(template: str) -> frozenset[str]:
    try:
        return names_in(template)
    except TemplateInvalid:
        return frozenset()
