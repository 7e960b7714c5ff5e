"""What a test can do with a session from the service's side."""

import asyncio
import base64

import pytest
from picows import WSListener, WSMsgType, ws_connect

from tests.support.realtime import audio_of, kinds, only, quiet, running_realtime_service, tone


@pytest.fixture
async def talk(dial):
    """A client, and its session at a silent service."""
    async with running_realtime_service() as service, dial(service) as client:
        await client.next()
        yield client, await service.session()


async def test_a_silent_service_takes_everything_and_says_nothing(talk):
    client, session = talk
    for pcm in (tone(1000), quiet(1000)):
        await client.send("input_audio_buffer.append", audio=base64.b64encode(pcm).decode())
    await client.send("response.create")
    assert kinds(await client.until("response.done")) == ["response.created", "response.done"]
    assert session.appended_ms == 2000


async def test_what_the_client_has_sent_can_be_looked_at(talk):
    client, session = talk
    await client.send("session.update", session={"type": "realtime", "instructions": "Be brief."})
    await client.send("response.create")
    await session.expect("response.create")
    assert session.updates == [{"type": "realtime", "instructions": "Be brief."}]
    assert session.settings["instructions"] == "Be brief."
    assert [event["type"] for event in session.received()] == ["session.update", "response.create"]


async def test_what_does_not_come_is_not_waited_for_without_end(talk):
    _, session = talk
    with pytest.raises(TimeoutError):
        await session.expect("response.create", within_s=0.01)


async def test_it_says_what_it_is_told_to(talk):
    client, session = talk
    session.say(tone(250), "Good morning.")
    events = await client.until("response.done")
    assert audio_of(events) == tone(250)
    assert only(events, "response.output_audio_transcript.done")["transcript"] == "Good morning."


async def test_a_response_can_be_left_open_and_be_interrupted(talk):
    client, session = talk
    session.say(tone(200), "One ", finished=False)
    session.say(tone(200), "two", finished=False)
    events = await client.until("response.content_part.added")
    session.speech_started()
    events += await client.until("response.done")
    assert len(audio_of(events)) == 400 * 48
    response = only(events, "response.done")["response"]
    assert response["status_details"] == {"type": "cancelled", "reason": "turn_detected"}
    session.speech_stopped("Wait.")
    assert kinds(await client.until("conversation.item.done")) == [
        "rate_limits.updated",
        "input_audio_buffer.speech_stopped",
        "input_audio_buffer.committed",
        "conversation.item.added",
        "conversation.item.done",
    ]


async def test_a_response_that_was_left_open_is_finished(talk):
    client, session = talk
    session.say(tone(200), finished=False)
    session.finish()
    assert only(await client.until("response.done"), "response.done")["response"]["status"] == "completed"


async def test_it_calls_functions(talk):
    client, session = talk
    call_id = session.call_tool("transfer_call", {"reason": "sales"})
    event = only(await client.until("response.done"), "response.function_call_arguments.done")
    assert (event["call_id"], event["name"], event["arguments"]) == (
        call_id,
        "transfer_call",
        '{"reason": "sales"}',
    )
    item = {"type": "function_call_output", "call_id": call_id, "output": "done"}
    await client.send("conversation.item.create", item=item)
    assert (await session.expect("conversation.item.create"))["item"]["output"] == "done"


async def test_it_sends_whatever_it_is_told_to(talk):
    client, session = talk
    session.send_raw(b"{")
    session.send({"type": "session.weather"})
    session.error("server_error")
    assert await client.socket.receive_str(timeout=5) == "{"
    assert (await client.next())["type"] == "session.weather"
    assert (await client.next())["error"]["code"] == "server_error"


async def test_it_closes_with_any_code(talk):
    client, session = talk
    session.close(4001, "enough")
    assert await client.end() == 4001
    await session.until_ended()


async def test_it_can_break_off(talk):
    client, session = talk
    session.drop()
    assert await client.end() == 1006
    assert (await session.until_ended()).code == 1006


async def test_it_knows_how_the_client_left(talk):
    client, session = talk
    await client.socket.close(code=3001, message=b"bye")
    end = await session.until_ended()
    assert (end.code, end.reason) == (3001, "bye")


async def test_binary_messages_are_refused(talk):
    client, _ = talk
    await client.socket.send_bytes(b"\x00")
    assert await client.end() == 1003


async def test_messages_may_come_in_fragments():
    async with running_realtime_service() as service:
        transport, _ = await ws_connect(WSListener, f"{service.url('openai')}?model=gpt-realtime")
        transport.send(WSMsgType.TEXT, b'{"type":"respo', fin=False)
        transport.send(WSMsgType.CONTINUATION, b"nse.cre", fin=False)
        transport.send(WSMsgType.CONTINUATION, b'ate"}')
        await (await service.session()).expect("response.create")
        transport.disconnect()
        await transport.wait_disconnected()


async def test_two_sessions_do_not_know_of_one_another(dial):
    async with (
        running_realtime_service() as service,
        dial(service) as one,
        dial(service, "voice-live") as two,
    ):
        first, second = [await client.next() for client in (one, two)]
        assert first["session"]["id"] != second["session"]["id"]
        service.sessions[1].say(tone(100), "Hello.")
        assert (
            only(await two.until("response.done"), "response.audio_transcript.done")["transcript"] == "Hello."
        )
        with pytest.raises(asyncio.TimeoutError):
            await one.socket.receive(timeout=0.02)
