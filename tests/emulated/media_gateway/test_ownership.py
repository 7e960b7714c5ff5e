"""One socket gets the call; whoever loses is told why."""

import asyncio
import uuid
from dataclasses import replace

import pytest

from shared.core.call_state import CallState, Cause
from tests.support.media import QUICK, running_gateway

REFUSED = 1008
TRY_AGAIN_LATER = 1013
IMPATIENT = replace(QUICK, ownership_s=0.1)


async def assert_loses(gateway, socket, reason, code=REFUSED):
    await socket.until_closed()
    assert (socket.close_code, socket.close_reason) == (code, reason)
    if code == REFUSED:
        assert not gateway.acs.hung_up


async def test_token_is_good_for_one_socket(gateway):
    call = await gateway.place()
    await gateway.until_streaming(call)
    second = await gateway.open_socket(call)

    await assert_loses(gateway, second, "token_used")
    call.socket.send_audio(b"\1\0" * 480)
    await call.socket.until_heard(b"\1\0" * 480)
    assert gateway.row(call).epoch == 1


async def test_of_two_sockets_at_once_exactly_one_wins(gateway):
    gateway.calls.gate.clear()
    call = gateway.answer()
    sockets = [await gateway.open_socket(call) for _ in range(2)]
    gateway.calls.gate.set()
    await gateway.until(lambda: any(socket.closed.is_set() for socket in sockets))
    (loser,) = [socket for socket in sockets if socket.closed.is_set()]
    (winner,) = [socket for socket in sockets if socket is not loser]

    await assert_loses(gateway, loser, "token_used")
    winner.send_metadata(24_000)
    winner.send_audio(b"\1\0" * 480)
    await winner.until_heard(b"\1\0" * 480)


async def test_call_is_bound_to_one_connection(gateway):
    call = gateway.answer()
    gateway.calls.rows[call.call_id] = replace(gateway.row(call), call_connection_id=str(uuid.uuid4()))

    await assert_loses(gateway, await gateway.open_socket(call), "wrong_connection")


async def test_call_that_is_over_takes_no_socket(gateway):
    await assert_loses(gateway, await gateway.open_socket(gateway.answer(state=CallState.ENDED)), "call_over")


async def test_token_of_an_earlier_answer_does_not_do(gateway):
    call = gateway.answer()
    gateway.calls.rows[call.call_id] = replace(gateway.row(call), media_jti="another")

    await assert_loses(gateway, await gateway.open_socket(call), "wrong_token")


async def test_call_without_a_row_takes_no_socket(gateway):
    call = gateway.answer()
    del gateway.calls.rows[call.call_id]

    await assert_loses(gateway, await gateway.open_socket(call), "no_such_call")


async def test_storage_that_comes_back_in_time_gives_the_call(gateway):
    gateway.calls.is_away = True
    call = await gateway.place()
    await asyncio.sleep(0.05)
    gateway.calls.is_away = False
    await gateway.until_streaming(call)


@pytest.mark.parametrize("hangs", [False, True])
async def test_without_storage_the_caller_is_not_left_in_silence(hangs):
    async with running_gateway(timing=IMPATIENT) as gateway:
        if hangs:
            gateway.calls.gate.clear()
        gateway.calls.is_away = not hangs
        call = gateway.answer()
        socket = await gateway.open_socket(call)

        await assert_loses(gateway, socket, "store_unavailable", code=TRY_AGAIN_LATER)
        await gateway.until_over()
        assert gateway.acs.hung_up == [call.call_connection_id]
        assert gateway.row(call).owner is None


async def test_row_that_was_taken_but_answered_too_late_ends_its_call():
    async with running_gateway(timing=replace(IMPATIENT, ownership_doubt_s=5)) as gateway:
        gateway.calls.reply_gate.clear()
        call = gateway.answer()
        await assert_loses(
            gateway, await gateway.open_socket(call), "store_unavailable", code=TRY_AGAIN_LATER
        )
        gateway.calls.reply_gate.set()
        await gateway.until_over()

        gateway.assert_ended(call, Cause.MEDIA_LOST, hung_up=True)


