"""What each step does, and that nothing late, double or odd disturbs it."""

import pytest

from shared.core.flow import Passed, StepResult, advance
from shared.core.flow_actions import CallHttp, HangUpCall, Play, Recognise, TransferCall
from shared.core.flow_events import Done, Failed, Failure, Heard, Started, failure_of
from shared.core.flow_model import MAX_STEPS, MAX_VALUE_CHARS, Choice, Digits, Flow, GoTo, Language, Speech
from shared.core.flow_state import FlowOutcome, FlowState
from tests.unit.flows.ivr import AGENT, Ivr, flow_of

SAY = "first: {kind: say, prompt: Hello., next: bye}"
ASK = """\
first:
  kind: ask
  prompt: Your number?
  digits: {min: 2, max: 4, stop: "#"}
  variable: account
  no_input: Nothing came.
  no_match: That is none.
  retries: 1
  next: bye
  otherwise: sorry
sorry: {kind: say, prompt: Sorry., next: bye}
"""
MENU = """\
first:
  kind: ask
  prompt: {text: "Cards or loans?", wav: menu.wav}
  choices:
    cards: {key: "1", phrases: [cards], next: cards}
    loans: {key: "2", phrases: [loans]}
  variable: note
  next: bye
  otherwise: bye
cards: {kind: say, prompt: "Cards: {note}.", next: bye}
"""
LOOKUP = """\
first:
  kind: http
  url: https://api.example.com/accounts
  send: {account: "{account}"}
  secret_headers: {Authorization: api-token}
  save: {tier: customer.tier, account: numbers.0}
  next: hello
  otherwise: bye
hello: {kind: say, prompt: "Your tier is {tier}.", next: bye}
"""
TRANSFER = f"""\
first:
  kind: transfer
  to: "{AGENT}"
  context: {{account: "{{account}}", note: "{{note}}"}}
  otherwise: bye
"""


def test_a_prompt_is_said_and_then_the_flow_goes_on():
    call = Ivr(flow_of(SAY))
    assert isinstance(call.action, Play)
    assert call.heard == ["Hello."]
    assert isinstance(call.done().action, HangUpCall)
    assert call.history == [Passed("first", StepResult.DONE), Passed("bye", StepResult.DONE)]


def test_a_prompt_that_cannot_be_played_does_not_end_the_call():
    call = Ivr(flow_of(SAY + "\nunused: {kind: go_to, next: first}", start="unused")).fails()
    assert call.history[1] == Passed("first", StepResult.FAILED)


def test_a_stop_key_is_no_part_of_the_number():
    flow = flow_of(ASK.replace("variable: account", "variable: note"))
    assert Ivr(flow).presses("123#").state.variables["note"] == "123"


@pytest.mark.parametrize("pressed", ["1", "12345", "12*4", "#", "", "\uff11\uff12\uff13\uff14", "12"])
def test_a_number_of_other_length_characters_or_pattern_is_asked_for_again(pressed):
    call = Ivr(flow_of(ASK)).presses(pressed)
    assert call.heard == ["That is none.", "Your number?"]
    assert call.presses("1234").state.variables["account"] == "1234"


def test_after_the_last_try_the_flow_goes_the_other_way():
    call = Ivr(flow_of(ASK)).is_silent()
    assert call.heard == ["Nothing came.", "Your number?"]
    assert call.presses("1").heard == ["Sorry."]
    assert [passed.result for passed in call.history] == [StepResult.NO_INPUT, StepResult.NO_MATCH]


def test_another_question_begins_with_all_its_tries():
    call = Ivr(flow_of(ASK.replace("next: bye", "next: first", 1))).is_silent().presses("1234")
    assert call.heard == ["Your number?"]
    assert call.is_silent().step == "first"


def test_a_choice_leads_where_it_says_or_else_on():
    call = Ivr(flow_of(MENU.replace(", wav: menu.wav", "")))
    assert isinstance(call.action, Recognise)
    assert call.action.choices["cards"] == Choice("1", {"en-US": ["cards"]}, "cards")
    assert call.action.digits is None
    assert call.chooses("cards").heard == ["Cards: cards."]
    assert Ivr(flow_of(MENU)).chooses("loans").step == "bye"
    assert Ivr(flow_of(MENU)).chooses("stocks").step == "first"


def test_choices_by_key_alone_need_no_speech_service():
    flow = flow_of(MENU.replace(", phrases: [cards]", "").replace(", phrases: [loans]", ""))
    call = Ivr(flow)
    assert (call.action.choices, call.action.digits) == ({}, Digits(min=1, max=1))
    assert call.presses("3").step == "first"
    assert call.presses("1").step == "cards"


