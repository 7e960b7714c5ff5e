"""The flow document: an IVR's flow as plain data, checked whole before any call runs it.

Its shape is published as `flow.schema.json`. What a schema cannot say is checked once the shape is right: here for
the document and its variables, in `flow_steps.py` for each step, in `flow_paths.py` for the ways between them.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jsonschema_rs
import msgspec

from shared.acs.identifiers import to_raw_id
from shared.core.flow_model import BUILT_IN, Flow
from shared.core.flow_values import is_pattern, matches
from shared.flow_paths import path_faults
from shared.flow_prompts import PROMPTS, prompts_of, sounds_of, to_prompt
from shared.flow_steps import by_language, choices_of, step_faults
from shared.gateway_document import Fault, Place, Sound

SCHEMA_FILE = Path(__file__).with_name("flow.schema.json")
RATE_HZ = 16_000
"""Of what ACS plays."""


def faults_of(document: Any) -> Iterator[Fault]:
    """Yield every fault of shape, or else every fault of meaning."""
    shape = [*_shape_faults(document)]
    yield from shape
    if shape:
        return
    for place, text in _variable_faults(document.get("variables", {})):
        yield Fault(("variables", *place), text)
    for name, step in document["steps"].items():
        for place, text in step_faults(step, document):
            yield Fault(("steps", name, *place), text)
    for place, text in path_faults(document):
        yield Fault(place, text)


def to_flow(document: Mapping[str, Any]) -> Flow:
    """Return the flow of a document without faults."""
    languages = document["languages"]
    steps = {name: _to_step(step, languages) for name, step in document["steps"].items()}
    members = {name: value for name, value in document.items() if name != "version"}
    # Not strict: to the schema, and to people, 5.0 is a whole number.
    return msgspec.convert({**members, "steps": steps}, Flow, strict=False)


def sounds_in(document: Mapping[str, Any]) -> Iterator[Sound]:
    """Yield every WAV file of a document of the right shape."""
    for name, step in document["steps"].items():
        for place, prompt in prompts_of(step):
            for within, sound in sounds_of(prompt):
                yield Sound(("steps", name, *place, *within), sound, RATE_HZ)


def _shape_faults(document: Any) -> Iterator[Fault]:
    validator = jsonschema_rs.validator_for(json.loads(SCHEMA_FILE.read_bytes()))
    try:
        # The validator's own order is not fixed; by place, the same document always gives the same list.
        errors = sorted(validator.iter_errors(document), key=lambda e: (str(e.instance_path), e.message))
    except ValueError:
        yield Fault((), "is nested too deeply")
        return
    for error in errors:
        yield Fault(tuple(error.instance_path), error.message)


def _variable_faults(variables: Mapping[str, Any]) -> Iterator[tuple[Place, str]]:
    headers: set[str] = set()
    for name, variable in variables.items():
        pattern, default, header = (variable.get(member) for member in ("pattern", "default", "input"))
        if name in BUILT_IN:
            yield (name,), "is a variable that every flow has"
        if pattern is not None and not is_pattern(pattern):
            yield (name, "pattern"), "is no regular expression, or has look-around or back-references"
        elif pattern is not None and default and not matches(pattern, default):
            yield (name, "default"), "does not match the pattern"
        if header is not None and header.lower() in headers:
            yield (name, "input"), "comes in as another variable already"
        headers.add((header or "").lower())


def _to_step(step: Mapping[str, Any], languages: Mapping[str, Any]) -> dict[str, Any]:
    made = dict(step)
    for member in PROMPTS:
        if member in step:
            made[member] = to_prompt(step[member], languages)
    if choices := choices_of(step):
        made["choices"] = {
            label: {**choice, "phrases": by_language(choice.get("phrases", {}), languages)}
            for label, choice in choices.items()
        }
    if step["kind"] == "confirm":
        made = {name: value for name, value in made.items() if name not in ("yes", "no")} | {"kind": "ask"}
    if "digits" in step:
        digits = step["digits"]
        length = digits.get("length")
        made["digits"] = {"min": length, "max": length, **digits}
    if "cases" in step:
        made["cases"] = [
            {**case, "is": [case["is"]] if isinstance(case.get("is"), str) else case.get("is", [])}
            for case in step["cases"]
        ]
    if "to" in step:
        made["to"] = to_raw_id(step["to"])
    return made
