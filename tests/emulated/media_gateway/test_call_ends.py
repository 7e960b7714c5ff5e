"""The end of a call from every side: row, hang-up and log line agree, and nothing is left running."""

import asyncio
import logging
from dataclasses import replace

import pytest

from media_gateway.call_end import CallEnding
from media_gateway.line import Line
from shared.core.call_state import CallEvent, CallState, Cause
from shared.core.playout import PlayoutLedger
from tests.support.media import QUICK, running_gateway


@pytest.fixture(autouse=True)
def info_logs(caplog):
    caplog.set_level(logging.INFO)


async def test_agent_ends_the_call(gateway, agent, caplog):
    call = await gateway.place()
    await gateway.until(lambda: agent.sink)
    agent.sink.end()
    await gateway.until_over()

    gateway.assert_ended(call, Cause.AGENT_ENDED, hung_up=True, caplog=caplog)
    assert agent.closed_for == [Cause.AGENT_ENDED]


async def test_goodbye_is_heard_before_the_hang_up(gateway, agent):
    call = await gateway.place()
    await gateway.until_streaming(call)
    loop = asyncio.get_running_loop()
    said_at = loop.time()
    goodbye = b"\1\0" * (24 * 500)
    agent.sink.audio("goodbye", goodbye)
    agent.sink.end()
    agent.sink.audio("afterthought", b"\2\0" * 480)
    await gateway.until(lambda: gateway.acs.hung_up)

    assert loop.time() - said_at >= 0.5
    assert bytes(call.socket.audio) == goodbye
    await gateway.until_over()


async def test_goodbye_is_not_waited_for_longer_than_allowed(agent):
    async with running_gateway(timing=replace(QUICK, goodbye_s=0.1)) as gateway:
        call = await gateway.place()
        await gateway.until_streaming(call)
        agent.sink.audio("endless", b"\1\0" * (24_000 * 20))
        agent.sink.end()
        await gateway.until_over()

        gateway.assert_ended(call, Cause.AGENT_ENDED, hung_up=True)


async def test_caller_who_hangs_up_during_the_goodbye_ends_the_wait(gateway, agent):
    call = await gateway.place()
    await gateway.until_streaming(call)
    agent.sink.audio("endless", b"\1\0" * (24_000 * 20))
    agent.sink.end()
    gateway.acs.gone.add(call.call_connection_id)
    call.socket.close()
    await gateway.until_over()

    gateway.assert_ended(call, Cause.AGENT_ENDED, hung_up=False)


async def test_caller_hangs_up(gateway, agent, caplog):
    call = await gateway.place()
    await gateway.until_streaming(call)
    gateway.calls.add_event(call.call_id, "CallDisconnected")
    call.socket.close()
    await gateway.until_over()

    gateway.assert_ended(call, Cause.CALLER_HUNG_UP, hung_up=False, caplog=caplog)
    assert agent.closed_for == [Cause.CALLER_HUNG_UP]
    assert gateway.calls.states(call.call_id)[-2:] == [CallState.STREAMING, CallState.ENDED]


async def test_callback_of_the_hang_up_may_come_after_the_socket(gateway, agent):
    call = await gateway.place()
    await gateway.until_streaming(call)
    call.socket.close()
    await call.socket.until_closed()
    await asyncio.sleep(0.05)
    gateway.calls.add_event(call.call_id, "CallDisconnected")
    await gateway.until_over()

    gateway.assert_ended(call, Cause.CALLER_HUNG_UP, hung_up=False)
    assert CallState.INTERRUPTED not in gateway.calls.states(call.call_id)


async def test_callback_may_not_come_at_all(gateway, agent, caplog):
    """ACS knows the call no more: then the caller hung up, whatever became of the callback."""
    call = await gateway.place()
    await gateway.until_streaming(call)
    gateway.acs.gone.add(call.call_connection_id)
    call.socket.close()
    await gateway.until_over()

    gateway.assert_ended(call, Cause.CALLER_HUNG_UP, hung_up=False, caplog=caplog)


