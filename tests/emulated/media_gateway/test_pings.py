"""Pings find a peer that is there no more, and leave one alone that answers."""

from dataclasses import replace

from shared.core.call_state import CallState, Cause
from tests.support.media import QUICK, running_gateway


async def test_peer_that_answers_no_ping_is_lost():
    async with running_gateway(timing=replace(QUICK, ping_s=0.2)) as gateway:
        call = await gateway.place()
        call.socket.answers_pings = False
        await gateway.until(lambda: gateway.row(call).state is CallState.INTERRUPTED)
        await gateway.until_over()

        gateway.assert_ended(call, Cause.MEDIA_LOST, hung_up=True)


async def test_peer_that_answers_pings_stays():
    async with running_gateway(timing=replace(QUICK, ping_s=0.1)) as gateway:
        call = await gateway.place()
        await call.socket.until(lambda: call.socket.pings > 4)

        assert gateway.row(call).state is CallState.STREAMING
