"""What must be true when all calls are over: of every call, of what each part still holds, and of what was counted."""

import asyncio
import contextlib
import math
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from azure.data.tables.aio import TableClient

from media_gateway.recording.finaliser import CALL_NAME, Finaliser
from media_gateway.recording.parts import OVER_AFTER_S, UNFINISHED
from media_gateway.recording.spill import Spill
from media_gateway.recording.store import RecordingStore
from media_gateway.recording.sweeper import Sweeper
from shared.adapters.call_store import _to_record
from shared.calls.gateway import compose
from shared.config import functions_settings
from shared.core.call import CallRecord
from shared.core.call_state import CallEvent, Cause
from shared.errors import StoreUnavailable
from tests.support.short_calls import RECORDED, VARIABLES, Kind, Told
from tests.support.whole_stack import HUB, Held, WholeStack

SETTLE_S = 60.0
UPKEEP_LATER_S = 300.0
"""The run of upkeep that is due five minutes later."""
FINALISED_S = 60.0
"""After a call has ended, until its pod has made its recording: where storage fails now and then, others wait too."""
MET_A_DYING_POD = 3
"""Calls a killed pod, whose media socket was just being opened there: ACS tries that once."""
MORE_FILES = 40
"""Connections to services that a pod keeps for its next request."""
UNEXPECTED = (
    "agents_abandoned",
    "agent_bad_messages",
    "agent_requests_dropped",
    "calls_without_row",
    "hang_ups_failed",
    "keys_failed",
    "recording_failures",
    "recording_parts_invalid",
    "recording_parts_lost",
    "recordings_failed",
    "recordings_not_made",
    "signals_malformed",
    "signals_unknown",
    "upgrades_refused_401",
    "upgrades_refused_404",
    "variables_dropped",
)
"""Counters of pods that no fault of these may raise."""
BAD_LINES = ("ERROR", "CRITICAL", "Traceback")
CAUSES: Mapping[Kind, frozenset[Cause]] = {
    Kind.ECHO: frozenset({Cause.CALLER_HUNG_UP}),
    Kind.RECORDED: frozenset({Cause.CALLER_HUNG_UP}),
    Kind.MENU: frozenset({Cause.AGENT_ENDED}),
    Kind.NOTES: frozenset({Cause.AGENT_ENDED}),
    Kind.DESK: frozenset({Cause.TRANSFERRED}),
}
"""How a call ends that nothing befalls."""


@dataclass(frozen=True)
class Ended:
    """A call when all is over: what its caller tells, and what its row says."""

    told: Told
    record: CallRecord | None
    changed_hands: bool
    """Whether another pod went on with it, or nobody could: a pod was killed, or its media came back elsewhere."""
    may_be_in_parts: bool
    """Whether that is so, or its pod was killed before it can have made the recording."""

    @property
    def kind_and_cause(self) -> str:
        """For a count."""
        cause = self.record.cause if self.record is not None else None
        return f"{self.told.plan.kind}: {cause.value if cause is not None else 'none'}"

    @property
    def is_open(self) -> bool:
        """Whether there is a row that does not say how it ended."""
        return self.record is not None and not self.record.state.is_final

    @property
    def was_never_taken(self) -> bool:
        """Whether its caller hung up before any pod had it: what the answer led to is unknown until upkeep."""
        return self.record is not None and self.record.owner is None

    @property
    def must_be_recorded(self) -> bool:
        """Whether its caller stayed for the announcement, where there is one."""
        plan, record = self.told.plan, self.record
        is_kept = plan.kind in RECORDED and plan.gives_up_after_s is None
        return is_kept and record is not None and record.times.streaming is not None

    def __str__(self) -> str:
        row = self.record
        story = [entry.event.value for entry in row.history] if row is not None else "no row"
        what = [happening.name for happening in self.told.call.happenings if happening.name != "callback"]
        return f"{self.told.plan}, {row and row.call_id}, {row and row.owner}: {story}, {what}"