async def test_callback_may_come_with_the_socket_still_open(gateway, agent):
    call = await gateway.place()
    await gateway.until_streaming(call)
    gateway.calls.add_event(call.call_id, "CallDisconnected")
    await gateway.until_over()

    gateway.assert_ended(call, Cause.CALLER_HUNG_UP, hung_up=False)
    assert call.socket.close_code == 1000


async def test_lost_socket_interrupts_the_call_and_then_ends_it(gateway, agent, caplog):
    call = await gateway.place()
    await gateway.until_streaming(call)
    call.socket.drop()
    await gateway.until(lambda: gateway.row(call).state is CallState.INTERRUPTED)
    assert not gateway.acs.hung_up
    await gateway.until_over()

    gateway.assert_ended(call, Cause.MEDIA_LOST, hung_up=True, caplog=caplog)
    assert agent.closed_for == [Cause.MEDIA_LOST]


async def test_lost_socket_of_a_call_that_the_caller_ended(gateway, agent):
    call = await gateway.place()
    await gateway.until_streaming(call)
    call.socket.drop()
    await gateway.until(lambda: gateway.row(call).state is CallState.INTERRUPTED)
    gateway.calls.add_event(call.call_id, "CallDisconnected")
    await gateway.until_over()

    gateway.assert_ended(call, Cause.CALLER_HUNG_UP, hung_up=False)


async def test_socket_that_is_lost_before_metadata_ends_the_call_too(gateway):
    call = gateway.answer()
    socket = await gateway.open_socket(call)
    await gateway.until(lambda: gateway.row(call).media_jti_used)
    socket.drop()
    await gateway.until_over()

    gateway.assert_ended(call, Cause.MEDIA_LOST, hung_up=True)


async def test_process_stops(agent, caplog):
    async with running_gateway() as gateway:
        calls = [await gateway.place() for _ in range(3)]
        for call in calls:
            await gateway.until_streaming(call)
        gateway.stop.set()
        await gateway.until_over()
        for call in calls:
            gateway.assert_ended(call, Cause.PROCESS_STOPPED, hung_up=True, caplog=caplog)
    assert gateway.outside.pods.loads == {}


async def test_process_that_stops_waits_for_no_goodbye(agent):
    async with running_gateway() as gateway:
        call = await gateway.place()
        await gateway.until_streaming(call)
        agent.sink.audio("long", b"\1\0" * 24_000 * 60)
        agent.sink.end()
        gateway.stop.set()
        await gateway.until_over(seconds=3)

        gateway.assert_ended(call, Cause.AGENT_ENDED, hung_up=True)


async def test_process_that_stops_waits_for_no_lost_socket(agent):
    async with running_gateway(timing=replace(QUICK, interruption_grace_s=60)) as gateway:
        call = await gateway.place()
        await gateway.until_streaming(call)
        call.socket.drop()
        await gateway.until(lambda: gateway.row(call).state is CallState.INTERRUPTED)
        gateway.stop.set()
        await gateway.until_over(seconds=3)

        gateway.assert_ended(call, Cause.PROCESS_STOPPED, hung_up=True)


async def test_call_that_does_not_end_in_time_is_cut_off(agent, caplog):
    agent.hangs_in = "close"
    async with running_gateway(timing=replace(QUICK, agent_close_s=60, stop_s=0.2)) as gateway:
        call = await gateway.place()
        await gateway.until_streaming(call)
        gateway.stop.set()
        await gateway.until_over(seconds=3)

        gateway.assert_ended(call, Cause.PROCESS_STOPPED, hung_up=True, caplog=caplog)


async def test_maximum_duration_ends_the_call(gateway, agent):
    call = await gateway.place(max_duration_s=0.1)
    await gateway.until_over()

    gateway.assert_ended(call, Cause.MAX_DURATION, hung_up=True)


async def test_storage_that_hangs_does_not_hold_the_process_up_when_it_stops(agent):
    async with running_gateway(timing=replace(QUICK, stop_s=1.5, row_write_s=60)) as gateway:
        call = await gateway.place()
        await gateway.until_streaming(call)
        gateway.calls.gate.clear()
        gateway.stop.set()
        await gateway.until_over(seconds=4)

        assert gateway.acs.hung_up == [call.call_connection_id]


