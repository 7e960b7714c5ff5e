"""A process that records a call to storage until it is killed: prints the seconds that it has recorded.

Arguments: connection string, container, folder for the volume, call id, seconds in a part. The caller says in each
frame which one it is.
"""

import asyncio
import sys
from collections import Counter
from pathlib import Path

from media_gateway.agents.contract import Role
from media_gateway.recording.notes import call_facts
from media_gateway.recording.recorder import Recorder
from media_gateway.recording.spill import Spill
from media_gateway.recording.store import RecordingStore
from media_gateway.ticker import monotonic_us
from shared.adapters.connect import LocalCredential
from shared.adapters.recording_store import BlobRecordings
from shared.config import StorageSettings
from tests.support.recording import CREATED, pcm, recorded_record

FRAME_S = 0.02


async def main(connection_string, container_name, volume, call_id, part_s):
    recordings = BlobRecordings(StorageSettings(None, connection_string), LocalCredential(), container_name)
    counters = Counter()
    store = RecordingStore(recordings, Spill(Path(volume), "killed", 1 << 30), counters)
    await store.open()
    record = recorded_record(call_id=call_id)
    recorder = Recorder(
        store, record, lambda: call_facts(record), counters, clock=lambda: CREATED, part_s=float(part_s)
    )
    loop = asyncio.get_running_loop()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(store.run())
        tasks.create_task(recorder.run())
        began = loop.time()
        number = 0
        while True:
            number += 1
            recorder.caller(monotonic_us(), pcm(number))
            recorder.agent("item", monotonic_us(), pcm(-number))
            if number % 50 == 0:
                recorder.said(Role.CALLER, str(number), f"second {number // 50}")
                print(number // 50, flush=True)
            await asyncio.sleep(began + number * FRAME_S - loop.time())


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
