"""Where a call stands in its flow: small enough for the call's row, and all that there is to know after a restart."""

from collections.abc import Mapping
from enum import StrEnum

from msgspec import Struct

from shared.core.flow_events import Failure
from shared.core.flow_model import LANGUAGE, Flow

MASK = "****"
MAX_STATE_BYTES = 96 * 1024
"""As JSON, where each of 38 variables has 512 characters of four bytes. A usual state has less than 1 KB."""


class FlowOutcome(StrEnum):
    """How a flow ended."""

    HUNG_UP = "hung_up"
    """By a step of its own."""
    TRANSFERRED = "transferred"
    CALLER_GONE = "caller_gone"
    BROKEN = "broken"
    """It is not the flow that the call began with, or it goes round without an answer; the call is hung up."""


class FlowState(Struct, frozen=True, omit_defaults=True):
    """A call's place in its flow. It holds personal data: its `repr` does not show them."""

    sequence: int = 0
    """Of the step or try that it is at; part of its action's id, so that late and double events are known."""
    step: str = ""
    """Empty before the start."""
    variables: Mapping[str, str] = {}
    failed_tries: int = 0
    """Of the question that is being asked."""
    last_failure: Failure | None = None
    """Why it is asked again."""
    steps_since_answer: int = 0
    speech_away: bool = False
    """The speech service has failed in this call: what has no WAV file is not said, and only keys are understood."""
    outcome: FlowOutcome | None = None
    """None: an action is under way."""

    def __repr__(self) -> str:
        return f"FlowState(sequence={self.sequence}, step={self.step!r}, outcome={self.outcome})"

    @property
    def action_id(self) -> str:
        """Id of the action under way."""
        return f"{self.sequence}.{self.step}"

    def language(self, flow: Flow) -> str:
        """Return what is spoken: what the variable says where the flow has it, else the first language."""
        selected = self.variables.get(LANGUAGE, "")
        return selected if selected in flow.languages else flow.first_language


def shown_variables(flow: Flow, state: FlowState) -> dict[str, str]:
    """Return the variables as people may see them: sensitive values are masked."""
    return {
        name: MASK if value and flow.is_sensitive(name) else value for name, value in state.variables.items()
    }
