"""A caller whose media cannot be had again hears the apology from ACS, which fetches it from the Functions app."""

import asyncio
import io
import os
import wave
from contextlib import asynccontextmanager
from dataclasses import replace

import numpy as np

from emulator.event_grid.subscriptions import read_subscription
from emulator.faults import FaultRule, Status
from emulator.media.line import Line
from emulator.plays import PlayOutcome
from emulator.ports import free_ports
from media_gateway.runtime import MediaGateway
from media_gateway.timing import Timing
from shared.adapters.connect import connect
from shared.config import media_settings
from shared.core.call_state import CallState, Cause
from shared.core.profiles import PromptKind
from shared.prompts import default_prompt
from tests.support.gateway import CALLER, NUMBER
from tests.support.playing import Ear

GRACE_S = 1.0
PATIENCE_S = 20.0


@asynccontextmanager
async def running_pod(folder):
    """A media gateway with the app's settings."""
    settings = media_settings({**os.environ, "RECORDING_SPILL_DIR": str(folder)})
    async with connect(settings.common) as outside:
        timing = replace(Timing(), media_restart_s=GRACE_S / 2, interruption_grace_s=GRACE_S)
        pod, stop, listening = MediaGateway(settings, outside, timing), asyncio.Event(), asyncio.Event()
        running = asyncio.create_task(pod.run(stop, listening))
        try:
            await listening.wait()
            await until(lambda: pod.is_ready)
            yield pod
        finally:
            stop.set()
            await running


async def until(condition):
    async with asyncio.timeout(PATIENCE_S):
        while not condition():
            await asyncio.sleep(0.002)


async def happened(call, name):
    """Wait until it has, and return when, in seconds since the call was placed."""
    await until(lambda: any(each.name == name for each in call.happenings))
    return next(each.at for each in call.happenings if each.name == name)


async def test_caller_hears_the_apology_and_then_the_call_ends(start_edge, tmp_path):
    port = free_ports().media
    edge = await start_edge(
        pods=0,
        emulated={"media_reconnect_tries": 0},
        MEDIA_BASE_URL=f"ws://127.0.0.1:{port}",
        MEDIA_HOST="127.0.0.1",
        MEDIA_PORT=str(port),
    )
    async with running_pod(tmp_path) as pod:
        subscription = {"endpoint": edge.events_url, "headers": edge.credentials}
        await edge.emulator.event_grid.subscribe(read_subscription("edge", subscription))
        ear = Ear()
        line = Line(rate_hz=16_000, on_audio=ear)
        edge.lines.append(line)
        line.start()
        call = await edge.emulator.calls.place(to=NUMBER, from_=CALLER, line=line)
        await until(
            lambda: any(live.record.state is CallState.STREAMING for live in pod.calls._live.values())
        )
        edge.emulator.faults.add(FaultRule("startMediaStreaming", Status(400, code="8585")))
        [live] = pod.calls._live.values()
        live.socket.abort()
        lost_at = await happened(call, "media_lost")
        began_at = await happened(call, "play_started")
        await happened(call, "play_completed")
        over_at = await happened(call, "ended")
        async with asyncio.timeout(PATIENCE_S):
            # The call leaves its place before its row is written.
            while not (record := await edge.connections.calls.get(live.call_id)).state.is_final:
                await asyncio.sleep(0.02)

    [play] = call.plays
    assert (record.state, record.cause) == (CallState.ENDED, Cause.MEDIA_LOST)
    assert play.outcome is PlayOutcome.COMPLETED
    assert said(default_prompt(PromptKind.APOLOGY)) in bytes(ear.heard)
    print(f"silent for {began_at - lost_at:.1f} s, hung up {over_at - began_at:.1f} s later")
    assert began_at - lost_at < GRACE_S + 1


def said(content):
    """The words of a WAV file, without the silence around them."""
    with wave.open(io.BytesIO(content)) as sound:
        samples = np.frombuffer(sound.readframes(sound.getnframes()), "<i2")
    words = np.flatnonzero(samples)
    return samples[words[0] : words[-1] + 1].tobytes()


async def test_media_that_fail_before_any_pod_has_the_call_are_started_again_and_the_agent_answers(
    start_edge, tmp_path
):
    port = free_ports().media
    edge = await start_edge(
        MEDIA_BASE_URL=f"ws://127.0.0.1:{port}", MEDIA_HOST="127.0.0.1", MEDIA_PORT=str(port)
    )
    edge.emulator.faults.hold_next("startMediaStreaming")
    event = await edge.ring()
    assert (await edge.deliver([event]))[1][0]["outcome"] == "answered"
    # Nobody listens yet: the first media have failed.
    held = await edge.emulator.faults.held("startMediaStreaming")
    async with running_pod(tmp_path) as pod:
        held.release()
        await until(
            lambda: any(live.record.state is CallState.STREAMING for live in pod.calls._live.values())
        )
        [live] = pod.calls._live.values()
        call = edge.emulator.calls.find(event["data"]["correlationId"])
        assert [each.name for each in call.happenings if each.name.startswith("media")] == [
            "media_failed",
            "media_connected",
        ]
        assert (live.record.media_asked, live.record.cause) == ("", None)
        await edge.emulator.calls.caller_hangs_up(call)
        await until(lambda: not len(pod.calls))