def test_where_the_speech_service_fails_the_wav_file_is_played_and_keys_choose():
    call = Ivr(flow_of(MENU)).fails(Failure.SPEECH_AWAY)
    assert call.heard == ["menu.wav"]
    assert (call.action.choices, call.action.digits) == ({}, Digits(min=1, max=1))
    call.presses("1")
    assert call.state.outcome is FlowOutcome.HUNG_UP, "the text of the next step cannot be said"
    assert Passed("cards", StepResult.SPEECH_AWAY) in call.history


def test_speech_or_digits_is_what_the_caller_does():
    flow = flow_of(
        "first: {kind: ask, prompt: Say or key it., digits: {length: 4}, speech: {}, variable: account,"
        " next: bye, otherwise: bye}"
    )
    call = Ivr(flow)
    assert (call.action.digits, call.action.speech) == (Digits(min=4, max=4), Speech())
    assert Ivr(flow).speaks("1234").state.variables["account"] == "1234"
    assert Ivr(flow).speaks("one two").step == "first"
    assert Ivr(flow).presses("1234").state.variables["account"] == "1234"


def test_long_speech_is_cut_and_none_is_no_answer():
    flow = flow_of("first: {kind: ask, prompt: Why., speech: {}, variable: note, next: bye, otherwise: bye}")
    assert len(Ivr(flow).speaks("x" * 2000).state.variables["note"]) == MAX_VALUE_CHARS
    assert Ivr(flow).speaks("  ").step == "first"
    assert Ivr(flow).speaks("a\nb\x00\ud800c").state.variables["note"] == "a b  c"


def test_a_branch_goes_by_value_by_pattern_or_else_the_other_way():
    flow = flow_of("""\
first: {kind: ask, prompt: Why., speech: {}, variable: note, next: which, otherwise: which}
which:
  kind: branch
  variable: note
  cases:
    - {is: ["Card.", "Cards."], next: cards}
    - {matches: "(?i).*loan.*", next: loans}
    - {is: "", next: nothing}
  otherwise: bye
cards: {kind: say, prompt: Cards., next: bye}
loans: {kind: say, prompt: Loans., next: bye}
nothing: {kind: say, prompt: Nothing., next: bye}
""")
    assert Ivr(flow).speaks("Cards.").step == "cards"
    assert Ivr(flow).speaks("A LOAN, please.").step == "loans"
    assert Ivr(flow).speaks("Weather.").step == "bye"
    assert Ivr(flow).is_silent().is_silent().is_silent().step == "nothing"


def test_an_answer_of_an_api_becomes_variables():
    call = Ivr(flow_of(LOOKUP))
    assert isinstance(call.action, CallHttp)
    assert (call.action.method, dict(call.action.arguments)) == ("POST", {"account": ""})
    assert call.action.secret_headers == {"Authorization": "api-token"}
    call.answers(200, {"customer": {"tier": 3}, "numbers": [1234]})
    assert call.heard == ["Your tier is 3."]
    assert call.state.variables["account"] == "1234"


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (404, {"customer": {"tier": "gold"}, "numbers": ["1234"]}),
        (200, None),
        (200, {"customer": {"tier": "gold"}, "numbers": []}),
        (200, {"customer": {"tier": {}}, "numbers": ["1234"]}),
        (200, {"customer": {"tier": "gold"}, "numbers": ["12345"]}),
        (200, {"customer": {"tier": "x" * 513}, "numbers": ["1234"]}),
        (200, {"customer": {"tier": 10**5000}, "numbers": ["1234"]}),
    ],
)
def test_an_answer_without_everything_that_is_wanted_is_a_failure(status, body):
    call = Ivr(flow_of(LOOKUP)).answers(status, body)
    assert call.history[0] == Passed("first", StepResult.FAILED)
    assert call.state.variables["tier"] == ""


def test_an_api_that_does_not_answer_is_a_failure():
    assert Ivr(flow_of(LOOKUP)).fails().step == "bye"


def test_variables_go_along_with_a_transfer_and_empty_ones_do_not():
    flow = flow_of("begin: {kind: set, variables: {note: 'a {called}'}, next: first}\n" + TRANSFER, "begin")
    call = Ivr(flow, called="+1")
    assert isinstance(call.action, TransferCall)
    assert dict(call.action.context.voip) == {"note": "a +1"}
    assert call.done().state.outcome is FlowOutcome.TRANSFERRED


