"""A call goes on with its flow once for each thing that happens, whatever comes twice, late, or not at all."""

import asyncio
import json
import logging
import uuid
from collections import Counter
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
import yaml

from shared.adapters.tables import Row
from shared.calls.ivr import Ivr
from shared.core.flow_events import HttpAnswered
from shared.core.flow_state import FlowOutcome
from shared.core.ids import first_call_id
from shared.core.ivr_call import (
    ANSWERED_WITHIN_S,
    ASKING_S,
    BEGUN_WITHIN_S,
    OVER_WITHIN_S,
    IvrCall,
    bound_to,
)
from shared.core.upkeep import OVER_AFTER_S
from shared.errors import (
    AcsRefused,
    AcsUnavailable,
    BadRequest,
    CallGone,
    Forbidden,
    NotConfigured,
    NotFound,
)
from shared.flow_document import to_flow
from tests.support.ivr import FLOW

NOW = 1_700_000_000.0
CALLER = "4:+14255550100"
LOOKUP = FLOW.replace(
    "variable: account\n    next: to_agent",
    "variable: account\n    next: lookup",
) + (
    "  lookup: {kind: http, url: 'https://api.example.com/', send: {account: '{account}'}, next: to_agent, "
    "otherwise: bye}\n"
)


class MemoryIvrCalls:
    """The table, in memory; a change is atomic."""

    def __init__(self, call):
        self.call = call
        self.is_closed = False

    async def read(self, call_id):
        await asyncio.sleep(0)
        return Row(self.call, "") if call_id == self.call.call_id else None

    async def change(self, call_id, mutate, *, known=None):
        await asyncio.sleep(0)
        changed = mutate(self.call)
        if changed is self.call and known is not None and known.record is self.call:
            return known
        self.call = changed
        return Row(changed, "")

    async def open_calls(self):
        return [] if self.is_closed else [self.call.call_id]

    async def close(self, call_id):
        self.is_closed = True


class Acs:
    """What ACS was asked for; `faults` are what it answers first."""

    def __init__(self):
        self.asked = []
        self.faults = []

    async def play(self, connection_id, *, prompts, operation_context):
        await self._ask("play", operation_context)

    async def recognize(self, connection_id, *, target, recognition, operation_context):
        assert (connection_id, target) == ("connection-1", CALLER)
        await self._ask("recognize", operation_context)

    async def transfer(self, connection_id, *, target, context, operation_context, caller_id):
        self.context = context
        await self._ask("transfer", operation_context)

    async def hang_up(self, connection_id, *, for_everyone):
        await self._ask("hang_up", "")

    async def _ask(self, what, context):
        await asyncio.sleep(0)
        if self.faults and (fault := self.faults.pop(0)) is not None:
            raise fault
        self.asked.append((what, context))


def call_id_at(at):
    """The id of a call that was made then."""
    return f"{first_call_id(at)}-7{str(uuid.uuid4())[15:]}"


class World:
    def __init__(self, flow=FLOW):
        self.now = NOW
        call = IvrCall(
            call_id=call_id_at(NOW), account_id="demo", flow="welcome", flow_version=1, caller=CALLER,
            called="4:+18005550100", correlation_id="journey", server_call_id="", traceparent="", created=NOW,
            identity="8:acs:r_ivr",
        )  # fmt: skip
        self.calls, self.acs, self.requests = MemoryIvrCalls(call), Acs(), []
        made = to_flow(yaml.safe_load(flow))

        async def flow_of(version, name):
            return made

        async def http(action, *, call_id):
            self.requests.append(action.arguments)
            return HttpAnswered(action.id, 200)

        self.ivr = Ivr(
            self.calls,
            self.acs,
            SimpleNamespace(call=http),
            SimpleNamespace(flow=flow_of),
            sounds_url="https://functions/prompts",
            clock=lambda: self.now,
        )
        self.proven = SimpleNamespace(call_id=call.call_id, account_id="demo")

    async def tell(self, name, *, connection="connection-1", proven=None, **data):
        event = {
            "id": str(uuid.uuid4()),
            "type": f"Microsoft.Communication.{name}",
            "time": datetime.fromtimestamp(self.now, UTC).isoformat(),
            "data": {"callConnectionId": connection, **data},
        }
        await self.ivr.receive(proven or self.proven, json.dumps([event]).encode())

    async def key(self, digits, context="1.account"):
        names = {"1": "one", "2": "two", "3": "three", "4": "four"}
        tones = [names[digit] for digit in digits]
        await self.tell(
            "RecognizeCompleted",
            operationContext=context,
            recognitionType="dtmf",
            dtmfResult={"tones": tones},
        )

    async def look_after(self):
        """Do what is done each minute; return what was counted."""
        done = Counter()
        await self.ivr.look_after_open_calls(done)
        return done

    @property
    def state(self):
        return self.calls.call.state