async def until_settled(stack: WholeStack, told: Sequence[Told]) -> float:
    """Wait until nothing is under way but what killed pods left; return how long that took."""
    began = time.monotonic()
    while time.monotonic() - began < SETTLE_S:
        # A machine that is busy with what is under way may not answer.
        with contextlib.suppress(StoreUnavailable):
            if await _is_settled(stack, told):
                break
        await asyncio.sleep(1)
    return time.monotonic() - began


async def _is_settled(stack: WholeStack, told: Sequence[Told]) -> bool:
    if any([(await stack.report_of(pod))["calls"] for pod in stack.pool.pods]):
        return False
    rows, folders = await _ended(stack, told), await _unfinished(stack)
    ours = [ended for ended in rows if not (ended.changed_hands or ended.was_never_taken)]
    making = folders & {e.record.call_id for e in ours if e.record is not None and not e.may_be_in_parts}
    return not making and not any(ended.is_open for ended in ours)


async def faults_of_calls(stack: WholeStack, told: Sequence[Told]) -> tuple[list[Ended], list[str]]:
    """Look at every call before and after upkeep; return them as they are then, and what is wrong."""
    before = await _ended(stack, told)
    wrong = [fault for ended in before if (fault := _fault(ended))]
    wrong += [
        f"was not ended by anybody: {ended}"
        for ended in before
        if ended.is_open and not (ended.changed_hands or ended.was_never_taken)
    ]
    await _run_upkeep(stack)
    after = await _ended(stack, told)
    wrong += [
        f"upkeep left it: {ended}"
        for ended in after
        if ended.record is not None and not (ended.record.state.is_final and ended.record.cause)
    ]
    wrong += [f"odd end: {ended}" for ended in after if not _ended_well(ended)]
    unlucky = [ended for ended in after if ended.told.met_a_dying_pod]
    if len(unlucky) > MET_A_DYING_POD * len(stack.killed):
        wrong += [f"never had media: {ended}" for ended in unlucky]
    return after, wrong


def faults_of_parts(stack: WholeStack, idle: Held, counted: Counter[str]) -> list[str]:
    """Say what the parts still hold that they should not, and what they counted or logged that must not be."""
    emulator = stack.cluster.emulator
    wrong = [f"the emulator has a call still: {call.thing}" for call in emulator.calls if call.end is None]
    wrong += [
        f"the ingress has {len(backend.relays)} sockets still"
        for backend in stack.ingress.backends
        if backend.relays
    ]
    groups = {name: len(members) for (_, name), members in emulator.web_pubsub.groups(HUB).items()}
    if groups != {f"pod.{pod.instance}": 1 for pod in stack.pool.pods}:
        wrong.append(f"groups of Web PubSub: {groups}")
    for name, held in stack.lines.held.items():
        if held[-1].tasks > idle.tasks or held[-1].files > idle.files + MORE_FILES:
            wrong.append(f"{name} holds {held[-1]}; an idle pod holds {idle}")
    wrong += [f"{name} counted {counted[name]} times" for name in UNEXPECTED if counted[name]]
    wrong += [f"pods logged {line}" for line in stack.lines.errors]
    functions = stack.cluster.log.read_text().splitlines()
    return wrong + [f"Functions logged {line}" for line in functions if line.startswith(BAD_LINES)]


async def faults_of_recordings(
    stack: WholeStack, calls: Sequence[Ended], counted: Counter[str], folder: Path
) -> list[str]:
    """Have what is in parts still merged, as any pod does later, and look for the recording of every call."""
    left = await _unfinished(stack)
    killed = {str(e.record and e.record.call_id) for e in calls if e.may_be_in_parts}
    wrong = [f"parts of {call_id} were left by nobody who was killed" for call_id in left - killed]
    await _sweep(stack, folder)
    late = await _unfinished(stack)
    wrong += [f"parts of {call_id} were not merged" for call_id in late - killed]
    names = await stack.cluster.connections.recordings.names("demo/")
    made = {name.split("/")[2] for name in names if name.endswith(CALL_NAME)}
    missing = [e for e in calls if e.must_be_recorded and e.record and e.record.call_id not in made]
    unexplained = [ended for ended in missing if not ended.may_be_in_parts]
    if len(unexplained) > counted["announcements_failed"]:
        wrong += [f"has no recording: {ended}" for ended in unexplained]
    print(
        f"{len(made)} recordings, {len(left)} of them of calls that changed hands or lost their pod; "
        f"{len(missing)} calls of killed pods have none, {len(late)} of calls that changed hands lack a part"
    )
    return wrong


