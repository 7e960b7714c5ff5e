"""`make demo`'s command: a spoken call through every real part, and a recording that can be played."""

import asyncio
import os
import sys
import wave

import numpy as np

from tests.support.functions_host import REPOSITORY

LOUD = 500
ECHO_DELAY_S = 3.0
DEMO_S = 60.0


async def demo(*arguments, **environment):
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "emulator", "demo", "--free-ports", *arguments),
        cwd=REPOSITORY, env=os.environ | environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    try:
        async with asyncio.timeout(DEMO_S):
            output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()
    return process.returncode, output.decode()


def first_loud_s(track, rate):
    return float(np.argmax(np.abs(track) > LOUD)) / rate


def read(path):
    """The samples of both tracks, and their rate."""
    with wave.open(str(path)) as recording:
        assert (recording.getnchannels(), recording.getsampwidth()) == (2, 2)
        frames = recording.readframes(recording.getnframes())
        return np.frombuffer(frames, "<i2").reshape(-1, 2).astype(int), recording.getframerate()


async def test_the_recording_holds_the_words_and_their_echo_at_the_right_times(tmp_path):
    code, output = await demo("--say", "Hello there.", "--out", str(tmp_path / "demo"))
    assert code == 0, output
    path = tmp_path / "demo" / "call.wav"
    samples, rate = read(path)
    said_s, heard_s = first_loud_s(samples[:, 0], rate), first_loud_s(samples[:, 1], rate)
    assert 0.3 < said_s < 2.0
    assert abs(heard_s - said_s - ECHO_DELAY_S) < 0.5, (said_s, heard_s)
    assert f"recording: {path}" in output
    assert "listen:" in output


async def test_a_realtime_agent_greets_and_says_back_what_it_heard(tmp_path):
    code, output = await demo(
        *("--agent", "realtime", "--say", "Hello there.", "--out", str(tmp_path / "demo")),
        REALTIME_ENDPOINT="",
    )
    assert code == 0, output
    samples, rate = read(tmp_path / "demo" / "call.wav")
    said_s, greeted_s = first_loud_s(samples[:, 0], rate), first_loud_s(samples[:, 1], rate)
    assert greeted_s < 2.0 < said_s, (greeted_s, said_s)
    after = samples[int(said_s * rate) :, 1]
    assert first_loud_s(after, rate) > 0.5
    assert (np.abs(after) > LOUD).any(), "nothing was said back"


async def test_a_service_without_its_key_is_said_before_anything_starts(tmp_path):
    code, output = await demo(
        *("--agent", "realtime", "--out", str(tmp_path / "demo")),
        REALTIME_ENDPOINT="wss://api.openai.com/v1/realtime",
        REALTIME_API_KEY="",
    )
    assert (code, output) == (1, "stopped: REALTIME_ENDPOINT is set, REALTIME_API_KEY is not\n")


async def test_a_call_that_fails_fails_the_demo_and_says_where_to_look(tmp_path):
    code, output = await demo("--to", "+19995550123", "--out", str(tmp_path / "demo"))
    assert code not in (0, None), output
    assert f"what every part wrote is in {tmp_path / 'demo' / 'stack.log'}" in output
    assert "Traceback" not in output
