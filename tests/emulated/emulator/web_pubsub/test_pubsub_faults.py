"""Web PubSub that misbehaves on purpose: requests of servers, connection requests of clients, messages to clients."""

import asyncio

import aiohttp
import pytest
from azure.core.exceptions import HttpResponseError, ServiceRequestError, ServiceResponseError

from emulator.faults import (
    Cut,
    Delay,
    Drop,
    Duplicate,
    FaultRule,
    Faults,
    Hang,
    LoseAcknowledgement,
    Malform,
    Malformation,
    Pause,
    Reorder,
    Reset,
    RuleRefused,
    Status,
    When,
)
from emulator.web_pubsub import pubsub
from tests.emulated.emulator.web_pubsub.conftest import GROUP, HUB, PLAIN, RELIABLE, until

DELIVER = "web_pubsub.deliver"


@pytest.fixture
async def pod(server, open_raw):
    pod = await open_raw(await server.access(user_id="pod", groups=[GROUP]), RELIABLE)
    await pod.next()
    return pod


async def numbered(pod, count):
    """The next messages, each with its number."""
    messages = [await pod.next() for _ in range(count)]
    return [(message["sequenceId"], message["data"]) for message in messages]


async def test_request_fails_and_is_not_performed(server, pod, acs_emulator):
    acs_emulator.faults.fail_next("web_pubsub.sendToGroup", Status(429, retry_after_seconds=2))

    with pytest.raises(HttpResponseError) as failed:
        await server("send_to_group", GROUP, "lost")
    await server("send_to_group", GROUP, "sent")

    assert failed.value.status_code == 429
    assert failed.value.response.headers["Retry-After"] == "2"
    assert await numbered(pod, 1) == [(1, "sent")]


async def test_reply_is_lost_after_the_message_was_sent(server, pod, acs_emulator):
    acs_emulator.faults.add(FaultRule(f"web_pubsub.sendToGroup:{GROUP}", Reset(when=When.AFTER), times=1))

    with pytest.raises((ServiceRequestError, ServiceResponseError)):
        await server("send_to_group", GROUP, "sent all the same")

    assert await numbered(pod, 1) == [(1, "sent all the same")]


async def test_requests_for_one_group_only_fail(server, acs_emulator):
    acs_emulator.faults.add(FaultRule("web_pubsub.sendToGroup:pod-2", Status(503)))

    await server("send_to_group", GROUP, "hello")
    with pytest.raises(HttpResponseError):
        await server("send_to_group", "pod-2", "hello")


async def test_token_is_not_made(start_emulator, http):
    emulator = await start_emulator(entra_token="entra")
    emulator.faults.fail_next("web_pubsub.generateToken", Status(500))
    url = f"{emulator.base_url}/api/hubs/{HUB}/:generateToken?api-version=2024-12-01"

    async with http.post(url, headers={"Authorization": "Bearer entra"}) as response:
        assert response.status == 500


@pytest.mark.parametrize("action", [Status(503), Reset(), Cut()])
async def test_client_is_refused(server, open_raw, acs_emulator, action):
    injected = acs_emulator.faults.add(FaultRule("web_pubsub.connect", action))
    url = await server.access()

    with pytest.raises(aiohttp.ClientError):
        await open_raw(url, PLAIN)

    assert acs_emulator.web_pubsub.connections() == []
    acs_emulator.faults.remove(injected)
    assert (await (await open_raw(url, PLAIN)).next())["event"] == "connected"


@pytest.mark.parametrize("action", [Delay(ms=30), Delay(ms=30, when=When.AFTER), Hang()])
async def test_client_is_let_in_late(server, open_raw, acs_emulator, action):
    injected = acs_emulator.faults.add(FaultRule("web_pubsub.connect", action))

    opening = asyncio.create_task(open_raw(await server.access(), PLAIN))
    await until(lambda: injected.applied)
    assert not opening.done()
    acs_emulator.faults.remove(injected)

    assert (await (await opening).next())["event"] == "connected"


