"""Storage is away for a minute of several calls, and their recordings lack nothing."""

import asyncio
import io

import pytest
import soundfile

from emulator.faults import FaultRule, Reset, Status
from media_gateway.recording.finaliser import Finaliser
from media_gateway.recording.recorder import PART_S
from shared.core.profiles import RecordingFormat
from tests.support.recording import RATE, VirtualCall, recorded_record

CALLS = 3
OUTAGE_PARTS = 14
AROUND_PARTS = 2
"""Before the outage, and again after it."""
assert OUTAGE_PARTS * PART_S >= 60


@pytest.fixture
async def emulator(start_emulator, azurite):
    return await start_emulator(azurite_blob_port=azurite.ports["blob"])


async def record(calls, parts):
    """Let the calls' time go by, and so many parts of each be taken."""
    for _ in range(parts):
        for number, call in enumerate(calls, start=1):
            call.say(PART_S, caller=100 * number, agent=-100 * number)
            call.part()
        await asyncio.sleep(0)


async def recording_of(store, call, coding):
    data = await store.blobs.read(f"{call.recorder.folder}/recording.{coding.value}", max_bytes=1 << 26)
    frames, _ = soundfile.read(io.BytesIO(data), dtype="int16")
    return frames


@pytest.mark.parametrize("fault", [Status(status=503), Reset()], ids=["503", "reset"])
async def test_after_an_outage_of_a_minute_nothing_is_lost(emulator, running, counters, fault):
    async with running(emulator.storage_connection_string) as store:
        calls = [VirtualCall(store, recorded_record(RecordingFormat.FLAC), counters) for _ in range(CALLS)]
        await record(calls, AROUND_PARTS)
        outage = emulator.faults.add(FaultRule("storage.*", fault))
        await record(calls, OUTAGE_PARTS)
        async with asyncio.timeout(20):
            while counters.total() < CALLS * (AROUND_PARTS + OUTAGE_PARTS):
                await asyncio.sleep(0.01)
        emulator.faults.remove(outage)
        await record(calls, AROUND_PARTS)
        for number, call in enumerate(calls, start=1):
            call.recorder.finish()
            await Finaliser(store, counters).finalise(call.recorder.folder)
            frames = await recording_of(store, call, RecordingFormat.FLAC)
            assert len(frames) == (2 * AROUND_PARTS + OUTAGE_PARTS) * PART_S * RATE
            assert (frames == (100 * number, -100 * number)).all()
    assert counters["recording_parts_lost"] == 0
    assert counters["recording_parts_spilled"] > 0


async def test_what_a_stopped_process_could_not_send_is_sent_by_the_next(emulator, running, counters):
    outage = emulator.faults.add(FaultRule("storage.*", Reset()))
    async with running(emulator.storage_connection_string, "pod-1") as store:
        call = VirtualCall(store, recorded_record(), counters)
        await record([call], 4)
        call.recorder.finish()
    emulator.faults.remove(outage)
    async with running(emulator.storage_connection_string, "pod-2") as store:
        await Finaliser(store, counters).finalise(call.recorder.folder)
        frames = await recording_of(store, call, RecordingFormat.WAV)
    assert len(frames) == 4 * PART_S * RATE
    assert (frames == (100, -100)).all()
