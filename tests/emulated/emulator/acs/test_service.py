"""Starting and stopping the whole emulator, its settings, and its own API."""

import asyncio
import json
import socket
from pathlib import Path

import pytest
from azure.communication.callautomation.aio import CallAutomationClient
from azure.core.credentials import AzureKeyCredential

from emulator.call import MAX_HAPPENINGS, CallEnd
from emulator.calls import MAX_KEPT_CALLS, Calls
from emulator.event_grid.subscriptions import EventSubscription, SubscriptionRefused
from emulator.media.line import Line
from emulator.service import Emulator
from emulator.settings import EmulatorSettings, SettingsError, read_settings
from tests.emulated.emulator.acs.test_media_streaming import streaming
from tests.support.acs_emulator import fast_settings


def port_of(url: str) -> int:
    return int(url.rpartition(":")[2])


def listens(url: str) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port_of(url))) == 0


async def test_nothing_is_left_after_stop(application, http):
    """Even with a ringing call, a live one with media, a callback in its pause, and a retry that is due later."""
    before = asyncio.all_tasks()
    emulator = Emulator(fast_settings(time_scale=100.0))
    await emulator.start()
    url, vault_url, ca_file = emulator.base_url, emulator.key_vault_url, emulator.key_vault_ca_file
    async with http.put(
        url + "/eventgrid/subscriptions/gateway", json={"endpoint": application.events_url}
    ) as response:
        assert response.status == 201
    application.delivery_statuses.append(500)
    application.callback_statuses.append(500)
    ringing = await emulator.calls.place(to="+18005550199", from_="+14255550100", line=Line(rate_hz=16_000))
    live = await emulator.calls.place(to="+18005550199", from_="+14255550100", line=Line(rate_hz=16_000))
    async with CallAutomationClient(url, AzureKeyCredential(emulator.settings.access_key)) as client:
        await client.answer_call(
            live.incoming_call_context,
            application.callback_url,
            media_streaming=streaming(application.media_url),
        )
    [media] = await application.media_sockets()
    await application.until(lambda: len(application.callbacks) >= 3)

    await emulator.stop()

    assert asyncio.all_tasks() - before == set()
    assert {ringing.end, live.end} == {CallEnd.FAILED}
    assert not listens(url)
    assert not listens(vault_url)
    assert not ca_file.exists()
    await application.until(lambda: media.closed_with is not None)
    loop = asyncio.get_running_loop()
    timers = [each for each in loop._scheduled if not each.cancelled()]
    assert not [each for each in timers if "emulator" in repr(each)]


async def test_stop_closes_the_phone(http):
    emulator = Emulator(fast_settings())
    await emulator.start()
    async with http.ws_connect(
        emulator.base_url + "/phone", params={"to": "+18005550199", "from": "+14255550100"}
    ) as phone:
        assert (await phone.receive_json())["state"] == "ringing"

        stopping = asyncio.create_task(emulator.stop())
        states = [message.json()["state"] async for message in phone if message.type.name == "TEXT"]
        await asyncio.wait_for(stopping, 5)
    assert states[-1] == "ended"


async def test_failed_start_leaves_nothing(application):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        emulator = Emulator(fast_settings(port=taken.getsockname()[1]))
        with pytest.raises(OSError):
            await emulator.start()

    with pytest.raises(RuntimeError, match="not running"):
        _ = emulator.base_url


async def test_subscriptions_of_the_settings_are_created_at_start(start_emulator, application):
    subscription = EventSubscription(name="gateway", endpoint=application.events_url)

    emulator = await start_emulator(subscriptions=(subscription,))

    assert len(application.handshakes) == 1
    assert [each.definition for each in emulator.event_grid.subscriptions()] == [subscription]


async def test_start_fails_when_a_subscription_of_the_settings_is_refused():
    subscription = EventSubscription(name="gateway", endpoint="http://127.0.0.1:1/events")

    with pytest.raises(SubscriptionRefused, match="could not be reached"):
        await Emulator(fast_settings(subscriptions=(subscription,))).start()


async def test_ca_file_is_written_where_it_is_wanted(start_emulator, tmp_path):
    emulator = await start_emulator(key_vault_ca_file=tmp_path / "ca.pem")

    assert emulator.key_vault_ca_file == tmp_path / "ca.pem"
    assert "BEGIN CERTIFICATE" in (tmp_path / "ca.pem").read_text()


async def test_listening_on_every_address_still_tells_a_usable_one(start_emulator, http):
    emulator = await start_emulator(host="0.0.0.0")

    assert emulator.base_url.startswith("http://127.0.0.1:")
    async with http.get(emulator.base_url + "/emulator/health") as response:
        assert await response.json() == {"status": "ok", "liveCalls": 0}


def test_wrong_settings_are_all_listed():
    with pytest.raises(SettingsError) as wrong:
        EmulatorSettings(
            resource_id="resource",
            access_key="not base64!",
            phone_numbers=("18005550199",),
            identities=("8:acs:other_1",),
            time_scale=0.0,
            ring_seconds=-1.0,
            subscriptions=(EventSubscription(name="gateway", endpoint="http://gw.example.com/"),),
        )

    for name in (
        "resource_id",
        "access_key",
        "phone_numbers",
        "identities",
        "time_scale",
        "ring_seconds",
        "subscription gateway",
    ):
        assert name in str(wrong.value)


@pytest.mark.parametrize("name", ["port", "key_vault_port"])
def test_port_must_be_one(name):
    with pytest.raises(SettingsError, match=f"{name} must not be above 65535"):
        EmulatorSettings(**{name: 65_536})


