"""Recordings in tests: a store of blobs in memory that may be away, and calls that are recorded in no time."""

import asyncio
from dataclasses import replace

import msgspec
import numpy as np

from media_gateway.recording.line import SAMPLE
from media_gateway.recording.notes import call_facts
from media_gateway.recording.recorder import Recorder
from shared.core.call import CallTimes
from shared.core.call_state import CallState
from shared.core.profiles import Recording, RecordingFormat
from shared.errors import StoreRefused, StoreUnavailable
from tests.support.records import ECHO, call_record

RATE = ECHO.audio_format.rate_hz
FRAME_MS = 20
CREATED = 1_700_000_000.0


class MemoryBlobs:
    """Blob storage in memory; `is_away` while it does not answer, `holds` while it answers nobody in time.

    Of the names in `refuses` it takes no blob.
    """

    def __init__(self):
        self.blobs = {}
        self.is_away = False
        self.refuses = set()
        self.writes = []
        self.holds = None

    async def put(self, name, data):
        await self._answer()
        if name in self.refuses:
            raise StoreRefused("refused")
        self.writes.append(name)
        self.blobs[name] = bytes(data)

    async def put_file(self, name, path):
        await self.put(name, path.read_bytes())

    async def read(self, name, *, max_bytes):
        await self._answer()
        data = self.blobs.get(name)
        assert data is None or len(data) <= max_bytes
        return data

    async def names(self, prefix):
        await self._answer()
        return sorted(name for name in self.blobs if name.startswith(prefix))

    async def folders(self, prefix):
        names = await self.names(prefix)
        return sorted({prefix + name.removeprefix(prefix).partition("/")[0] + "/" for name in names})

    async def delete(self, names):
        await self._answer()
        for name in names:
            self.blobs.pop(name, None)

    def ending(self, end):
        """The one blob whose name ends so."""
        (data,) = [data for name, data in self.blobs.items() if name.endswith(end)]
        return data

    async def _answer(self):
        await asyncio.sleep(0)
        if self.holds is not None:
            await self.holds.wait()
        if self.is_away:
            raise StoreUnavailable("away")


def recorded_record(coding=RecordingFormat.WAV, *, epoch=1, call_id=None, **changes):
    """A call whose profile keeps a recording, owned by a pod."""
    record = call_record(
        CallState.STREAMING,
        profile=msgspec.structs.replace(ECHO, recording=Recording(format=coding)),
        times=CallTimes(created=CREATED, answered=CREATED + 1, streaming=CREATED + 1.2),
        epoch=epoch,
        **changes,
    )
    return record if call_id is None else replace(record, call_id=call_id)


def pcm(value, ms=FRAME_MS):
    """So many milliseconds of one value."""
    return np.full(RATE * ms // 1000, value, SAMPLE).tobytes()


class VirtualCall:
    """A recorder and the time it lives in: `say` lets time go by, with nobody waiting for it.

    Args:
        store: takes the parts.
        record: the call.
        counters: of the process.
        after_s: since the call was created.
    """

    def __init__(self, store, record, counters, after_s=1.0):
        self.now_us = 5_000_000_000
        self.record = record
        self._began_us = self.now_us - int(after_s * 1_000_000)
        self.recorder = Recorder(
            store,
            record,
            lambda: call_facts(self.record, counts={"frames": 7}),
            counters,
            clock=lambda: CREATED + (self.now_us - self._began_us) / 1_000_000,
            now_us=lambda: self.now_us,
        )

    def say(self, seconds, caller=0, agent=0, item="item"):
        """Let the caller and the agent say a value for so long."""
        for _ in range(round(seconds * 1000 / FRAME_MS)):
            self.recorder.caller(self.now_us, pcm(caller))
            if agent:
                self.recorder.agent(item, self.now_us, pcm(agent))
            self.now_us += FRAME_MS * 1000

    def part(self):
        """Hand on a part."""
        self.recorder._hand_on(final=False)
