"""Signals are read as they are published, and what is new to a reader is told apart from what is broken."""

import json
from pathlib import Path

import jsonschema_rs
import msgspec
import pytest

import shared
from shared.core.signals import (
    KINDS,
    CallTaken,
    EventsStored,
    MalformedSignal,
    Signal,
    UnknownSignal,
    decode,
    encode,
)

CALL_ID = "01a2101e-7d91-7725-9a33-4b4f0be2872f"
SIGNALS = [EventsStored(CALL_ID), CallTaken(CALL_ID, epoch=3)]
SCHEMA = json.loads((Path(shared.__file__).parent / "signals.schema.json").read_bytes())
EXAMPLES = [example for kind in KINDS for example in SCHEMA["$defs"][kind]["examples"]]
BROKEN = [
    None,
    "events",
    [],
    {},
    {"kind": "events", "call_id": CALL_ID},
    {"kind": "events", "version": "1", "call_id": CALL_ID},
    {"kind": "events", "version": 0, "call_id": CALL_ID},
    {"kind": "events", "version": 1},
    {"kind": "events", "version": 1, "call_id": "4:+14255550100"},
    {"kind": "taken", "version": 1, "call_id": CALL_ID},
    {"kind": "taken", "version": 1, "call_id": CALL_ID, "epoch": 0},
]


def validator():
    return jsonschema_rs.validator_for(SCHEMA)


@pytest.mark.parametrize("signal", SIGNALS)
def test_a_signal_survives_the_way_and_is_as_the_schema_says(signal):
    message = json.loads(json.dumps(encode(signal)))
    validator().validate(message)
    assert decode(message) == signal


def test_the_schema_is_one_and_its_examples_are_signals():
    jsonschema_rs.meta.validate(SCHEMA)
    assert {encode(decode(example))["kind"] for example in EXAMPLES} == KINDS
    for example in EXAMPLES:
        validator().validate(example)
        assert encode(decode(example)) == example


def test_the_schema_has_every_kind_and_every_member():
    generated = msgspec.json.schema_components((Signal,))[1]
    by_kind = {shape["properties"]["kind"]["enum"][0]: shape for shape in generated.values()}
    assert set(by_kind) == KINDS
    for kind, shape in by_kind.items():
        published = SCHEMA["$defs"][kind]
        assert set(published["properties"]) == set(shape["properties"])
        # Ours always writes the version, which has a default for whoever makes one.
        assert set(published["required"]) == set(shape["properties"])


@pytest.mark.parametrize("message", BROKEN, ids=repr)
def test_a_broken_one_is_said_so_and_not_quoted(message):
    assert not validator().is_valid(message)
    with pytest.raises(MalformedSignal) as malformed:
        decode(message)
    assert "+1425" not in str(malformed.value)


@pytest.mark.parametrize(
    "message",
    [
        {"kind": "moved", "version": 1, "call_id": CALL_ID},
        {"kind": "events", "version": 2, "call": CALL_ID},
        {"kind": "moved", "version": 7},
    ],
)
def test_one_of_a_later_release_is_unknown_and_not_broken(message):
    with pytest.raises(UnknownSignal):
        decode(message)


def test_members_of_a_later_release_are_passed_over():
    message = {**encode(EventsStored(CALL_ID)), "hint": "CallConnected"}
    validator().validate(message)
    assert decode(message) == EventsStored(CALL_ID)
