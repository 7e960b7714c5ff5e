"""`make demo`'s command: a spoken call through every real part, and a recording that can be played."""

import asyncio
import sys
import wave

import numpy as np

from tests.support.functions_host import REPOSITORY

LOUD = 500
ECHO_DELAY_S = 3.0
DEMO_S = 60.0


async def demo(*arguments):
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "emulator", "demo", "--free-ports", *arguments),
        cwd=REPOSITORY, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
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


async def test_the_recording_holds_the_words_and_their_echo_at_the_right_times(tmp_path):
    code, output = await demo("--say", "Hello there.", "--out", str(tmp_path / "demo"))
    assert code == 0, output
    path = tmp_path / "demo" / "call.wav"
    with wave.open(str(path)) as recording:
        assert (recording.getnchannels(), recording.getsampwidth()) == (2, 2)
        rate = recording.getframerate()
        samples = (
            np.frombuffer(recording.readframes(recording.getnframes()), "<i2").reshape(-1, 2).astype(int)
        )
    said_s, heard_s = first_loud_s(samples[:, 0], rate), first_loud_s(samples[:, 1], rate)
    assert 0.3 < said_s < 2.0
    assert abs(heard_s - said_s - ECHO_DELAY_S) < 0.5, (said_s, heard_s)
    assert f"recording: {path}" in output
    assert "listen:" in output


async def test_a_call_that_fails_fails_the_demo_and_says_where_to_look(tmp_path):
    code, output = await demo("--to", "+19995550123", "--out", str(tmp_path / "demo"))
    assert code not in (0, None), output
    assert f"what every part wrote is in {tmp_path / 'demo' / 'stack.log'}" in output
    assert "Traceback" not in output
