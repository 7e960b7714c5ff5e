"""The three variations of a call that comes from an IVR, with a realtime agent: it talks, wants a person, hangs up."""

import asyncio
import json

import pytest

from emulator.realtime.replies import Reply, ToolCall, greeting
from shared.core.call_state import CallState, Cause
from shared.core.flow_state import FlowOutcome
from tests.support.gateway import CALLER, EVENTS_PATH
from tests.support.ivr import (
    AGENT,
    GATEWAY,
    IVR,
    IVR_EVENTS_PATH,
    NUMBER,
    QUEUE,
    WITHIN_S,
    running_ivr,
    until,
)
from tests.support.realtime import running_realtime_service, tone

PROFILE = """{{
    kind: realtime, dialect: openai, endpoint: "{}", model: m, greeting: Greet the caller.,
    transcription: {{model: t}}, transfer_targets: {{person: returnTo}},
    context: {{variables: [accountNumber, caller, correlationId]}},
  }}"""
TOOLS = {
    "What is my balance?": (
        ToolCall("set_variables", '{"variables": {"topic": "balance"}}'),
        ToolCall("end_call"),
    ),
    "I want a person.": (
        ToolCall("set_variables", '{"variables": {"topic": "cards"}}'),
        ToolCall("transfer_call", '{"destination": "person"}'),
    ),
}


def answer(question):
    return Reply(greeting(question.output_hz), "Yes.", TOOLS.get(question.text, ()))


class Variation:
    """A caller who has keyed 1234, and whom the agent greets."""

    def __init__(self, ivr, service, call):
        self.ivr, self.service, self.call = ivr, service, call

    async def until_greeted(self):
        await until(lambda: self.service.sessions)
        session = self.service.sessions[0]
        await session.expect("response.create")
        (facts, *_) = session.received("conversation.item.create")
        text = facts["item"]["content"][0]["text"]
        return json.loads(text[text.index("{") :])

    def says_something(self):
        self.ivr.lines[0].say(tone(400, 16_000))

    async def ended(self):
        """The agent's side of the journey, once it is over."""
        async with asyncio.timeout(WITHIN_S):
            while True:
                [record] = await self.ivr.agents_calls(self.call)
                if record.state.is_final:
                    return record
                await asyncio.sleep(0.02)


@pytest.fixture
async def variation(start_edge, tmp_path, request):
    """The variation in which the caller says what the test's parameter has."""
    words = request.param
    async with running_realtime_service("parrot", answer=answer, transcripts=(words,)) as service:
        gateway = GATEWAY.replace("{kind: echo}", PROFILE.format(service.url("openai")))
        async with running_ivr(start_edge, tmp_path, gateway=gateway) as ivr:
            await ivr.subscribe("ivr", IVR_EVENTS_PATH, [NUMBER, IVR])
            await ivr.subscribe("agents", EVENTS_PATH, [AGENT])
            call = await ivr.dial()
            await ivr.key(call, "1234")
            yield Variation(ivr, service, call)


def transfers(call):
    return [(transfer.target.id, str(transfer.outcome)) for transfer in call.transfers]


@pytest.mark.parametrize("variation", ["What is my balance?"], indirect=True)
async def test_a_caller_who_has_an_answer_goes_back_to_the_ivr_which_says_goodbye(variation):
    call = variation.call
    assert await variation.until_greeted() == {
        "variables": {
            "accountNumber": "1234", "caller": CALLER, "correlationId": call.correlation_id,
        },
        "task": "balance",
    }  # fmt: skip
    variation.says_something()
    first, second = await variation.ivr.until_over(call, 2)
    record = await variation.ended()

    assert (first.transferred_to, first.state.outcome) == (AGENT, FlowOutcome.TRANSFERRED)
    assert (record.variables, record.output) == ({"accountNumber": "1234"}, {"topic": "balance"})
    assert (second.outcome, second.state.variables["topic"]) == ("SYSTEM", "balance")
    assert second.state.outcome is FlowOutcome.HUNG_UP
    assert (record.state, record.cause) == (CallState.ENDED, Cause.TRANSFERRED)
    assert {first.correlation_id, record.correlation_id, second.correlation_id} == {call.correlation_id}
    assert (transfers(call), call.end) == ([(AGENT, "accepted"), (IVR, "accepted")], "gateway_hung_up")


@pytest.mark.parametrize("variation", ["I want a person."], indirect=True)
async def test_a_caller_who_wants_a_person_goes_back_to_the_ivr_and_on_to_one(variation):
    call = variation.call
    await variation.until_greeted()
    variation.says_something()
    first, second = await variation.ivr.until_over(call, 2)
    record = await variation.ended()

    assert (second.outcome, second.state.variables["topic"], record.output) == (
        "AGENT",
        "cards",
        {"topic": "cards"},
    )
    assert (second.transferred_to, second.state.outcome) == (f"4:{QUEUE}", FlowOutcome.TRANSFERRED)
    assert (first.state.outcome, record.cause) == (FlowOutcome.TRANSFERRED, Cause.TRANSFERRED)
    assert transfers(call) == [(AGENT, "accepted"), (IVR, "accepted"), (f"4:{QUEUE}", "accepted")]
    await variation.ivr.edge.emulator.calls.caller_hangs_up(call)


@pytest.mark.parametrize("variation", [""], indirect=True)
async def test_a_caller_who_hangs_up_is_sent_nowhere(variation):
    call = variation.call
    await variation.until_greeted()
    await variation.ivr.edge.emulator.calls.caller_hangs_up(call)
    record = await variation.ended()
    [first] = await variation.ivr.until_over(call, 1)

    assert (first.transferred_to, first.state.outcome) == (AGENT, FlowOutcome.TRANSFERRED)
    assert (record.state, record.cause, record.output) == (CallState.ENDED, Cause.CALLER_HUNG_UP, {})
    assert (transfers(call), call.end) == ([(AGENT, "accepted")], "caller_hung_up")
