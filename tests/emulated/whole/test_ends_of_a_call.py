"""One call with every part real: it ends from each side, and caller, row and log tell the same story."""

import asyncio
import os
import signal
import wave

import numpy as np
import pytest

from shared.core.call_state import CallEvent, CallState, Cause

pytestmark = pytest.mark.asyncio(loop_scope="module")

ECHO, RECEPTION = "+18005550199", "+18005550198"
CALLER = "+14255550111"


def heard(path):
    """What the caller heard: the right track, as samples, and their rate."""
    with wave.open(str(path)) as sound:
        tracks = np.frombuffer(sound.readframes(sound.getnframes()), "<i2").reshape(-1, 2)
        return tracks[:, 1].astype(float), sound.getframerate()


def story(record):
    """The events of a call that changed it, in order."""
    return [entry.event for entry in record.history if not entry.refused]


async def test_the_caller_hangs_up(running):
    report = await running.call("--to", ECHO, "--from", CALLER, "--say", "Good morning")
    assert (report["outcome"], report["exit_code"]) == ("caller_hung_up", 0)
    record = await running.newest_record()
    assert (record.state, record.cause) == (CallState.ENDED, Cause.CALLER_HUNG_UP)
    assert (record.epoch, record.owner.partition("-")[0]) == (1, "local")
    assert CallEvent.MEDIA_STARTED in story(record)
    assert record.times.first_agent_audio is not None
    (line,) = running.log_of("media", record.call_id)
    assert "caller_hung_up" in line


async def test_the_agent_ends_the_call_when_its_goodbye_has_been_heard(running, tmp_path):
    path = tmp_path / "call.wav"
    report = await running.call(
        "--to", RECEPTION, "--from", CALLER, "--dtmf", "1#", "--hangup-after", "40", record=path
    )
    assert report["outcome"] == "gateway_hung_up"
    record = await running.newest_record()
    assert (record.state, record.cause) == (CallState.ENDED, Cause.AGENT_ENDED)
    samples, rate = heard(path)
    with wave.open("prompts/goodbye.wav") as goodbye:
        frames = np.frombuffer(goodbye.readframes(goodbye.getnframes()), "<i2").astype(float)
        seconds = goodbye.getnframes() / goodbye.getframerate()
    spoken = np.abs(frames) > 200
    spoken_s = seconds - (len(frames) - np.flatnonzero(spoken)[-1]) / 24_000
    # The end of the goodbye stands at the end of what was heard: nothing of it was cut off.
    last_sound_s = np.flatnonzero(np.abs(samples) > 200)[-1] / rate
    first_of_goodbye_s = last_sound_s - spoken_s
    window = samples[int(max(0, first_of_goodbye_s) * rate) : int(last_sound_s * rate)]
    assert np.abs(window).max() > 1000
    resampled = np.interp(np.arange(0, spoken_s, 1 / rate), np.arange(len(frames)) / 24_000, frames)
    length = min(len(resampled), len(window))
    correlation = max(
        np.corrcoef(resampled[:length], np.roll(window, shift)[:length])[0, 1]
        for shift in range(-400, 400, 2)
    )
    assert correlation > 0.8


async def test_what_the_caller_said_and_pressed_is_in_no_log(running):
    await running.call("--to", RECEPTION, "--from", CALLER, "--dtmf", "7391", "--hangup-after", "3")
    await running.newest_record()
    for part in ("functions", "media"):
        text = "\n".join(line for name, line in running.lines if name == part)
        for personal in (CALLER, CALLER[1:], RECEPTION[1:], "7391", "token=", "eyJ"):
            assert personal not in text, f"{part} logged {personal}"


async def test_a_media_gateway_that_is_told_to_stop_ends_its_calls_in_order(running):
    calling = asyncio.create_task(
        running.call("--to", ECHO, "--from", CALLER, "--say", "Hello there", "--hangup-after", "40")
    )
    async with asyncio.timeout(20):
        before = None
        while before is None or before.state is not CallState.STREAMING:
            await asyncio.sleep(0.1)
            before = await running.newest_record(final=False)
    media = running.process("media")
    os.kill(media._process.pid, signal.SIGTERM)
    report = await calling
    assert report["outcome"] == "gateway_hung_up"
    record = await running.newest_record()
    assert record.call_id == before.call_id
    assert (record.state, record.cause) == (CallState.ENDED, Cause.PROCESS_STOPPED)
    assert await media.wait() == 0
