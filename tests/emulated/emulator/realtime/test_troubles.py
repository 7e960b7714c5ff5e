"""Services that are not what they should be."""

import asyncio
import base64
import json

import aiohttp
import pytest

from emulator.realtime.service import RealtimeService
from tests.support.realtime import audio_of, kinds, only, running_realtime_service, settings

UPDATE = {"type": "realtime", "instructions": "Be brief."}


@pytest.fixture(params=["openai", "voice-live"])
def dialect(request):
    return request.param


async def test_a_deaf_service_takes_the_connection_and_never_answers(dial, dialect):
    async with running_realtime_service(troubles=["deaf"]) as service, dial(service, dialect) as client:
        await client.send("response.create")
        session = await service.session()
        await session.expect("response.create")
        with pytest.raises(asyncio.TimeoutError):
            await client.socket.receive(timeout=0.02)


async def test_a_response_fails_for_a_rate_limit(dial, dialect):
    async with running_realtime_service(troubles=["rate-limit"]) as service, dial(service, dialect) as client:
        await client.send("response.create")
        response = only(await client.until("response.done"), "response.done")["response"]
        assert response["status"] == "failed"
        assert response["status_details"]["error"]["code"] == "rate_limit_exceeded"


async def test_a_message_is_no_json(dial, dialect):
    async with running_realtime_service(troubles=["malformed"]) as service, dial(service, dialect) as client:
        await client.next()
        await client.send("response.create")
        with pytest.raises(json.JSONDecodeError):
            await client.next()
        assert (await client.next())["type"] == "response.created"


async def test_events_come_that_nobody_knows(dial, dialect):
    async with (
        running_realtime_service("parrot", troubles=["unknown-events"]) as service,
        dial(service, dialect) as client,
    ):
        await client.next()
        await client.send("response.create")
        seen = kinds(await client.until("session.weather"))
        assert seen[0] == "response.hologram.delta"
        assert "response.done" in seen


async def test_other_rates_are_stated_than_were_asked_for(dial):
    async with running_realtime_service(troubles=["wrong-rate"]) as service:
        async with dial(service) as client:
            await client.send("session.update", session=UPDATE)
            shown = only(await client.until("session.updated"), "session.updated")["session"]
            assert [shown["audio"][side]["format"]["rate"] for side in ("input", "output")] == [8000, 8000]
        async with dial(service, "voice-live") as client:
            await client.send("session.update", session={"output_audio_format": "pcm16_16000hz"})
            shown = only(await client.until("session.updated"), "session.updated")["session"]
            assert (shown["input_audio_sampling_rate"], shown["output_audio_format"]) == (8000, "pcm16")


async def test_a_message_is_larger_than_clients_take(dial, dialect):
    async with (
        running_realtime_service("parrot", troubles=["oversized"]) as service,
        dial(service, dialect) as client,
    ):
        await client.send("response.create")
        deltas = [e for e in await client.until("response.done") if e["type"].endswith("audio.delta")]
        assert len(deltas) == 1
        assert len(deltas[0]["delta"]) > 4 << 20


async def test_minutes_of_audio_come_at_once(dial, dialect):
    async with (
        running_realtime_service("parrot", troubles=["flood"]) as service,
        dial(service, dialect) as client,
    ):
        await client.send("response.create")
        assert len(audio_of(await client.until("response.done"))) == 180_000 * 48
        assert service.sessions[0].dropped_messages == 0


async def test_the_connection_is_cut_in_the_middle_of_a_delta(dial, dialect):
    async with (
        running_realtime_service("parrot", troubles=["cut"]) as service,
        dial(service, dialect) as client,
    ):
        await client.until("session.created")
        await client.send("response.create")
        seen = await client.until(
            "response.audio_transcript.delta"
            if dialect == "voice-live"
            else "response.output_audio_transcript.delta"
        )
        assert audio_of(seen) == b""
        assert await client.end() == 1006
        assert (await service.sessions[0].until_ended()).code == 1006


async def test_a_session_has_an_end(dial, dialect):
    async with running_realtime_service(session_s=0.05) as service, dial(service, dialect) as client:
        created = await client.next()
        assert created["session"]["expires_at"] > 1_700_000_000
        assert (await client.next())["error"]["code"] == "session_expired"
        assert await client.end() == 1000


async def test_a_connection_is_lost_without_a_word(dial, dialect):
    async with running_realtime_service(drop_after_s=0.05) as service, dial(service, dialect) as client:
        await client.next()
        assert await client.end() == 1006


async def test_the_first_events_may_be_late_and_nothing_overtakes_them(dial):
    async with (
        running_realtime_service(created_delay_s=0.05, updated_delay_s=0.05) as service,
        dial(service) as client,
    ):
        loop = asyncio.get_running_loop()
        began = loop.time()
        await client.send("session.update", session=UPDATE)
        await client.send("response.create")
        assert (await client.next())["type"] == "session.created"
        assert loop.time() - began > 0.04
        assert kinds(await client.until("response.done")) == [
            "session.updated",
            "response.created",
            "response.done",
        ]


async def test_messages_are_dropped_and_counted_for_a_client_that_does_not_read(dial):
    async with running_realtime_service("echo") as service, dial(service) as client:
        await client.next()
        session = await service.session()
        session.pause_writing()
        await client.send("input_audio_buffer.append", audio=base64.b64encode(bytes(960)).decode())
        await session.until(lambda: session.appended_ms == 20)
        assert session.dropped_messages > 0


async def test_a_port_that_is_taken_is_an_error():
    async with running_realtime_service() as service:
        with pytest.raises(OSError, match="in use"):
            await RealtimeService(settings(port=service.port)).start()


async def test_a_service_that_stops_leaves_no_connection(dial):
    async with running_realtime_service() as service, dial(service) as client:
        await client.next()
        await service.stop()
        assert await client.end() == 1006
        with pytest.raises(aiohttp.ClientConnectorError):
            async with dial(service):
                pass