@pytest.fixture
async def world():
    world = World()
    await world.tell("CallConnected")
    assert world.acs.asked == [("recognize", "1.account")]
    return world


async def test_callbacks_lead_from_step_to_step(world):
    await world.key("1234")
    assert world.acs.asked[1:] == [("transfer", "2.to_agent")]
    assert world.acs.context.voip == {
        "accountNumber": "1234",
        "returnTo": "8:acs:r_ivr",
        "taskName": "balance",
    }
    await world.tell("CallTransferAccepted", operationContext="2.to_agent")
    await world.tell("CallDisconnected")
    assert (world.state.outcome, world.calls.call.ended) == (FlowOutcome.TRANSFERRED, NOW)


async def test_callbacks_that_come_twice_or_at_once_ask_once(world):
    await asyncio.gather(
        *(world.key("1234") for _ in range(5)), *(world.tell("CallConnected") for _ in range(5))
    )
    await world.key("1234")
    assert world.acs.asked[1:] == [("transfer", "2.to_agent")]


async def test_what_could_not_be_asked_is_asked_when_the_callback_comes_again(world):
    world.acs.faults = [AcsUnavailable("ACS did not answer")]
    with pytest.raises(AcsUnavailable):
        await world.key("12")
    await world.key("12")
    await world.key("12")
    assert world.acs.asked[1:] == [("recognize", "2.account")]


async def test_a_process_that_dies_before_it_asks_is_followed_by_the_next(world, monkeypatch):
    def dies(*_, **__):
        raise asyncio.CancelledError

    with monkeypatch.context() as patched:
        patched.setattr(world.ivr, "_ask_acs", dies)
        with pytest.raises(asyncio.CancelledError):
            await world.key("12")
    await world.key("12")
    assert world.acs.asked[1:] == []  # whoever wrote the row may be about to ask
    world.now += ASKING_S
    await world.key("12")
    assert world.acs.asked[1:] == [("recognize", "2.account")]


async def test_a_step_that_nothing_is_heard_of_fails_in_the_end(world):
    await world.key("1234")
    assert await world.look_after() == {}
    world.now = world.calls.call.due
    assert await world.look_after() == {"overdue": 1}
    assert world.acs.asked[2:] == [("transfer", "3.to_people")]


async def test_what_a_process_that_died_has_not_asked_for_is_asked_within_a_minute(world):
    world.acs.faults = [AcsUnavailable("ACS did not answer")]
    with pytest.raises(AcsUnavailable):
        await world.key("12")
    assert await world.look_after() == {}
    assert world.acs.asked[1:] == [("recognize", "2.account")]


async def test_a_call_that_cannot_go_on_is_counted_and_tried_again(world):
    world.now = world.calls.call.due
    world.acs.faults = [AcsUnavailable("ACS did not answer")]
    assert await world.look_after() == {"overdue": 1, "failed": 1}
    assert await world.look_after() == {}
    assert world.acs.asked[1:] == [("hang_up", "")]


async def test_a_flow_begins_although_nobody_told_that_the_call_is_connected():
    world = World()
    world.calls.call = bound_to(world.calls.call, "connection-1")
    assert await world.look_after() == {}
    world.now += BEGUN_WITHIN_S + 1
    assert await world.look_after() == {"overdue": 1}
    await world.tell("CallConnected")
    assert world.acs.asked == [("recognize", "1.account")]


