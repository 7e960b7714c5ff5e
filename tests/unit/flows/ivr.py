"""A call in a flow: what is done, what the caller hears, and what he does then."""

from pathlib import Path
from textwrap import indent

import msgspec

from shared.core.flow import advance
from shared.core.flow_actions import Play, Recognise
from shared.core.flow_events import CallerGone, Done, Failed, Failure, Heard, HttpAnswered, Started
from shared.core.flow_pending import pending
from shared.core.flow_state import FlowState
from shared.flow_document import faults_of, to_flow
from shared.flow_file import load_flow_file
from shared.yaml_file import YamlFile

ROOT = Path(__file__).parents[3]
SAMPLE = ROOT / "flows" / "sample.yaml"
AGENT = "8:acs:11111111-2222-3333-4444-555555555555_00000000-0000-0000-0000-000000000001"

FRAME = """\
version: 1
languages:
  en-US: {{voice: en-US-AvaMultilingualNeural}}
variables:
  account: {{pattern: "[0-9]{{4}}", sensitive: true, default: ""}}
  note: {{default: ""}}
  tier: {{}}
start: {start}
steps:
{steps}
  bye: {{kind: hang_up}}
"""


def document_of(steps, start="first"):
    """The document of one language with these steps, and `bye`, which hangs up."""
    return YamlFile("flow.yaml", FRAME.format(start=start, steps=indent(steps, "  "))).data


def flow_of(steps, start="first"):
    document = document_of(steps, start)
    assert [(fault.place_name, fault.text) for fault in faults_of(document)] == []
    return to_flow(document)


def sample():
    return load_flow_file(SAMPLE).flow


class Ivr:
    """A call that is going on."""

    def __init__(self, flow, **started):
        self.flow, self.state, self.history, self.action = flow, FlowState(), [], None
        self.happens(Started(**started))

    def happens(self, event):
        turn = advance(self.flow, self.state, event)
        # As the row keeps it between two callbacks.
        stored = msgspec.json.decode(msgspec.json.encode(turn.state), type=FlowState)
        assert stored == turn.state
        if stored != self.state:
            (self.action,) = turn.actions or (None,)
        self.state = stored
        assert self.action == pending(self.flow, self.state), "a restart would ask for something else"
        self.history += turn.history
        return self

    def done(self):
        return self.happens(Done(self.action.id))

    def presses(self, digits):
        return self.happens(Heard(self.action.id, digits=digits))

    def speaks(self, speech):
        return self.happens(Heard(self.action.id, speech=speech))

    def chooses(self, label):
        return self.happens(Heard(self.action.id, choice=label))

    def is_silent(self):
        return self.fails(Failure.NO_INPUT)

    def fails(self, failure=Failure.OTHER):
        return self.happens(Failed(self.action.id, failure))

    def answers(self, status, body=None):
        return self.happens(HttpAnswered(self.action.id, status, body))

    def hangs_up(self):
        return self.happens(CallerGone())

    @property
    def step(self):
        return self.state.step

    @property
    def heard(self):
        """What the caller hears now."""
        assert isinstance(self.action, Play | Recognise)
        return [source.content for source in self.action.sources]
