"""A process is killed while it records: what it loses is less than a part, and what it leaves becomes a recording."""

import asyncio
import io
import json
import sys

import numpy as np
import pytest
import soundfile

from media_gateway.recording.finaliser import Finaliser
from media_gateway.recording.parts import CallFolder
from tests.emulated.recording import recorded_process
from tests.support.recording import CREATED, RATE

PART_S = 1.0
"""A real one is 4.5 s."""
KILLED_AFTER_S = 5
UPLOAD_S = 0.5


@pytest.fixture
async def killed_call(azurite, container_name, tmp_path):
    """A call that was recorded for some seconds by a process that is then killed."""
    call_id = "019ab000-0000-7000-8000-000000000001"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", recorded_process.__name__,
        azurite.connection_string, container_name, str(tmp_path), call_id, str(PART_S),
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    async with asyncio.timeout(60):
        while int(await process.stdout.readline() or KILLED_AFTER_S) < KILLED_AFTER_S:
            pass
    process.kill()
    await process.wait()
    return CallFolder.of("demo", call_id, CREATED)


async def test_less_than_a_part_is_lost(killed_call, azurite, running, counters):
    async with running(azurite.connection_string) as store:
        await Finaliser(store, counters).finalise(killed_call)
        names = await store.blobs.names("")
        recording = await store.blobs.read(f"{killed_call}/recording.wav", max_bytes=1 << 24)
        transcript = await store.blobs.read(f"{killed_call}/transcript.json", max_bytes=1 << 20)
    assert [name.rpartition("/")[2] for name in names] == ["call.json", "recording.wav", "transcript.json"]

    frames, rate_hz = soundfile.read(io.BytesIO(recording), dtype="int16")
    assert rate_hz == RATE
    assert len(frames) / RATE > KILLED_AFTER_S - PART_S - UPLOAD_S
    heard = frames[frames[:, 0] != 0, 0]
    assert (np.diff(heard) >= 0).all()
    assert set(heard) == set(range(1, int(heard[-1]) + 1))
    texts = [entry["text"] for entry in json.loads(transcript)["entries"]]
    assert texts == [f"second {number + 1}" for number in range(len(texts))]
    assert len(texts) >= int(KILLED_AFTER_S - PART_S - UPLOAD_S)
