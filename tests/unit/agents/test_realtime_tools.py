"""What an agent may give the tools that every agent has: in every spelling, within limits, and nothing else."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media_gateway.agents.realtime.tools import (
    MAX_ARGUMENTS_CHARS,
    MAX_DIGITS_SENT,
    ArgumentsInvalid,
    BuiltIn,
    read_arguments,
    read_destination,
    read_digits,
    read_variables,
    specs,
)
from shared.core.profiles import BUILT_IN_TOOLS, Dialect, HttpTool, RealtimeAgent
from shared.core.variables import MAX_NAME_CHARS, MAX_VALUE_CHARS, MAX_VARIABLES

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def agent(**changes):
    return RealtimeAgent(dialect=Dialect.OPENAI, endpoint="wss://x/v1", **changes)


@pytest.mark.parametrize("text", ["", "  ", "{}", ' {"a": 1} '])
def test_arguments_are_an_object(text):
    assert read_arguments(text) in ({}, {"a": 1})


@pytest.mark.parametrize(
    "text",
    [
        "null",
        "[]",
        '"{}"',
        "1",
        "{",
        '{"a": 1} x',
        '{"a": "\\ud800"}',
        '{"a": ' + "9" * 5000 + "}",
        '{"a":' + "[" * 20_000,
        "x" * (MAX_ARGUMENTS_CHARS + 1),
    ],
)
def test_what_is_none_is_refused_and_not_quoted(text):
    with pytest.raises(ArgumentsInvalid) as refused:
        read_arguments(text)
    assert len(str(refused.value)) < 60


@given(text=st.text() | JSON.map(str))
def test_no_arguments_break_anything(text):
    with suppress(ArgumentsInvalid):
        assert isinstance(read_arguments(text), dict)


@given(arguments=st.dictionaries(st.sampled_from(["digits", "variables", "destination", "x"]), JSON))
def test_no_values_break_anything(arguments):
    settings = agent(transfer_targets={"sales": "4:+14255550123"})
    for read in (read_digits, read_variables, lambda given: read_destination(given, settings)):
        with suppress(ArgumentsInvalid):
            assert read(arguments)


@pytest.mark.parametrize(
    ("spelled", "digits"),
    [("12#", "12#"), ("1 2 *", "12*"), ("abcd", "ABCD"), ("5" * MAX_DIGITS_SENT, "5" * MAX_DIGITS_SENT)],
)
def test_keys_may_be_spelled_with_spaces_and_small_letters(spelled, digits):
    assert read_digits({"digits": spelled}) == digits


@pytest.mark.parametrize("given", ["", " ", "12x", "one", "٣", 12, None, ["1"], "5" * (MAX_DIGITS_SENT + 1)])
def test_what_are_no_keys_is_refused(given):
    with pytest.raises(ArgumentsInvalid):
        read_digits({"digits": given})


@pytest.mark.parametrize(
    "arguments",
    [
        {"variables": {"a": "x", "b": 1, "c": 1.5, "d": True, "e": False}},
        {"a": "x", "b": 1, "c": 1.5, "d": True, "e": False},
    ],
)
def test_variables_come_as_text_also_where_the_agent_leaves_the_outer_object_out(arguments):
    assert read_variables(arguments) == {"a": "x", "b": "1", "c": "1.5", "d": "true", "e": "false"}


@pytest.mark.parametrize(
    "variables",
    [
        {},
        None,
        "a=b",
        {"a": None},
        {"a": {"b": "c"}},
        {"a": ["b"]},
        {"": "x"},
        {"x" * (MAX_NAME_CHARS + 1): "x"},
        {"a": "x" * (MAX_VALUE_CHARS + 1)},
        {f"v{number}": "x" for number in range(MAX_VARIABLES + 1)},
    ],
)
def test_variables_that_would_not_be_kept_whole_are_refused(variables):
    with pytest.raises(ArgumentsInvalid):
        read_variables({"variables": variables})


def test_a_destination_is_a_name_of_the_profile_s():
    settings = agent(transfer_targets={"sales": "4:+14255550123", "None": "8:acs:x"})
    assert read_destination({"destination": "sales"}, settings) == "4:+14255550123"
    for wrong in ({}, {"destination": None}, {"destination": "4:+14255550123"}, {"destination": ["sales"]}):
        with pytest.raises(ArgumentsInvalid, match=r"^destination must be one of: None, sales$"):
            read_destination(wrong, settings)


def test_an_agent_has_the_tools_that_can_do_something():
    def names(settings, *, is_recorded=False):
        return {spec.name for spec in specs(settings, is_recorded=is_recorded)}

    always = {"end_call", "set_variables", "send_dtmf"}
    assert names(agent()) == always
    assert names(agent(transfer_targets={"sales": "8:acs:x"})) == always | {"transfer_call"}
    assert names(agent(), is_recorded=True) == always | {"pause_recording", "resume_recording"}
    assert names(agent(tools=(HttpTool("look_up", "Looks up", "https://x/"),))) == always | {"look_up"}


def test_an_agent_is_told_the_destinations_by_name_only():
    settings = agent(transfer_targets={"sales": "4:+14255550123", "claims": "4:+14255550124"})
    (spec,) = [spec for spec in specs(settings, is_recorded=False) if spec.name == "transfer_call"]
    assert spec.parameters["properties"]["destination"]["enum"] == ["claims", "sales"]
    assert "+1425" not in str(spec)


def test_a_tool_without_parameters_has_an_empty_object_of_them():
    (*_, spec) = specs(agent(tools=(HttpTool("look_up", "Looks up", "https://x/"),)), is_recorded=False)
    assert spec.parameters == {"type": "object", "properties": {}}


def test_the_names_that_a_document_must_not_take_are_these():
    assert set(BUILT_IN_TOOLS) == set(BuiltIn)