async def test_message_never_comes(server, pod, acs_emulator):
    acs_emulator.faults.add(FaultRule(f"{DELIVER}:{GROUP}", Drop(), times=1))

    await server("send_to_group", GROUP, "lost")
    await server("send_to_group", GROUP, "sent")

    assert await numbered(pod, 1) == [(1, "sent")]


@pytest.mark.parametrize("after_ms", [0, 5])
async def test_message_comes_again_as_another(server, pod, acs_emulator, after_ms):
    acs_emulator.faults.add(FaultRule(DELIVER, Duplicate(copies=3, after_ms=after_ms), times=1))

    await server("send_to_group", GROUP, "hello")

    assert await numbered(pod, 3) == [(1, "hello"), (2, "hello"), (3, "hello")]


async def test_late_message_is_overtaken(server, pod, acs_emulator):
    acs_emulator.faults.add(FaultRule(DELIVER, Delay(ms=50), times=1))

    await server("send_to_group", GROUP, "late")
    await server("send_to_group", GROUP, "prompt")

    assert await numbered(pod, 2) == [(1, "prompt"), (2, "late")]


async def test_messages_overtake_one_another(server, pod, acs_emulator):
    acs_emulator.faults.add(FaultRule(DELIVER, Reorder(within_ms=100)))

    for number in range(10):
        await server("send_to_group", GROUP, number)

    data = [each for _, each in await numbered(pod, 10)]
    assert sorted(data) == list(range(10)) != data


async def test_held_message_comes_once_it_is_released(server, pod, acs_emulator):
    acs_emulator.faults.add(FaultRule(DELIVER, Pause(), times=1))

    await server("send_to_group", GROUP, "held")
    held = await acs_emulator.faults.held(f"{DELIVER}:{GROUP}")
    assert held.occasion.about == f"a message to {HUB} group {GROUP}"
    await server("send_to_group", GROUP, "prompt")
    held.release()

    assert await numbered(pod, 2) == [(1, "prompt"), (2, "held")]


async def test_late_message_to_a_client_that_is_gone_goes_nowhere(server, pod, acs_emulator):
    acs_emulator.faults.add(FaultRule(DELIVER, Pause(), times=1))
    await server("send_to_group", GROUP, "held")
    held = await acs_emulator.faults.held()

    await pod.socket.close()
    held.release()

    await until(lambda: not acs_emulator.faults.all_held())
    assert acs_emulator.web_pubsub.connections() == []


async def test_draws_depend_on_who_gets_what_and_not_on_the_run(start_emulator, make_server, open_raw):
    async def run():
        emulator = await start_emulator(seed=3, faults=(FaultRule(DELIVER, Drop(), probability=0.5),))
        server = await make_server(emulator)
        pod = await open_raw(await server.access(user_id="pod", groups=[GROUP]), RELIABLE)
        await pod.next()
        for number in range(20):
            await server("send_to_group", GROUP, number)
        emulator.faults.clear()
        await server("send_to_group", GROUP, "last")
        return [message["data"] async for message in until_the_last(pod)]

    async def until_the_last(pod):
        while (message := await pod.next())["data"] != "last":
            yield message

    first, second = await run(), await run()

    assert first == second
    assert 0 < len(first) < 20


async def test_only_so_many_deliveries_are_kept_waiting(server, pod, acs_emulator, monkeypatch):
    monkeypatch.setattr(pubsub, "MAX_STRUCK_DELIVERIES", 1)
    acs_emulator.faults.add(FaultRule(DELIVER, Pause()))

    await server("send_to_group", GROUP, "held")
    await server("send_to_group", GROUP, "lost")
    (await acs_emulator.faults.held()).release()

    assert await numbered(pod, 1) == [(1, "held")]
    assert acs_emulator.web_pubsub.dropped_deliveries == 1


@pytest.mark.parametrize(
    "action",
    [Status(500), Malform(Malformation.TRUNCATED), LoseAcknowledgement(), Delay(ms=1, when=When.AFTER)],
)
def test_what_is_not_possible_at_a_message_is_refused(action):
    with pytest.raises(RuleRefused):
        Faults().add(FaultRule(DELIVER, action))
    with pytest.raises(RuleRefused):
        Faults().add(FaultRule(DELIVER, Drop(), call="+14255550100"))
