"""The interpreter of flows: what happens to a call goes in, the call's next state and what to do next come out.

It has no clock and no I/O. Each step and each try has an id of its own; an event that names another one is late or
double, and changes nothing. Between two answers of the caller no more steps are taken than a flow may have.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple

from msgspec.structs import replace

from shared.core.flow_actions import Action
from shared.core.flow_events import (
    CallerGone,
    Done,
    Failed,
    Failure,
    FlowEvent,
    Heard,
    HttpAnswered,
    Started,
)
from shared.core.flow_model import (
    LANGUAGE,
    MAX_STEPS,
    MAX_VALUE_CHARS,
    Ask,
    Branch,
    Flow,
    GoTo,
    HangUp,
    Http,
    Say,
    Set,
    Transfer,
)
from shared.core.flow_pending import pending
from shared.core.flow_state import FlowOutcome, FlowState
from shared.core.flow_texts import cleaned, filled
from shared.core.flow_values import accepted, answer_in, matches, value_at

_OK = range(200, 300)


class StepResult(StrEnum):
    """What became of a step, or of one try of a question."""

    DONE = "done"
    NO_INPUT = "no_input"
    NO_MATCH = "no_match"
    SPEECH_AWAY = "speech_away"
    FAILED = "failed"


class Passed(NamedTuple):
    """A line of the call's history: names of the flow alone, and no value."""

    step: str
    result: StepResult


class Turn(NamedTuple):
    """What an event leads to; all but the state is empty where it changes nothing."""

    state: FlowState
    actions: Sequence[Action] = ()
    """One at most."""
    history: Sequence[Passed] = ()


def advance(flow: Flow, state: FlowState, event: FlowEvent) -> Turn:
    """Return what an event leads to. Begin with `FlowState()`, and with `Started`.

    Nothing that comes in raises. Afterwards the flow has an outcome, or an action is under way (`pending`).
    """
    if isinstance(event, Started):
        return Turn(state) if state.step or state.outcome else _begin(flow, event)
    if isinstance(event, CallerGone):
        return Turn(state) if state.outcome else Turn(replace(state, outcome=FlowOutcome.CALLER_GONE))
    if not state.step or event.action_id != state.action_id:
        return Turn(state)
    step = flow.steps.get(state.step)
    if isinstance(step, Transfer) and isinstance(event, Done) and state.outcome is FlowOutcome.CALLER_GONE:
        # CallDisconnected has overtaken CallTransferAccepted.
        return Turn(replace(state, outcome=FlowOutcome.TRANSFERRED))
    if state.outcome:
        return Turn(state)
    match step, event:
        case Say() | Ask(), Failed(failure=Failure.SPEECH_AWAY) if not state.speech_away:
            after = step.next if isinstance(step, Say) else step.otherwise
            return _without_speech(flow, state, after)
        case Say(), Done() | Failed():
            return _enter(flow, state, step.next, _result(event))
        case Ask(), Heard() if (answer := answer_in(flow, step, event)) is not None:
            return _answered(flow, state, step, answer)
        case Ask(), Heard():
            return _try_again(flow, state, step, Failure.NO_MATCH)
        case Ask(), Failed(failure=Failure.NO_INPUT | Failure.NO_MATCH as failure):
            return _try_again(flow, state, step, failure)
        case Http(), HttpAnswered():
            return _saved(flow, state, step, event)
        case Transfer(), Done():
            ended = replace(state, outcome=FlowOutcome.TRANSFERRED)
            return Turn(ended, history=(Passed(state.step, StepResult.DONE),))
        case Ask() | Http() | Transfer(), Failed():
            return _enter(flow, state, step.otherwise, StepResult.FAILED)
        case None, _:
            return _broken(flow, state, [])
        case _:
            return Turn(state)


def _begin(flow: Flow, event: Started) -> Turn:
    variables = {name: declared.default or "" for name, declared in flow.variables.items()}
    headers = {name.lower(): value for name, value in event.context.items()}
    for name, declared in flow.variables.items():
        value = headers.get(declared.input.lower()) if declared.input is not None else None
        if value is not None and (fitting := accepted(flow, name, value)) is not None:
            variables[name] = fitting
    given = {
        LANGUAGE: flow.first_language,
        "caller": event.caller,
        "called": event.called,
        "correlation_id": event.correlation_id,
        "ivr_identity": event.ivr_identity,
        "outcome": event.outcome,
    }
    variables |= {name: cleaned(value)[:MAX_VALUE_CHARS] for name, value in given.items()}
    first = flow.returns if event.outcome and flow.returns else flow.start
    return _enter(flow, FlowState(variables=variables), first)


