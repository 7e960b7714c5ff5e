"""A pod dies, and those that are left see to its callers: media come back, or the call is ended."""

import asyncio
import uuid
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from media_gateway.pod_watch import PodWatch
from media_gateway.rescue import RescueTiming
from media_gateway.takeover import Takeover, TakeoverTiming
from shared.adapters.call_store import StoredEvent
from shared.core.admission import PodLoad
from shared.core.call_state import CallEvent, CallState, Cause
from shared.core.profiles import Fallback
from tests.support.media import STARTED_AT, MemoryOutside, running_gateway

DEAD = "pod-dead"
DEAD_AFTER_S = 0.15
TIMING = TakeoverTiming(look_s=0.02, rescue=RescueTiming(media_s=0.4, again_s=0.1, look_s=0.02))
DESK = "4:+14255550177"


@asynccontextmanager
async def taking_over(gateway, timing=TIMING):
    """Let a gateway take over the calls of pods that are silent for `DEAD_AFTER_S`."""
    pod, outside = gateway.core.pod, gateway.outside
    watch = PodWatch(outside.pods, own=pod.name, counters=pod.counters, dead_after_s=DEAD_AFTER_S)
    takeover = Takeover(pod, outside.pods, watch, outside.signals, timing)
    running = asyncio.create_task(takeover.run())
    try:
        yield takeover
    finally:
        running.cancel()
        await asyncio.wait((running,))


@pytest.fixture
async def survivor(gateway):
    async with taking_over(gateway):
        yield gateway


def left_behind(gateway, *calls, name=DEAD):
    """Let a pod have died that held these calls."""
    held = tuple(call.call_id for call in calls)
    gateway.outside.pods.loads[name] = PodLoad(name, len(held), 10, STARTED_AT, held)


def held_by(gateway, state=CallState.STREAMING, *, owner=DEAD, **profile):
    """A call that a pod holds, at epoch 1."""
    call = gateway.answer(**profile)
    gateway.calls.rows[call.call_id] = replace(
        gateway.row(call),
        state=state,
        owner=owner,
        epoch=1,
        media_jti_used=True,
        call_connection_id=call.call_connection_id,
    )
    return call


def reconnects(gateway, *calls):
    """Let ACS open the media socket of these calls when it is first asked to, with the URL of the answer."""
    by_connection = {call.call_connection_id: call for call in calls}
    tasks = set()

    async def open_socket(call):
        call.socket = gateway.acs.sockets[call.call_connection_id] = await gateway.open_socket(call)
        call.socket.send_metadata(24_000)

    def start(connection_id):
        if (call := by_connection.pop(connection_id, None)) is not None:
            tasks.add(asyncio.create_task(open_socket(call)))

    gateway.acs.on_start_media = start


def tell(gateway, call, name, **data):
    """Let ACS say something of a call by callback."""
    event = StoredEvent(str(uuid.uuid4()), name, STARTED_AT, data)
    gateway.calls.callbacks.setdefault(call.call_id, []).append(event)


async def until_back(gateway, call):
    """Wait until a socket has brought a call back that was taken over."""
    await gateway.until(lambda: gateway.row(call).epoch == 3)
    await gateway.until_streaming(call)


def events(gateway, call):
    return [entry.event for entry in gateway.row(call).history]


async def test_call_of_a_dead_pod_has_its_media_again(survivor):
    call = held_by(survivor)
    reconnects(survivor, call)
    left_behind(survivor, call)
    await until_back(survivor, call)

    call.socket.send_audio(b"\1\0" * 480)
    await call.socket.until_heard(b"\1\0" * 480)
    row = survivor.row(call)
    # Taken over, and then taken by its socket.
    assert (row.owner, row.epoch, row.media_grant_until) == ("pod-a", 3, None)
    assert events(survivor, call)[1:4] == [
        CallEvent.MEDIA_LOST,
        CallEvent.TAKEN_OVER,
        CallEvent.MEDIA_STARTED,
    ]
    await survivor.until(lambda: survivor.core.pod.counters["takeovers_media_back"] == 1)
    assert not survivor.acs.hung_up


async def test_dead_pod_that_has_left_nothing_behind_is_forgotten(survivor):
    calls = [held_by(survivor) for _ in range(3)]
    reconnects(survivor, *calls)
    left_behind(survivor, *calls)
    await survivor.until(lambda: DEAD not in survivor.outside.pods.loads)

    assert survivor.core.pod.counters["calls_taken_over"] == 3
    assert all(survivor.row(call).owner == "pod-a" for call in calls)


