"""The record of a call at the IVR: what stands in its row, and the only ways it changes.

A call has one action under way at a time. Whoever changes where the flow stands asks for the next action, and has
`ASKING_S` for it; then whoever looks next may ask again, by the same id.
"""

from collections.abc import Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from shared.acs.identifiers import to_address
from shared.core.flow import StepResult, advance
from shared.core.flow_actions import Action, CallHttp, TransferCall
from shared.core.flow_events import CallerGone, Failed, FlowEvent, Started
from shared.core.flow_model import Flow
from shared.core.flow_pending import pending
from shared.core.flow_state import FlowState

ASKING_S = 10.0
"""For an action to be asked of ACS: two tries."""
BEGUN_WITHIN_S = 20.0
"""Of its first row, which is older than the answer: then CallConnected is lost."""
ANSWERED_WITHIN_S = 120.0
"""Likewise: nobody rings so long."""
OVER_WITHIN_S = 60.0
"""Of an accepted transfer, which ends our leg at once."""
HISTORY_LIMIT = 256
"""Steps kept of a call; later ones are counted only."""


class StepPassed(Struct, frozen=True):
    """What became of a step: when (Unix seconds), its name, and the result."""

    at: float
    step: str
    result: StepResult


class IvrCall(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One call at the IVR. It holds personal data: its `repr` does not show them."""

    call_id: str
    account_id: str
    flow: str
    flow_version: int
    """Of the gateway document that the flow is in."""
    caller: str
    """Raw id of the caller."""
    called: str
    correlation_id: str
    server_call_id: str
    traceparent: str
    created: float
    """Unix seconds, as are all times here."""
    identity: str = ""
    """Raw id by which the call can be sent back; empty: by none."""
    outcome: str = ""
    """Why it was sent back to us; empty: it was not."""
    context: Mapping[str, str] = {}
    """What it brought along."""
    slot: str | None = None
    """The place among the account's calls that this one takes, where their number is limited."""
    call_connection_id: str | None = None
    state: FlowState = FlowState()
    asked: str = ""
    """The action under way, once it has been asked for."""
    asking_until: float = 0.0
    """Until then somebody is about to ask for it."""
    due: float | None = None
    """When what nothing was heard of has failed; None: nothing is under way."""
    transferred_to: str = ""
    """Raw id of whom it was last sent on to."""
    history: Sequence[StepPassed] = ()
    history_dropped: int = 0
    ended: float | None = None

    def __repr__(self) -> str:
        return f"IvrCall(call_id={self.call_id!r}, state={self.state!r}, ended={self.ended})"

    @property
    def beginning(self) -> Started:
        """What the flow begins with."""
        return Started(
            caller=to_address(self.caller),
            called=to_address(self.called),
            correlation_id=self.correlation_id,
            ivr_identity=self.identity,
            outcome=self.outcome,
            context=self.context,
        )


def bound_to(call: IvrCall, call_connection_id: str) -> IvrCall:
    """Return the call bound to ACS's connection."""
    return replace(call, call_connection_id=call_connection_id)


def not_answered(call: IvrCall, now: float) -> IvrCall:
    """Return the call whose caller gave up before the answer; itself where it is known to be up."""
    return call if call.call_connection_id is not None else replace(call, ended=now)


def action_to_ask(call: IvrCall, flow: Flow) -> Action | None:
    """Return the action that has to be asked for; None: it has been, or there is nothing to do."""
    if call.ended is not None:
        return None
    action = pending(flow, call.state)
    return None if action is None or action.id == call.asked else action


def after(call: IvrCall, flow: Flow, event: FlowEvent, now: float) -> IvrCall:
    """Return the call after an event; itself where that changes nothing.

    Where the flow goes on, the caller of this is to ask for the next action.
    """
    turn = advance(flow, call.state, event)
    if turn.state is not call.state:
        passed = [StepPassed(now, line.step, line.result) for line in turn.history]
        kept = passed[: max(0, HISTORY_LIMIT - len(call.history))]
        action = pending(flow, turn.state)
        call = replace(
            call,
            state=turn.state,
            asked="",
            asking_until=now + _asking_s(action),
            due=None if action is None else now + action.timeout_s,
            transferred_to=action.target if isinstance(action, TransferCall) else call.transferred_to,
            history=(*call.history, *kept),
            history_dropped=call.history_dropped + len(passed) - len(kept),
        )
    if isinstance(event, CallerGone) and call.ended is None:
        call = replace(call, ended=now, due=None)
    return call


def overdue(call: IvrCall, now: float) -> FlowEvent | None:
    """Return what has become of a call, as nothing was heard of it in time; None: somebody may be heard yet."""
    if call.ended is not None:
        return None
    if call.due is not None:
        if now < call.due:
            return None
        # A flow that is over waits for nothing but the end.
        return Failed(call.state.action_id) if call.state.outcome is None else CallerGone()
    age_s = now - call.created
    if call.state.outcome is not None:
        is_over = now - (call.history[-1].at if call.history else call.created) > OVER_WITHIN_S
        return CallerGone() if is_over else None
    if call.call_connection_id is None:
        return CallerGone() if age_s > ANSWERED_WITHIN_S else None
    return call.beginning if age_s > BEGUN_WITHIN_S else None


def taking_over(call: IvrCall, flow: Flow, now: float) -> IvrCall:
    """Return the call as whoever asks again for an action that nobody is about to ask for; itself where somebody is."""
    if action_to_ask(call, flow) is None or now < call.asking_until:
        return call
    return replace(call, asking_until=now + _asking_s(action_to_ask(call, flow)))


def asked_for(call: IvrCall, action_id: str) -> IvrCall:
    """Return the call whose action has been asked for; itself where the flow has gone on since."""
    if call.state.action_id != action_id or call.asked == action_id:
        return call
    return replace(call, asked=action_id)


def given_up(call: IvrCall, action_id: str) -> IvrCall:
    """Return the call whose action could not be asked for now: whoever looks next may ask at once."""
    if call.state.action_id != action_id or call.asked == action_id:
        return call
    return replace(call, asking_until=0.0)


def _asking_s(action: Action | None) -> float:
    return action.timeout_s if isinstance(action, CallHttp) else ASKING_S
