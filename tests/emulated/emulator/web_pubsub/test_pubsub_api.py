"""Web PubSub as the emulator's own API shows it, its settings, and its end."""

import asyncio

import pytest

from emulator.service import Emulator
from emulator.settings import EmulatorSettings, SettingsError
from tests.emulated.emulator.web_pubsub.conftest import GROUP, HUB, PLAIN, RELIABLE, until
from tests.support.acs_emulator import fast_settings


@pytest.fixture
def ask(acs_emulator, http):
    async def ask(path, method="GET", **options):
        async with http.request(
            method, f"{acs_emulator.base_url}/emulator/web-pubsub/{path}", **options
        ) as response:
            assert response.status == 200, await response.text()
            return await response.json()

    return ask


@pytest.fixture
async def pod(server, open_raw):
    pod = await open_raw(await server.access(user_id="pod", groups=[GROUP]), RELIABLE)
    pod.id = (await pod.next())["connectionId"]
    return pod


async def test_connections_are_listed(ask, server, pod):
    await server("send_to_group", GROUP, "hello")
    await pod.next()

    listed = {
        "connectionId": pod.id,
        "hub": HUB,
        "userId": "pod",
        "subprotocol": RELIABLE,
        "groups": [GROUP],
        "connected": True,
        "unacknowledged": 1,
    }
    assert await ask(f"connections?hub={HUB}&group={GROUP}") == {"value": [listed], "overflowed": 0}
    assert (await ask("connections?group=other"))["value"] == []


async def test_groups_are_listed(ask, pod):
    assert await ask("groups") == {"value": [{"hub": HUB, "group": GROUP, "connections": [pod.id]}]}
    assert await ask("groups?hub=other") == {"value": []}


async def test_messages_are_listed(ask, server):
    await server("send_to_group", GROUP, {"a": 1})
    await server("send_to_all", b"\xff", content_type="application/octet-stream")

    answer = await ask(f"messages?hub={HUB}")

    assert answer["value"][0] == {
        "hub": HUB,
        "to": "group",
        "name": GROUP,
        "dataType": "json",
        "data": {"a": 1},
        "fromUserId": None,
        "receivers": 0,
    }
    assert (answer["value"][1]["to"], answer["value"][1]["data"]) == ("all", "/w==")
    assert (answer["forgotten"], answer["droppedDeliveries"]) == (0, 0)
    assert (await ask("messages?hub=other"))["value"] == []


async def test_sockets_are_cut(ask, pod, acs_emulator):
    assert await ask("cut", "POST", json={"hub": "other"}) == {"cut": 0}
    assert await ask("cut", "POST", json={"hub": HUB, "group": GROUP}) == {"cut": 1}

    assert await pod.closed_with() is None
    [connection] = acs_emulator.web_pubsub.connections()
    assert not acs_emulator.web_pubsub.is_connected(connection)
    assert await ask("cut", "POST", json={"connectionId": pod.id, "recoverable": False}) == {"cut": 0}
    assert acs_emulator.web_pubsub.connections() == []


async def test_all_sockets_are_cut_unless_some_are_named(ask, pod):
    assert await ask("cut", "POST") == {"cut": 1}


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"group": 1}', b'{"unknown": 1}', b"[" * 100_000])
async def test_wrong_cut_is_refused(acs_emulator, http, body):
    async with http.post(f"{acs_emulator.base_url}/emulator/web-pubsub/cut", data=body) as response:
        assert response.status == 400


@pytest.mark.parametrize(
    ("setting", "fault"),
    [
        ({"web_pubsub_access_key": "short"}, "less than 32 bytes"),
        ({"web_pubsub_access_key": "with a space, and with a ; in it too"}, "spaces or semicolons"),
        ({"web_pubsub_recovery_seconds": 0.0}, "greater than 0"),
    ],
)
def test_wrong_setting_is_refused(setting, fault):
    with pytest.raises(SettingsError, match=fault):
        EmulatorSettings(**setting)


def test_access_key_is_not_shown_with_the_settings():
    key = "a key of Web PubSub, with 32 bytes".replace(" ", "-")
    assert key not in repr(EmulatorSettings(web_pubsub_access_key=key))


async def test_access_key_of_the_settings_is_used(start_emulator, make_server, open_raw):
    emulator = await start_emulator(web_pubsub_access_key="k" * 32)

    client = await open_raw(await (await make_server(emulator)).access(), PLAIN)

    assert (await client.next())["event"] == "connected"


@pytest.mark.parametrize("subprotocol", [PLAIN, RELIABLE])
async def test_stop_says_goodbye_and_leaves_nothing(make_server, open_raw, subprotocol):
    before = asyncio.all_tasks()
    emulator = Emulator(fast_settings())
    await emulator.start()
    server = await make_server(emulator)
    lost = await open_raw(await server.access(user_id="lost"), subprotocol)
    await lost.next()
    emulator.web_pubsub.cut()
    client = await open_raw(await server.access(), subprotocol)
    await client.next()

    stopping = asyncio.create_task(emulator.stop())
    assert (await client.next())["event"] == "disconnected"
    assert await client.closed_with() == 1001
    await asyncio.wait_for(stopping, 2)

    assert asyncio.all_tasks() - before == set()
    timers = [each for each in asyncio.get_running_loop()._scheduled if not each.cancelled()]
    assert not [each for each in timers if "web_pubsub" in repr(each)]


async def test_pod_that_is_open_does_not_hold_up_the_stop(make_server, open_pod):
    emulator = Emulator(fast_settings())
    await emulator.start()
    pod = await open_pod(await make_server(emulator))

    await asyncio.wait_for(emulator.stop(), 1.5)

    await until(lambda: not pod.client.is_connected())
