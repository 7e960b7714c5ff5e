"""The supervised agent: what an adapter does wrong ends its call once, and nothing comes of it after that."""

import asyncio
from types import SimpleNamespace

import pytest

from media_gateway.agents.contract import AgentFailed, Role
from media_gateway.supervised import SupervisedAgent
from shared.core.call_state import Cause
from tests.unit.agents.talk import CALL

OPEN_S = 0.02


class Owner:
    """A call, a speaker, and the tasks that were abandoned, all in one."""

    def __init__(self):
        self.asked = []
        self.cuts = ()

    def say(self, item_id, pcm):
        if len(pcm) % 2:
            self.on_invalid(ValueError("half a sample"))
            return
        self.asked.append(("say", item_id))

    def clear(self):
        return self.cuts

    def __getattr__(self, name):
        return lambda *args, **members: self.asked.append((name, *args, *members.values()))


class Adapter:
    """Does what a test says, by name of the method."""

    def __init__(self, **does):
        self.does = does
        self.called = []

    async def open(self, call, sink):
        await self._async("open")

    async def close(self, reason):
        await self._async("close")

    def __getattr__(self, name):
        def method(*args):
            self.called.append((name, *args))
            if name in self.does:
                raise self.does[name]

        return method

    async def _async(self, name):
        self.called.append((name,))
        if name in self.does:
            await self.does[name]()


def supervised(**does):
    owner, adapter = Owner(), Adapter(**does)
    return supervisor(lambda: adapter, owner), owner, adapter


def supervisor(make, owner):
    return SupervisedAgent(make, owner, owner, on_failed=owner.agent_failed, on_abandoned=owner.on_abandoned)


def failed(reason):
    return ("agent_failed", reason)


async def raises_error():
    raise AgentFailed("unreachable")


async def cancels_itself():
    raise asyncio.CancelledError


async def hangs():
    await asyncio.Event().wait()


@pytest.mark.parametrize(
    ("does", "reason"),
    [(raises_error, "unreachable"), (cancels_itself, "CancelledError"), (hangs, "TimeoutError")],
)
async def test_an_agent_that_does_not_open_ends_the_call_and_says_why(does, reason):
    agent, owner, adapter = supervised(open=does)
    assert not await agent.open(CALL, timeout_s=OPEN_S)
    assert owner.asked == [failed(reason)]
    await agent.close(Cause.AGENT_FAILED, timeout_s=1)
    assert adapter.called == [("open",), ("close",)]


async def test_one_that_cannot_be_made_does_too():
    owner = Owner()
    agent = supervisor(lambda: 1 / 0, owner)
    assert not await agent.open(CALL, timeout_s=OPEN_S)
    assert owner.asked == [failed("ZeroDivisionError")]
    await agent.close(Cause.AGENT_FAILED, timeout_s=1)


@pytest.mark.parametrize(("method", "args"), [("send_dtmf", ("1",)), ("transfer_failed", ("busy",))])
@pytest.mark.parametrize("error", [KeyError("4255550123"), asyncio.CancelledError()])
async def test_what_it_raises_ends_the_call_once_by_the_name_of_its_type(method, args, error):
    agent, owner, _ = supervised(**{method: error})
    await agent.open(CALL, timeout_s=1)
    getattr(agent, method)(*args)
    getattr(agent, method)(*args)
    assert owner.asked == [failed(type(error).__name__)]
    await agent.close(Cause.AGENT_FAILED, timeout_s=1)


async def test_an_interruption_tells_what_was_heard_of_each_item():
    agent, owner, adapter = supervised()
    await agent.open(CALL, timeout_s=1)
    owner.cuts = (SimpleNamespace(item_id="i1", heard_ms=120), SimpleNamespace(item_id="i2", heard_ms=0))
    agent.clear()
    assert adapter.called[1:] == [("heard", "i1", 120), ("heard", "i2", 0)]
    await agent.close(Cause.AGENT_ENDED, timeout_s=1)


async def test_half_a_sample_ends_the_call():
    agent, owner, _ = supervised()
    await agent.open(CALL, timeout_s=1)
    agent.audio("i1", b"\1")
    assert owner.asked == [failed("ValueError")]
    await agent.close(Cause.AGENT_FAILED, timeout_s=1)


async def test_words_of_what_was_said_are_taken_until_it_is_closed():
    async def writes_the_last_words():
        agent.transcript(Role.AGENT, "One mo", item_id="i2")
        agent.audio("i2", b"\1\1")

    agent, owner, _ = supervised(close=writes_the_last_words)
    await agent.open(CALL, timeout_s=1)
    agent.mute()
    agent.transcript(Role.CALLER, "Hello?", item_id="c1")
    await agent.close(Cause.CALLER_HUNG_UP, timeout_s=1)
    agent.transcript(Role.CALLER, "too late", item_id="c2")
    assert owner.asked == [("said", Role.CALLER, "Hello?", "c1"), ("said", Role.AGENT, "One mo", "i2")]


@pytest.mark.parametrize("last", ["end", "failed", "close"])
async def test_after_the_end_it_may_ask_for_nothing(last):
    agent, owner, _ = supervised()
    await agent.open(CALL, timeout_s=1)
    if last == "end":
        agent.end()
    elif last == "failed":
        agent.failed(AgentFailed("quota"))
    await agent.close(Cause.AGENT_ENDED, timeout_s=1)
    asked, owner.asked = owner.asked, []
    agent.audio("i1", b"\1\1")
    agent.clear()
    agent.transcript(Role.AGENT, "Hello.", item_id="i1")
    agent.set_variables({"a": "b"})
    agent.press_keys("1")
    agent.transfer("4:+14255550123")
    agent.pause_recording()
    agent.resume_recording()
    agent.note("odd")
    agent.end()
    agent.failed(AgentFailed("quota"))
    assert owner.asked == []
    assert len(asked) == (last != "close")