def test_what_a_leg_cannot_carry_is_left_out_and_named():
    flow = flow_of("""\
first: {kind: ask, prompt: Why., speech: {}, variable: note, next: send, otherwise: bye}
send:
  kind: transfer
  to: "+14255550123"
  context: {X-MS-Custom-Reason: "{note}", User-To-User: "{correlation_id}"}
  otherwise: bye
""")
    call = Ivr(flow, correlation_id="abc").speaks("I lost my card.")
    assert (call.action.left_out, dict(call.action.context.sip)) == (
        ["X-MS-Custom-Reason"],
        {"User-To-User": "abc"},
    )


def test_a_transfer_that_is_accepted_after_the_leg_has_ended_was_a_transfer():
    call = Ivr(flow_of(TRANSFER))
    accepted = Done(call.action.id)
    assert call.hangs_up().happens(accepted).state.outcome is FlowOutcome.TRANSFERRED


def test_late_and_double_events_change_nothing():
    call = Ivr(flow_of(ASK))
    first_try = call.action.id
    call.is_silent()
    before = call.state
    for event in (
        Heard(first_try, digits="1234"),
        Failed(first_try, Failure.NO_INPUT),
        Done(call.action.id),
        Started(),
    ):
        assert advance(call.flow, call.state, event) == (before, (), ())


def test_the_end_is_the_end():
    call = Ivr(flow_of(SAY)).done()
    before = call.state
    assert call.hangs_up().done().state == before


def test_what_comes_in_with_the_call_is_taken_where_the_flow_has_a_variable_for_it():
    flow = flow_of(SAY.replace("Hello.", "'{account}, {note}'"))
    declared = {
        "account": flow.variables["account"].__class__(pattern="[0-9]{4}", input="X-MS-Custom-Account"),
        "note": flow.variables["note"].__class__(default="none", input="sessionRef"),
    }
    flow = Flow(flow.languages, flow.start, flow.steps, declared)

    assert Ivr(flow, context={"x-ms-custom-account": "1234", "other": "x"}).heard == ["1234, none"]
    assert Ivr(flow, context={"x-ms-custom-account": "no", "sessionRef": "s"}).heard == [", s"]
    assert "other" not in Ivr(flow, context={"other": "x"}).state.variables


def test_a_flow_that_is_not_the_one_the_call_began_with_hangs_up():
    call = Ivr(flow_of(ASK))
    other = flow_of(SAY.replace("first", "another"), start="another")
    turn = advance(other, call.state, Heard(call.action.id, digits="1234"))
    assert turn.state.outcome is FlowOutcome.BROKEN
    assert isinstance(turn.actions[0], HangUpCall)


def test_a_flow_that_goes_round_without_an_answer_is_stopped():
    # The validator refuses it.
    flow = Flow({"en-US": Language("v")}, "a", {"a": GoTo("b"), "b": GoTo("a")})
    turn = advance(flow, FlowState(), Started())
    assert turn.state.outcome is FlowOutcome.BROKEN
    assert len(turn.history) == MAX_STEPS


def test_a_caller_may_go_round_as_long_as_he_answers():
    call = Ivr(flow_of(ASK.replace("next: bye", "next: first", 1)))
    for _ in range(MAX_STEPS + 1):
        call.presses("1234")
    assert (call.step, call.state.outcome) == ("first", None)


def test_only_what_no_variable_goes_into_may_be_cached():
    flow = flow_of("first: {kind: say, prompt: [Hello., 'Your number is {account}.'], next: bye}")
    static, with_value = Ivr(flow).action.sources
    assert len(static.cache_id) == 32
    assert with_value.cache_id is None


@pytest.mark.parametrize(
    ("code", "sub_code", "failure"),
    [
        (400, 8510, Failure.NO_INPUT),
        (400, 8532, Failure.NO_MATCH),
        (400, 8547, Failure.NO_MATCH),
        (400, 8563, Failure.NO_MATCH),
        (403, 7606, Failure.SPEECH_AWAY),
        (429, 8565, Failure.SPEECH_AWAY),
        (405, 8522, Failure.SPEECH_AWAY),
        (404, 8522, Failure.OTHER),
        (400, 8536, Failure.OTHER),
        (500, 9999, Failure.OTHER),
    ],
)
def test_a_code_of_acs_says_what_failed(code, sub_code, failure):
    assert failure_of(code, sub_code) is failure