async def test_caller_who_hangs_up_while_the_agent_connects_ends_the_call(gateway, agent):
    agent.hangs_in = "open"
    call = await gateway.place()
    await gateway.until(lambda: agent.sink)
    gateway.calls.add_event(call.call_id, "CallDisconnected")
    call.socket.close()
    await gateway.until_over()

    gateway.assert_ended(call, Cause.CALLER_HUNG_UP, hung_up=False)
    assert agent.closed_for == [Cause.CALLER_HUNG_UP]


async def test_first_reason_to_end_is_the_one_that_counts(gateway, agent):
    call = await gateway.place()
    await gateway.until_streaming(call)
    agent.sink.end()
    agent.sink.failed(RuntimeError("late"))
    call.socket.send(b"nonsense")
    await gateway.until_over()

    gateway.assert_ended(call, Cause.AGENT_ENDED, hung_up=True)


async def test_acs_that_is_away_at_the_end_is_tried_again_and_then_left(gateway, agent, caplog):
    call = await gateway.place()
    await gateway.until_streaming(call)
    gateway.acs.is_away = True
    agent.sink.end()
    await gateway.until_over()

    assert_stays_at_ending(gateway, call, caplog)
    assert gateway.acs.tries > 3
    assert call.socket.close_code == 1000


def assert_stays_at_ending(gateway, call, caplog):
    """Check that nobody says that a call ended which may still be on."""
    row = gateway.row(call)
    assert (row.state, row.cause) == (CallState.ENDING, Cause.AGENT_ENDED)
    assert gateway.acs.hung_up == []
    (line,) = [record for record in caplog.records if record.getMessage() == "call ended"]
    assert (line.state, line.row, line.hang_up) == ("ending", "written", "failed")
    assert gateway.core.pod.counters["hang_ups_failed"] == 1


async def test_acs_that_comes_back_in_time_gets_the_hang_up(agent, caplog):
    async with running_gateway(timing=replace(QUICK, hang_up_for_s=30)) as gateway:
        call = await gateway.place()
        await gateway.until_streaming(call)
        gateway.acs.is_away = True
        agent.sink.end()
        await gateway.until(lambda: gateway.acs.tries > 10)
        gateway.acs.is_away = False
        await gateway.until_over()

        gateway.assert_ended(call, Cause.AGENT_ENDED, hung_up=True, caplog=caplog)


async def test_process_that_stops_tries_to_hang_up_only_while_it_has_time(agent, caplog):
    async with running_gateway(timing=replace(QUICK, hang_up_for_s=60, stop_s=1.5)) as gateway:
        call = await gateway.place()
        await gateway.until_streaming(call)
        gateway.acs.is_away = True
        agent.sink.end()
        await gateway.until(lambda: gateway.acs.tries > 3)
        gateway.stop.set()
        await gateway.until_over(seconds=3)

        assert_stays_at_ending(gateway, call, caplog)
    assert "were cut off" not in caplog.text


async def test_odd_error_of_the_hang_up_leaves_no_row_unwritten(gateway, agent, monkeypatch, caplog):
    async def fail(*_, **__):
        raise ValueError("not an error that the SDK documents")

    call = await gateway.place()
    await gateway.until_streaming(call)
    monkeypatch.setattr(gateway.acs, "hang_up", fail)
    agent.sink.end()
    await gateway.until_over()

    assert_stays_at_ending(gateway, call, caplog)


async def test_socket_that_acs_does_not_close_is_closed(gateway, agent):
    gateway.acs.closes_sockets = False
    call = await gateway.place()
    await gateway.until_streaming(call)
    agent.sink.end()
    await gateway.until_over()

    assert call.socket.close_code == 1000


async def test_storage_that_comes_back_in_time_gets_the_last_row(gateway, agent):
    call = await gateway.place()
    await gateway.until_streaming(call)
    gateway.calls.is_away = True
    agent.sink.end()
    await gateway.until(lambda: gateway.acs.hung_up)
    gateway.calls.is_away = False
    await gateway.until_over()

    gateway.assert_ended(call, Cause.AGENT_ENDED, hung_up=True)


