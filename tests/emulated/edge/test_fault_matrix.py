"""Each fault of each dependency at each step of an answer, and what comes of it.

During a first delivery one dependency misbehaves in one way, for as long as the delivery lasts; then it is well
again, and Event Grid delivers once more. The table says what the first delivery is told, and what the last; that the
call is answered exactly once or not at all, its row, its claim and the counters follow from that, and are checked for
every cell.
"""

from collections import Counter
from dataclasses import dataclass, replace

import pytest

from emulator.faults import Cut, Delay, FaultRule, Hang, Reset, Status, When
from shared.core.call_state import CallState
from shared.core.claims import Outcome
from shared.core.ids import claim_key
from tests.support.gateway import close_app

BUDGET_S = 2.5
SLOW_MS = 150
MAX_DELIVERIES = 6

FAULTS = {
    "401": Status(status=401),
    "403": Status(status=403),
    "404": Status(status=404),
    "409": Status(status=409),
    "429": Status(status=429, retry_after_seconds=0),
    "500": Status(status=500),
    "503": Status(status=503),
    "slow": Delay(ms=SLOW_MS),
    "never": Hang(),
    "reset": Reset(),
    "lost": Reset(when=When.AFTER),
    "half": Cut(),
}
"""`lost` and `half` perform the operation; the reply is lost, or breaks off half-way."""


@dataclass(frozen=True)
class Told:
    """What Event Grid is told by the first delivery and by the last: the event's outcome, or the status."""

    first: str
    last: str
    last_too: str | None = None
    """What the last may be told instead: a write that was given up may take place all the same, and may not. Nobody
    knows then who finished the claim, and the call may be counted or not."""

    def __str__(self):
        return f"{self.first}, then {self.last}"


ANSWERED = Told("answered", "duplicate")
AGAIN = Told("500", "answered")
MISSED = Told("missed", "duplicate")
REJECTED = Told("rejected", "duplicate")
REJECTED_AGAIN = Told("500", "rejected")
REDIRECTED = Told("redirected", "duplicate")
REDIRECTED_AGAIN = Told("500", "redirected")

NEEDED = dict.fromkeys(FAULTS, AGAIN) | {"slow": ANSWERED}
"""Without it there is no answer, and none is sent."""
NOT_NEEDED = dict.fromkeys(FAULTS, ANSWERED)
"""The call is answered without it."""


@dataclass(frozen=True)
class Step:
    """A step of an answer: what is asked of a dependency, and what comes of each fault there."""

    operation: str
    told: dict[str, Told]
    cold: bool = False
    """Whether the process has to be new, because it remembers the reply."""
    pods: int = 1
    overflow_to: str | None = None
    max_calls: int | None = None


STEPS = {
    "claim": Step(
        "storage.insertEntity:incoming",
        NEEDED,
    ),
    "accounts": Step("storage.queryEntities:accounts", NEEDED, cold=True),
    "profiles: version": Step("storage.getBlob:config", NEEDED, cold=True),
    "admission: pods": Step("storage.queryEntities:pods", NOT_NEEDED, cold=True),
    "admission: answers": Step("storage.queryEntities:answers", NOT_NEEDED, cold=True),
    "admission: places": Step("storage.queryEntities:slots", NOT_NEEDED, max_calls=100),
    "admission: place": Step("storage.insertEntity:slots", NOT_NEEDED, max_calls=100),
    "keep the place": Step("storage.updateEntity:slots", NOT_NEEDED, max_calls=100),
    "keys: list": Step("key_vault.listSecretVersions", NEEDED, cold=True),
    "keys: read": Step("key_vault.getSecret", NEEDED, cold=True),
    "row": Step("storage.insertEntity:calls", NEEDED),
    "announce": Step("storage.updateEntity:answers", NOT_NEEDED),
    "answer": Step(
        "answer",
        NEEDED | {"404": MISSED},
    ),
    "bind": Step("storage.updateEntity:calls", NOT_NEEDED),
    "mark": Step(
        "storage.updateEntity:incoming",
        # The next delivery, which an acknowledged call does not get unless by mistake, marks what is not marked.
        dict.fromkeys(FAULTS, Told("answered", "answered", last_too="duplicate")) | {"slow": ANSWERED},
    ),
    "reject": Step(
        "reject",
        dict.fromkeys(FAULTS, REJECTED_AGAIN) | {"404": MISSED, "slow": REJECTED},
        pods=0,
    ),
    "redirect": Step(
        "redirect",
        dict.fromkeys(FAULTS, REDIRECTED_AGAIN) | {"404": MISSED, "slow": REDIRECTED},
        pods=0,
        overflow_to="4:+18005550111",
    ),
}

