"""An IVR of one's own hands a call over and takes it back, as the page for it says, in its own words."""

import asyncio

import pytest

from emulator.ports import free_port_numbers
from shared.core.variables import RETURN_TO
from tests.support.documentation import DOCS, REPOSITORY, blocks
from tests.support.gateway import CALLER, EVENTS_PATH
from tests.support.ivr import AGENT, IVR, QUEUE, running_ivr, until
from tests.support.media import agent
from tests.support.terminal import in_another_terminal, output_of

__all__ = ["agent"]

LINE_S = 10.0


@pytest.fixture
def texts():
    """The blocks of the page's example by what they are: the gateway file, the emulator, the example, ..."""
    found = [block.text for block in blocks(DOCS / "bring-your-own-ivr.md") if block.section == "An example"]
    return dict(zip(("gateway", "emulator", "example", "subscribe", "call"), found, strict=True))


@pytest.fixture
async def own(start_edge, tmp_path, agent, texts):
    """The gateway with the agent's subscription; and the example, subscribed. Yields both."""
    (tmp_path / "prompts").symlink_to(REPOSITORY / "prompts")
    (port,) = free_port_numbers(1)
    async with running_ivr(start_edge, tmp_path, gateway=texts["gateway"]) as gateway:
        await gateway.subscribe("agents", EVENTS_PATH, [AGENT])

        def here(text):
            text = text.replace("http://127.0.0.1:8061", gateway.edge.emulator.base_url)
            return text.replace("3000", str(port))

        install, _, start = texts["example"].partition("\n")
        assert install == "pip install -r docs/examples/own-ivr/requirements.txt"
        async with in_another_terminal(here(start), "own-ivr listens") as example:
            await output_of(here(texts["subscribe"]))
            yield gateway, example


def transfers(call):
    return [(transfer.target.id, str(transfer.outcome)) for transfer in call.transfers]


async def line_of(process):
    async with asyncio.timeout(LINE_S):
        return (await process.stdout.readline()).decode().rstrip()


async def test_a_caller_goes_to_the_agent_and_back_and_on_to_a_queue(own, agent):
    gateway, example = own
    call = await gateway.dial()
    await gateway.key(call, "1234")
    await until(lambda: agent.info is not None)

    assert agent.info.variables == {
        "accountNumber": "1234", "caller": CALLER, "called": AGENT, "correlationId": call.correlation_id,
    }  # fmt: skip
    assert agent.info.task == "balance"
    agent.sink.set_variables({"topic": "cards"})
    agent.sink.transfer(RETURN_TO)

    assert await line_of(example) == "a call is back: AGENT with accountNumber, outcome, topic"
    both_ways = [(AGENT, "accepted"), (IVR, "accepted")]
    await until(lambda: transfers(call) == [*both_ways, (f"4:{QUEUE}", "accepted")])
    [record] = await gateway.agents_calls(call)
    assert (record.return_to, record.task, record.output) == (IVR, "balance", {"topic": "cards"})
    await gateway.edge.emulator.calls.caller_hangs_up(call)


async def test_an_agent_that_is_done_gives_the_call_back_too(own, agent):
    gateway, example = own
    call = await gateway.dial()
    await gateway.key(call, "1234")
    await until(lambda: agent.info is not None)
    agent.sink.end()

    assert await line_of(example) == "a call is back: SYSTEM with accountNumber, outcome"
    await until(lambda: call.end is not None)
    assert (transfers(call), call.end) == ([(AGENT, "accepted"), (IVR, "accepted")], "gateway_hung_up")
