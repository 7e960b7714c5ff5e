"""How many calls a pod takes, while storage is away and rows of calls that are over wait to be written."""

from types import SimpleNamespace

import pytest

from media_gateway.calls import Calls

CAPACITY = 3


def with_calls(*, here, gone):
    """A pod's calls: some with a caller, and some of which nothing but the row is left."""
    calls = Calls(pod=None, capacity=CAPACITY)
    for number in range(here + gone):
        calls._arrivals[number] = None
        calls._live[number] = SimpleNamespace(is_gone=number < gone)
    return calls


@pytest.mark.parametrize(
    ("here", "gone", "taken"), [(0, 0, 0), (2, 0, 2), (2, 1, 2), (0, 3, 0), (2, 3, 2), (0, 4, 1), (2, 4, 3)]
)
def test_rows_take_no_places_up_to_as_many_as_there_are(here, gone, taken):
    calls = with_calls(here=here, gone=gone)

    assert len(calls) == taken
    assert calls.has_room is (taken < CAPACITY)


def test_sockets_whose_calls_are_not_known_yet_take_places():
    calls = with_calls(here=1, gone=1)
    calls._arrivals["unknown"] = None

    assert len(calls) == 2