async def test_pod_that_beats_keeps_its_calls(survivor):
    call = held_by(survivor)
    for beat in range(30):
        survivor.outside.pods.loads[DEAD] = PodLoad(DEAD, 1, 10, STARTED_AT + beat, (call.call_id,))
        await asyncio.sleep(DEAD_AFTER_S / 10)

    assert (survivor.row(call).owner, survivor.row(call).epoch) == (DEAD, 1)


async def test_nobody_is_dead_while_storage_is_away(survivor):
    call = held_by(survivor)
    reconnects(survivor, call)
    survivor.outside.pods.is_away = True
    left_behind(survivor, call)
    await asyncio.sleep(3 * DEAD_AFTER_S)
    assert survivor.row(call).owner == DEAD
    assert survivor.core.pod.counters["pod_reads_failed"]

    survivor.outside.pods.is_away = False
    await until_back(survivor, call)


async def test_update_whose_reply_was_lost_is_rescued_all_the_same(survivor):
    call = held_by(survivor)
    reconnects(survivor, call)
    survivor.calls.lost_replies = 1
    left_behind(survivor, call)
    await until_back(survivor, call)

    assert survivor.row(call).epoch == 3


async def test_call_whose_media_do_not_come_back_is_hung_up(survivor):
    call = held_by(survivor)
    left_behind(survivor, call)
    await survivor.until(lambda: survivor.row(call).state is CallState.ENDED)

    assert survivor.row(call).cause is Cause.MEDIA_LOST
    assert survivor.acs.hung_up == [call.call_connection_id]
    assert len(survivor.acs.media_starts) > 1
    await survivor.until(lambda: survivor.core.pod.counters["takeovers_ended"] == 1)


@pytest.mark.parametrize("state", [CallState.ANSWERING, CallState.CONNECTED])
async def test_call_whose_media_never_began_is_hung_up_too(survivor, state):
    call = held_by(survivor, state)
    left_behind(survivor, call)
    await survivor.until(lambda: survivor.row(call).state is CallState.ENDED)

    assert survivor.row(call).cause is Cause.MEDIA_LOST


async def test_call_that_acs_does_not_know_any_more_is_closed(survivor):
    call = held_by(survivor)
    survivor.acs.gone.add(call.call_connection_id)
    left_behind(survivor, call)
    await survivor.until(lambda: survivor.row(call).state is CallState.ENDED)

    assert survivor.row(call).cause is Cause.CALLER_HUNG_UP
    assert not survivor.acs.hung_up


async def test_call_that_acs_says_is_over_is_closed_with_what_it_says(survivor):
    call = held_by(survivor)
    left_behind(survivor, call)
    await survivor.until(lambda: survivor.acs.media_starts)
    tell(survivor, call, "CallDisconnected", resultInformation={"code": 500, "subCode": 560503})
    await survivor.until(lambda: survivor.row(call).state is CallState.ENDED)

    assert survivor.row(call).cause is Cause.NETWORK_LOST
    assert not survivor.acs.hung_up


async def test_acs_that_streams_already_is_asked_again_until_it_has_noticed(survivor):
    """It takes the dead pod's socket for alive for a while."""
    call = held_by(survivor)
    reconnects(survivor, call)
    survivor.acs.refuses.add("start_media")
    left_behind(survivor, call)
    await survivor.until(lambda: survivor.row(call).owner == "pod-a")
    survivor.acs.refuses.clear()
    await until_back(survivor, call)


async def test_socket_that_comes_by_itself_is_welcome(survivor):
    call = held_by(survivor)
    survivor.acs.refuses.add("start_media")
    left_behind(survivor, call)
    await survivor.until(lambda: survivor.row(call).media_grant_until)
    call.socket = await survivor.open_socket(call)
    call.socket.send_metadata(24_000)
    await until_back(survivor, call)


async def test_call_that_was_being_ended_is_hung_up_and_closed(survivor):
    call = held_by(survivor, CallState.ENDING)
    survivor.calls.rows[call.call_id] = replace(survivor.row(call), cause=Cause.AGENT_ENDED)
    left_behind(survivor, call)
    await survivor.until(lambda: survivor.row(call).state is CallState.ENDED)

    assert survivor.row(call).cause is Cause.AGENT_ENDED
    assert survivor.acs.hung_up == [call.call_connection_id]
    assert not survivor.acs.media_starts


@pytest.mark.parametrize("state", [CallState.STREAMING, CallState.TRANSFERRING, CallState.FALLBACK])
async def test_transfer_of_the_dead_pod_that_is_accepted_ends_the_call(survivor, state):
    call = held_by(survivor, state)
    left_behind(survivor, call)
    await survivor.until(lambda: survivor.acs.media_starts)
    tell(survivor, call, "CallTransferAccepted", operationContext="the dead pod's")
    await survivor.until(lambda: survivor.row(call).state is CallState.ENDED)

    assert survivor.row(call).cause is Cause.TRANSFERRED
    assert not survivor.acs.hung_up


