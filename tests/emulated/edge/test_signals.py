"""A callback is told to the pod that holds its call: once it is kept, within a second, and in vain if need be."""

import json
import time
from contextlib import asynccontextmanager

import pytest

from emulator.faults import FaultRule, Hang, Reset, Status
from shared.adapters.web_pubsub import HUB
from shared.core.call_state import CallState
from shared.core.signals import EventsStored, decode
from tests.emulated.edge.test_callbacks import Callbacks, minted
from tests.support.records import call_record, data_bytes, data_json

POD = "pod-0"
"""The first of those that the app's usual settings have beating."""
SEND = "web_pubsub.sendToGroup"


@asynccontextmanager
async def callbacks_of(edge, **changes):
    record = call_record(**{"state": CallState.STREAMING, "owner": POD, "epoch": 1} | changes)
    await edge.connections.calls.create(record)
    yield Callbacks(edge, record, await minted(edge, record.call_id), edge.emulator.identity.callback_token())


def signals(edge):
    """What was sent to groups: group and signal."""
    return [
        (sent.name, decode(sent.content.shown()))
        for sent in edge.emulator.web_pubsub.messages(HUB)
        if sent.to == "group"
    ]


async def test_a_callback_reaches_the_group_of_the_pod_that_holds_the_call_within_a_second(edge, counted):
    async with callbacks_of(edge) as callbacks:
        # The first one warms the process up: it reads keys and pods.
        await callbacks.send(data_bytes("callbacks/call_connected.json"))
        began = time.monotonic()
        assert await callbacks.send(data_bytes("callbacks/participants_updated.json")) == (200, None)
        waited_s = time.monotonic() - began
        assert signals(edge) == [(f"pod.{POD}", EventsStored(callbacks.record.call_id))] * 2
        assert await callbacks.kept() == ["CallConnected", "ParticipantsUpdated"]
    print(f"kept and signalled after {waited_s * 1000:.0f} ms")
    assert waited_s < 1
    assert counted.since()["gateway.signals", "outcome=sent"] == 2


async def test_of_several_events_at_once_the_pod_is_told_once(edge):
    async with callbacks_of(edge) as callbacks:
        body = [
            *data_json("callbacks/call_connected.json"),
            *data_json("callbacks/participants_updated.json"),
        ]
        assert (await callbacks.send(json.dumps(body)))[0] == 200
        assert len(signals(edge)) == 1


async def test_a_callback_that_comes_again_is_told_again_for_the_first_signal_may_have_been_lost(edge):
    async with callbacks_of(edge) as callbacks:
        for _ in range(2):
            await callbacks.send(data_bytes("callbacks/call_connected.json"))
        assert await callbacks.kept() == ["CallConnected"]
        assert len(signals(edge)) == 2


@pytest.mark.parametrize(
    "changes",
    [
        {"owner": None, "epoch": 0, "state": CallState.ANSWERING},
        {"owner": "pod-that-died"},
        {"state": CallState.ENDED},
    ],
    ids=["nobody holds it", "its pod is dead", "it is over"],
)
async def test_a_call_without_a_live_owner_is_told_to_nobody(edge, changes):
    async with callbacks_of(edge, **changes) as callbacks:
        assert (await callbacks.send(data_bytes("callbacks/participants_updated.json")))[0] == 200
    assert signals(edge) == []


async def test_one_failure_of_the_service_is_made_up_for_by_a_second_try(edge):
    edge.emulator.faults.add(FaultRule(SEND, Reset(), times=1))
    async with callbacks_of(edge) as callbacks:
        assert (await callbacks.send(data_bytes("callbacks/call_connected.json")))[0] == 200
    assert len(signals(edge)) == 1


@pytest.mark.parametrize("action", [Status(503), Status(401), Status(429), Reset(), Hang()], ids=repr)
async def test_a_service_that_is_away_changes_nothing_of_the_answer_and_is_counted(
    edge, counted, action, caplog
):
    async with callbacks_of(edge) as callbacks:
        await callbacks.send(data_bytes("callbacks/call_connected.json"))
        edge.emulator.faults.add(FaultRule(SEND, action))
        counted.since()
        began = time.monotonic()
        assert await callbacks.send(data_bytes("callbacks/participants_updated.json")) == (200, None)
        waited_s = time.monotonic() - began
        assert await callbacks.kept() == ["CallConnected", "ParticipantsUpdated"]
    print(f"answered after {waited_s * 1000:.0f} ms")
    assert waited_s < 1.5
    assert counted.since()["gateway.signals", "outcome=failed"] == 1
    assert "a signal could not be sent" in caplog.text