async def test_storage_that_stays_away_at_the_end_is_logged_and_counted(gateway, agent, caplog):
    call = await gateway.place()
    await gateway.until_streaming(call)
    gateway.calls.is_away = True
    agent.sink.end()
    await gateway.until_over()

    (line,) = [record for record in caplog.records if record.getMessage() == "call ended"]
    assert (line.state, line.cause, line.row) == ("ended", "agent_ended", "failed")
    assert gateway.core.pod.counters["rows_not_written"] == 1
    assert gateway.acs.hung_up == [call.call_connection_id]


async def test_row_that_storage_did_not_take_is_written_when_storage_is_back():
    async with running_gateway(timing=replace(QUICK, row_late_s=5, row_write_short_s=0.02)) as gateway:
        call = await gateway.place()
        await gateway.until_streaming(call)
        gateway.calls.is_away = True
        call.socket.close()
        await gateway.until(lambda: gateway.core.pod.counters["rows_not_written"])
        assert gateway.row(call).state is CallState.STREAMING
        gateway.calls.is_away = False
        await gateway.until_over()
        assert gateway.row(call).state is CallState.ENDED
        assert gateway.core.pod.counters["rows_written_late"] == 1


async def test_process_that_stops_waits_for_no_storage_to_come_back():
    async with running_gateway(timing=replace(QUICK, row_late_s=60, row_write_short_s=0.02)) as gateway:
        call = await gateway.place()
        await gateway.until_streaming(call)
        gateway.calls.is_away = True
        call.socket.close()
        await gateway.until(lambda: gateway.core.pod.counters["rows_not_written"])


async def test_storage_that_was_away_in_between_gets_every_event_in_order(gateway, agent):
    gateway.calls.gate.clear()
    call = await gateway.place()
    gateway.calls.gate.set()
    await gateway.until(lambda: gateway.row(call).media_jti_used)
    gateway.calls.is_away = True
    await gateway.until(lambda: agent.sink)
    agent.sink.end()
    await gateway.until(lambda: gateway.acs.hung_up)
    gateway.calls.is_away = False
    await gateway.until_over()

    events = [entry.event for entry in gateway.row(call).history]
    assert events[1:] == [CallEvent.MEDIA_STARTED, CallEvent.AGENT_ENDED, CallEvent.HUNG_UP]


async def test_last_write_whose_reply_was_lost_is_not_applied_twice(gateway, agent):
    call = await gateway.place()
    await gateway.until_streaming(call)
    gateway.calls.lost_replies = 1
    agent.sink.end()
    await gateway.until_over()

    gateway.assert_ended(call, Cause.AGENT_ENDED, hung_up=True)
    assert not any(entry.refused for entry in gateway.row(call).history)


async def test_owner_that_lost_the_call_writes_nothing_and_hangs_nobody_up(gateway, agent):
    call = await gateway.place()
    await gateway.until_streaming(call)
    taken = replace(gateway.row(call), epoch=2, owner="pod-b")
    gateway.calls.rows[call.call_id] = taken
    agent.sink.end()
    await gateway.until_over()

    assert gateway.row(call) is taken
    assert not gateway.acs.hung_up


async def test_owner_that_lost_a_call_whose_socket_is_lost_hangs_nobody_up(gateway, agent):
    call = await gateway.place()
    await gateway.until_streaming(call)
    taken = gateway.calls.rows[call.call_id] = replace(gateway.row(call), epoch=2, owner="pod-b")
    call.socket.drop()
    await gateway.until_over()

    assert gateway.row(call) is taken
    assert not gateway.acs.hung_up


async def test_row_says_that_the_call_ends_before_it_is_hung_up(gateway, agent):
    call = await gateway.place()
    await gateway.until_streaming(call)
    seen = []
    gateway.acs.on_hang_up = lambda _: seen.append(gateway.row(call).state)
    agent.sink.end()
    await gateway.until_over()

    assert seen == [CallState.ENDING]
    gateway.assert_ended(call, Cause.AGENT_ENDED, hung_up=True)


