"""Which of a call's headers become its variables, and what is none of them."""

import msgspec
import pytest

from shared.core.variables import (
    MAX_JSON_BYTES,
    MAX_VARIABLES,
    ReturnOutcome,
    read_context,
    returned,
    within_limits,
)

IVR = "8:acs:11111111-1111-1111-1111-111111111111_00000014-0000-0000-0000-00000000000b"


def test_headers_past_acs_s_own_limits_are_left_out():
    headers = {"good": "1", "": "no name", "n" * 65: "long name", "long": "v" * 1025, "last": ""}
    assert within_limits(headers) == {"good": "1", "last": ""}


def test_the_first_hundred_are_kept_however_long_each_may_be():
    headers = {f"{number:064}": "v" * 1024 for number in range(MAX_VARIABLES + 1)}
    assert list(within_limits(headers)) == list(headers)[:MAX_VARIABLES]


def test_what_grows_sixfold_when_it_is_kept_is_cut_off_where_a_row_would_end():
    headers = {f"{number:064}": "\x01" * 1024 for number in range(MAX_VARIABLES)}
    kept = within_limits(headers)
    assert 0 < len(kept) < MAX_VARIABLES
    assert len(msgspec.json.encode(kept)) <= MAX_JSON_BYTES


@pytest.mark.parametrize("spelling", ["User-To-User", "userToUser", "USERTOUSER"])
def test_sip_headers_come_in_under_the_names_by_which_they_can_go_on(spelling):
    context = read_context({}, {spelling: "abc", "x-ms-custom-Account": "1", "X-Other": "2"})
    assert context.variables == {"User-To-User": "abc", "X-MS-Custom-Account": "1"}


def test_a_voip_header_goes_before_the_sip_header_of_its_name():
    assert read_context({"User-To-User": "ours"}, {"userToUser": "theirs"}).variables == {
        "User-To-User": "ours"
    }


@pytest.mark.parametrize("name", ["returnTo", "returnto"])
def test_whom_a_call_goes_back_to_is_no_variable(name):
    context = read_context({name: IVR, "account": "1"}, {})
    assert (context.return_to, context.variables) == (IVR, {"account": "1"})


@pytest.mark.parametrize("target", ["4:+19005550100", "28:orgid:x", "8:orgid:x", "nobody", ""])
def test_a_call_goes_back_to_acs_users_alone(target):
    context = read_context({"returnTo": target}, {})
    assert (context.return_to, context.variables) == (None, {})


def test_a_sip_header_sends_no_call_anywhere():
    context = read_context({}, {"X-MS-Custom-returnTo": IVR})
    assert (context.return_to, context.variables) == (None, {"X-MS-Custom-returnTo": IVR})


def test_the_outcome_of_a_call_is_the_gateway_s_to_say():
    assert returned({"Outcome": "AGENT", "order": "1"}, ReturnOutcome.FAILED) == {
        "outcome": "FAILED",
        "order": "1",
    }