ENDS = {
    "answered": (Outcome.ANSWERED, CallState.ANSWERING, 1),
    "missed": (Outcome.MISSED, CallState.MISSED, 0),
    "rejected": (Outcome.REJECTED, CallState.REJECTED, 0),
    "redirected": (Outcome.REDIRECTED, CallState.REDIRECTED, 0),
}
"""For each outcome: the claim's, the row's state, and how many answers ACS has performed."""


async def told(edge, event):
    status, answer = await edge.deliver([event])
    return answer[0]["outcome"] if status == 200 else str(status)


async def ten_seconds_pass(edge, key):
    """Let the lease of whoever holds the claim run out, as it has when Event Grid delivers again."""
    if found := await edge.connections.claims.read(key):
        claim, etag = found
        await edge.connections.claims.replace(replace(claim, lease_until=0.0), etag)


async def run_cell(edge, counted, step, fault):
    """Deliver a call while the fault is there, and again when it is gone; return everything seen."""
    if step.cold:
        await close_app()
    event = await edge.ring()
    counted.since()
    injected = edge.emulator.faults.add(FaultRule(step.operation, FAULTS[fault]))
    everything = [first := await told(edge, event)]
    struck = injected.applied
    edge.emulator.faults.remove(injected)
    key = claim_key(event["data"]["incomingCallContext"])
    for _ in range(MAX_DELIVERIES):
        await ten_seconds_pass(edge, key)
        everything.append(last := await told(edge, event))
        if last != "500":
            break
    claim, _ = await edge.connections.claims.read(key)
    record = await edge.connections.calls.get(claim.call_id)
    answers = edge.answers_of(event)
    counts = counted.since()
    return Told(first, last), everything, claim.outcome, record, answers, counts, struck


def faults_found(step, fault, seen, account="demo"):
    """Say what is not as the table, and everything that follows from it, has it."""
    said, everything, outcome, record, answers, counts, struck = seen
    expected = step.told[fault]
    if not struck:
        yield "the fault struck nothing"
    if said.first != expected.first or said.last not in (expected.last, expected.last_too):
        yield f"told {said}; expected {expected}"
        return
    final = said.first if said.last == "duplicate" else said.last
    expected_outcome, expected_state, expected_answers = ENDS[final]
    if outcome is not expected_outcome:
        yield f"claim {outcome}"
    if record is None:
        yield "no row"
    elif record.state is not expected_state:
        yield f"row {record.state}"
    if answers != expected_answers:
        yield f"{answers} answers"
    calls = {labels: n for (name, labels), n in counts.items() if name == "gateway.calls"}
    if calls != {f"account={account} outcome={final}": 1} and not (expected.last_too and not calls):
        yield f"calls counted {calls}"
    statuses = Counter()
    for (name, labels), n in counts.items():
        if name == "gateway.events":
            statuses[labels.rpartition("status=")[2]] += n
    if statuses != Counter("500" if what == "500" else "200" for what in everything):
        yield f"events counted {dict(statuses)}"


@pytest.mark.parametrize("name", STEPS)
async def test_each_fault_at_each_step_ends_as_the_table_says(start_edge, counted, monkeypatch, name):
    step = STEPS[name]
    # Deliveries come at once here, and not ten seconds apart.
    monkeypatch.setattr("shared.refresh.FIRST_INTERVAL_S", 0.0)
    # No callback comes while a cell runs, so that what is seen is the deliveries' own work.
    edge = await start_edge(
        pods=step.pods,
        emulated={"connect_seconds": 60.0},
        EVENT_BUDGET_S=str(BUDGET_S),
        CLAIM_LEASE_S=str(BUDGET_S),
    )
    await edge.connections.accounts.change(
        "demo",
        lambda account: replace(account, overflow_to=step.overflow_to, max_calls=step.max_calls),
    )
    await told(edge, await edge.ring())
    problems = {}
    for fault in FAULTS:
        seen = await run_cell(edge, counted, step, fault)
        if found := list(faults_found(step, fault, seen)):
            problems[fault] = "; ".join(found)
    assert problems == {}
