"""Which socket, and which pod, gets a call: each change of its owner is one conditional update of its row."""

from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.core.call import advance
from shared.core.call_state import CallEvent, CallState
from shared.core.ownership import (
    MEDIA_GRANT_S,
    MediaClaim,
    MediaRefused,
    OwnershipLost,
    Refusal,
    require_epoch,
    take_over,
    take_ownership,
)
from tests.support.records import CONNECTION_ID, call_record

NOW = 2000.0
FIRST = MediaClaim("demo", "jti-1", CONNECTION_ID)
EXPIRED = replace(FIRST, is_expired=True)
BY_ACS = replace(FIRST, is_acs_verified=True)
FINAL = [state for state in CallState if state.is_final]
ANSWERED = [
    state for state in CallState if not state.is_final and state not in (CallState.RINGING, CallState.ENDING)
]


def take(record, claim=FIRST, *, pod="pod-b", now=NOW, is_owner_dead=False):
    return take_ownership(record, claim, pod=pod, now=now, is_owner_dead=is_owner_dead)


def held(state=CallState.STREAMING, **changes):
    """A call that pod-a holds, at epoch 1."""
    fields = {"call_connection_id": CONNECTION_ID, "media_jti_used": True, "owner": "pod-a", "epoch": 1}
    return call_record(state, **fields | changes)


def answered(state=CallState.CONNECTED, **changes):
    """A call that no socket has come for yet."""
    return call_record(state, call_connection_id=CONNECTION_ID, **changes)


def events(record):
    return [entry.event for entry in record.history]


def refusal(record, claim, **changes):
    with pytest.raises(MediaRefused) as refused:
        take(record, claim, **changes)
    return refused.value.reason


def test_the_first_socket_takes_the_call():
    taken = take(call_record())
    assert (taken.owner, taken.epoch, taken.call_connection_id) == ("pod-b", 1, CONNECTION_ID)
    assert taken.media_jti_used
    assert not taken.history


@pytest.mark.parametrize(
    ("record", "claim", "reason"),
    [
        (held(), FIRST, Refusal.TOKEN_USED),
        (held(), EXPIRED, Refusal.TOKEN_USED),
        (answered(), EXPIRED, Refusal.TOKEN_EXPIRED),
        (call_record(), EXPIRED, Refusal.NO_CONNECTION),
        (call_record(), replace(BY_ACS, is_expired=True), Refusal.NO_CONNECTION),
        (call_record(), replace(FIRST, jti="jti-2"), Refusal.WRONG_TOKEN),
        (call_record(), replace(FIRST, account_id="another"), Refusal.WRONG_TOKEN),
        (call_record(), replace(FIRST, call_connection_id=None), Refusal.NO_CONNECTION),
        (call_record(call_connection_id="another"), FIRST, Refusal.WRONG_CONNECTION),
        (call_record(CallState.RINGING), EXPIRED, Refusal.NOT_ANSWERED),
    ],
    ids=[
        "token used",
        "token used and expired",
        "token expired",
        "token expired, call not bound",
        "token expired, call not bound, by ACS",
        "another token",
        "another account",
        "no connection",
        "another connection",
        "not answered",
    ],
)
def test_a_socket_without_the_right_to_the_call_is_refused(record, claim, reason):
    assert refusal(record, claim) is reason


@pytest.mark.parametrize("state", FINAL)
def test_a_call_that_is_over_is_nobody_s(state):
    assert refusal(held(state), BY_ACS, is_owner_dead=True) is Refusal.CALL_OVER


COMES_AGAIN = {
    "ACS proves itself": (held(), BY_ACS, False),
    "the owner is dead": (held(), FIRST, True),
    "the call is interrupted": (held(CallState.INTERRUPTED), FIRST, False),
    "media were asked for": (held(media_grant_until=NOW), FIRST, False),
}


@pytest.mark.parametrize("claim_changes", [{}, {"is_expired": True}], ids=["in time", "expired"])
@pytest.mark.parametrize(("record", "claim", "is_dead"), COMES_AGAIN.values(), ids=COMES_AGAIN)
def test_a_socket_that_comes_again_gets_the_call_where(record, claim, is_dead, claim_changes):
    taken = take(record, replace(claim, **claim_changes), is_owner_dead=is_dead)

    assert (taken.owner, taken.epoch, taken.state) == ("pod-b", 2, record.state)
    assert taken.media_grant_until is None
    assert events(taken) == [CallEvent.TAKEN_OVER]


@pytest.mark.parametrize(("record", "claim", "is_dead"), COMES_AGAIN.values(), ids=COMES_AGAIN)
@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"call_connection_id": "another"}, Refusal.WRONG_CONNECTION),
        ({"call_connection_id": None}, Refusal.NO_CONNECTION),
        ({"jti": "jti-2"}, Refusal.WRONG_TOKEN),
        ({"account_id": "another"}, Refusal.WRONG_TOKEN),
    ],
    ids=["another connection", "no connection", "another token", "another account"],
)
def test_even_then_it_names_the_call_s_own_token_and_connection(record, claim, is_dead, changes, reason):
    assert refusal(record, replace(claim, **changes), is_owner_dead=is_dead) is reason


@pytest.mark.parametrize("claim", [BY_ACS, FIRST, EXPIRED], ids=["by ACS", "in time", "expired"])
def test_a_call_that_is_being_ended_is_left_to_its_end(claim):
    record = held(CallState.ENDING, media_grant_until=NOW + 1)
    assert refusal(record, claim, is_owner_dead=True) is Refusal.CALL_ENDING


