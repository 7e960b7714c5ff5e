"""A call's audio and keys go both ways, as ACS frames on a real socket."""

import asyncio

from shared.core.call_state import CallState
from shared.core.profiles import AudioFormat, EchoAgent


def tone(value, frames, rate_hz=24_000):
    """Frames that are told apart by their samples."""
    return [(value + at).to_bytes(2, "little") * (rate_hz // 50) for at in range(frames)]


async def test_caller_hears_the_echo_of_every_frame(gateway):
    call = await gateway.place(EchoAgent())
    frames = tone(1, 20)
    for frame in frames:
        call.socket.send_audio(frame)

    await call.socket.until_heard(b"".join(frames))


async def test_stored_state_is_streaming_and_the_call_is_owned(gateway):
    call = await gateway.place(EchoAgent())
    await gateway.until(lambda: gateway.row(call).state is CallState.STREAMING)

    row = gateway.row(call)
    assert (row.owner, row.epoch, row.media_jti_used) == ("pod-a", 1, True)
    assert row.call_connection_id == call.call_connection_id


async def test_16_khz_call_is_echoed(gateway):
    call = await gateway.place(EchoAgent(), audio_format=AudioFormat.PCM16K)
    frames = tone(1, 5, rate_hz=16_000)
    for frame in frames:
        call.socket.send_audio(frame)

    await call.socket.until_heard(b"".join(frames))


async def test_echo_delay_is_counted_in_audio(gateway):
    call = await gateway.place(EchoAgent(delay_ms=100))
    frames = tone(1, 10)
    for frame in frames:
        call.socket.send_audio(frame)

    await call.socket.until_heard(b"".join(frames[:5]))


async def test_silent_tick_is_silence_of_the_same_length(gateway):
    call = await gateway.place(EchoAgent())
    call.socket.send_silence()
    call.socket.send_audio(b"")
    (frame,) = tone(7, 1)
    call.socket.send_audio(frame)

    await call.socket.until_heard(bytes(960) + bytes(960) + frame)


async def test_only_the_caller_of_an_unmixed_stream_is_heard(gateway):
    call = await gateway.place(EchoAgent())
    mine, other = tone(1, 2)
    call.socket.send_audio(other, participantRawID="8:acs:someone-else")
    call.socket.send_audio(mine, participantRawID="4:+14255550100")

    await call.socket.until_heard(mine)


async def test_fragmented_message_is_put_together(gateway):
    call = await gateway.place(EchoAgent())
    call.socket.send(b'{"kind":"AudioData","audio', fin=False)
    call.socket.send(b'Data":{"data":"', kind=0, fin=False)
    call.socket.send(b'BwcHBw=="}}', kind=0)

    await call.socket.until_heard(b"\7\7\7\7")


async def test_what_is_said_before_the_call_is_owned_is_kept_in_order(gateway):
    gateway.calls.gate.clear()
    call = await gateway.place(EchoAgent())
    frames = tone(1, 30)
    for frame in frames:
        call.socket.send_audio(frame)
    await asyncio.sleep(0.05)
    assert not call.socket.messages
    gateway.calls.gate.set()

    await call.socket.until_heard(b"".join(frames))


async def test_two_calls_never_hear_each_other(gateway):
    calls = [await gateway.place(EchoAgent()) for _ in range(4)]
    frames = [tone(1000 * number, 50) for number in range(4)]
    for at in range(50):
        for call, mine in zip(calls, frames, strict=True):
            call.socket.send_audio(mine[at])

    for call, mine in zip(calls, frames, strict=True):
        await call.socket.until_heard(b"".join(mine))
