"""What happens to a call in a media gateway, as tests of its survival bring it about."""

from dataclasses import replace

import pytest

from media_gateway.pod import Pod
from media_gateway.row import OwnedRow
from shared.core.call import CallRecord
from shared.core.call_state import CallState
from shared.core.profiles import Fallback
from tests.support.media import QUICK, MemoryAcs, MemoryCalls, RecordingAgent
from tests.support.records import CONNECTION_ID, call_record

COLLEAGUE = Fallback(
    transfer="8:acs:11111111-1111-1111-1111-111111111111_00000014-0000-0000-0000-00000000000a"
)


class AgentsInTurn:
    """The agents that calls get, one after another."""

    def __init__(self):
        self.made = []
        self.hanging = 0
        """How many of the next ones never connect."""
        self.on_made = None
        """Called with each as it is made."""

    def make(self, _settings, _resources):
        agent = RecordingAgent()
        if self.hanging:
            self.hanging -= 1
            agent.hangs_in = "open"
        self.made.append(agent)
        if self.on_made is not None:
            self.on_made(agent)
        return agent

    @property
    def latest(self):
        return self.made[-1]


@pytest.fixture
def agents(monkeypatch):
    agents = AgentsInTurn()
    monkeypatch.setattr("media_gateway.runtime.make_agent", agents.make)
    return agents


def spoken(value, ms=20):
    """Audio that is told from others by its samples, each of which is `value`."""
    return value.to_bytes(2, "little") * (24 * ms)


async def talking(gateway, **changes):
    """Place a call, and return it when an agent hears the caller."""
    call = await gateway.place(**changes)
    await gateway.until_streaming(call)
    await gateway.until(lambda: gateway.is_listening(call))
    return call


async def reopen(gateway, call, **changes):
    """Open another socket for a call, as ACS does with the URL of the answer."""
    call.socket = gateway.acs.sockets[call.call_connection_id] = await gateway.open_socket(call, **changes)
    call.socket.send_metadata(24_000)


def counted(gateway, name):
    return gateway.core.pod.counters[name]


def events(gateway, call):
    """What has happened to a call, by its row."""
    record: CallRecord = gateway.row(call)
    return [entry.event for entry in record.history]


class OwnedCall:
    """A pod with one call that streams, for what needs no socket.

    Args:
        state: Of the call.
        timing: Changes to `QUICK`.
    """

    def __init__(self, state=CallState.STREAMING, **timing):
        self.store = MemoryCalls()
        self.acs = MemoryAcs()
        self.pod = Pod(
            name="pod-a",
            rows=self.store,
            acs=self.acs,
            make_agent=None,
            timing=replace(QUICK, **timing),
            ticker=None,
            recordings=None,
            sounds=None,
            prompts=None,
        )
        record = call_record(state, call_connection_id=CONNECTION_ID, owner="pod-a", epoch=1)
        self.store.rows[record.call_id] = record
        self.row = OwnedRow(self.store, record, self.pod.timing)
        self.call_id = record.call_id

    @property
    def state(self):
        return self.row.record.state

    @property
    def events(self):
        return [entry.event for entry in self.row.record.history]
