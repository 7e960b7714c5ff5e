"""What breaks the media protocol ends that call only, and everybody is told why."""

import base64
import json
import logging

import pytest

from media_gateway.timing import MAX_MESSAGE_BYTES
from shared.core.call_state import Cause
from shared.core.profiles import AudioFormat
from tests.support.media import QUICK, running_gateway

TEXT, BINARY, CONTINUATION = 1, 2, 0


def audio(data):
    return json.dumps({"kind": "AudioData", "audioData": {"data": data, "silent": False}}).encode()


def metadata(**changes):
    fields = {"encoding": "PCM", "sampleRate": 24000, "channels": 1, "length": 960, **changes}
    return json.dumps({"kind": "AudioMetadata", "audioMetadata": fields}).encode()


@pytest.mark.parametrize(
    ("frames", "code", "reason"),
    [
        ([(TEXT, b"not JSON", True)], 1007, "bad_json"),
        ([(TEXT, b"", True)], 1007, "bad_json"),
        ([(TEXT, b"\xff\xfe", True)], 1007, "bad_json"),
        ([(TEXT, b"[" * 60_000, True)], 1007, "bad_message"),
        ([(TEXT, b"[]", True)], 1007, "bad_message"),
        ([(TEXT, b'{"kind":"AudioData"}', True)], 1007, "bad_message"),
        ([(TEXT, audio("AAA"), True)], 1007, "bad_base64"),
        ([(TEXT, audio("AAAA"), True)], 1007, "odd_size"),
        ([(TEXT, audio(base64.b64encode(bytes(48_002)).decode()), True)], 1009, "too_large"),
        ([(TEXT, b" " * (MAX_MESSAGE_BYTES + 1), True)], 1009, None),
        ([(TEXT, b" " * 40_000, False), (CONTINUATION, b" " * 40_000, True)], 1009, "too_large"),
        ([(TEXT, b"", False)] + [(CONTINUATION, b"", False)] * (MAX_MESSAGE_BYTES + 1), 1009, "too_large"),
        ([(BINARY, b"\0\0", True)], 1003, "not_text"),
        ([(BINARY, b"\0\0", False)], 1003, "not_text"),
        ([(CONTINUATION, b"{}", True)], 1002, "bad_framing"),
        ([(TEXT, b"{", False), (TEXT, b"}", True)], 1002, "bad_framing"),
        ([(TEXT, metadata(sampleRate=8000), True)], 1008, "bad_metadata"),
        ([(TEXT, metadata(sampleRate=16000), True)], 1008, "format_mismatch"),
    ],
)
async def test_call_ends_with_a_reason_and_the_next_one_goes_on(gateway, caplog, frames, code, reason):
    caplog.set_level(logging.INFO)
    call, other = await gateway.place(), await gateway.place()
    for one in (call, other):
        await gateway.until_streaming(one)
    for kind, data, fin in frames:
        call.socket.send(data, kind=kind, fin=fin)
    await call.socket.until_closed()
    await gateway.until(lambda: len(gateway.core.calls) == 1)

    assert call.socket.close_code == code
    assert reason is None or call.socket.close_reason == reason
    gateway.assert_ended(call, Cause.MEDIA_INVALID, hung_up=True, caplog=caplog)
    (line,) = [r for r in caplog.records if r.getMessage() == "call ended" and r.call_id == call.call_id]
    assert line.detail == (reason or "too_large")
    other.socket.send_audio(b"\1\0" * 480)
    await other.socket.until_heard(b"\1\0" * 480)


async def test_format_that_the_agent_does_not_speak_ends_the_call(gateway):
    call = gateway.answer(audio_format=AudioFormat.PCM24K)
    call.socket = await gateway.open_socket(call)
    call.socket.send_metadata(16_000)
    await gateway.until_over()

    assert call.socket.close_reason == "format_mismatch"
    gateway.assert_ended(call, Cause.MEDIA_INVALID, hung_up=True)


async def test_socket_without_metadata_ends_the_call():
    async with running_gateway(timing=QUICK.__class__(metadata_s=0.1, socket_close_s=0.5)) as gateway:
        call = gateway.answer()
        call.socket = await gateway.open_socket(call)
        call.socket.send_audio(b"\1\0" * 480)
        await gateway.until_over()

        assert call.socket.close_reason == "no_metadata"
        gateway.assert_ended(call, Cause.MEDIA_INVALID, hung_up=True)


async def test_metadata_may_come_again_unchanged(gateway):
    call = await gateway.place()
    call.socket.send_metadata(24_000)
    call.socket.send_audio(b"\1\0" * 480)
    await call.socket.until_heard(b"\1\0" * 480)


async def test_unknown_kinds_and_keys_are_ignored(gateway, agent):
    call = await gateway.place()
    call.socket.send({"kind": "MarkData", "markData": {"id": "utt-42", "status": "Completed"}})
    call.socket.press("flash")
    call.socket.press("pound")
    await gateway.until(lambda: agent.digits == ["#"])


async def test_nothing_is_delivered_after_the_fault(gateway, agent):
    call = await gateway.place()
    await gateway.until_streaming(call)
    call.socket.send(b"nonsense")
    call.socket.press("1")
    await gateway.until_over()

    assert agent.digits == []


async def test_wrong_websocket_frame_ends_the_call(gateway):
    call = await gateway.place()
    await gateway.until_streaming(call)
    raw = call.socket.transport.underlying_transport
    raw.write(b"\x81\x02{}")  # not masked, as only servers may send
    await gateway.until_over()

    gateway.assert_ended(call, Cause.MEDIA_INVALID, hung_up=True)
    assert call.socket.close_code == 1002
