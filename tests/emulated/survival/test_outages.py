"""Storage, Key Vault, Web PubSub or ACS's REST API is away, or slow, while callers talk: what they hear of it.

Here all of them are away at once, and then all are slow, for some seconds. At scale (`soak`) each is by itself, for
thirty.
"""

import asyncio
import time

import pytest
import pytest_asyncio

from emulator.faults import Delay, FaultRule, Status
from emulator.faults.operations import CALL_AUTOMATION
from shared.core.call_state import CallState, Cause
from tests.emulated.survival.rows import Lived, Results, Rows, check, items_of, selected
from tests.support.survival import Scale, said_s, surviving

pytestmark = pytest.mark.timeout(300)

AWAY_ROWS, SLOW_ROWS, AT_THE_END = Rows(), Rows(), Rows()
ECHO, MENU = "+18005550180", "+18005550181"
GATEWAY_FILE = {
    "version": 1,
    "profiles": {
        "echo": {"kind": "echo", "recording": {"format": "wav"}},
        "menu": {"kind": "script", "on_digit": {"#": {"end": True}}},
    },
    "routes": [
        {"account": "demo", "to": ECHO, "profile": "echo"},
        {"account": "demo", "to": MENU, "profile": "menu"},
    ],
}
SETTINGS = {"TOKEN_KEY_SIGNING_AGE_S": "8", "TOKEN_KEY_REFRESH_S": "3"}
"""The vault is read more often than usual, so that it is missed."""
AT_SCALE = Scale(outage_s=30)
AWAY, SLOW = Status(status=503), Delay(ms=1000)
UNNOTICED_S = 0.8
"""A busy machine may make so much silence by itself."""
HANG_UP_STEP_S = 4.5
"""The longest pause between two tries to hang up, and the time that one takes."""


async def talk_through(gateway, operations, action):
    """Talk while something is away or slow: one hangs up meanwhile, the other one later; nothing of either is lost."""
    callers = leaving, staying = await gateway.talk(ECHO, 2)
    await gateway.together.wait()
    since = {caller: caller.now_s for caller in callers}
    rules = [gateway.emulator.faults.add(FaultRule(operation, action)) for operation in operations]
    await asyncio.sleep(gateway.scale.outage_s / 2)
    waits = [leaving.waited_s(since[leaving])]
    await gateway.hang_up([leaving])
    await asyncio.sleep(gateway.scale.outage_s / 2)
    for rule in rules:
        gateway.emulator.faults.remove(rule)
    await staying.until_hears(1.0)
    waits.append(staying.waited_s(since[staying]))
    await gateway.hang_up([staying])
    for caller in callers:
        record = await gateway.final(caller)
        assert (record.state, record.cause, record.epoch) == (CallState.ENDED, Cause.CALLER_HUNG_UP, 1)
        kept_s = said_s(await gateway.recording(record))
        assert kept_s >= caller.now_s - since[caller]
    return Lived(len(callers), max(waits))


@AWAY_ROWS.row("Storage is away", "the call goes on", at_most_s=UNNOTICED_S)
async def storage_is_away(gateway):
    return await talk_through(gateway, ["storage.*"], AWAY)


@AWAY_ROWS.row("Key Vault is away", "the call goes on", at_most_s=UNNOTICED_S)
async def vault_is_away(gateway):
    return await talk_through(gateway, ["key_vault.*"], AWAY)


@AWAY_ROWS.row("Web PubSub is away, and its connections are lost", "the call goes on", at_most_s=UNNOTICED_S)
async def signals_are_away(gateway):
    gateway.emulator.web_pubsub.cut("gateway")
    return await talk_through(gateway, ["web_pubsub.*"], AWAY)


@AWAY_ROWS.row("ACS's REST API is away", "the call goes on", at_most_s=UNNOTICED_S)
async def acs_is_away(gateway):
    return await talk_through(gateway, CALL_AUTOMATION, AWAY)


@AT_THE_END.row(
    "ACS's REST API is away when the agent hangs up", "silence until it is back, the end", at_most_s=40
)
async def acs_is_away_at_the_end(gateway):
    caller = await gateway.dial(MENU, talks=False)
    await gateway.pod_of(caller)
    rule = gateway.emulator.faults.add(FaultRule("hangup", AWAY, call=caller.call.correlation_id))
    pressed_at = time.monotonic()
    caller.press("#")
    await asyncio.sleep(gateway.scale.outage_s)
    gateway.emulator.faults.remove(rule)
    await caller.until_ended()
    waited_s = time.monotonic() - pressed_at
    assert waited_s < gateway.scale.outage_s + HANG_UP_STEP_S
    assert (await gateway.final(caller)).cause is Cause.AGENT_ENDED
    return Lived(1, waited_s)


@SLOW_ROWS.row("Storage takes a second to answer", "the call goes on", at_most_s=UNNOTICED_S)
async def storage_is_slow(gateway):
    return await talk_through(gateway, ["storage.*"], SLOW)


@SLOW_ROWS.row("Key Vault takes a second to answer", "the call goes on", at_most_s=UNNOTICED_S)
async def vault_is_slow(gateway):
    return await talk_through(gateway, ["key_vault.*"], SLOW)


@SLOW_ROWS.row("Web PubSub takes a second to answer", "the call goes on", at_most_s=UNNOTICED_S)
async def signals_are_slow(gateway):
    return await talk_through(gateway, ["web_pubsub.*"], SLOW)


@SLOW_ROWS.row("ACS's REST API takes a second to answer", "the call goes on", at_most_s=UNNOTICED_S)
async def acs_is_slow(gateway):
    return await talk_through(gateway, CALL_AUTOMATION, SLOW)


GROUPS = (AWAY_ROWS, SLOW_ROWS, AT_THE_END)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def results(request, azurite, tmp_path_factory):
    """Let all that is away be away at once, and then all that is slow be slow."""
    results = Results()
    folder = tmp_path_factory.mktemp("survival")
    async with surviving(azurite, folder, GATEWAY_FILE, **SETTINGS) as gateway:
        for rows in GROUPS:
            await results.live(gateway, selected(request, rows), at_once=True)
    return results


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def results_at_scale(request, azurite, tmp_path_factory):
    """Let one after the other be away, and slow."""
    results = Results()
    folder = tmp_path_factory.mktemp("survival")
    async with surviving(azurite, folder, GATEWAY_FILE, scale=AT_SCALE, **SETTINGS) as gateway:
        for rows in GROUPS:
            await results.live(gateway, selected(request, rows))
    return results


@pytest.mark.parametrize("rows", items_of(*GROUPS))
def test_what_the_caller_gets(rows, results, record_property):
    check(rows, results, record_property)


@pytest.mark.soak
@pytest.mark.timeout(600)
@pytest.mark.parametrize("rows", items_of(*GROUPS))
def test_what_the_caller_gets_within_thirty_seconds_of_trouble(rows, results_at_scale, record_property):
    check(rows, results_at_scale, record_property)