def _enter(flow: Flow, state: FlowState, name: str, result: StepResult | None = None) -> Turn:
    """Go to a step, and on through those that wait for nothing."""
    history = [Passed(state.step, result)] if result else []
    while True:
        state = replace(
            state, step=name, sequence=state.sequence + 1, steps_since_answer=state.steps_since_answer + 1,
            failed_tries=0, last_failure=None,
        )  # fmt: skip
        if state.steps_since_answer > MAX_STEPS:
            return _broken(flow, state, history)
        if (action := pending(flow, state)) is not None:
            return Turn(state, (action,), history)
        result = StepResult.DONE
        match flow.steps.get(name):
            case Say(next=after):
                name, result = after, StepResult.SPEECH_AWAY
            case Ask(otherwise=after):
                name, result = after, StepResult.SPEECH_AWAY
            case Branch() as branch:
                name = _way(branch, state.variables.get(branch.variable, ""))
            case Set() as step:
                given = {variable: filled(text, state.variables) for variable, text in step.variables.items()}
                state = _with(state, given)
                name = step.next
            case GoTo(next=after):
                name = after
            case HangUp():
                history.append(Passed(name, result))
                return _ended(flow, state, FlowOutcome.HUNG_UP, history)
            case _:
                return _broken(flow, state, history)
        history.append(Passed(state.step, result))


def _way(branch: Branch, value: str) -> str:
    for case in branch.cases:
        if value in case.is_ or (case.matches is not None and matches(case.matches, value)):
            return case.next
    return branch.otherwise


def _answered(flow: Flow, state: FlowState, ask: Ask, answer: str) -> Turn:
    state = replace(state, steps_since_answer=0)
    if ask.variable is not None:
        state = _with(state, {ask.variable: answer})
    after = ask.choices[answer].next if ask.choices else None
    return _enter(flow, state, after or ask.next or ask.otherwise, StepResult.DONE)


def _try_again(flow: Flow, state: FlowState, ask: Ask, failure: Failure) -> Turn:
    result = StepResult(failure.value)
    if state.failed_tries >= ask.retries:
        return _enter(flow, state, ask.otherwise, result)
    again = replace(
        state, sequence=state.sequence + 1, failed_tries=state.failed_tries + 1, last_failure=failure
    )
    return _waiting(flow, again, [Passed(state.step, result)])


def _without_speech(flow: Flow, state: FlowState, after: str) -> Turn:
    """Do the same with WAV files and keys, or go on where that cannot be done."""
    history = [Passed(state.step, StepResult.SPEECH_AWAY)]
    again = replace(state, sequence=state.sequence + 1, speech_away=True)
    if pending(flow, again) is not None:
        return _waiting(flow, again, history)
    return _enter(flow, again, after, StepResult.SPEECH_AWAY)


def _saved(flow: Flow, state: FlowState, http: Http, event: HttpAnswered) -> Turn:
    values: dict[str, str] = {}
    for variable, path in http.save.items():
        found = value_at(path, event.body)
        fitting = None if found is None else accepted(flow, variable, found)
        if fitting is not None:
            values[variable] = fitting
    if event.status not in _OK or len(values) < len(http.save):
        return _enter(flow, state, http.otherwise, StepResult.FAILED)
    return _enter(flow, _with(state, values), http.next, StepResult.DONE)


def _with(state: FlowState, values: Mapping[str, str]) -> FlowState:
    return replace(state, variables={**state.variables, **values})


def _waiting(flow: Flow, state: FlowState, history: Sequence[Passed]) -> Turn:
    action = pending(flow, state)
    return Turn(state, () if action is None else (action,), history)


def _broken(flow: Flow, state: FlowState, history: Sequence[Passed]) -> Turn:
    return _ended(flow, state, FlowOutcome.BROKEN, history)


def _ended(flow: Flow, state: FlowState, outcome: FlowOutcome, history: Sequence[Passed]) -> Turn:
    return _waiting(flow, replace(state, outcome=outcome), history)


def _result(event: Done | Failed) -> StepResult:
    if isinstance(event, Done):
        return StepResult.DONE
    return StepResult.SPEECH_AWAY if event.failure is Failure.SPEECH_AWAY else StepResult.FAILED
