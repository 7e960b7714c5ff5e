"""What is published about the documents holds: their schemas, and the examples of the page about them."""

import json
from dataclasses import replace
from pathlib import Path

import jsonschema_rs
import msgspec
import pytest

from media_gateway.recording.documents import (
    CALL_SCHEMA,
    TRANSCRIPT_SCHEMA,
    Made,
    call_document,
    transcript_document,
)
from media_gateway.recording.merge import Gathered
from media_gateway.recording.notes import Happened, Missing, Stage, call_facts
from media_gateway.recording.parts import PartName
from media_gateway.recording.turns import Turn
from tests.support.documentation import blocks
from tests.support.recording import CREATED, recorded_record
from tests.support.records import call_record

PAGE = Path(__file__).resolve().parents[3] / "docs" / "recording.md"
EXAMPLES = [block.text for block in blocks(PAGE) if block.info == "json"]
MADE = Made(
    rate_hz=24_000,
    begins_ms=1000,
    duration_ms=60_000,
    lost=[(20_000, 25_000)],
    parts=[PartName(1, 24_000, 48_000)],
    turns=[Turn(1000, 900), Turn(5000, 300), Turn(9000, 400)],
)


def validator(schema):
    return jsonschema_rs.validator_for(json.loads(schema.read_bytes()), validate_formats=True)


def gathered(**changes):
    """A call of which little was noted."""
    facts = call_facts(replace(recorded_record(), output={"card": "blocked"}), detail="socket_closed")
    return Gathered(facts, **changes)


@pytest.mark.parametrize("schema", [TRANSCRIPT_SCHEMA, CALL_SCHEMA], ids=lambda path: path.name)
def test_the_schemas_are_schemas_themselves(schema):
    jsonschema_rs.meta.validate(json.loads(schema.read_bytes()))


def test_the_examples_of_the_page_are_as_the_schemas_say():
    for schema, example in zip((TRANSCRIPT_SCHEMA, CALL_SCHEMA), EXAMPLES, strict=True):
        validator(schema).validate(json.loads(example))


def test_a_call_of_which_nothing_was_noted_makes_good_documents():
    validator(TRANSCRIPT_SCHEMA).validate(transcript_document(gathered(), MADE))
    validator(CALL_SCHEMA).validate(call_document(gathered(), MADE))


def test_times_count_from_the_first_sample():
    facts = call_facts(recorded_record())
    history = (
        Stage(CREATED + 0.5, "answer_sent", "answering"),
        Stage(CREATED + 3, "media_lost", "streaming", True),
    )
    document = call_document(
        Gathered(
            msgspec.structs.replace(facts, history=history),
            happened=[Happened(2500, "noted")],
            missing=[Missing("agent", 4000, 120)],
            pauses={3000: 4000, 50_000: None},
        ),
        MADE,
    )
    assert [(entry["at_ms"], entry["event"], entry["detail"]) for entry in document["timeline"]] == [
        (-500, "answer_sent", ""),
        (1500, "noted", ""),
        (2000, "media_lost", "refused"),
    ]
    assert document["gaps"] == [{"track": "agent", "start_ms": 3000, "length_ms": 120}]
    assert document["recording"]["paused"] == [
        {"start_ms": 2000, "length_ms": 1000},
        {"start_ms": 49_000, "length_ms": 11_000},
    ]
    assert document["recording"]["began"] == "2023-11-14T22:13:21.000Z"


def test_waits_are_summed_up_and_losses_are_told():
    document = call_document(gathered(), MADE)
    assert (document["latencies"]["turn_p50_ms"], document["latencies"]["turn_max_ms"]) == (400, 900)
    assert document["recording"]["lost_ms"] == 5000
    assert document["outcome"] == {"state": "streaming", "cause": None, "detail": "socket_closed"}
    assert document["variables"]["out"] == {"card": "blocked"}


def test_counts_of_all_owners_are_added():
    document = call_document(gathered(counts={1: {"late_samples": 3}, 2: {"late_samples": 4}}), MADE)
    assert document["counts"]["late_samples"] == 7


def test_of_a_call_that_is_not_recorded_nothing_is_told():
    with pytest.raises(ValueError, match="keeps no recording"):
        call_facts(call_record())