@pytest.mark.parametrize("state", [CallState.ANSWERING, CallState.CONNECTED])
@pytest.mark.parametrize(
    ("claim", "grant"), [(replace(EXPIRED, is_acs_verified=True), None), (EXPIRED, NOW)], ids=["ACS", "asked"]
)
def test_a_first_socket_that_comes_late_gets_the_call_if_acs_or_a_pod_speaks_for_it(state, claim, grant):
    taken = take(answered(state, media_grant_until=grant), claim)

    assert (taken.owner, taken.epoch, taken.media_jti_used) == ("pod-b", 1, True)
    assert not taken.history


def test_a_call_that_nobody_held_has_no_dead_owner():
    assert refusal(answered(), EXPIRED, is_owner_dead=True) is Refusal.TOKEN_EXPIRED


def test_a_grant_is_for_one_socket_and_ends():
    record = held(media_grant_until=NOW)
    assert refusal(record, FIRST, now=NOW + 0.1) is Refusal.TOKEN_USED
    assert refusal(take(record, pod="pod-a"), FIRST) is Refusal.TOKEN_USED


def test_a_socket_that_comes_back_to_its_pod_changes_the_epoch_and_no_owner():
    taken = take(held(CallState.INTERRUPTED), pod="pod-a")
    assert (taken.owner, taken.epoch, taken.history) == ("pod-a", 2, ())


@given(
    record=st.builds(
        held,
        st.sampled_from(CallState),
        media_jti_used=st.booleans(),
        owner=st.sampled_from(["pod-a", None]),
        media_grant_until=st.sampled_from([None, NOW - 1, NOW + 1]),
    ),
    claim=st.builds(replace, st.just(FIRST), is_acs_verified=st.booleans(), is_expired=st.booleans()),
    is_owner_dead=st.booleans(),
)
def test_what_was_used_or_has_expired_is_worth_nothing_by_itself_in_any_state(record, claim, is_owner_dead):
    is_first = not (record.media_jti_used or claim.is_expired)
    speaks_for_it = (
        claim.is_acs_verified
        or record.media_grant_until == NOW + 1
        or (record.owner is not None and (is_owner_dead or record.state is CallState.INTERRUPTED))
    )
    may = not record.state.is_final if is_first else record.state in ANSWERED and speaks_for_it
    try:
        taken = take(record, claim, is_owner_dead=is_owner_dead)
    except MediaRefused:
        assert not may
    else:
        assert may
        assert (taken.owner, taken.epoch, taken.state) == ("pod-b", record.epoch + 1, record.state)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["pod-a", "pod-b", "pod-c"]),
        st.sampled_from(
            [
                *(
                    replace(FIRST, is_acs_verified=a, is_expired=e)
                    for a in (True, False)
                    for e in (True, False)
                ),
                CallEvent.MEDIA_STARTED,
                CallEvent.MEDIA_LOST,
                CallEvent.AGENT_ENDED,
                CallEvent.HUNG_UP,
                "takes over",
            ]
        ),
        st.booleans(),
    ),
    max_size=30,
)


@given(STEPS)
def test_an_epoch_never_has_two_owners_and_none_comes_back(steps):
    record, owners, now = call_record(), {0: None}, NOW
    for pod, step, is_owner_dead in steps:
        now += 4
        before = record
        if isinstance(step, CallEvent):
            record = advance(record, step, now)
        elif isinstance(step, MediaClaim):
            with suppress(MediaRefused):
                record = take(record, step, pod=pod, now=now, is_owner_dead=is_owner_dead)
        elif record.owner is not None:
            record = take_over(record, dead=record.owner, pod=pod, now=now)
        assert record.epoch - before.epoch in (0, 1)
        assert record.owner == before.owner or record.epoch > before.epoch
        assert owners.setdefault(record.epoch, record.owner) == record.owner


@pytest.mark.parametrize("state", [state for state in CallState if not state.is_final])
def test_a_survivor_takes_the_call_of_a_dead_pod_and_lets_a_socket_come(state):
    taken = take_over(held(state), dead="pod-a", pod="pod-b", now=NOW)

    assert (taken.owner, taken.epoch) == ("pod-b", 2)
    assert taken.media_grant_until == NOW + MEDIA_GRANT_S
    if state in (CallState.STREAMING, CallState.TRANSFERRING, CallState.INTERRUPTED):
        assert taken.state is CallState.INTERRUPTED
        assert events(taken) == [CallEvent.MEDIA_LOST, CallEvent.TAKEN_OVER]
    else:
        assert taken.state is state
    if state in ANSWERED:
        assert take(taken, EXPIRED, pod="pod-c").owner == "pod-c"


@pytest.mark.parametrize(
    "record",
    [held(owner="pod-c"), held(owner=None), *(held(state) for state in FINAL)],
    ids=["another's", "nobody's", *FINAL],
)
def test_a_survivor_leaves_alone_what_the_dead_pod_does_not_hold(record):
    assert take_over(record, dead="pod-a", pod="pod-b", now=NOW) is record


def test_a_write_of_an_older_epoch_is_refused():
    record = take(call_record())
    assert require_epoch(record, 1) is record
    with pytest.raises(OwnershipLost):
        require_epoch(record, 0)
