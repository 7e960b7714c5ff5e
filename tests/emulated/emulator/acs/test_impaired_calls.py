"""Impairments of whole calls: by the settings, with the call, and by request while it runs."""

import json

import aiohttp
import pytest

from emulator.media.impairment import Drop, Impairment, Jitter, Loss, SlowReader
from emulator.media.line import Line
from emulator.settings import SettingsError, read_settings
from tests.emulated.emulator.acs.test_media_streaming import streaming

ALL_LOST = Impairment(loss=Loss(enter=1, mean_frames=100_000))
NUMBER, CALLER = "+18005550199", "+14255550100"


def names(call):
    return [happening.name for happening in call.happenings]


async def change(http, emulator, correlation_id, impairment):
    """PUT an impairment; return status and JSON."""
    url = f"{emulator.base_url}/emulator/calls/{correlation_id}/impairment"
    async with http.put(url, data=impairment) as response:
        return response.status, await response.json()


async def look(http, emulator, call):
    async with http.get(f"{emulator.base_url}/emulator/calls/{call.correlation_id}") as response:
        return await response.json()


async def frames(application, count):
    """Wait until the application's first media socket has got so many frames."""
    [socket] = await application.media_sockets()
    await application.until(lambda: len(socket.messages) > count)


async def test_a_call_is_impaired_and_repaired_while_it_runs(
    acs_emulator, aio_client, place_call, application, http, happened
):
    call = await place_call()
    await aio_client.answer(call, application, media_streaming=streaming(application.media_url))
    await frames(application, 2)

    text = b'{"seed": 5, "loss": {"enter": 1, "meanFrames": 1000}, "jitter": null}'
    status, answer = await change(http, acs_emulator, call.correlation_id, text)
    assert (status, answer) == (200, {"seed": 5, "loss": {"enter": 1.0, "meanFrames": 1000.0}})
    [stats] = call.streams
    while stats.impairment.frames_lost < 3:
        await look(http, acs_emulator, call)
    report = await look(http, acs_emulator, call)
    assert report["impairment"] == answer
    assert report["mediaStreams"][0]["impairment"]["frames_lost"] >= 3

    assert await change(http, acs_emulator, call.correlation_id, b"{}") == (200, {})
    await frames(application, stats.frames_sent + 2)
    assert {"loss", "nothing"} == {each.detail["what"] for each in call.happenings if each.name == "impaired"}
    await acs_emulator.calls.caller_hangs_up(call)


async def test_settings_impair_every_call_and_a_call_may_have_its_own(
    start_emulator, make_client, application
):
    emulator = await start_emulator(media_impairment=ALL_LOST)
    usual, own = [
        await emulator.calls.place(to=NUMBER, from_=CALLER, line=Line(rate_hz=16_000), impairment=impairment)
        for impairment in (None, Impairment(jitter=Jitter(max_ms=1)))
    ]
    assert usual.network.impairment == ALL_LOST
    assert own.network.impairment.loss is None
    assert (usual.number, own.number) == (1, 2)
    assert names(usual)[0] == names(own)[0] == "impaired"


async def test_the_same_calls_of_the_same_seed_lose_the_same_frames(start_emulator, application, http):
    impairment = Impairment(seed=11, loss=Loss(enter=0.3, mean_frames=2))
    lost = []
    for _ in range(2):
        emulator = await start_emulator(media_impairment=impairment)
        call = await emulator.calls.place(to=NUMBER, from_=CALLER, line=Line(rate_hz=16_000))
        trouble = call.network._trouble(float("-inf"))
        lost.append([trouble.frame(float(number)).leaves_s is None for number in range(500)])
    assert lost[0] == lost[1]
    assert any(lost[0])


async def test_a_socket_that_is_cut_is_opened_anew_and_told_apart_from_one_that_was_lost(
    start_emulator, make_client, application, happened
):
    emulator = await start_emulator(media_impairment=Impairment(drop=Drop(after_frames=2, mid_frame=True)))
    client = await make_client(emulator)
    call = await emulator.calls.place(to=NUMBER, from_=CALLER, line=Line(rate_hz=16_000))
    await client.answer(call, application, media_streaming=streaming(application.media_url))

    first, second = await application.media_sockets(2)
    await application.until(lambda: len(second.messages) > 5)

    assert first.closed_with == 1006
    assert names(call).index("socket_dropped") < names(call).index("media_lost")
    assert [each.impairment.sockets_dropped for each in call.streams] == [1, 0]
    await emulator.calls.caller_hangs_up(call)


async def test_a_caller_brings_an_impairment_and_gets_it_in_the_report(
    acs_emulator, aio_client, application, http
):
    query = {"to": NUMBER, "from": CALLER, "impairment": '{"loss": {"enter": 1, "meanFrames": 9}}'}
    messages = []
    async with http.ws_connect(f"{acs_emulator.base_url}/phone", params=query) as phone:
        async for message in phone:
            if message.type is not aiohttp.WSMsgType.TEXT:
                continue
            messages.append(json.loads(message.data))
            [call] = acs_emulator.calls
            if messages[-1]["state"] == "ringing":
                await aio_client.answer(call, application, media_streaming=streaming(application.media_url))
            if messages[-1]["state"] == "media_connected":
                while not call.streams[0].impairment.frames_lost:
                    await phone.receive()
                await phone.send_json({"type": "hangup"})
    assert messages[0] == {
        "type": "state",
        "state": "impaired",
        "at_ms": messages[0]["at_ms"],
        "what": "loss",
    }
    assert messages[-1]["report"]["impairment"]["frames_lost"] >= 1


async def test_wrong_requests_are_told_what_is_wrong(acs_emulator, place_call, http):
    call = await place_call()
    status, answer = await change(http, acs_emulator, call.correlation_id, b'{"jitter": {}}')
    assert (status, answer["error"]["code"]) == (400, "InvalidRequest")
    assert "either maxMs or delaysMs" in answer["error"]["message"]
    assert (await change(http, acs_emulator, "nobody", b"{}"))[0] == 404
    await acs_emulator.calls.caller_hangs_up(call)
    assert (await change(http, acs_emulator, call.correlation_id, b"{}"))[0] == 409
    async with http.ws_connect(
        f"{acs_emulator.base_url}/phone", params={"to": NUMBER, "from": CALLER, "impairment": "{"}
    ) as phone:
        refused = json.loads((await phone.receive()).data)
    assert (refused["reason"], refused["message"]) == (
        "refused",
        "The impairment is not valid: it is not JSON.",
    )


def test_a_settings_file_has_an_impairment(tmp_path):
    path = tmp_path / "settings.json"
    path.write_text('{"media_impairment": {"seed": 2, "slowReader": {"afterMs": 100, "forMs": 500}}}')
    slow = SlowReader(after_ms=100, for_ms=500)
    assert read_settings(path).media_impairment == Impairment(seed=2, slow_reader=slow)
    path.write_text('{"media_impairment": {"loss": {"enter": 2}}}')
    with pytest.raises(SettingsError) as wrong:
        read_settings(path)
    assert "media_impairment: enter must be from 0 to 1" in str(wrong.value)
