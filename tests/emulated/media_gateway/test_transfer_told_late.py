"""Our leg of a call ends amid a transfer: either its target has the caller, which a later callback says, or nobody."""

from dataclasses import replace

import pytest

from shared.core.call_state import CallState, Cause
from tests.support.media import QUICK, running_gateway

DESK = "4:+14255550177"


@pytest.fixture
async def gateway():
    async with running_gateway(timing=replace(QUICK, transfer_told_s=0.5)) as gateway:
        yield gateway


async def transferring(gateway, agent):
    """A call whose transfer ACS has taken."""
    call = await gateway.place()
    await gateway.until_streaming(call)
    agent.sink.transfer(DESK)
    await gateway.until(lambda: gateway.row(call).state is CallState.TRANSFERRING and gateway.acs.transfers)
    return call


def has_seen(gateway, call, count):
    """Whether so many callbacks were taken."""
    return len(gateway.core.calls._live[call.call_id]._inbox._seen) >= count


async def test_call_is_transferred_though_its_end_is_told_before_the_acceptance(gateway, agent):
    call = await transferring(gateway, agent)
    gateway.calls.add_event(call.call_id, "CallDisconnected")
    await gateway.until(lambda: has_seen(gateway, call, 1))
    gateway.calls.add_event(call.call_id, "CallTransferAccepted")
    call.socket.close()
    await gateway.until_over()

    gateway.assert_ended(call, Cause.TRANSFERRED, hung_up=False)


async def test_caller_who_hangs_up_amid_a_transfer_has_hung_up(gateway, agent):
    call = await transferring(gateway, agent)
    gateway.calls.add_event(call.call_id, "CallDisconnected")
    call.socket.close()
    await gateway.until_over()

    gateway.assert_ended(call, Cause.CALLER_HUNG_UP, hung_up=False)


async def test_acs_that_knows_the_call_no_more_may_tell_of_the_transfer_yet(gateway, agent):
    call = await transferring(gateway, agent)
    gateway.acs.gone.add(call.call_connection_id)
    call.socket.drop()
    await gateway.until(gateway.core.calls._live[call.call_id]._leg_end._first.done)
    gateway.calls.add_event(call.call_id, "CallTransferAccepted")
    await gateway.until_over()

    gateway.assert_ended(call, Cause.TRANSFERRED, hung_up=False)
