"""Which of a call's headers become its variables, and what is none of them."""

import msgspec
import pytest

from shared.core.variables import (
    MAX_JSON_BYTES,
    MAX_VARIABLES,
    ContextSettings,
    ReturnOutcome,
    input_variables,
    read_context,
    returned,
    within_limits,
)

IVR = "8:acs:11111111-1111-1111-1111-111111111111_00000014-0000-0000-0000-00000000000b"
OF_THE_CALL = {"caller": "4:+14255550100_2", "called": IVR, "correlation_id": "ebd8bf1f"}


def context_of(voip, sip=None, **settings):
    return read_context(voip, sip or {}, ContextSettings(**settings))


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
    context = context_of({}, {spelling: "abc", "x-ms-custom-Account": "1", "X-Other": "2"})
    assert context.variables == {"User-To-User": "abc", "X-MS-Custom-Account": "1"}


def test_a_voip_header_goes_before_the_sip_header_of_its_name():
    context = context_of({"User-To-User": "ours"}, {"userToUser": "theirs"})
    assert context.variables == {"User-To-User": "ours"}


@pytest.mark.parametrize("name", ["returnTo", "returnto"])
def test_whom_a_call_goes_back_to_is_no_variable(name):
    context = context_of({name: IVR, "account": "1"})
    assert (context.return_to, context.variables) == (IVR, {"account": "1"})


@pytest.mark.parametrize("target", ["4:+19005550100", "28:orgid:x", "8:orgid:x", "nobody", ""])
def test_a_call_goes_back_to_acs_users_alone(target):
    context = context_of({"returnTo": target})
    assert (context.return_to, context.variables) == (None, {})


def test_a_sip_header_sends_no_call_anywhere():
    context = context_of({}, {"X-MS-Custom-returnTo": IVR})
    assert (context.return_to, context.variables) == (None, {"X-MS-Custom-returnTo": IVR})


@pytest.mark.parametrize("name", ["taskName", "TASKNAME"])
def test_the_task_is_no_variable(name):
    context = context_of({name: "renewal", "account": "1"}, {"X-MS-Custom-taskName": "other"})
    assert (context.task, context.variables) == ("renewal", {"account": "1", "X-MS-Custom-taskName": "other"})
    assert context_of({name: "t" * 1025}).task == ""


def test_the_headers_that_the_gateway_reads_may_have_other_names():
    headers = {"backTo": IVR, "job": "renewal", "returnTo": "x", "taskName": "y"}
    context = context_of(headers, return_header="BackTo", task_header="job")
    assert (context.return_to, context.task) == (IVR, "renewal")
    assert context.variables == {"returnTo": "x", "taskName": "y"}


def test_where_a_profile_lists_variables_others_do_not_come_in():
    headers = {"account": "1", "secret": "2", "returnTo": IVR}
    context = context_of(
        headers, {"X-MS-Custom-Tier": "3", "userToUser": "4"}, variables=("Account", "userToUser")
    )
    assert (context.variables, context.return_to) == ({"account": "1", "User-To-User": "4"}, IVR)
    assert context_of(headers, variables=()).variables == {}


def test_what_is_not_wanted_takes_no_room():
    headers = {f"junk{number}": "" for number in range(MAX_VARIABLES)} | {"account": "1"}
    assert context_of(headers, variables=("account",)).variables == {"account": "1"}


def test_an_agent_is_told_who_calls_whom_by_acs_alone():
    came_in = context_of({"Caller": "me", "called": "you", "correlationid": "x", "account": "1"}).variables
    assert input_variables(came_in, ContextSettings(), **OF_THE_CALL) == {
        "account": "1",
        "caller": "+14255550100",
        "called": IVR,
        "correlationId": "ebd8bf1f",
    }


def test_who_calls_is_told_where_the_profile_allows_it():
    told = input_variables({}, ContextSettings(variables=("correlationId",)), **OF_THE_CALL)
    assert told == {"correlationId": "ebd8bf1f"}


def test_the_outcome_of_a_call_is_the_gateway_s_to_say():
    assert returned({"Outcome": "AGENT", "order": "1"}, ReturnOutcome.FAILED) == {
        "outcome": "FAILED",
        "order": "1",
    }
