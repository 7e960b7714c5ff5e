"""What rules decide and do by themselves: draws, counting, gathering, spoiling; and that the docs know them all."""

import asyncio
import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.faults import FaultRule, Faults, Malformation, Status, read_rule
from emulator.faults.messages import Gathering, malformed
from emulator.faults.operations import STORAGE
from emulator.faults.registry import Occasion
from emulator.faults.rules import ACTIONS
from emulator.settings import EmulatorSettings, read_settings

DOCS = Path(__file__).parents[4] / "docs" / "emulator" / "faults.md"

things = st.lists(st.text(min_size=1, max_size=8), min_size=1, max_size=30)


def struck(faults: Faults, order: list[str]) -> dict[tuple[str, int], bool]:
    """Which attempt of which thing is struck."""
    fate, attempts = {}, dict.fromkeys(order, 0)
    for thing in order:
        attempts[thing] += 1
        fate[thing, attempts[thing]] = faults.take(Occasion("answer", thing=thing)) is not None
    return fate


@given(data=st.data(), order=things, seed=st.integers(), probability=st.floats(0.01, 1))
def test_draws_do_not_depend_on_the_order_of_events(data, order, seed, probability):
    rule = FaultRule("answer", Status(500), probability=probability)
    shuffled = data.draw(st.permutations(order))

    assert struck(Faults([rule], seed=seed), order) == struck(Faults([rule], seed=seed), shuffled)


@given(order=things, other=st.integers(1, 5))
def test_draws_do_not_depend_on_other_rules_that_do_not_strike(order, other):
    rule = FaultRule("answer", Status(500), probability=0.5)
    idle = [FaultRule("answer", Status(503), nth=1_000)] * other

    assert struck(Faults([rule]), order) == struck(Faults([*idle, rule]), order)


def test_probability_is_about_kept():
    faults = Faults([FaultRule("answer", Status(500), probability=0.3)])

    strikes = sum(struck(faults, [str(number) for number in range(1_000)]).values())

    assert 250 < strikes < 350


@given(nth=st.integers(1, 10), times=st.integers(1, 10), count=st.integers(1, 30))
def test_a_rule_strikes_from_the_nth_on_as_often_as_told(nth, times, count):
    faults = Faults([FaultRule("answer", Status(500), nth=nth, times=times)])

    fate = [faults.take(Occasion("answer")) is not None for _ in range(count)]

    assert fate == [nth <= number < nth + times for number in range(1, count + 1)]
    [injected] = faults
    assert (injected.matched, injected.applied) == (count, sum(fate))


@given(
    envelope=st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5), max_size=4),
    data=st.none() | st.integers() | st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=4),
    variant=st.sampled_from(Malformation),
    in_array=st.booleans(),
)
def test_whatever_is_spoiled_is_not_what_it_was(envelope, data, variant, in_array):
    whole = {**envelope, "id": "1", "type": "t", "data": data}

    spoiled = malformed([whole] if in_array else whole, variant)

    try:
        content = json.loads(spoiled)
    except ValueError:
        assert variant is Malformation.TRUNCATED
        return
    assert (content[0] if in_array else content) != whole


async def test_messages_gather_by_address_until_there_are_enough_or_the_time_is_over():
    gathering: Gathering[int] = Gathering()

    async def join(address, message):
        return await gathering.join(address, message, size=2, within_seconds=0.01 if message == 5 else 5)

    groups = await asyncio.gather(join("a", 1), join("b", 2), join("a", 3), join("b", 4), join("a", 5))

    assert groups == [[1, 3], [2, 4], None, None, [5]]


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", DOCS.read_text(), re.DOTALL)


def test_every_kind_and_operation_stands_in_the_docs():
    text = DOCS.read_text()
    rows = set(re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE))

    assert set(ACTIONS) <= rows
    for operation in STORAGE:
        assert operation in text or f"`{operation.removeprefix('storage')}`" in text, operation


@pytest.mark.parametrize("block", [*blocks("json"), *re.findall(r"'(\{.*?\})'\n", "".join(blocks("sh")))])
def test_rules_and_settings_of_the_docs_are_valid(tmp_path, block):
    if "operation" in json.loads(block):
        read_rule(json.loads(block))
        return
    file = tmp_path / "settings.json"
    file.write_text(block)
    read_settings(file)


async def test_python_of_the_docs_runs(start_emulator):
    first, _, storage = blocks("python")
    emulator = await start_emulator()

    exec(first, {"emulator": emulator})
    exec(storage.replace("emulator = Emulator(", "("), {"EmulatorSettings": EmulatorSettings})

    assert len(list(emulator.faults)) == 3
