"""What Event Grid and ACS send comes twice, late, in any order, together, spoiled, forged or not at all."""

import asyncio
import sys
from collections import Counter

import pytest

from emulator.event_grid.subscriptions import EventSubscription
from emulator.faults import FaultRule
from emulator.faults.rules import (
    Batch,
    Delay,
    Drop,
    Duplicate,
    LoseAcknowledgement,
    Malform,
    Malformation,
    Reorder,
    Token,
    TokenFlaw,
)
from emulator.media.line import Line
from shared.core.call_state import CallState
from shared.core.ids import claim_key
from tests.support.gateway import CALLER, NUMBER
from tests.support.records import wav_bytes

CALLS = 4


async def place(edge):
    line = Line(rate_hz=16_000)
    edge.lines.append(line)
    return await edge.emulator.calls.place(to=NUMBER, from_=CALLER, line=line)


async def subscribed(start_edge, **emulated):
    """The app, with Event Grid's deliveries a hundred times as fast."""
    edge = await start_edge(emulated=emulated)
    await edge.emulator.event_grid.subscribe(
        EventSubscription(name="calls", endpoint=edge.events_url, headers=edge.credentials)
    )
    return edge


async def until(condition):
    async with asyncio.timeout(20):
        while not (found := await condition()):
            await asyncio.sleep(0.02)
    return found


async def record_of(edge, call):
    found = await edge.connections.claims.read(claim_key(call.incoming_call_context))
    return None if found is None else await edge.connections.calls.get(found[0].call_id)


@pytest.mark.parametrize(
    ("action", "deliveries"),
    [
        (Duplicate(copies=4), 4 * CALLS),
        (Duplicate(copies=3, after_ms=100), 3 * CALLS),
        (Delay(ms=300), CALLS),
        (Reorder(within_ms=300), CALLS),
        (Batch(within_ms=1000, size=2), CALLS),
        (LoseAcknowledgement(), CALLS + 2),
    ],
    ids=["at once", "again", "late", "reordered", "together", "unacknowledged"],
)
async def test_however_events_come_each_call_is_answered_once(start_edge, counted, action, deliveries):
    edge = await subscribed(start_edge, connect_seconds=60.0)
    times = 2 if isinstance(action, LoseAcknowledgement) else None
    edge.emulator.faults.add(FaultRule("event_grid.deliver:IncomingCall", action, times=times))
    calls = [await place(edge) for _ in range(CALLS)]
    told = Counter()

    async def all_told():
        for (name, labels), number in counted.since().items():
            if name == "gateway.events" and "outcome=ignored" not in labels:
                told[labels] += number
        return told.total() == deliveries

    await until(all_told)
    assert told == +Counter(
        {"outcome=answered status=200": CALLS, "outcome=duplicate status=200": deliveries - CALLS}
    )
    for call in calls:
        assert sum(happening.name == "answered" for happening in call.happenings) == 1
        assert (await record_of(edge, call)).state is CallState.ANSWERING


@pytest.mark.parametrize("variant", Malformation)
async def test_a_spoiled_event_is_refused_for_good_and_leaves_a_dead_letter_and_a_count(
    start_edge, counted, variant
):
    edge = await subscribed(start_edge)
    edge.emulator.faults.add(FaultRule("event_grid.deliver:IncomingCall", Malform(variant), times=1))
    spoiled, good = await place(edge), await place(edge)

    async def good_is_answered():
        return any(happening.name == "answered" for happening in good.happenings)

    async def dead_letters():
        return edge.emulator.event_grid.dead_letters.all()

    await until(good_is_answered)
    (letter,) = await until(dead_letters)
    assert letter["deadLetterReason"] == "UndeliverableDueToHttpBadRequest"
    assert letter["deliveryAttempts"] == 1
    assert await record_of(edge, spoiled) is None
    counts = {labels for name, labels in counted.since() if name == "gateway.events"}
    assert counts & {"outcome=malformed status=400", "outcome=bad_request status=400"}


KEPT_ONCE = [
    "CallConnected",
    "CallDisconnected",
    "MediaStreamingFailed",
    "MediaStreamingFailed",
    "ParticipantsUpdated",
    "PlayCompleted",
    "PlayStarted",
]


@pytest.mark.parametrize(
    ("action", "operation", "missing"),
    [
        (Duplicate(copies=3), "callback.deliver", set()),
        (Duplicate(copies=2, after_ms=150), "callback.deliver", set()),
        (Delay(ms=200), "callback.deliver", set()),
        (Delay(ms=500), "callback.deliver:CallConnected", set()),
        (Reorder(within_ms=400), "callback.deliver", set()),
        (Batch(within_ms=200, size=3), "callback.deliver", set()),
        (LoseAcknowledgement(), "callback.deliver", set()),
        (Drop(), "callback.deliver:CallConnected", {"CallConnected"}),
        (Drop(), "callback.deliver:ParticipantsUpdated", {"ParticipantsUpdated"}),
    ],
    ids=[
        "at once", "again", "late", "connected last", "reordered", "together", "unacknowledged",
        "connected lost", "participants lost",
    ],
)  # fmt: skip
async def test_however_callbacks_come_each_is_kept_once_and_the_call_ends(
    start_edge, monkeypatch, action, operation, missing
):
    edge = await subscribed(start_edge)
    brief = wav_bytes(bytes(320), rate_hz=16_000)
    monkeypatch.setattr(sys.modules["functions.prompts"], "default_prompt", lambda _: brief)
    edge.emulator.faults.add(FaultRule(operation, action))
    call = await place(edge)
    expected = [name for name in KEPT_ONCE if name not in missing]

    async def all_kept():
        record = await record_of(edge, call)
        if record is None:
            return None
        kept = sorted(event.name for event in await edge.connections.calls.events(record.call_id))
        return record if kept == expected and record.state.is_final else None

    # Nobody listens for media here: the app asks for them again, apologises and hangs up.
    record = await until(all_kept)
    assert record.state is CallState.ENDED
    assert record.call_connection_id == call.call_connection_id


@pytest.mark.parametrize("variant", [Malformation.TRUNCATED, Malformation.WRONG_TYPES])
async def test_a_spoiled_callback_is_refused_and_its_next_try_is_taken(start_edge, variant):
    edge = await subscribed(start_edge)
    edge.emulator.faults.add(FaultRule("callback.deliver:CallConnected", Malform(variant), times=1))
    call = await place(edge)

    async def tries():
        found = [
            h
            for h in call.happenings
            if h.name.startswith("callback") and h.detail["event"] == "CallConnected"
        ]
        return [h.detail["status"] for h in found] if len(found) == 2 else None

    assert await until(tries) == [400, 200]


# A token with an unknown key waits until the keys may be read again, ten seconds: test_callbacks has it.
@pytest.mark.parametrize("flaw", [flaw for flaw in TokenFlaw if flaw is not TokenFlaw.UNKNOWN_KEY])
async def test_a_callback_that_does_not_prove_itself_changes_nothing(start_edge, counted, flaw):
    edge = await subscribed(start_edge)
    edge.emulator.faults.add(FaultRule("callback.deliver", Token(flaw)))
    call = await place(edge)

    async def refused():
        found = [
            h for h in call.happenings if h.name == "callback_failed" and h.detail["event"] == "CallConnected"
        ]
        return found[0].detail["status"] if found else None

    assert await until(refused) == 401
    record = await record_of(edge, call)
    assert record.state is CallState.ANSWERING
    assert await edge.connections.calls.events(record.call_id) == []
    assert any(name == "gateway.tokens.refused" for name, _ in counted.since())