def test_settings_are_read_from_a_file(tmp_path):
    file = tmp_path / "settings.json"
    subscription = {"name": "gateway", "endpoint": "https://gw.example.com/events", "maxDeliveryAttempts": 2}
    content = {
        "port": 8061,
        "ring_seconds": 5,
        "entra_token": None,
        "key_vault_ca_file": "out/ca.pem",
        "phone_numbers": ["+18005550188"],
        "subscriptions": [subscription],
    }
    file.write_text(json.dumps(content))

    settings = read_settings(file)

    assert settings == EmulatorSettings(
        port=8061,
        ring_seconds=5.0,
        key_vault_ca_file=Path("out/ca.pem"),
        phone_numbers=("+18005550188",),
        subscriptions=(
            EventSubscription(
                name="gateway", endpoint="https://gw.example.com/events", max_delivery_attempts=2
            ),
        ),
    )


def test_faults_of_a_settings_file_are_all_listed(tmp_path):
    file = tmp_path / "settings.json"
    content = {
        "port": "8061",
        "key_vault_port": 65_536,
        "key_vault_ca_file": 1,
        "phone_numbers": ["18005550188"],
        "nonsense": 1,
        "subscriptions": [{"endpoint": "x"}, {"name": 1}, {"name": "gateway", "endpoint": "https://a.b"}],
    }
    file.write_text(json.dumps(content))

    with pytest.raises(SettingsError) as wrong:
        read_settings(file)

    for fault in (
        "nonsense is not a setting",
        "port: Expected `int`",
        "key_vault_ca_file: Expected a path",
        "subscriptions: number 1",
        "subscriptions: number 2",
        "phone_numbers: number 1",
        "key_vault_port must not be above 65535",
    ):
        assert sum(fault in each for each in wrong.value.faults) == 1, fault
    assert len(wrong.value.faults) == 7


@pytest.mark.parametrize("content", [b"{", b"[]", b"\xff"])
def test_settings_file_must_be_a_json_object(tmp_path, content):
    file = tmp_path / "settings.json"
    file.write_bytes(content)

    with pytest.raises(SettingsError, match=r"settings\.json"):
        read_settings(file)


def test_secrets_are_not_shown_with_the_settings():
    settings = EmulatorSettings(access_key="c2VjcmV0", entra_token="entra")

    assert "c2VjcmV0" not in repr(settings)
    assert "'entra'" not in repr(settings)


async def test_calls_can_be_looked_at_and_ended(acs_emulator, place_call, application, aio_client, http):
    call = await place_call()
    await aio_client.answer(call, application, media_streaming=streaming(application.media_url))
    await application.media_sockets()
    await application.event("MediaStreamingStarted")
    url = f"{acs_emulator.base_url}/emulator/calls"

    async with http.get(url) as response:
        [summary] = (await response.json())["value"]
    async with http.get(f"{url}/{call.correlation_id}") as response:
        details = await response.json()
    async with http.post(f"{url}/{call.correlation_id}/hangup") as response:
        assert response.status == 204

    assert summary["state"] == "connected"
    assert details["callConnectionId"] == call.call_connection_id
    names = [happening["name"] for happening in details["happenings"]]
    assert names[:2] == ["ringing", "delivery_failed"]
    assert {"answered", "connected", "media_connected"} <= set(names)
    assert details["mediaStreams"][0]["bad_messages"] == {}
    assert call.end is CallEnd.CALLER_HUNG_UP


@pytest.mark.parametrize(("method", "path"), [("GET", "/none"), ("POST", "/none/hangup")])
async def test_unknown_call_is_not_found(acs_emulator, http, method, path):
    async with http.request(method, f"{acs_emulator.base_url}/emulator/calls{path}") as response:
        assert response.status == 404


async def test_only_so_many_ended_calls_are_kept():
    calls = Calls(addresses={"4:+18005550199"}, ring_seconds=30.0, announce=lambda _: None)
    line = Line(rate_hz=16_000)
    live = await calls.place(to="+18005550199", from_="anonymous", line=line)

    for _ in range(MAX_KEPT_CALLS + 5):
        call = await calls.place(to="+18005550199", from_="anonymous", line=line)
        await calls.caller_hangs_up(call)

    assert len(list(calls)) == MAX_KEPT_CALLS + 1
    assert calls.find(live.correlation_id) is live
    await calls.close()


async def test_ended_call_keeps_nothing_of_what_served_it(aio_client, place_call, application, happened):
    call = await place_call()
    answered = await aio_client.answer(call, application, media_streaming=streaming(application.media_url))
    await application.media_sockets()
    heard = []
    call.watch(lambda happening: heard.append(happening.name))

    await aio_client.on_call(answered.call_connection_id, "hang_up", is_for_everyone=False)
    call.note("callback")

    assert call.leg is None
    assert heard[-1] == "ended"


async def test_only_so_many_happenings_are_remembered():
    calls = Calls(addresses={"4:+18005550199"}, ring_seconds=30.0, announce=lambda _: None)
    call = await calls.place(to="+18005550199", from_="anonymous", line=Line(rate_hz=16_000))

    for _ in range(MAX_HAPPENINGS + 2):
        call.note("dtmf")
    await calls.close()

    assert len(call.happenings) == MAX_HAPPENINGS
    assert call.forgotten_happenings == 4


async def test_watcher_hears_what_happens_until_it_stops_watching():
    calls = Calls(addresses={"4:+18005550199"}, ring_seconds=30.0, announce=lambda _: None)
    call = await calls.place(to="+18005550199", from_="anonymous", line=Line(rate_hz=16_000))
    heard = []
    unwatch = call.watch(lambda happening: heard.append(happening.name))

    call.note("first_audio")
    unwatch()
    unwatch()
    await calls.caller_hangs_up(call)

    assert heard == ["first_audio"]
