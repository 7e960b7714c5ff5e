"""A call that came from an IVR goes back there when the agent is done with it, wants a person, or is lost."""

from dataclasses import replace

import pytest

from media_gateway.agents.contract import AgentFailed
from shared.core.call_state import Cause
from shared.core.variables import RETURN_TO
from tests.support.media_survival import COLLEAGUE

IVR = "8:acs:11111111-1111-1111-1111-111111111111_00000014-0000-0000-0000-00000000000b"


async def from_ivr(gateway, return_to=IVR, **profile):
    """A call that came from an IVR, and that an agent has."""
    call = gateway.answer(**profile)
    gateway.calls.rows[call.call_id] = replace(gateway.row(call), return_to=return_to)
    call.socket = gateway.acs.sockets[call.call_connection_id] = await gateway.open_socket(call)
    call.socket.send_metadata(24_000)
    await gateway.until_streaming(call)
    await gateway.until(lambda: gateway.is_listening(call))
    return call


@pytest.mark.parametrize(
    ("leave", "outcome"),
    [
        (lambda sink: sink.transfer(RETURN_TO), "AGENT"),
        (lambda sink: sink.end(), "SYSTEM"),
        (lambda sink: sink.failed(AgentFailed("quota")), "FAILED"),
    ],
    ids=["wants a person", "is done", "is lost"],
)
async def test_the_ivr_gets_the_call_back_and_is_told_why(gateway, agent, leave, outcome):
    gateway.acs.on_transfer = lambda *_: gateway.calls.add_event(call.call_id, "CallTransferAccepted")
    call = await from_ivr(gateway, fallback=COLLEAGUE)
    agent.sink.set_variables({"verified": "yes"})
    leave(agent.sink)
    await gateway.until_over()

    [(connection_id, asked)] = gateway.acs.transfers
    assert (connection_id, asked["target"]) == (call.call_connection_id, IVR)
    assert asked["context"].voip == {"outcome": outcome, "order": "1234", "verified": "yes"}
    assert not gateway.acs.hung_up


async def test_a_call_whose_ivr_is_gone_is_sent_on_as_the_profile_says(gateway, agent):
    def answer(_, asked):
        name = "CallTransferFailed" if asked["target"] == IVR else "CallTransferAccepted"
        gateway.calls.add_event(call.call_id, name, operationContext=asked["operation_context"])

    gateway.acs.on_transfer = answer
    call = await from_ivr(gateway, fallback=COLLEAGUE)
    agent.sink.failed(AgentFailed("quota"))
    await gateway.until_over()

    assert [asked["target"] for _, asked in gateway.acs.transfers] == [IVR, COLLEAGUE.transfer]


async def test_a_call_that_its_agent_has_ended_ends_where_the_ivr_does_not_take_it(gateway, agent):
    gateway.acs.refuses.add("transfer")
    call = await from_ivr(gateway)
    agent.sink.end()
    await gateway.until_over()

    gateway.assert_ended(call, Cause.AGENT_ENDED, hung_up=True)


async def test_an_agent_that_asks_for_the_way_back_of_a_call_that_has_none_hears_so(gateway, agent):
    reasons = []
    agent.transfer_failed = reasons.append
    await from_ivr(gateway, return_to=None)
    agent.sink.transfer(RETURN_TO)
    await gateway.until(lambda: reasons)

    assert reasons == ["unreachable"]
    assert not gateway.acs.transfers
