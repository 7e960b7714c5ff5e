"""A call that no pod holds gets its media once more, then what is left, and is never left in silence."""

from dataclasses import replace

import pytest

from shared.core.call import advance
from shared.core.call_state import CallEvent, CallState, Cause
from shared.core.ownership import MEDIA_GRANT_S, MediaClaim, take_ownership
from shared.core.profiles import AgentProfile, AudioFormat, EchoAgent, Fallback
from shared.core.unheld import (
    HangUp,
    StartMedia,
    TryResort,
    context_of,
    given_up,
    meaning_of,
    resorts,
    to_do,
    without_media,
)
from tests.support.records import CONNECTION_ID, call_record

NOW = 1000.0
SENT_ON = AgentProfile(
    name="echo", agent=EchoAgent(), audio_format=AudioFormat.PCM24K, fallback=Fallback("4:+14255550177")
)


def told(record, name, context="", at=NOW):
    """The call after a callback, and what is then to be done."""
    data = {"operationContext": context} if context else {}
    meaning = meaning_of(record, name, data)
    after = record if meaning is None else advance(record, meaning, at)
    if meaning is CallEvent.MEDIA_STREAMING_FAILED:
        after = without_media(after, data, at)
    return after, to_do(record, after, meaning, data)


def asked(state=CallState.CONNECTED, **changes):
    """A call whose media were asked for once more."""
    record, todo = told(call_record(state, **changes), "MediaStreamingFailed", "the answer's")
    assert todo == StartMedia(record.media_asked)
    return record


def fallen_back(**changes):
    record = asked(**changes)
    record, todo = told(record, "MediaStreamingFailed", record.media_asked, NOW + 1)
    assert todo == TryResort(0)
    return record


@pytest.mark.parametrize("name", ["MediaStreamingFailed", "MediaStreamingStopped"])
@pytest.mark.parametrize(
    "state", [CallState.ANSWERING, CallState.CONNECTED, CallState.STREAMING, CallState.INTERRUPTED]
)
def test_media_are_asked_for_once_more_and_let_in(state, name):
    record, todo = told(call_record(state), name)
    assert isinstance(todo, StartMedia)
    assert todo.context == record.media_asked
    assert record.media_grant_until == NOW + MEDIA_GRANT_S
    assert record.cause is None


@pytest.mark.parametrize("context", ["", "the answer's"])
@pytest.mark.parametrize("name", ["MediaStreamingFailed", "MediaStreamingStopped"])
def test_what_is_told_late_of_the_media_before_is_no_news(name, context):
    record, todo = told(asked(), name, context, NOW + 1)
    assert (record.state, todo) == (CallState.CONNECTED, None)


def test_media_that_fail_again_leave_the_fallback():
    record = fallen_back()
    assert (record.state, record.cause) == (CallState.FALLBACK, Cause.MEDIA_LOST)


def test_a_pod_that_took_the_call_and_died_has_the_media_tried_once_more_again():
    claim = MediaClaim("demo", "jti-1", CONNECTION_ID)
    record = take_ownership(asked(), claim, pod="pod-a", now=NOW, is_owner_dead=False)
    assert record.media_asked == ""


def test_the_caller_is_sent_back_or_on_and_only_then_apologised_to():
    assert resorts(call_record()) == [None]
    ways = resorts(call_record(profile=SENT_ON, return_to="8:acs:r_ivr"))
    assert [way and way.target for way in ways] == ["8:acs:r_ivr", "4:+14255550177", None]


def test_a_transfer_that_fails_is_followed_by_what_is_left():
    record = fallen_back(profile=SENT_ON)
    after, todo = told(record, "CallTransferFailed", context_of(record, 0), NOW + 2)
    assert (after.state, todo) == (CallState.FALLBACK, TryResort(1))


def test_a_transfer_that_is_accepted_leaves_nothing_to_do():
    record = fallen_back(profile=SENT_ON)
    after, todo = told(record, "CallTransferAccepted", context_of(record, 0), NOW + 2)
    assert (after.state, after.cause, todo) == (CallState.ENDING, Cause.MEDIA_LOST, None)


@pytest.mark.parametrize("name", ["PlayCompleted", "PlayFailed"])
def test_after_the_apology_the_call_is_hung_up_however_often_that_is_told(name):
    record = fallen_back()
    for at in (NOW + 2, NOW + 2):
        record, todo = told(record, name, context_of(record, 0), at)
        assert (record.state, todo) == (CallState.ENDING, HangUp())


@pytest.mark.parametrize("name", ["PlayCompleted", "PlayFailed", "CallTransferFailed"])
def test_what_somebody_else_has_asked_for_does_nothing(name):
    record, todo = told(fallen_back(), name, "somebody else's", NOW + 2)
    assert (record.state, todo) == (CallState.FALLBACK, None)


@pytest.mark.parametrize("name", ["CallConnected", "MediaStreamingFailed"])
@pytest.mark.parametrize("state", [CallState.MISSED, CallState.REJECTED])
def test_a_call_that_acs_holds_though_its_row_is_closed_is_hung_up(state, name):
    assert told(call_record(state), name)[1] == HangUp()


@pytest.mark.parametrize("name", ["CallConnected", "MediaStreamingFailed", "MediaStreamingStopped"])
def test_nothing_is_done_about_a_call_that_has_ended(name):
    assert told(call_record(CallState.ENDED), name)[1] is None


def test_media_that_acs_does_not_take_a_request_for_are_given_up():
    record = asked()
    assert given_up(record, record, NOW).state is CallState.FALLBACK


def test_media_that_came_all_the_same_are_not_given_up():
    record = asked()
    held = replace(record, owner="pod-a", epoch=1)
    assert given_up(held, record, NOW) is held
    streaming = advance(record, CallEvent.MEDIA_STARTED, NOW)
    assert given_up(streaming, record, NOW) is streaming
