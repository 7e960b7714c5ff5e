"""The sample flow, as callers walk through it."""

import pytest

from shared.core.flow_actions import HangUpCall, Recognise, TransferCall
from shared.core.flow_events import Failure
from shared.core.flow_model import Digits
from shared.core.flow_state import MASK, FlowOutcome, shown_variables
from tests.unit.flows.ivr import AGENT, Ivr, sample

IVR = "8:acs:11111111-2222-3333-4444-555555555555_00000000-0000-0000-0000-000000000002"


@pytest.fixture
def call():
    return Ivr(sample(), caller="+14255550123", called="+18005550199", ivr_identity=IVR)


def test_a_caller_is_asked_for_language_account_and_reason_and_handed_to_the_agent_with_them(call):
    assert len(call.heard) == 2
    call.chooses("es-MX")
    assert call.heard == ["Marque su número de cuenta de ocho dígitos."]
    assert isinstance(call.action, Recognise)
    assert (call.action.digits, call.action.language) == (Digits(min=8, max=8, pause_s=4), "es-MX")
    call.presses("12345678")
    assert call.heard == ["Marcó 1 2 3 4 5 6 7 8. Si es correcto, oprima 1. Si no, oprima 2."]
    call.presses("1").speaks("Perdí mi tarjeta.")

    assert isinstance(call.action, TransferCall)
    assert call.action.target == AGENT
    assert call.action.context.voip == {
        "accountNumber": "12345678",
        "reason": "Perdí mi tarjeta.",
        "language": "es-MX",
        "returnTo": IVR,
    }
    assert call.done().state.outcome is FlowOutcome.TRANSFERRED


def test_a_number_that_is_not_right_is_asked_for_again(call):
    call.chooses("en-US").presses("12345678").presses("2")
    assert call.step == "account"
    assert call.presses("87654321").heard == [
        "You entered 8 7 6 5 4 3 2 1. If that is right, press 1. If not, press 2."
    ]


def test_wrong_digits_thrice_lead_on_without_a_number(call):
    call.chooses("en-US").presses("123")
    assert call.heard == [
        "That is not an account number.",
        "Please enter your eight digit account number.",
    ]
    call.presses("1234567890").presses("")
    assert (call.step, call.state.variables["account"]) == ("reason", "")
    assert "accountNumber" not in call.speaks("A question.").action.context.voip


def test_a_silent_caller_is_told_so_and_reaches_the_agent_all_the_same(call):
    call.is_silent().is_silent()
    assert call.step == "account"
    call.is_silent()
    assert call.heard[0] == "I did not get any digits."
    call.is_silent().is_silent().is_silent().is_silent()
    assert isinstance(call.action, TransferCall)


def test_an_agent_that_is_busy_gives_an_apology_and_the_end(call):
    call.chooses("en-US").presses("12345678").presses("1").speaks("My card.").fails()
    assert call.heard == ["We are sorry, nobody can take your call at the moment. Please call again later."]
    call.done()
    assert isinstance(call.action, HangUpCall)
    assert call.state.outcome is FlowOutcome.HUNG_UP


def test_a_call_that_comes_back_goes_on_to_the_queue_in_its_language():
    call = Ivr(sample(), outcome="AGENT", context={"Language": "es-MX"})
    assert call.action.target == "4:+18005550197"
    assert call.fails().heard[0].startswith("Lo sentimos")


def test_a_call_that_comes_back_after_a_failure_is_not_sent_round_again():
    assert Ivr(sample(), outcome="FAILED").step == "no_agent"


def test_without_the_speech_service_keys_still_choose_but_what_has_no_sound_is_passed_over(call):
    call.fails(Failure.SPEECH_AWAY)
    assert isinstance(call.action, TransferCall)
    assert [passed.step for passed in call.history][-2:] == ["no_account", "reason"]


def test_a_call_that_the_caller_leaves_is_over(call):
    assert call.chooses("en-US").hangs_up().state.outcome is FlowOutcome.CALLER_GONE
    assert call.action is None


def test_what_is_shown_of_a_call_has_neither_account_nor_caller(call):
    call.chooses("en-US").presses("12345678").presses("1").speaks("My card.")
    shown = shown_variables(call.flow, call.state)
    assert (shown["account"], shown["caller"], shown["called"]) == (MASK, MASK, "+18005550199")
    assert "12345678" not in f"{call.state!r} {call.action!r} {call.history!r}"
