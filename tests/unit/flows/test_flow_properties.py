"""Whatever flow is accepted and whatever happens in it: nothing raises, nothing counts twice, nothing leaks."""

import copy

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from shared.core.flow import advance
from shared.core.flow_events import CallerGone, Done, Failed, Failure, Heard, HttpAnswered, Started
from shared.core.flow_model import BUILT_IN, MAX_VALUE_CHARS, MAX_VARIABLES, Flow
from shared.core.flow_pending import pending
from shared.core.flow_state import MAX_STATE_BYTES, FlowOutcome, FlowState, shown_variables
from shared.flow_document import faults_of, to_flow
from tests.unit.flows.ivr import AGENT, document_of, sample

SECRET = "48151623"
"""Stands wherever a caller or an API may bring the sensitive variable's value."""
BASE = document_of("first: {kind: say, prompt: Hello., next: bye}") | {
    "variables": {
        "secret": {"sensitive": True, "default": "", "input": "secret"},
        "digits": {"pattern": "[0-9]{1,8}", "default": ""},
        "note": {"default": "", "input": "note"},
    }
}
TEXTS = st.sampled_from(
    ["Hello.", "{note}", "{digits:digits}", {"ssml": "<speak>{note}</speak>"}, ["{secret}", {"text": "Hm."}]]
)


@st.composite
def documents(draw):
    """Flows that the validator accepts: answers lead anywhere, all else leads on."""
    size = draw(st.integers(1, 8))
    names = [f"s{at}" for at in range(size)]
    ways = [{"is": name, "next": name} for name in names]
    steps = {"first": {"kind": "branch", "variable": "note", "cases": ways, "otherwise": "bye"}}
    for at, name in enumerate(names):
        on, anywhere = st.sampled_from([*names[at + 1 :], "bye"]), st.sampled_from([*names, "bye"])
        steps[name] = draw(a_step(on, anywhere))
    return BASE | {"steps": steps | {"bye": {"kind": "hang_up"}}, "start": "first", "returns": names[0]}


def a_step(on, anywhere):
    question = {"prompt": TEXTS, "retries": st.integers(0, 3), "no_match": TEXTS, "otherwise": on}
    choice = st.fixed_dictionaries({"next": anywhere}, optional={"phrases": st.just(["a"])})
    variable = st.sampled_from(["secret", "digits", "note"])
    return st.one_of(
        st.fixed_dictionaries({"kind": st.just("say"), "prompt": TEXTS, "next": on}),
        st.fixed_dictionaries(
            {"kind": st.just("ask"), "variable": variable, "next": anywhere, **question},
            optional={"speech": st.just({})},
        ).map(
            lambda step: step if "speech" in step else step | {"digits": {"min": 1, "max": 8, "stop": "#"}}
        ),
        choice.flatmap(
            lambda yes: st.fixed_dictionaries(
                {"kind": st.just("confirm"), "yes": st.just(yes | {"key": "1"}), **question}
            ).map(
                lambda step: (
                    step | {"no": {k: ["b"] if k == "phrases" else v for k, v in yes.items()} | {"key": "2"}}
                )
            )
        ),
        st.fixed_dictionaries(
            {
                "kind": st.just("http"),
                "url": st.just("https://api.example.com"),
                "send": st.just({"a": "{secret}"}),
                "save": st.just({"secret": "a.0", "digits": "b"}),
                "next": on,
                "otherwise": on,
            }
        ),
        st.fixed_dictionaries(
            {"kind": st.just("set"), "variables": st.just({"secret": "x{secret}"}), "next": on}
        ),
        st.fixed_dictionaries(
            {
                "kind": st.just("transfer"),
                "to": st.sampled_from([AGENT, "+14255550123"]),
                "context": st.just({"User-To-User": "{secret}"}),
                "otherwise": on,
            }
        ),
        st.fixed_dictionaries({"kind": st.just("go_to"), "next": on}),
    )


VALUES = st.one_of(
    st.just(SECRET), st.text(st.characters(), max_size=700), st.sampled_from(["1", "2", "5#", "s3"])
)
BODIES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | VALUES,
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["a", "b", "0"]), inner, max_size=3)
    ),
    max_leaves=6,
) | st.just({"a": [SECRET], "b": 5})
STARTS = st.builds(
    Started,
    caller=VALUES,
    ivr_identity=VALUES,
    outcome=st.sampled_from(["", "", "AGENT"]),
    context=st.fixed_dictionaries({}, optional={"secret": VALUES, "Note": VALUES, "other": VALUES}),
)


