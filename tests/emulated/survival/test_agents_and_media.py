"""The agent or the media of one call are in trouble, and all pods are well: what the caller hears.

The rows happen at once, to callers who know nothing of one another.
"""

import contextlib

import pytest
import pytest_asyncio

from emulator.media.impairment import Drop, Impairment
from emulator.outside import OutsideParty
from media_gateway.timing import Timing
from shared.core.call_state import CallState, Cause
from tests.emulated.survival.rows import Lived, Results, Rows, check, items_of, selected
from tests.support.realtime import running_realtime_service
from tests.support.survival import REPOSITORY, surviving
from tests.support.voice import tone

pytestmark = pytest.mark.timeout(300)

ROWS = Rows()
ECHO, DEAF, BRITTLE, DYING, QUOTA, LIMITED, SILENT, BRIEF = (f"+1800555018{number}" for number in range(8))
DESK = "+14255550177"
BEFORE_S = 1.0
"""A caller hears so much before something happens."""
STABLE_S = Timing().media_stable_s + 0.5
DIES_FOR_GOOD = "dying"


def gateway_file(agents):
    def realtime(name, **profile):
        endpoint = agents[name].url("openai")
        return {
            "kind": "realtime",
            "dialect": "openai",
            "endpoint": endpoint,
            "model": "gpt-realtime",
            **profile,
        }

    profiles = {
        ECHO: {"kind": "echo", "recording": {"format": "wav"}},
        DEAF: realtime("deaf"),
        BRITTLE: realtime("brittle"),
        DYING: realtime(DIES_FOR_GOOD, fallback={"transfer": DESK}),
        QUOTA: realtime("quota"),
        LIMITED: {"kind": "echo", "connections_per_minute": 1},
        SILENT: {"kind": "script", "silence": {"after_s": 5, "reprompts": 1}},
        BRIEF: {"kind": "echo", "max_duration_s": 10},
    }
    return {
        "version": 1,
        "profiles": {f"profile-{number[1:]}": profile for number, profile in profiles.items()},
        "routes": [
            {"account": "demo", "to": number, "profile": f"profile-{number[1:]}"} for number in profiles
        ],
    }


@ROWS.row("The agent does not connect", "“One moment” after 3 s, an apology after 10 s, the end", at_most_s=7)
async def agent_does_not_connect(gateway):
    caller = await gateway.dial(DEAF)
    await caller.until_ended()
    connected_s = caller.times("media_connected")[0]
    assert caller.first_heard_s - connected_s < 5
    record = await gateway.final(caller)
    assert (record.state, record.cause) == (CallState.ENDED, Cause.AGENT_FAILED)
    return Lived(1, caller.waited_s())


@ROWS.row("The agent is lost in the middle of a word", "another one, which goes on", at_most_s=2.5)
async def agent_dies(gateway):
    caller, session = await conversation(gateway, "brittle", BRITTLE)
    session.drop()
    session = await gateway.agents["brittle"].session(1)
    await session.expect("session.update")
    session.say(tone(2000, 24_000), "As I was saying", finished=False)
    await caller.until_hears(1.0)
    waited_s = caller.waited_s(since_s=caller.first_heard_s)
    await gateway.hang_up([caller])
    assert (await gateway.final(caller)).cause is Cause.CALLER_HUNG_UP
    return Lived(1, waited_s)


@ROWS.row("The agent is lost, and its service with it", "“One moment”, and somebody else", at_most_s=4)
async def agent_dies_for_good(gateway):
    caller, _ = await conversation(gateway, DIES_FOR_GOOD, DYING)
    await gateway.agents[DIES_FOR_GOOD].stop()
    await caller.until(lambda: caller.times("transfer_accepted"))
    await caller.until_hears(1.0)
    waited_s = caller.waited_s(since_s=caller.first_heard_s)
    await gateway.hang_up([caller])
    assert (await gateway.final(caller)).cause is Cause.AGENT_FAILED
    return Lived(1, waited_s)


@ROWS.row("The agent's service has no connection left", "an apology, the end", at_most_s=2)
async def quota_is_used_up(gateway):
    first, _ = await conversation(gateway, "quota", QUOTA)
    caller = await gateway.dial(QUOTA)
    await caller.until_ended()
    assert (await gateway.final(caller)).cause is Cause.AGENT_FAILED
    await gateway.hang_up([first])
    return Lived(1, caller.waited_s())


@ROWS.row("The profile's own quota is used up", "the busy signal", at_most_s=2)
async def profile_is_full(gateway):
    first = await gateway.dial(LIMITED)
    await first.until_hears()
    caller = await gateway.dial(LIMITED)
    await caller.until_ended()
    assert caller.call.end == "rejected"
    await gateway.hang_up([first])
    return Lived(1, caller.waited_s(since_s=0))


@ROWS.row("The media socket is cut, and comes to the same pod again", "the call goes on", at_most_s=3)
async def socket_comes_back(gateway):
    return await cut_until(gateway, lambda before, after: before == after)


