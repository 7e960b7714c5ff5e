"""Recordings in a container of the test's own, through the real SDK."""

import asyncio
import uuid
from collections import Counter
from contextlib import asynccontextmanager

import pytest

from media_gateway.recording.spill import Spill
from media_gateway.recording.store import RecordingStore, StoreTiming
from shared.adapters.connect import LocalCredential
from shared.adapters.recording_store import BlobRecordings
from shared.config import StorageSettings


@pytest.fixture
def container_name():
    return f"recordings-{uuid.uuid4().hex}"


@pytest.fixture
def counters():
    return Counter()


@pytest.fixture
def running(container_name, counters, tmp_path):
    """Run a store of recordings: `async with running(connection_string) as store`."""

    @asynccontextmanager
    async def run(connection_string, process="pod-1"):
        recordings = BlobRecordings(
            StorageSettings(None, connection_string), LocalCredential(), container_name
        )
        store = RecordingStore(
            recordings, Spill(tmp_path, process, 1 << 30), counters, StoreTiming(retry_s=0.05)
        )
        await store.open()
        sending = asyncio.create_task(store.run())
        try:
            yield store
        finally:
            sending.cancel()
            await asyncio.wait((sending,))
            await recordings.close()

    return run
