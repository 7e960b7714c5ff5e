"""What the agent says: at once, paced, interrupted, and held back while ACS does not read."""

import asyncio
import socket as sockets

from media_gateway.message_socket import SocketLimits
from media_gateway.timing import EARLY_BYTES

SECOND = b"\1\0" * 24_000


def seconds_of(audio):
    return len(audio) / len(SECOND)


async def test_first_words_leave_at_once_and_the_rest_in_real_time(gateway, agent):
    call = await gateway.place()
    await gateway.until_streaming(call)
    loop = asyncio.get_running_loop()
    started = loop.time()
    agent.sink.audio("speech", SECOND)
    await call.socket.until(lambda: seconds_of(call.socket.audio) >= 0.2)
    assert loop.time() - started < 0.3
    while seconds_of(call.socket.audio) < 1:
        lead = seconds_of(call.socket.audio) - (loop.time() - started)
        assert lead <= 0.3
        await asyncio.sleep(0.01)

    assert loop.time() - started >= 0.65
    assert bytes(call.socket.audio) == SECOND
    assert all(len(m["AudioData"]["Data"]) <= 6400 for m in call.socket.messages)
    assert not gateway.core.pod.ticker.is_running


async def test_no_timer_runs_for_audio_that_leaves_at_once(gateway, agent):
    call = await gateway.place()
    await gateway.until_streaming(call)
    agent.sink.audio("speech", SECOND[:960])

    assert not gateway.core.pod.ticker.is_running
    await call.socket.until_heard(SECOND[:960])


async def test_barge_in_stops_the_audio_and_tells_what_was_heard(gateway, agent):
    call = await gateway.place()
    await gateway.until_streaming(call)
    loop = asyncio.get_running_loop()
    started = loop.time()
    agent.sink.audio("speech", SECOND * 5)
    agent.sink.audio("more", SECOND)
    await asyncio.sleep(0.3)
    agent.sink.clear()
    elapsed_ms = (loop.time() - started) * 1000
    (first, heard_ms), second = agent.heard_items

    assert (first, second) == ("speech", ("more", 0))
    assert 100 <= heard_ms <= elapsed_ms + 1
    await call.socket.until(lambda: call.socket.stops)
    sent = len(call.socket.audio)
    agent.sink.audio("speech", SECOND)  # the rest of what was cut, still on its way
    agent.sink.audio("answer", SECOND[:960])
    await call.socket.until(lambda: len(call.socket.audio) > sent)
    assert len(call.socket.audio) == sent + 960
    assert call.socket.messages.index({"Kind": "StopAudio", "AudioData": None, "StopAudio": {}}) > 0


async def test_agent_gets_call_information_and_what_came_early(gateway, agent):
    gateway.calls.gate.clear()
    call = await gateway.place()
    call.socket.send_audio(SECOND[:960])
    call.socket.press("1")
    call.socket.send_silence()
    await asyncio.sleep(0.05)
    assert agent.info is None
    gateway.calls.gate.set()
    await gateway.until(lambda: agent.digits)

    assert bytes(agent.audio) == SECOND[:960] + bytes(960)
    assert agent.info.call_id == call.call_id
    told = {"caller": "+14255550100", "called": "+18005550199", "correlationId": agent.info.correlation_id}
    assert agent.info.variables == {"order": "1234", **told}
    assert (agent.info.caller, agent.info.called) == ("4:+14255550100", "4:+18005550199")
    assert agent.info.rate_hz == 24_000
    assert "4255550100" not in repr(agent.info)


async def test_early_audio_is_bounded_and_the_oldest_goes_first(gateway, agent):
    gateway.calls.gate.clear()
    call = await gateway.place()
    frames = [at.to_bytes(2, "little") * 480 for at in range(EARLY_BYTES // 960 + 50)]
    for frame in frames:
        call.socket.send_audio(frame)
    early = next(iter(gateway.core.calls._arrivals)).early
    await gateway.until(lambda: early.dropped == 50)
    gateway.calls.gate.set()
    await gateway.until(lambda: len(agent.audio) >= EARLY_BYTES)

    assert bytes(agent.audio) == b"".join(frames[50:])


async def test_while_acs_does_not_read_the_audio_waits_and_is_not_lost(gateway, agent, monkeypatch):
    small = SocketLimits(message=64 * 1024, write_buffer=8 * 1024, kernel_buffer=4 * 1024)
    monkeypatch.setattr("media_gateway.arrival.MEDIA_SOCKET", small)
    call = await gateway.place()
    await gateway.until_streaming(call)
    reader = call.socket.transport.underlying_transport
    reader.get_extra_info("socket").setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 4 * 1024)
    reader.pause_reading()
    (live,) = gateway.core.calls._live.values()
    said = bytearray()
    async with asyncio.timeout(20):
        while live.socket.out.is_writable:
            for number in range(20):
                frame = (number + 1).to_bytes(2, "little") * 2400
                agent.sink.audio("speech", frame)
                said += frame
            await asyncio.sleep(0.02)
    assert live.socket.write_pauses == 1
    assert not gateway.core.pod.ticker.is_running
    agent.sink.audio("speech", SECOND[:960])
    said += SECOND[:960]
    reader.resume_reading()
    agent.sink.clear()
    await call.socket.until(lambda: call.socket.stops)

    assert bytes(call.socket.audio) == bytes(said[: len(call.socket.audio)])


async def test_unmeasured_audio_of_an_endless_agent_is_bounded(gateway, agent):
    call = await gateway.place()
    await gateway.until_streaming(call)
    agent.sink.audio("endless", SECOND * 130)
    agent.sink.audio("endless", SECOND)
    (live,) = gateway.core.calls._live.values()
    counts = live._parts.speaker.counts()

    assert counts["overflowed_items"] == 1
    assert counts["overflow_samples"] == 10 * 24_000
    assert counts["late_samples"] == 24_000