async def test_a_call_whose_end_nobody_tells_is_over_in_the_end(world):
    for sequence in (1, 2, 3):
        await world.key("12", f"{sequence}.account")
    assert world.acs.asked[-1] == ("hang_up", "")
    world.now = world.calls.call.due
    await world.look_after()
    assert world.calls.call.ended == world.now


async def test_a_transferred_call_whose_end_nobody_tells_is_over_in_the_end(world):
    await world.key("1234")
    await world.tell("CallTransferAccepted", operationContext="2.to_agent")
    assert await world.look_after() == {}
    world.now += OVER_WITHIN_S + 1
    await world.look_after()
    assert (world.calls.call.ended, world.state.outcome) == (world.now, FlowOutcome.TRANSFERRED)


async def test_a_call_that_is_over_is_looked_after_no_more(world, caplog):
    with caplog.at_level(logging.INFO, logger="shared.calls.ivr"):
        await world.tell("CallDisconnected")
    (line,) = caplog.messages
    assert line.startswith("a call at the IVR has ended")
    await world.look_after()
    assert world.calls.is_closed


async def test_a_call_that_cannot_go_on_for_want_of_its_flow_is_not_looked_after_for_ever(world, monkeypatch):
    async def is_gone(version, name):
        raise NotConfigured("the version of a call's flow cannot be had")

    monkeypatch.setattr(world.ivr._flows, "flow", is_gone)
    assert await world.look_after() == {"failed": 1}
    world.now += OVER_AFTER_S + 1
    assert await world.look_after() == {}
    assert world.calls.is_closed


async def test_a_call_that_was_never_answered_is_over_in_the_end():
    world = World()
    world.now += ANSWERED_WITHIN_S + 1
    await world.look_after()
    assert (world.calls.call.ended, world.acs.asked) == (world.now, [])


async def test_what_acs_refuses_has_failed(world):
    world.acs.faults = [AcsRefused("ACS answered 400/8500", code=400, sub_code=8500)]
    await world.key("1234")
    assert world.acs.asked[1:] == [("transfer", "3.to_people")]


async def test_a_transfer_that_acs_did_not_answer_for_may_be_under_way(world):
    world.acs.faults = [AcsUnavailable("ACS did not answer")]
    await world.key("1234")
    await world.key("1234")
    assert world.acs.asked[1:] == []
    await world.tell("CallTransferAccepted", operationContext="2.to_agent")
    assert world.state.outcome is FlowOutcome.TRANSFERRED


async def test_a_call_that_acs_does_not_know_is_over(world):
    world.acs.faults = [CallGone("ACS answered 404/8522")]
    await world.key("1234")
    assert (world.state.outcome, world.calls.call.ended) == (FlowOutcome.CALLER_GONE, NOW)


async def test_an_api_is_asked_and_the_flow_goes_on_at_once():
    world = World(LOOKUP)
    await world.tell("CallConnected")
    await asyncio.gather(*(world.key("1234") for _ in range(3)))
    assert world.requests == [{"account": "1234"}]
    assert world.acs.asked[1:] == [("transfer", "3.to_agent")]


async def test_another_call_s_callback_is_refused(world):
    with pytest.raises(Forbidden, match="another connection"):
        await world.tell("PlayCompleted", connection="connection-2")
    with pytest.raises(Forbidden, match="another account"):
        await world.tell(
            "PlayCompleted", proven=SimpleNamespace(call_id=world.proven.call_id, account_id="other")
        )
    with pytest.raises(NotFound):
        await world.tell("PlayCompleted", proven=SimpleNamespace(call_id=call_id_at(NOW), account_id="demo"))


async def test_rubbish_is_refused(world):
    with pytest.raises(BadRequest):
        await world.ivr.receive(world.proven, b"rubbish")


async def test_a_record_of_a_call_shows_nothing_personal(world):
    await world.key("1234")
    assert "1234" not in repr(world.calls.call)
    assert CALLER not in repr(world.calls.call)
