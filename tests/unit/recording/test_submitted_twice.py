"""A call that is submitted twice is finalised by one worker at a time: both would write the same file."""

import asyncio
from collections import Counter

from media_gateway.recording.finaliser import Finaliser
from media_gateway.recording.spill import Spill
from media_gateway.recording.store import RecordingStore
from tests.support.recording import MemoryBlobs, VirtualCall, recorded_record


async def test_one_recording_is_made_and_no_part_is_left(tmp_path):
    blobs, counters = MemoryBlobs(), Counter()
    store = RecordingStore(blobs, Spill(tmp_path, "pod", 1 << 30), counters)
    await store.open()
    finaliser = Finaliser(store, counters, retry_s=0.01)
    call = VirtualCall(store, recorded_record(), counters)
    call.say(2, caller=4000)
    call.recorder.finish()
    finaliser.submit(call.recorder.folder)
    finaliser.submit(call.recorder.folder)
    running = [asyncio.create_task(store.run()), asyncio.create_task(finaliser.run())]
    await finaliser.finished()
    for task in running:
        task.cancel()
    await asyncio.wait(running)

    assert (counters["recordings_made"], counters["recordings_failed"]) == (1, 0)
    assert not [name for name in blobs.blobs if name.startswith("unfinished/")]
