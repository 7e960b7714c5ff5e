"""Which events a filter lets through."""

import msgspec
import pytest

from emulator.event_grid.events import Event
from emulator.event_grid.filters import AdvancedFilter, EventFilter
from tests.support.shapes import example

DATA = example("incoming_call_user_to_user")
EVENT = Event(
    type="Microsoft.Communication.IncomingCall",
    subject=f"/caller/{DATA['from']['rawId']}/recipient/{DATA['to']['rawId']}",
    data=DATA,
    id="d5546be8-227a-4db8-b2c3-4f06fd675fd6",
)
CALLED = DATA["to"]["rawId"]


def matches(**condition) -> bool:
    return EventFilter(advanced_filters=(msgspec.convert(condition, AdvancedFilter),)).matches(EVENT)


@pytest.mark.parametrize(
    ("operator", "values", "expected"),
    [
        ("StringIn", [CALLED], True),
        ("StringIn", ["other", CALLED.upper()], True),
        ("StringIn", [CALLED[:-1]], False),
        ("StringNotIn", [CALLED], False),
        ("StringNotIn", ["other"], True),
        ("StringBeginsWith", ["8:ACS:"], True),
        ("StringBeginsWith", ["4:"], False),
        ("StringNotBeginsWith", ["4:"], True),
        ("StringEndsWith", ["61F3"], True),
        ("StringNotEndsWith", ["61f3"], False),
        ("StringContains", ["x", "_00000014"], True),
        ("StringNotContains", ["_00000014"], False),
    ],
)
def test_strings_are_compared_without_case(operator, values, expected):
    assert matches(operatorType=operator, key="data.to.rawId", values=values) is expected


@pytest.mark.parametrize("key", ["data.to.rawid", "Data.To.RawId", "data.to.CommunicationUser.Id"])
def test_keys_ignore_case(key):
    assert matches(operatorType="StringIn", key=key, values=[CALLED])


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("eventType", EVENT.type),
        ("type", EVENT.type),
        ("subject", EVENT.subject),
        ("id", EVENT.id),
    ],
)
def test_members_of_either_envelope_can_be_addressed(key, value):
    assert matches(operatorType="StringIn", key=key, values=[value])


def test_missing_key_fails_what_is_asked_and_passes_what_is_not():
    key = "data.to.phoneNumber.value"

    assert not matches(operatorType="StringIn", key=key, values=["+18005550199"])
    assert matches(operatorType="StringNotIn", key=key, values=["+18005550199"])
    assert matches(operatorType="IsNullOrUndefined", key=key)
    assert not matches(operatorType="IsNotNull", key=key)


def test_booleans_are_compared():
    key = "data.onBehalfOfCallee.microsoftTeamsUser.isAnonymous"

    assert matches(operatorType="BoolEquals", key=key, value=False)
    assert not matches(operatorType="BoolEquals", key=key, value=True)
    assert not matches(operatorType="StringIn", key=key, values=["false"])


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ({"operatorType": "NumberIn", "values": [48.62, 3]}, True),
        ({"operatorType": "NumberIn", "values": [48]}, False),
        ({"operatorType": "NumberNotIn", "values": [48]}, True),
        ({"operatorType": "NumberLessThan", "value": 48.62}, False),
        ({"operatorType": "NumberLessThanOrEquals", "value": 48.62}, True),
        ({"operatorType": "NumberGreaterThan", "value": 48}, True),
        ({"operatorType": "NumberGreaterThanOrEquals", "value": 49}, False),
        ({"operatorType": "NumberInRange", "values": [[0, 10], [40, 48.62]]}, True),
        ({"operatorType": "NumberInRange", "values": [[0, 10]]}, False),
        ({"operatorType": "NumberNotInRange", "values": [[0, 10]]}, True),
        ({"operatorType": "StringIn", "values": ["48.62"]}, False),
    ],
)
def test_numbers_are_compared(condition, expected):
    event = Event(
        type="Microsoft.Communication.CallEnded", subject="", data={"durationOfCall": 48.62}, id="1"
    )
    wanted = msgspec.convert({"key": "data.durationOfCall", **condition}, AdvancedFilter)

    assert EventFilter(advanced_filters=(wanted,)).matches(event) is expected


@pytest.mark.parametrize(
    ("operator", "expected"),
    [("NumberIn", False), ("NumberNotIn", True), ("NumberInRange", False), ("NumberNotInRange", True)],
)
def test_what_is_no_number_fails_what_is_asked_and_passes_what_is_not(operator, expected):
    values = [[0, 10]] if operator.endswith("Range") else [1]

    assert matches(operatorType=operator, key="data.to.rawId", values=values) is expected
    assert matches(operatorType=operator, key="data.nothing", values=values) is expected


@pytest.mark.parametrize(
    "condition",
    [
        {"operatorType": "StringIn", "values": [1]},
        {"operatorType": "NumberIn", "values": ["1"]},
        {"operatorType": "NumberIn", "value": 1},
        {"operatorType": "NumberLessThan", "values": [1]},
        {"operatorType": "NumberLessThan", "value": True},
        {"operatorType": "NumberInRange", "values": [1, 2]},
        {"operatorType": "BoolEquals", "value": 1},
        {"operatorType": "IsNotNull", "values": ["x"]},
    ],
)
def test_values_of_another_kind_than_the_operator_s_are_refused(condition):
    wanted = msgspec.convert({"key": "subject", **condition}, AdvancedFilter)

    [fault] = EventFilter(advanced_filters=(wanted,)).faults()
    assert fault == f"{condition['operatorType']} with a value of another kind"


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ({}, True),
        ({"includedEventTypes": ["microsoft.communication.incomingcall"]}, True),
        ({"includedEventTypes": []}, False),
        ({"subjectBeginsWith": "/CALLER/8:acs"}, True),
        ({"subjectBeginsWith": "call/"}, False),
        ({"subjectEndsWith": "61f3"}, True),
        ({"subjectEndsWith": "/"}, False),
    ],
)
def test_event_type_and_subject(condition, expected):
    assert msgspec.convert(condition, EventFilter).matches(EVENT) is expected


def test_all_conditions_must_hold():
    conditions = [
        {"operatorType": "StringIn", "key": "data.to.rawId", "values": [CALLED]},
        {"operatorType": "StringIn", "key": "data.to.kind", "values": ["phoneNumber"]},
    ]

    assert not msgspec.convert({"advancedFilters": conditions}, EventFilter).matches(EVENT)


@pytest.mark.parametrize(
    ("conditions", "fault"),
    [
        ([("StringIn", ["a"])] * 26, "more than 25 advanced filters"),
        ([("StringIn", ["a"] * 26)], "more than 25 values"),
        ([("StringIn", ["a" * 513])], "longer than 512"),
    ],
)
def test_limits_of_event_grid(conditions, fault):
    filters = [
        {"operatorType": operator, "key": "subject", "values": values} for operator, values in conditions
    ]

    faults = msgspec.convert({"advancedFilters": filters}, EventFilter).faults()

    assert any(fault in each for each in faults)
