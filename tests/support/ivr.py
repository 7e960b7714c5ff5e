"""An IVR before an agent, as a whole: both apps, a pod, and Event Grid with a filter for each, on one event loop."""

import asyncio
import contextlib
import os
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from emulator.call import Call
from emulator.event_grid.filters import AdvancedFilter, EventFilter, Operator
from emulator.event_grid.subscriptions import EventSubscription
from emulator.media.line import Line
from emulator.ports import LOOPBACK, free_port_numbers
from media_gateway.runtime import MediaGateway
from media_gateway.timing import Timing
from shared.acs.identifiers import to_raw_id
from shared.config import media_settings
from shared.core.call import CallRecord
from shared.core.ivr_call import IvrCall
from tests.support.gateway import CALLER, Edge, StartEdge

RESOURCE = "11111111-1111-1111-1111-111111111111"
NUMBER = "+18005550100"
IVR = f"8:acs:{RESOURCE}_00000014-0000-0000-0000-00000000000b"
AGENT = f"8:acs:{RESOURCE}_00000014-0000-0000-0000-00000000000a"
QUEUE = "+18005550197"
IVR_EVENTS_PATH = "/mg-genagent-acs/v1/ivr-events"
WITHIN_S = 15.0
RING_S = 3.0

FLOW = f"""\
version: 1
languages: {{en-US: {{voice: en-US-AvaMultilingualNeural}}}}
variables:
  account: {{pattern: "[0-9]{{4}}", sensitive: true, default: ""}}
  topic: {{input: topic, default: ""}}
start: account
returns: returned
steps:
  account:
    kind: ask
    prompt: Your number?
    digits: {{length: 4}}
    silence_s: 1
    retries: 2
    variable: account
    next: to_agent
    otherwise: bye
  to_agent:
    kind: transfer
    to: "{AGENT}"
    context: {{accountNumber: "{{account}}", returnTo: "{{ivr_identity}}", taskName: balance}}
    otherwise: to_people
  returned:
    kind: branch
    variable: outcome
    cases: [{{is: AGENT, next: to_people}}]
    otherwise: bye
  to_people: {{kind: transfer, to: "{QUEUE}", otherwise: bye}}
  bye: {{kind: hang_up}}
"""
GATEWAY = f"""\
version: 1
profiles:
  bank: {{kind: echo}}
flows:
  welcome: welcome.yaml
routes:
  - {{account: demo, to: "{NUMBER}", flow: welcome}}
  - {{account: demo, to: "{IVR}", flow: welcome}}
  - {{account: demo, to: "{AGENT}", profile: bank}}
"""


@dataclass
class WholeIvr:
    """The running parts."""

    edge: Edge
    pod: MediaGateway
    lines: list[Line] = field(default_factory=list)

    async def dial(self) -> Call:
        """Call the IVR's number."""
        line = Line(rate_hz=16_000)
        self.lines.append(line)
        line.start()
        return await self.edge.emulator.calls.place(to=NUMBER, from_=CALLER, line=line)

    async def key(self, call: Call, keys: str, *, question: int = 1) -> None:
        """Press keys when a call's question is listened for: its first, its second, ..."""
        await until(lambda: happened(call)["recognize_listening"] >= question)
        for key in keys:
            call.press(key)

    async def until_over(self, call: Call, count: int) -> list[IvrCall]:
        """The IVR's calls of a journey, the oldest first, once there are so many and all are over."""
        async with asyncio.timeout(WITHIN_S):
            while True:
                found = await self.edge.connections.ivr_calls.journey(call.correlation_id)
                if len(found) == count and all(each.ended is not None for each in found):
                    return found
                await asyncio.sleep(0.02)

    async def agents_calls(self, call: Call) -> list[CallRecord]:
        """The gateway's calls of a journey, the oldest first."""
        table = self.edge.connections.tables.get_table_client("calls")
        query = table.query_entities("correlation_id eq @c", parameters={"c": call.correlation_id})
        ids = sorted([entity["RowKey"] async for entity in query])
        return [await self.edge.connections.calls.get(call_id) for call_id in ids]

    async def subscribe(self, name: str, path: str, called: Sequence[str] | None) -> None:
        """Have calls to these numbers and identities announced at a path; None: all calls."""
        wanted = () if called is None else (
            AdvancedFilter(operator_type=Operator.STRING_IN, key="data.to.rawId", values=tuple(map(to_raw_id, called))),
        )  # fmt: skip
        await self.edge.emulator.event_grid.subscribe(
            EventSubscription(
                name=name,
                endpoint=self.edge.host.url + path,
                headers=self.edge.credentials,
                filter=EventFilter(advanced_filters=wanted),
            )
        )


def happened(call: Call) -> Counter[str]:
    """How often each thing happened to a call."""
    return Counter(happening.name for happening in call.happenings)


async def until(condition: Any) -> None:
    """Wait until something holds."""
    async with asyncio.timeout(WITHIN_S):
        while not condition():
            await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def running_ivr(
    start_edge: StartEdge, folder: Path, flow: str = FLOW, gateway: str = GATEWAY
) -> AsyncIterator[WholeIvr]:
    """Start it, with no subscription yet. The pod's agent is that of the fixture `agent`, where the test uses it."""
    (folder / "welcome.yaml").write_text(flow)
    gateway_file = folder / "gateway.yaml"
    gateway_file.write_text(gateway)
    (port,) = free_port_numbers(1)
    edge = await start_edge(
        pods=0,
        gateway_file=gateway_file,
        emulated={
            "phone_numbers": (NUMBER,),
            "identities": (IVR, AGENT),
            "resource_id": RESOURCE,
            "ring_seconds": RING_S,
        },
        MEDIA_BASE_URL=f"ws://{LOOPBACK}:{port}",
        COGNITIVE_SERVICES_ENDPOINT="https://ai.example.com",
        MEDIA_HOST=LOOPBACK,
        MEDIA_PORT=str(port),
        RECORDING_SPILL_DIR=str(folder / "spill"),
    )
    pod = MediaGateway(media_settings(os.environ), edge.connections, Timing(interruption_grace_s=1))
    stop, listening = asyncio.Event(), asyncio.Event()
    running = asyncio.create_task(pod.run(stop, listening))
    await listening.wait()
    whole = WholeIvr(edge, pod)
    try:
        await until(lambda: pod.is_ready)
        yield whole
    finally:
        # Before the emulator: for as long as ACS does not answer, a pod tries to hang up what calls it has.
        stop.set()
        await running
        await edge.emulator.stop()
        for line in whole.lines:
            line.close()