@pytest.mark.parametrize("lost_socket", [False, True])
async def test_storage_that_hangs_does_not_hold_the_hang_up_up(agent, lost_socket):
    async with running_gateway(timing=replace(QUICK, row_write_s=60, row_write_tries=1)) as gateway:
        call = await gateway.place()
        await gateway.until_streaming(call)
        gateway.calls.gate.clear()
        if lost_socket:
            call.socket.drop()
        else:
            agent.sink.end()
        await gateway.until(lambda: gateway.acs.hung_up, seconds=3)
        gateway.calls.gate.set()
        await gateway.until_over()

        gateway.assert_ended(call, Cause.MEDIA_LOST if lost_socket else Cause.AGENT_ENDED, hung_up=True)


async def test_events_that_cannot_be_read_do_not_keep_a_lost_call_from_its_end(
    gateway, agent, monkeypatch, caplog
):
    async def fail(_):
        raise KeyError("name")

    call = await gateway.place()
    await gateway.until_streaming(call)
    monkeypatch.setattr(gateway.calls, "events", fail)
    call.socket.drop()
    await gateway.until_over()

    gateway.assert_ended(call, Cause.MEDIA_LOST, hung_up=True, caplog=caplog)


async def test_error_while_a_lost_socket_is_looked_into_ends_the_call_all_the_same(
    gateway, agent, monkeypatch, caplog
):
    async def fail(*_):
        raise KeyError("a bug")

    monkeypatch.setattr(Line, "_comes_back", fail)
    call = await gateway.place()
    await gateway.until_streaming(call)
    call.socket.drop()
    await gateway.until_over()

    gateway.assert_ended(call, Cause.AGENT_FAILED, hung_up=True, caplog=caplog)


@pytest.mark.parametrize("step", ["_let_the_last_words_be_heard", "_close_agent", "_close_socket"])
async def test_error_in_one_step_of_the_end_keeps_no_other_from_being_done(
    gateway, agent, monkeypatch, caplog, step
):
    async def fail(*_):
        raise KeyError("a bug")

    monkeypatch.setattr(CallEnding, step, fail)
    call = await gateway.place()
    await gateway.until_streaming(call)
    agent.sink.end()
    await gateway.until_over()

    gateway.assert_ended(call, Cause.AGENT_ENDED, hung_up=True, caplog=caplog)
    assert "a step of a call's end failed" in caplog.text


async def test_row_says_when_the_agent_was_first_heard(gateway, agent):
    call = await gateway.place()
    await gateway.until_streaming(call)
    agent.sink.audio("hello", b"\1\0" * 480)
    agent.sink.end()
    await gateway.until_over()

    times = gateway.row(call).times
    assert times.streaming <= times.first_agent_audio <= times.ended


async def test_error_of_our_own_ends_the_call_in_order(gateway, agent, monkeypatch, caplog):
    def fail(*_):
        raise KeyError("a bug")

    monkeypatch.setattr(PlayoutLedger, "append", fail)
    monkeypatch.setattr("media_gateway.early.EarlyMedia.take", fail)
    call = await gateway.place()
    await gateway.until_over()

    gateway.assert_ended(call, Cause.AGENT_FAILED, hung_up=True, caplog=caplog)
    assert "a call failed inside the gateway" in caplog.text


async def test_call_whose_row_is_being_taken_when_the_process_stops_ends_too(agent):
    async with running_gateway() as gateway:
        gateway.calls.gate.clear()
        call = gateway.answer()
        socket = gateway.acs.sockets[call.call_connection_id] = await gateway.open_socket(call)
        socket.send_metadata(24_000)
        await gateway.until(lambda: len(gateway.core.calls) == 1)
        gateway.stop.set()
        await gateway.until(lambda: gateway.core.calls._is_stopping)
        gateway.calls.gate.set()
        await gateway.until_over(seconds=3)

        gateway.assert_ended(call, Cause.PROCESS_STOPPED, hung_up=True)