@ROWS.row("The media socket is cut, and comes to another pod", "the call goes on", at_most_s=3)
async def socket_comes_to_another_pod(gateway):
    return await cut_until(gateway, lambda before, after: before != after)


@ROWS.row(
    "ACS gives media up (`MediaStreamingFailed`)", "media are started again, and it goes on", at_most_s=6
)
async def media_fail(gateway):
    caller = await gateway.dial(ECHO)
    await caller.until_hears(BEFORE_S)
    caller.call.network.impair(Impairment(drop=Drop(after_ms=0, times=4)))
    await caller.until(lambda: len(caller.times("media_lost")) == 4)
    await caller.until_hears(BEFORE_S)
    told = [each.detail["event"] for each in caller.call.happenings if each.name == "callback"]
    assert "MediaStreamingFailed" in told
    # What is heard of a socket that is cut at once does not count.
    waited_s = caller.silent_until_s(caller.times("media_connected")[-1]) - caller.times("media_lost")[0]
    await gateway.hang_up([caller])
    assert (await gateway.final(caller)).cause is Cause.CALLER_HUNG_UP
    return Lived(1, waited_s)


@ROWS.row("Media fail again and again", "an apology that ACS plays, the end", at_most_s=12)
async def media_fail_for_good(gateway):
    caller = await gateway.dial(ECHO)
    await caller.until_hears(BEFORE_S)
    caller.call.network.impair(Impairment(drop=Drop(after_ms=0, times=1000)))
    await caller.until_ended()
    assert caller.times("play_completed")
    record = await gateway.final(caller)
    assert record.cause is Cause.MEDIA_LOST
    waited_s = caller.silent_until_s(caller.times("play_started")[-1]) - caller.times("media_lost")[0]
    return Lived(1, max(waited_s, caller.waited_s()))


@ROWS.row("The caller says nothing", "“Are you still there?” after 5 s, goodbye after 5 more", at_most_s=9)
async def caller_is_silent(gateway):
    caller = await gateway.dial(SILENT, talks=False)
    await caller.until_ended()
    assert (await gateway.final(caller)).cause is Cause.CALLER_SILENT
    return Lived(1, caller.waited_s())


@ROWS.row("The call has lasted as long as it may", "goodbye, heard to its end", at_most_s=4)
async def call_lasts_too_long(gateway):
    caller = await gateway.dial(BRIEF)
    await caller.until_ended()
    assert (await gateway.final(caller)).cause is Cause.MAX_DURATION
    return Lived(1, caller.waited_s(since_s=caller.first_heard_s))


async def conversation(gateway, agent, number):
    """A caller who hears the first word of an agent; and the agent's session."""
    caller = await gateway.dial(number)
    session = await gateway.agents[agent].session(0)
    await session.expect("session.update")
    session.say(tone(BEFORE_S * 1000, 24_000), "Good morn", finished=False)
    await caller.until_hears(BEFORE_S - 0.2)
    return caller, session


async def cut_until(gateway, is_wanted):
    """Cut the socket of a call until it comes back as wanted; the wait is that of the last time."""
    caller = await gateway.dial(ECHO)
    await caller.until_hears(BEFORE_S)
    before = await gateway.pod_of(caller)
    for cut in range(1, 7):
        since_s = caller.now_s
        caller.call.network.impair(Impairment(drop=Drop(after_ms=0)))
        await caller.until(lambda cut=cut: len(caller.times("media_connected")) == cut + 1)
        await caller.until_hears(BEFORE_S)
        after = await gateway.pod_of(caller)
        if is_wanted(before, after):
            break
        before = after
        # Else the next cut would go on with this interruption, and the call be given up.
        await caller.until_hears(STABLE_S)
    waited_s = caller.waited_s(since_s=since_s)
    assert is_wanted(before, after)
    await gateway.hang_up([caller])
    record = await gateway.final(caller)
    assert record.cause is Cause.CALLER_HUNG_UP
    return Lived(1, waited_s)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def results(request, azurite, tmp_path_factory):
    """Let all rows of this module happen."""
    results = Results()
    async with contextlib.AsyncExitStack() as stack:
        agents = {
            name: await stack.enter_async_context(running_realtime_service(**settings))
            for name, settings in {
                "deaf": {"troubles": ["deaf"]},
                "brittle": {"created_delay_s": 0.5},
                DIES_FOR_GOOD: {},
                "quota": {"connections_per_minute": 1},
            }.items()
        }
        desk = OutsideParty(after_ms=500, wav=str(REPOSITORY / "prompts" / "opening-hours.wav"))
        survivors = await stack.enter_async_context(
            surviving(
                azurite,
                tmp_path_factory.mktemp("survival"),
                gateway_file(agents),
                agents=agents,
                emulated={"outside_parties": {DESK: desk}},
            )
        )
        await results.live(survivors, selected(request, ROWS), at_once=True)
    return results


@pytest.mark.parametrize("rows", items_of(ROWS))
def test_what_the_caller_gets(rows, results, record_property):
    check(rows, results, record_property)
