"""The agents of one call: which one follows another, what it is told, and how they are let go."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from media_gateway.agent_keeper import COMFORT, AgentKeeper
from media_gateway.agents.contract import Role, Said
from media_gateway.agents.so_far import ConversationSoFar
from shared.core.call_state import Cause
from tests.support.media_survival import OwnedCall
from tests.unit.agents.talk import CALL

LOST = "connection_lost"
PROMPT = b"\1\0" * 240
LONG_S = 5.0


class Agent:
    """A supervised agent of which the test says how it goes."""

    def __init__(self, on_failed, plan):
        self.on_failed = on_failed
        self.plan = plan
        self.info = None
        self.closed_for = []
        self.is_muted = False
        self.released = asyncio.Event()

    async def open(self, info, *, timeout_s):
        self.info = info
        if self.plan == "hangs":
            await asyncio.wait((asyncio.create_task(self.released.wait()),), timeout=timeout_s)
            if not self.released.is_set():
                self.on_failed("TimeoutError")
                return False
        if self.plan == "refused":
            self.on_failed("unauthorized")
            return False
        if self.plan == "dies at once":
            self.on_failed(LOST)
        return True

    def mute(self):
        self.is_muted = True

    async def close(self, reason, *, timeout_s):
        self.closed_for.append(reason)
        if self.plan == "will not close":
            await asyncio.wait((asyncio.create_task(self.released.wait()),), timeout=timeout_s)


class Kept(OwnedCall):
    """A keeper, with what it has made and said."""

    def __init__(self, *plans, **timing):
        super().__init__(**timing)
        self.plans = list(plans)
        self.made = []
        self.said = []
        self.listening = []
        self.so_far = ConversationSoFar()
        self.keeper = AgentKeeper(
            self.pod,
            self,
            self._make,
            comfort=lambda: PROMPT,
            so_far=self.so_far,
            on_listening=self.listening.append,
            on_deaf=lambda: self.listening.append(None),
        )

    def say(self, item_id, pcm, *, protected):
        assert protected
        self.said.append((item_id, pcm))

    def _make(self, on_failed):
        self.made.append(Agent(on_failed, self.plans.pop(0) if self.plans else "well"))
        return self.made[-1]

    @asynccontextmanager
    async def running(self):
        run = asyncio.create_task(self.keeper.run(CALL))
        try:
            yield run
        finally:
            run.cancel()
            await asyncio.wait((run,))
            for agent in self.made:
                agent.released.set()
            await self.keeper.close(Cause.CALLER_HUNG_UP)

    async def until_listens(self, number):
        """Wait until the agent of this number listens, from 1."""
        async with asyncio.timeout(5):
            while len(self.made) < number or self.listening[-1:] != [self.made[number - 1]]:
                await asyncio.sleep(0.001)
        return self.made[number - 1]


async def test_lost_agent_is_followed_by_one_that_is_told_what_was_said():
    kept = Kept()
    async with kept.running():
        first = await kept.until_listens(1)
        kept.so_far.add(Role.CALLER, "Hello.")
        first.on_failed(LOST)
        second = await kept.until_listens(2)

    assert (first.info.is_resumed, first.info.conversation) == (False, ())
    assert (second.info.is_resumed, second.info.conversation) == (True, (Said(Role.CALLER, "Hello."),))
    assert first.closed_for == [Cause.AGENT_FAILED]
    assert second.closed_for == [Cause.CALLER_HUNG_UP]


async def test_nobody_listens_from_the_moment_an_agent_is_lost():
    kept = Kept()
    async with kept.running():
        first = await kept.until_listens(1)
        first.on_failed(LOST)
        assert kept.listening == [first, None]


async def test_agent_that_dies_while_it_connects_never_listens():
    kept = Kept("dies at once")
    async with kept.running():
        second = await kept.until_listens(2)
    assert kept.listening[-1] is second
    assert kept.made[0] not in kept.listening


@pytest.mark.parametrize(
    ("plans", "reason", "made"),
    [
        (("refused",), "unauthorized", 1),
        (("hangs",), "TimeoutError", 1),
        (("well", "hangs"), "TimeoutError", 2),
    ],
)
async def test_agent_that_does_not_connect_is_the_last(plans, reason, made):
    kept = Kept(*plans, agent_open_s=0.05, agent_reconnect_s=0.05)
    async with kept.running() as run:
        if made == 2:
            (await kept.until_listens(1)).on_failed(LOST)
        async with asyncio.timeout(5):
            assert await run == reason
    assert len(kept.made) == made
    assert kept.keeper.current is None


async def test_agent_that_was_lost_for_a_reason_that_stays_is_the_last():
    kept = Kept()
    async with kept.running() as run:
        (await kept.until_listens(1)).on_failed("quota")
        assert await run == "quota"
    assert kept.pod.counters["agents_reconnected"] == 0


async def test_agent_that_follows_another_and_is_lost_soon_is_the_last():
    kept = Kept()
    async with kept.running() as run:
        (await kept.until_listens(1)).on_failed(LOST)
        (await kept.until_listens(2)).on_failed(LOST)
        assert await run == LOST
    assert kept.pod.counters["agents_reconnected"] == 1


async def test_agent_that_lives_long_enough_is_followed_again():
    kept = Kept(agent_stable_s=0.0)
    async with kept.running():
        for number in (1, 2, 3):
            (await kept.until_listens(number)).on_failed(LOST)
        await kept.until_listens(4)


async def test_caller_is_comforted_once_while_an_agent_connects():
    kept = Kept("hangs", comfort_s=0.01, agent_open_s=LONG_S)
    async with kept.running():
        async with asyncio.timeout(5):
            while not kept.said:
                await asyncio.sleep(0.001)
        await asyncio.sleep(0.05)
        kept.made[0].released.set()
        await kept.until_listens(1)
    assert kept.said == [(COMFORT, PROMPT)]


async def test_next_agent_does_not_wait_for_one_that_will_not_close():
    kept = Kept("will not close", agent_close_s=LONG_S, agent_words_s=0.01)
    async with kept.running():
        first = await kept.until_listens(1)
        first.on_failed(LOST)
        await kept.until_listens(2)
        assert first.closed_for == [Cause.AGENT_FAILED]


async def test_end_waits_for_all_that_are_being_closed_at_once():
    kept = Kept("will not close", "will not close", agent_close_s=0.3, agent_words_s=0.0)
    loop = asyncio.get_running_loop()
    async with kept.running() as run:
        (await kept.until_listens(1)).on_failed(LOST)
        await kept.until_listens(2)
        run.cancel()
        began = loop.time()
        await kept.keeper.close(Cause.CALLER_HUNG_UP)
        assert loop.time() - began < 0.55
    assert [agent.closed_for for agent in kept.made] == [[Cause.AGENT_FAILED], [Cause.CALLER_HUNG_UP]]


async def test_mute_reaches_the_agent_of_now():
    kept = Kept()
    kept.keeper.mute()
    async with kept.running():
        first = await kept.until_listens(1)
        kept.keeper.mute()
        assert first.is_muted