async def test_row_that_was_taken_and_could_not_be_read_again_ends_its_call():
    async with running_gateway(timing=replace(IMPATIENT, ownership_doubt_s=5)) as gateway:
        gateway.calls.lost_replies = 1_000_000
        call = gateway.answer()
        await assert_loses(
            gateway, await gateway.open_socket(call), "store_unavailable", code=TRY_AGAIN_LATER
        )
        gateway.calls.lost_replies = 0
        await gateway.until_over()

        gateway.assert_ended(call, Cause.MEDIA_LOST, hung_up=True)


async def test_row_that_somebody_else_took_meanwhile_is_left_to_them():
    async with running_gateway(timing=replace(IMPATIENT, ownership_doubt_s=5)) as gateway:
        gateway.calls.gate.clear()
        call = gateway.answer()
        await assert_loses(
            gateway, await gateway.open_socket(call), "store_unavailable", code=TRY_AGAIN_LATER
        )
        row = replace(gateway.row(call), media_jti_used=True, owner="pod-b", epoch=1)
        gateway.calls.rows[call.call_id] = row
        gateway.calls.gate.set()
        await gateway.until_over()

        assert gateway.row(call) is row
        assert not gateway.acs.hung_up


async def test_odd_error_of_storage_does_not_leave_the_caller_in_silence(gateway, monkeypatch):
    async def fail(*_):
        raise KeyError("owner")

    monkeypatch.setattr(gateway.calls, "change", fail)
    call = gateway.answer()
    socket = await gateway.open_socket(call)
    await assert_loses(gateway, socket, "internal", code=1011)
    await gateway.until_over()

    assert gateway.acs.hung_up == [call.call_connection_id]


async def test_update_whose_reply_was_lost_is_recognised_as_ours(gateway):
    gateway.calls.lost_replies = 1
    call = await gateway.place()
    await gateway.until_streaming(call)

    assert gateway.row(call).epoch == 1


async def test_loser_hangs_nobody_up_and_writes_nothing(gateway):
    call = await gateway.place()
    await gateway.until_streaming(call)
    written = len(gateway.calls.written)
    second = await gateway.open_socket(call)
    second.send(b"nonsense")
    await second.until_closed()
    await gateway.until(lambda: len(gateway.core.calls) == 1)

    assert len(gateway.calls.written) == written
    assert not gateway.acs.hung_up


async def test_socket_that_goes_away_while_it_waits_for_its_row_ends_in_order(gateway):
    gateway.calls.gate.clear()
    call = gateway.answer()
    socket = await gateway.open_socket(call)
    socket.drop()
    await asyncio.sleep(0.05)
    gateway.calls.gate.set()
    await gateway.until_over()

    assert gateway.row(call).state is CallState.ENDED


async def test_call_that_functions_ended_meanwhile_is_let_go(gateway):
    """The pod's heartbeat may have looked dead to Functions when the callback came: then they end the row."""
    call = gateway.answer()
    socket = await gateway.open_socket(call)
    await gateway.until(lambda: gateway.row(call).media_jti_used)
    gateway.calls.rows[call.call_id] = replace(gateway.row(call), state=CallState.ENDED)
    socket.send_metadata(24_000)
    await gateway.until_over()

    assert not gateway.acs.hung_up
    assert socket.close_code == 1000


async def test_pod_that_loses_a_call_lets_it_go_and_leaves_it_alone(gateway, agent):
    call = gateway.answer()
    socket = await gateway.open_socket(call)
    await gateway.until(lambda: gateway.row(call).media_jti_used)
    taken = gateway.calls.rows[call.call_id] = replace(gateway.row(call), epoch=2, owner="pod-b")
    socket.send_metadata(24_000)

    await assert_loses(gateway, socket, "ownership_lost")
    await gateway.until_over()
    assert gateway.row(call) is taken
    assert not gateway.acs.hung_up
    assert len(agent.closed_for) <= 1
