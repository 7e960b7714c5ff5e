"""What ACS is asked for where no pod holds a call, and what follows where it does not take that."""

import asyncio
from dataclasses import replace

import pytest

from shared.calls import unheld
from shared.calls.unheld import UnheldCalls
from shared.core.call_state import CallEvent, CallState, Cause
from shared.core.profiles import AgentProfile, AudioFormat, EchoAgent, Fallback, Prompts
from shared.core.unheld import HangUp, StartMedia, TryResort, context_of
from shared.errors import AcsRefused, AcsUnavailable
from tests.support.media import MemoryAcs
from tests.support.records import CONNECTION_ID, call_record

AT = 1000.0
SENT_ON = AgentProfile(
    name="echo", agent=EchoAgent(), audio_format=AudioFormat.PCM24K, fallback=Fallback("4:+14255550177")
)


class MemoryCalls:
    """One call's row."""

    def __init__(self, record):
        self.record = record

    async def change(self, call_id, mutate, *, known=None):
        await asyncio.sleep(0)
        self.record = mutate(self.record)
        return self.record


class World:
    def __init__(self, state=CallState.CONNECTED, **changes):
        record = call_record(state, call_connection_id=CONNECTION_ID, media_asked="again", **changes)
        self.calls, self.acs = MemoryCalls(record), MemoryAcs()
        self.unheld = UnheldCalls(self.calls, self.acs, prompts_url="https://functions/prompts")

    async def do(self, todo):
        await self.unheld.do(self.calls.record, todo, AT)

    @property
    def record(self):
        return self.calls.record


@pytest.fixture(autouse=True)
def without_waiting(monkeypatch):
    monkeypatch.setattr(unheld, "MEDIA_COME_S", 0.0)
    monkeypatch.setattr(unheld, "ASK_S", 0.1)


async def test_media_are_started_under_the_context_that_the_row_has():
    world = World()
    await world.do(StartMedia("again"))
    assert world.acs.media_contexts == ["again"]
    assert (world.record.state, world.acs.played) == (CallState.CONNECTED, [])


@pytest.mark.parametrize("why", ["refused", "away"])
async def test_media_that_acs_will_not_start_are_followed_by_the_apology(why):
    world = World()
    if why == "refused":
        world.acs.refuses.add("start_media")
    else:
        world.acs.start_media = is_away
    await world.do(StartMedia("again"))
    assert (world.record.state, world.record.cause) == (CallState.FALLBACK, Cause.MEDIA_LOST)
    [(connection_id, url, context)] = world.acs.played
    assert (connection_id, url) == (CONNECTION_ID, "https://functions/prompts/apology.wav")
    assert context == context_of(world.record, 0)


async def is_away(*_args, **_options):
    raise AcsUnavailable("ACS did not answer")


async def test_media_that_come_though_acs_refused_them_are_left_to_their_pod():
    world = World()
    world.acs.refuses.add("start_media")
    come = replace(world.record, owner="pod-a", epoch=1, state=CallState.STREAMING)

    async def change(call_id, mutate, *, known=None):
        world.calls.record = mutate(come)
        return world.calls.record

    world.calls.change = change
    await world.do(StartMedia("again"))
    assert (world.record, world.acs.played) == (come, [])


async def test_a_request_for_media_that_is_not_answered_takes_no_longer_than_it_may():
    world = World()

    async def hangs(*_args, **_options):
        await asyncio.Event().wait()

    world.acs.start_media = hangs
    await world.do(StartMedia("again"))
    assert world.acs.played


async def test_the_profile_s_own_apology_is_fetched_where_acs_can_play_it():
    own = Prompts(apology="sounds/abc.wav")
    profile = AgentProfile(name="echo", agent=EchoAgent(), audio_format=AudioFormat.PCM16K, prompts=own)
    world = World(CallState.FALLBACK, profile=profile)
    await world.do(TryResort(0))
    assert [url for _, url, _ in world.acs.played] == ["https://functions/prompts/abc.wav"]


async def test_a_caller_who_can_be_sent_on_is():
    world = World(CallState.FALLBACK, profile=SENT_ON, variables={"topic": "cards"})
    await world.do(TryResort(0))
    [(_, asked)] = world.acs.transfers
    assert (asked["target"], asked["operation_context"]) == ("4:+14255550177", context_of(world.record, 0))
    assert world.acs.played == []


async def test_a_transfer_that_acs_refuses_is_followed_by_the_apology_at_once():
    world = World(CallState.FALLBACK, profile=SENT_ON)
    world.acs.refuses.add("transfer")
    await world.do(TryResort(0))
    assert [context for _, _, context in world.acs.played] == [context_of(world.record, 1)]


async def test_where_nothing_can_be_had_the_call_is_hung_up():
    world = World(CallState.FALLBACK, profile=SENT_ON)
    world.acs.refuses |= {"transfer", "play_file"}
    await world.do(TryResort(0))
    assert (world.record.state, world.acs.hung_up) == (CallState.ENDING, [CONNECTION_ID])
    assert world.record.history[-1].event is CallEvent.FALLBACK_DONE


async def test_a_call_that_a_pod_has_taken_meanwhile_is_not_hung_up():
    world = World(CallState.FALLBACK)

    async def is_taken(*_args, **_options):
        world.calls.record = replace(world.record, owner="pod-a", epoch=1)
        raise AcsRefused("ACS answered 400/8585")

    world.acs.play_file = is_taken
    await world.do(TryResort(0))
    assert (world.record.state, world.acs.hung_up) == (CallState.FALLBACK, [])


@pytest.mark.parametrize("todo", [StartMedia("again"), TryResort(0), HangUp()])
async def test_of_a_call_that_acs_does_not_know_any_more_its_own_callback_tells(todo):
    world = World(CallState.FALLBACK)
    world.acs.gone.add(CONNECTION_ID)
    before = world.record
    await world.do(todo)
    assert world.record is before


async def test_a_hang_up_that_acs_does_not_take_is_told_so_that_the_callback_comes_again():
    world = World(CallState.ENDING)
    world.acs.is_away = True
    with pytest.raises(AcsUnavailable):
        await world.do(HangUp())
