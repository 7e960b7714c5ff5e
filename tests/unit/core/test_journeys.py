"""Whether a call that comes to the IVR is new, comes back, or goes round in a circle."""

import pytest

from shared.core.journeys import MAX_PASSES, Arrival, Pass, arrival

NUMBER, AGENT, IDENTITY = "4:+18005550100", "8:acs:r_agent", "8:acs:r_ivr"


@pytest.mark.parametrize("outcome", ["AGENT", "SYSTEM", "FAILED"])
def test_a_call_that_was_sent_on_and_tells_its_outcome_comes_back(outcome):
    assert arrival([Pass(AGENT)], called=IDENTITY, outcome=outcome) is Arrival.BACK


def test_an_outcome_without_a_call_before_is_nobody_s():
    assert arrival([], called=NUMBER, outcome="AGENT") is Arrival.NEW


def test_an_outcome_that_we_do_not_know_is_none():
    assert arrival([Pass(AGENT)], called=NUMBER, outcome="agent") is Arrival.NEW


def test_our_own_transfer_that_comes_to_us_is_a_loop():
    assert arrival([Pass(AGENT)], called=AGENT, outcome="") is Arrival.LOOP


def test_the_same_caller_may_go_round_more_than_once_but_not_for_ever():
    for passes in range(1, MAX_PASSES):
        assert arrival([Pass(AGENT)] * passes, called=IDENTITY, outcome="AGENT") is Arrival.BACK
    assert arrival([Pass(AGENT)] * MAX_PASSES, called=IDENTITY, outcome="AGENT") is Arrival.LOOP