def _fault(ended: Ended) -> str | None:
    """Say what is wrong with how a caller fared."""
    told = ended.told
    if told.answers > 1 or (told.answers == 0 and told.plan.gives_up_after_s is None):
        return f"was answered {told.answers} times: {ended}"
    if told.was_left:
        return f"was left without media: {ended}"
    if told.answers and ended.record is None:
        return f"has no row: {ended}"
    return None


def _ended_well(ended: Ended) -> bool:
    """Whether a call has the end and the results of its kind, unless something befell it."""
    record, plan = ended.record, ended.told.plan
    if record is None or plan.gives_up_after_s is not None or ended.changed_hands:
        return True
    if ended.told.lost_patience or plan.cut_after_ms is not None:
        return record.cause is not Cause.AGENT_FAILED
    if ended.told.met_a_dying_pod and record.cause is Cause.MEDIA_LOST:
        return True
    if "CallTransferAccepted" in ended.told.lost_callbacks and record.cause is Cause.CALLER_HUNG_UP:
        return True  # as much as anybody could know
    needs = VARIABLES if record.cause in (Cause.AGENT_ENDED, Cause.TRANSFERRED) else {}
    has_results = plan.kind not in (Kind.NOTES, Kind.DESK) or record.output.items() >= needs.items()
    return record.cause in CAUSES[plan.kind] and has_results


async def _ended(stack: WholeStack, told: Sequence[Told]) -> list[Ended]:
    """Read all rows at once; there is one for a call, or none."""
    table = stack.cluster.connections.tables.get_table_client("calls")
    records = {record.correlation_id: record async for record in _records(table)}
    ended = []
    for one in told:
        record = records.get(one.call.correlation_id)
        lost_s = -math.inf if record is None else _lost_s(stack, record)
        ended.append(Ended(one, record, lost_s > 0, lost_s > -FINALISED_S))
    return ended


def _lost_s(stack: WholeStack, record: CallRecord) -> float:
    """For how long the call was without its pod; below 0, how long before that pod was killed it had ended."""
    if any(entry.event is CallEvent.TAKEN_OVER for entry in record.history):
        return math.inf
    if (killed_at := stack.killed.get(record.owner or "")) is None:
        return -math.inf
    return math.inf if record.times.ended is None else record.times.ended - killed_at


async def _records(table: TableClient) -> AsyncIterator[CallRecord]:
    async for entity in table.list_entities():
        yield _to_record(entity)


async def _unfinished(stack: WholeStack) -> frozenset[str]:
    """Ids of calls that have parts."""
    names = await stack.cluster.connections.recordings.names(UNFINISHED)
    return frozenset(name.split("/")[3] for name in names)


async def _run_upkeep(stack: WholeStack) -> None:
    gateway = compose(
        functions_settings(stack.cluster.settings),
        stack.cluster.connections,
        clock=lambda: time.time() + UPKEEP_LATER_S,
    )
    done = await gateway.upkeep.run()
    for refresher in gateway.kept:
        await refresher.close()
    print(f"upkeep: { ({part: dict(what) for part, what in done.items() if what}) }")


async def _sweep(stack: WholeStack, folder: Path) -> None:
    blobs, counters = stack.cluster.connections.recordings, Counter()
    store = RecordingStore(blobs, Spill(folder / "sweep", "sweep", 100 * 1024 * 1024), counters)
    await store.open()

    def later() -> float:
        return time.time() + OVER_AFTER_S

    finaliser = Finaliser(store, counters, clock=later)
    running = [asyncio.create_task(store.run()), asyncio.create_task(finaliser.run())]
    try:
        await Sweeper(blobs, finaliser, clock=later).look()
        await finaliser.finished()
    finally:
        for task in running:
            task.cancel()
        await asyncio.wait(running)
