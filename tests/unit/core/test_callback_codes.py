"""ACS's codes say why a call ended or a transfer failed; those that are in no table say it in general."""

import pytest

from shared.core.call import advance
from shared.core.call_state import CallEvent, CallState, Cause
from shared.core.callbacks import AcsResult, TransferFailure, cause_of_codes, transfer_failure
from tests.support.records import call_record


def ended(code, sub_code, sip_code=0, *, event=CallEvent.CALL_DISCONNECTED):
    return cause_of_codes(event, AcsResult(code, sub_code, sip_code))


@pytest.mark.parametrize(
    ("code", "sub_code"),
    [(0, 0), (200, 0), (200, 7000), (200, 5010), (0, 560000), (0, 540000), (487, 0), (487, 540487)],
)
def test_a_call_that_ended_as_calls_do_was_ended_by_the_caller(code, sub_code):
    assert ended(code, sub_code) is Cause.CALLER_HUNG_UP


def test_the_end_of_a_transferred_call_is_told_even_before_the_transfer():
    assert ended(200, 7015) is Cause.TRANSFERRED


@pytest.mark.parametrize(
    ("code", "sub_code"), [(410, 531004), (500, 10045), (503, 560503), (0, 560503), (496, 7), (408, 500001)]
)
def test_a_call_that_the_network_dropped_is_not_the_caller_s_doing(code, sub_code):
    assert ended(code, sub_code) is Cause.NETWORK_LOST


def test_what_the_carrier_says_counts_more_than_what_acs_makes_of_it():
    assert ended(500, 560503, 487) is Cause.CALLER_HUNG_UP


@pytest.mark.parametrize(("code", "sub_code"), [(403, 12345), (499, 0), (603, 560603)])
def test_an_unknown_code_is_kept_and_has_the_general_cause(code, sub_code):
    result = AcsResult(code, sub_code)
    record = advance(call_record(CallState.STREAMING), CallEvent.CALL_DISCONNECTED, 9.0, result)
    assert (record.cause, record.acs_result, record.history[-1].result) == (
        Cause.DISCONNECTED,
        result,
        result,
    )


@pytest.mark.parametrize(
    ("code", "sub_code", "cause"),
    [
        (487, 540487, Cause.CALLER_GONE),
        (404, 8522, Cause.CALLER_GONE),
        (400, 8528, Cause.CALLER_GONE),
        (487, 10003, Cause.CALLER_GONE),
        (487, 10004, Cause.RING_EXPIRED),
        (408, 4506, Cause.RING_EXPIRED),
        (487, 4501, Cause.ANSWER_FAILED),
        (404, 404, Cause.ANSWER_FAILED),
        (401, 71005, Cause.ANSWER_FAILED),
        (0, 0, Cause.ANSWER_FAILED),
    ],
)
def test_an_answer_fails_for_the_caller_s_reasons_or_for_the_service_s(code, sub_code, cause):
    assert ended(code, sub_code, event=CallEvent.ANSWER_FAILED) is cause


def test_codes_give_no_cause_to_a_call_that_has_one():
    record = advance(call_record(CallState.STREAMING), CallEvent.AGENT_ENDED, 1.0)
    record = advance(record, CallEvent.CALL_DISCONNECTED, 2.0, AcsResult(503, 560503))
    assert (record.state, record.cause) == (CallState.ENDED, Cause.AGENT_ENDED)


def test_codes_of_what_ends_no_call_give_it_no_cause():
    failed = AcsResult(486, 560486)
    record = advance(call_record(CallState.TRANSFERRING), CallEvent.TRANSFER_FAILED, 1.0, failed)
    assert (record.cause, record.acs_result, record.history[-1].result) == (None, None, failed)


@pytest.mark.parametrize(
    ("code", "sub_code", "sip_code", "failure"),
    [
        (486, 560486, 0, TransferFailure.BUSY),
        (600, 0, 0, TransferFailure.BUSY),
        (486, 8539, 0, TransferFailure.BUSY),
        (500, 560503, 486, TransferFailure.BUSY),
        (603, 560603, 0, TransferFailure.DECLINED),
        (487, 10024, 0, TransferFailure.DECLINED),
        (480, 560480, 0, TransferFailure.NO_ANSWER),
        (408, 560408, 0, TransferFailure.NO_ANSWER),
        (487, 10004, 0, TransferFailure.NO_ANSWER),
        (480, 10078, 0, TransferFailure.UNREACHABLE),
        (404, 560404, 0, TransferFailure.UNREACHABLE),
        (404, 511404, 0, TransferFailure.UNREACHABLE),
        (404, 8522, 0, TransferFailure.FAILED),
        (409, 8607, 0, TransferFailure.FAILED),
        (403, 510403, 0, TransferFailure.FAILED),
        (0, 0, 0, TransferFailure.FAILED),
    ],
)
def test_a_transfer_s_failure_is_told_in_words_that_an_agent_can_act_on(code, sub_code, sip_code, failure):
    assert transfer_failure(AcsResult(code, sub_code, sip_code)) is failure
