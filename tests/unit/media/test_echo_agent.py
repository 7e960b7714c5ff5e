"""The echo's delay is counted in the caller's audio, to the frame."""

import pytest

from media_gateway.agents.contract import CallInfo
from media_gateway.agents.echo import Echo
from shared.core.profiles import EchoAgent

INFO = CallInfo(
    call_id="c", account_id="a", correlation_id="r", caller="", called="", variables={}, rate_hz=16_000
)


class Sink:
    def __init__(self):
        self.said = []

    def audio(self, item_id, pcm):
        self.said.append((item_id, pcm))


@pytest.mark.parametrize(("delay_ms", "held"), [(0, 0), (20, 1), (100, 5), (3000, 150)])
async def test_frame_is_said_when_so_much_audio_has_followed(delay_ms, held):
    echo, sink = Echo(EchoAgent(delay_ms=delay_ms)), Sink()
    await echo.open(INFO, sink)
    frames = [at.to_bytes(2, "little") * 320 for at in range(held + 10)]
    for at, frame in enumerate(frames, start=1):
        echo.send_audio(frame)
        assert [pcm for _, pcm in sink.said] == frames[: max(0, at - held)]


async def test_echo_goes_on_in_a_new_item_after_a_cut():
    echo, sink = Echo(EchoAgent()), Sink()
    await echo.open(INFO, sink)
    echo.send_audio(b"\1\0")
    echo.heard("echo", 0)
    echo.send_audio(b"\2\0")

    (first, _), (second, _) = sink.said
    assert first != second
