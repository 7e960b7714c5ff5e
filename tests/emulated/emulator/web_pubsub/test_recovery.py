"""Reliable clients that lose their sockets: nothing is lost, nothing comes twice, and it has an end."""

import asyncio

import pytest
from azure.messaging.webpubsubclient.models import WebPubSubDataType

from emulator.faults import FaultRule, Status
from tests.emulated.emulator.web_pubsub.conftest import GROUP, HUB, PLAIN, RELIABLE, until


def recovery(emulator, connected, *, hub=HUB, **changes):
    """URL to come back with: as the client package makes it, but without its access token."""
    query = {
        "awps_connection_id": connected["connectionId"],
        "awps_reconnection_token": connected["reconnectionToken"],
    }
    wanted = "&".join(f"{name}={value}" for name, value in {**query, **changes}.items())
    return f"{emulator.base_url}/client/hubs/{hub}?{wanted}"


async def test_pod_gets_everything_once_however_often_its_socket_breaks(server, open_pod, acs_emulator):
    """Each time it takes the package up to 1 s to come back: it waits for its own task that confirms."""
    pod = await open_pod(server)
    pubsub = acs_emulator.web_pubsub
    [connection] = pubsub.connections()

    async def send():
        for number in range(200):
            await server("send_to_group", GROUP, number)
            await asyncio.sleep(0.01)

    async def cut():
        for _ in range(3):
            await until(lambda: pubsub.is_connected(connection))
            pubsub.cut(HUB, group=GROUP)

    await asyncio.gather(send(), cut())

    await pod.gets(*range(200))
    assert len(pod.ids) == 1
    assert pod.disconnected == []
    assert len(acs_emulator.requests("web_pubsub.recover")) == 3


async def test_pod_that_is_back_is_in_its_groups_and_may_send(server, open_pod, acs_emulator):
    pod = await open_pod(server, groups=[])
    await pod.client.join_group("joined")

    acs_emulator.web_pubsub.cut()
    await until(lambda: acs_emulator.requests("web_pubsub.recover"))
    await until(pod.client.is_connected)
    await pod.client.send_to_group("joined", "text", WebPubSubDataType.TEXT)

    await pod.gets("text")


async def test_unconfirmed_messages_come_again_and_confirmed_ones_do_not(server, open_raw, acs_emulator):
    first = await open_raw(await server.access(user_id="a", groups=[GROUP]), RELIABLE)
    connected = await first.next()
    for text in ("one", "two", "three"):
        await server("send_to_group", GROUP, text)
    assert [(await first.next())["sequenceId"] for _ in range(3)] == [1, 2, 3]
    await first.send(type="sequenceAck", sequenceId=2)
    await first.ask(type="ping")

    acs_emulator.web_pubsub.cut()
    await server("send_to_group", GROUP, "four")
    again = await open_raw(recovery(acs_emulator, connected), RELIABLE)

    assert await again.next() == connected
    assert [((await again.next())["data"]) for _ in range(2)] == ["three", "four"]
    assert await again.ask(type="ping") == {"type": "pong"}


async def test_new_socket_takes_the_place_of_one_that_still_seems_to_work(server, open_raw, acs_emulator):
    first = await open_raw(await server.access(groups=[GROUP]), RELIABLE)
    connected = await first.next()

    second = await open_raw(recovery(acs_emulator, connected), RELIABLE)

    assert await first.closed_with() is None
    await second.next()
    await server("send_to_group", GROUP, "hello")
    assert (await second.next())["data"] == "hello"


@pytest.mark.parametrize(
    ("hub", "changes"),
    [
        (HUB, {"awps_reconnection_token": "wrong"}),
        (HUB, {"awps_reconnection_token": ""}),
        (HUB, {"awps_connection_id": "unknown"}),
        ("other", {}),
    ],
)
async def test_nobody_else_comes_back_in_place_of_a_client(server, open_raw, acs_emulator, hub, changes):
    first = await open_raw(await server.access(), RELIABLE)
    connected = await first.next()

    other = await open_raw(recovery(acs_emulator, connected, hub=hub, **changes), RELIABLE)

    assert await other.closed_with() == 1008
    assert await first.ask(type="ping") == {"type": "pong"}


async def test_client_that_comes_too_late_is_told_not_to_try_again(start_emulator, make_server, open_raw):
    emulator = await start_emulator(web_pubsub_recovery_seconds=0.01)
    server = await make_server(emulator)
    first = await open_raw(await server.access(groups=[GROUP]), RELIABLE)
    connected = await first.next()

    emulator.web_pubsub.cut()
    await until(lambda: not emulator.web_pubsub.connections())
    late = await open_raw(recovery(emulator, connected), RELIABLE)

    assert await late.closed_with() == 1008
    assert not await server("group_exists", GROUP)


async def test_pod_that_cannot_come_back_connects_anew(server, open_pod, acs_emulator):
    pod = await open_pod(server, groups=[])
    await pod.client.join_group("joined")

    acs_emulator.web_pubsub.cut(recoverable=False)
    await until(lambda: len(pod.ids) == 2)
    await until(acs_emulator.web_pubsub.groups)
    await server("send_to_group", "joined", "hello")

    await pod.gets("hello")
    assert pod.ids[0] != pod.ids[1]
    assert len(pod.disconnected) == 1


async def test_closed_pod_connects_anew_and_knows_why(server, open_pod, acs_emulator):
    pod = await open_pod(server)

    await server("close_connection", pod.ids[0], reason="too many")

    await until(lambda: len(pod.ids) == 2)
    assert pod.disconnected == ["too many"]
    assert acs_emulator.requests("web_pubsub.recover") == []


async def test_plain_client_is_forgotten_with_its_socket(server, open_raw, acs_emulator):
    client = await open_raw(await server.access(groups=[GROUP]), PLAIN)
    await client.next()

    assert acs_emulator.web_pubsub.cut(HUB) == 1

    assert await client.closed_with() is None
    assert not await server("group_exists", GROUP)


async def test_refused_recovery_is_tried_again(server, open_pod, acs_emulator):
    pod = await open_pod(server)
    acs_emulator.faults.add(FaultRule("web_pubsub.recover", Status(503), times=1))

    acs_emulator.web_pubsub.cut()
    await server("send_to_group", GROUP, "meanwhile")

    await pod.gets("meanwhile")  # the package waits for 1 s
    assert len(pod.ids) == 1
