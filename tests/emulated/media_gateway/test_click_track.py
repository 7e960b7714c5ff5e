"""A click every 20 ms, in real time: what the agent is told was heard is what the emulated caller heard."""

import pytest

from emulator.media.impairment import Impairment
from emulator.media.line import Line
from tests.emulated.media_gateway.test_bad_network import agents, emulated_call

RATE = 24_000
FRAME = RATE // 50 * 2
CLICKS = 400
TRACK = b"".join((number + 1).to_bytes(2, "little") + bytes(FRAME - 2) for number in range(CLICKS))
ALLOWED_MS = 20

__all__ = ["agents"]


class Ear:
    """Counts the clicks that a caller hears."""

    def __init__(self):
        self.last = 0

    def hear(self, pcm):
        for at in range(0, len(pcm), 2):
            value = int.from_bytes(pcm[at : at + 2], "little")
            if value:
                self.last = value


@pytest.mark.parametrize("after_clicks", [3, 25, 60])
async def test_the_heard_milliseconds_are_right_within_a_frame(gateway, agents, after_clicks):
    ear = Ear()
    line = Line(rate_hz=RATE, on_audio=ear.hear)
    async with emulated_call(gateway, Impairment(), line=line) as (call, _, _):
        await gateway.until_streaming(call)
        await gateway.until(lambda: agents[0].sink is not None)
        agents[0].sink.audio("clicks", TRACK)
        await gateway.until(lambda: ear.last >= after_clicks)
        agents[0].sink.clear()
        at_cut = ear.last
        ((_, heard_ms),) = agents[0].heard_items
        await gateway.until(lambda: line.stopped_ms > 0)
        in_the_end = ear.last

    # A click is heard when its frame begins: the caller has it, while the ledger counts how far the frame is.
    assert (at_cut - 1) * 20 - ALLOWED_MS <= heard_ms <= in_the_end * 20 + ALLOWED_MS
    assert in_the_end - at_cut <= 1, "StopAudio is there within a frame"