@st.composite
def events(draw, action_id):
    """What may come: mostly for the action under way, sometimes for one before it."""
    named = draw(st.sampled_from([action_id, action_id, action_id, "1.first", "0.", ""]))
    return draw(
        st.one_of(
            st.builds(Heard, st.just(named), digits=VALUES),
            st.builds(Heard, st.just(named), speech=VALUES),
            st.builds(Heard, st.just(named), choice=st.sampled_from(["yes", "no", "x"])),
            st.builds(HttpAnswered, st.just(named), st.sampled_from([200, 204, 404]), BODIES),
            st.builds(Failed, st.just(named), st.sampled_from(Failure)),
            st.builds(Done, st.just(named)),
            STARTS,
            st.sampled_from([Done(named)] * 8 + [CallerGone()]),
        )
    )


@given(documents(), st.data())
def test_after_whatever_happens_a_call_has_ended_or_waits_for_one_action(document, data):
    assert [*faults_of(document)] == []
    flow, state = to_flow(document), FlowState()
    event = data.draw(STARTS)
    for _ in range(data.draw(st.integers(0, 12))):
        turn = advance(flow, state, event)
        if turn.state == state:
            assert turn == (state, (), ())
        else:
            assert list(turn.actions) == [action for action in [pending(flow, turn.state)] if action]
        state = turn.state
        assert state.outcome or pending(flow, state)
        assert len(msgspec.json.encode(state)) <= MAX_STATE_BYTES
        assert advance(flow, state, event) == (state, (), ()), "it came twice"
        shown = f"{state!r} {event!r} {turn.actions!r} {turn.history!r}"
        assert SECRET not in shown
        assert SECRET not in shown_variables(flow, state)["secret"]
        event = data.draw(events(state.action_id))


@given(documents(), st.sampled_from([Failure.NO_INPUT, Failure.OTHER, Failure.SPEECH_AWAY]))
def test_a_call_in_which_nothing_works_comes_to_an_end(document, failure):
    flow = to_flow(document)
    state = advance(flow, FlowState(), Started(context={"note": "s0"})).state
    for _ in range(5 * len(flow.steps)):
        state = advance(flow, state, Failed(state.action_id, failure)).state
    assert state.outcome is FlowOutcome.HUNG_UP


def test_the_largest_state_is_as_large_as_is_said():
    names = [f"{at:02}".ljust(40, "n") for at in range(MAX_VARIABLES)]
    for value in ("\U0001f600" * MAX_VALUE_CHARS, '"' * MAX_VALUE_CHARS):
        state = FlowState(10**9, "s" * 40, dict.fromkeys([*BUILT_IN, *names], value))
        assert len(msgspec.json.encode(state)) <= MAX_STATE_BYTES


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=5)
    | st.sampled_from(["{a}", "first", "bye", "1"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["kind", "text", "x"]), inner)
    ),
    max_leaves=5,
)


@st.composite
def mistakes(draw):
    """A good flow with something else in one of its places, or nothing."""
    document = copy.deepcopy(draw(documents()))
    holder = document
    while True:
        key = draw(st.sampled_from(sorted(holder) if isinstance(holder, dict) else range(len(holder))))
        if not isinstance(holder[key], dict | list) or not holder[key] or draw(st.booleans()):
            break
        holder = holder[key]
    if draw(st.booleans()):
        del holder[key]
    else:
        holder[key] = draw(JSON)
    return document


@given(mistakes())
def test_what_the_validator_lets_pass_can_be_run_whatever_was_mistaken(document):
    if [*faults_of(document)]:
        return
    flow = to_flow(document)
    turn = advance(flow, FlowState(), Started(context={"note": "s0"}))
    assert turn.state.outcome is not FlowOutcome.BROKEN
    assert turn.actions


@given(JSON)
def test_the_validator_takes_anything(document):
    assert [*faults_of(document)]


def test_the_sample_is_kept_as_json_like_any_other():
    flow = sample()
    assert msgspec.json.decode(msgspec.json.encode(flow), type=Flow) == flow
