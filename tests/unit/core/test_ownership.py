"""One media socket gets a call, by one conditional update of its row."""

import pytest

from shared.core.call_state import CallState
from shared.core.ownership import MediaRefused, OwnershipLost, Refusal, require_epoch, take_ownership
from tests.support.records import CONNECTION_ID, call_record


def take(record, **changes):
    arguments = {"account_id": "demo", "jti": "jti-1", "call_connection_id": CONNECTION_ID, "pod": "pod-a"}
    return take_ownership(record, **arguments | changes)


def test_the_first_socket_takes_the_call():
    taken = take(call_record())
    assert (taken.owner, taken.epoch, taken.call_connection_id) == ("pod-a", 1, CONNECTION_ID)
    assert taken.media_jti_used


@pytest.mark.parametrize(
    ("record", "changes", "reason"),
    [
        (call_record(media_jti_used=True), {}, Refusal.TOKEN_USED),
        (call_record(), {"jti": "jti-2"}, Refusal.WRONG_TOKEN),
        (call_record(), {"account_id": "another"}, Refusal.WRONG_TOKEN),
        (call_record(call_connection_id="another"), {}, Refusal.WRONG_CONNECTION),
        (call_record(CallState.ENDED), {}, Refusal.CALL_OVER),
    ],
    ids=["token used", "another token", "another account", "another connection", "call over"],
)
def test_a_socket_without_the_right_to_the_call_is_refused(record, changes, reason):
    with pytest.raises(MediaRefused) as refused:
        take(record, **changes)
    assert refused.value.reason is reason


def test_a_write_of_an_older_epoch_is_refused():
    record = take(call_record())
    assert require_epoch(record, 1) is record
    with pytest.raises(OwnershipLost):
        require_epoch(record, 0)
