"""The end of our leg amid a transfer is a last word only where its code says that the target has the caller."""

import pytest

from shared.core.call import advance
from shared.core.call_state import CallEvent, CallState
from shared.core.callbacks import AcsResult
from shared.core.leg_end import is_last_word
from tests.support.records import call_record

HUNG_UP, TRANSFERRED = AcsResult(200, 7000), AcsResult(200, 7015)
STREAMING = call_record(CallState.STREAMING)


def after(*events):
    """A call that streamed, after these events."""
    record = STREAMING
    for at, event in enumerate(events):
        record = advance(record, event, 1000.0 + at)
    return record


def ends(record, result=HUNG_UP):
    return is_last_word(record, CallEvent.CALL_DISCONNECTED, result)


def test_caller_who_hangs_up_while_nobody_is_rung_has_hung_up():
    assert ends(STREAMING)
    assert ends(STREAMING, None)


@pytest.mark.parametrize("result", [HUNG_UP, None])
def test_caller_who_is_gone_amid_a_transfer_may_be_with_its_target(result):
    assert not ends(after(CallEvent.TRANSFER_REQUESTED), result)


@pytest.mark.parametrize(
    "since",
    [
        [CallEvent.MEDIA_LOST, CallEvent.TAKEN_OVER],
        [CallEvent.MEDIA_LOST, CallEvent.TAKEN_OVER, CallEvent.MEDIA_STARTED],
        [CallEvent.FALLBACK_STARTED],
    ],
)
def test_transfer_goes_on_whatever_becomes_of_its_pod_and_of_the_media(since):
    assert not ends(after(CallEvent.TRANSFER_REQUESTED, *since))


def test_transfer_of_a_fallback_is_one_too():
    assert not ends(after(CallEvent.FALLBACK_STARTED, CallEvent.TRANSFER_REQUESTED))


def test_transfer_that_has_failed_is_over():
    assert ends(after(CallEvent.TRANSFER_REQUESTED, CallEvent.TRANSFER_FAILED))


def test_transfer_after_one_that_failed_counts():
    asked, failed = CallEvent.TRANSFER_REQUESTED, CallEvent.TRANSFER_FAILED
    assert not ends(after(asked, failed, asked))


def test_call_that_is_being_ended_has_its_reason():
    assert ends(after(CallEvent.TRANSFER_REQUESTED, CallEvent.DURATION_REACHED))


def test_code_that_tells_of_the_transfer_needs_no_other_word():
    assert ends(after(CallEvent.TRANSFER_REQUESTED), TRANSFERRED)


def test_acceptance_is_a_last_word():
    record = after(CallEvent.TRANSFER_REQUESTED)
    assert is_last_word(record, CallEvent.TRANSFER_ACCEPTED, None)


def test_state_tells_where_the_history_has_no_room_for_it():
    assert not ends(call_record(CallState.TRANSFERRING, history_dropped=1))