async def test_caller_is_sent_on_where_the_profile_has_somebody(survivor):
    call = held_by(survivor, fallback=Fallback(DESK))
    survivor.acs.on_transfer = lambda _, asked: tell(
        survivor, call, "CallTransferAccepted", operationContext=asked["operation_context"]
    )
    left_behind(survivor, call)
    await survivor.until(lambda: survivor.row(call).state is CallState.ENDED)

    ((connection_id, asked),) = survivor.acs.transfers
    assert (connection_id, asked["target"]) == (call.call_connection_id, DESK)
    assert survivor.row(call).cause is Cause.MEDIA_LOST
    assert CallEvent.TRANSFER_ACCEPTED in events(survivor, call)
    assert not survivor.acs.hung_up


async def test_caller_whom_nobody_takes_is_hung_up(survivor):
    call = held_by(survivor, fallback=Fallback(DESK))
    survivor.acs.on_transfer = lambda _, asked: tell(
        survivor,
        call,
        "CallTransferFailed",
        operationContext=asked["operation_context"],
        resultInformation={"code": 486, "subCode": 560486},
    )
    left_behind(survivor, call)
    await survivor.until(lambda: survivor.row(call).state is CallState.ENDED)

    assert survivor.row(call).cause is Cause.MEDIA_LOST
    assert survivor.acs.hung_up == [call.call_connection_id]


async def test_call_that_fell_back_already_is_not_sent_on_twice(survivor):
    call = held_by(survivor, CallState.FALLBACK, fallback=Fallback(DESK))
    left_behind(survivor, call)
    await survivor.until(lambda: survivor.row(call).state is CallState.ENDED)

    assert not survivor.acs.transfers


async def test_survivors_share_the_calls_and_each_is_one_s_alone():
    outside = MemoryOutside()
    async with (
        running_gateway(outside=outside, pod_name="pod-a") as a,
        running_gateway(outside=outside, pod_name="pod-b") as b,
    ):
        calls = [held_by(a) for _ in range(40)]
        async with taking_over(a), taking_over(b):
            left_behind(a, *calls)
            await a.until(lambda: all(a.row(call).state is CallState.ENDED for call in calls), seconds=20)

        owners = [a.row(call).owner for call in calls]
        assert {"pod-a", "pod-b"} == set(owners)
        assert all(a.row(call).epoch == 2 for call in calls)
        assert sorted(outside.call_control.hung_up) == sorted(call.call_connection_id for call in calls)
        taken = [gateway.core.pod.counters["calls_taken_over"] for gateway in (a, b)]
        assert taken == [owners.count("pod-a"), owners.count("pod-b")]


async def test_survivor_that_dies_amid_its_takeover_leaves_it_to_the_next(gateway):
    call = held_by(gateway)
    async with taking_over(gateway) as takeover:
        left_behind(gateway, call)
        await gateway.until(lambda: gateway.row(call).owner == "pod-a")
    assert takeover.held_ids == (call.call_id,)
    left_behind(gateway, call, name="pod-a-as-it-was")
    gateway.calls.rows[call.call_id] = replace(gateway.row(call), owner="pod-a-as-it-was")

    reconnects(gateway, call)
    async with taking_over(gateway):
        await gateway.until(lambda: gateway.row(call).epoch == 4)
        await gateway.until_streaming(call)


async def test_pod_that_was_only_silent_is_told_and_fenced():
    outside = MemoryOutside()
    async with (
        running_gateway(outside=outside, pod_name="pod-a") as a,
        running_gateway(outside=outside, pod_name="pod-b") as b,
    ):
        call = await a.place()
        await a.until_streaming(call)
        old = call.socket
        # ACS does not stream twice; when the old socket is closed, it does what it is asked to.
        outside.call_control.refuses.add("start_media")
        reconnects(b, call)
        a.core._heartbeat._held = lambda: (call.call_id,)
        await a.until(lambda: outside.pods.loads["pod-a"].held)
        silent = replace(outside.pods.loads["pod-a"])
        real_beat = outside.pods.beat

        async def beat(load):
            await real_beat(silent if load.name == "pod-a" else load)

        outside.pods.beat = beat
        async with taking_over(b):
            await a.until(lambda: a.row(call).owner == "pod-b")
            await a.until(lambda: outside.signals.sent)
            ((told, signal),) = outside.signals.sent
            assert told == "pod-a"
            a.core.calls.on_signal(signal)
            await old.until_closed()
            assert (old.close_code, old.close_reason) == (1008, "ownership_lost")
            outside.call_control.refuses.clear()
            await until_back(b, call)
        assert len(a.core.calls) == 0
        assert not outside.call_control.hung_up
