"""What it costs to finalise recorded calls beside those that are live: CPU, and how late the event loop is.

The product's finaliser makes recordings of calls' parts, two at once, in the process that measures, on a core of its
own; blob storage is a dict in another.

    python -m bench.finalise [--minutes 5] [--rounds 3] [--markdown]
"""

import argparse
import asyncio
import contextlib
import gc
import os
import statistics
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path

import numpy as np
import uvloop

from bench.blob_sink import connection_string
from bench.media_tables import rendered
from bench.processes import server
from media_gateway.recording.finaliser import Finaliser
from media_gateway.recording.line import SAMPLE, Samples
from media_gateway.recording.notes import CallFacts, Notes, encode_notes
from media_gateway.recording.parts import CallFolder, PartName, pack
from media_gateway.recording.recorder import PART_S
from media_gateway.recording.spill import Spill
from media_gateway.recording.store import RecordingStore
from shared.adapters.blobs import load_sdk
from shared.adapters.connect import LocalCredential
from shared.adapters.recording_store import BlobRecordings
from shared.config import StorageSettings
from shared.core.profiles import RecordingFormat

RATE_HZ = 24_000
CALLS = 2
"""As many as are finalised at once."""
IDLE_S = 2.0
PROBE_S = 0.001
TURN_S = 3
"""The caller and the agent take turns."""


async def probe(late_ms: list[float]) -> None:
    """Note how late a timer of a millisecond is, again and again, until cancelled.

    Only as long as this process was at work meanwhile: what others had the core for is not its fault.
    """
    while True:
        due, cpu_s = time.perf_counter() + PROBE_S, time.process_time()
        await asyncio.sleep(PROBE_S)
        late_ms.append(min(time.perf_counter() - due, time.process_time() - cpu_s) * 1000)


def speech() -> Iterator[Samples]:
    """Yield stretches that are about as hard to compress as speech: noise that swells in syllables, in turns."""
    random = np.random.default_rng(1)
    samples = int(PART_S * RATE_HZ)
    first = 0
    while True:
        at_s = np.arange(first, first + samples) / RATE_HZ
        noise = np.convolve(random.normal(size=samples + 11), np.hanning(12), "valid")
        tracks = noise * 1200 * np.abs(np.sin(at_s * 12)) + random.normal(scale=4, size=samples)
        caller_speaks = at_s // TURN_S % 2 == 0
        frames = np.stack((tracks * caller_speaks, tracks * ~caller_speaks), axis=1)
        yield np.ascontiguousarray(frames, SAMPLE)
        first += samples


async def record(store: RecordingStore, coding: RecordingFormat, seconds: float) -> CallFolder:
    """Put the parts of a call into storage."""
    folder = CallFolder.of("bench", str(uuid.uuid4()), time.time())
    facts = CallFacts(
        call_id=folder.call_id, account=folder.account, profile="bench", format=coding,
        caller="", called="", correlation_id="", server_call_id="", state="ended",
        times={"created": time.time()},
    )  # fmt: skip
    samples = int(PART_S * RATE_HZ)
    for first, frames in zip(range(0, int(seconds * RATE_HZ), samples), speech(), strict=False):
        data = pack(frames, RATE_HZ, encode_notes(Notes(call=facts)))
        store.put(folder, PartName(1, first, first + samples), data)
        await store.all_sent(folder)
    return folder


@contextlib.asynccontextmanager
async def probed() -> AsyncIterator[list[float]]:
    late_ms: list[float] = []
    probing = asyncio.create_task(probe(late_ms))
    yield late_ms
    probing.cancel()


async def finalise(store: RecordingStore, folders: Sequence[CallFolder]) -> tuple[float, float]:
    """Finalise recorded calls; return the seconds of CPU, and the seconds, that it took."""
    counters: Counter[str] = Counter()
    finaliser = Finaliser(store, counters)
    working = asyncio.create_task(finaliser.run())
    cpu_s, began = time.process_time(), time.perf_counter()
    for folder in folders:
        finaliser.submit(folder)
    await finaliser.finished()
    cpu_s, took_s = time.process_time() - cpu_s, time.perf_counter() - began
    working.cancel()
    if counters["recordings_made"] != len(folders):
        raise RuntimeError("a recording was not made")
    return cpu_s, took_s


async def measure(store: RecordingStore, arguments: argparse.Namespace) -> list[list[str]]:
    """Return head and rows of a table."""
    seconds = arguments.minutes * 60
    rows = [["format", "CPU ms a recorded second", "recorded seconds a second", "late p50 ms", "p99", "max"]]
    async with probed() as late_ms:
        await asyncio.sleep(IDLE_S)
    rows.append(["(idle)", "", "", *lateness(late_ms)])
    for coding in RecordingFormat:
        await finalise(store, [await record(store, coding, PART_S)])  # what is done once in a process
        costs, late_ms = [], []
        for _ in range(arguments.rounds):
            # The probe takes CPU itself, so that it has a turn of its own.
            costs.append(await finalise(store, [await record(store, coding, seconds) for _ in range(CALLS)]))
            folders = [await record(store, coding, seconds) for _ in range(CALLS)]
            async with probed() as late_ms_of_round:
                await finalise(store, folders)
            late_ms += late_ms_of_round
        cpu_s, took_s = (statistics.median(each) / (CALLS * seconds) for each in zip(*costs, strict=True))
        rows.append([coding.value, f"{cpu_s * 1000:.2f}", f"{1 / took_s:.0f}", *lateness(late_ms)])
    return rows


def lateness(late_ms: Sequence[float]) -> list[str]:
    return [f"{value:.2f}" for value in np.percentile(late_ms, (50, 99, 100))]


async def run(arguments: argparse.Namespace, volume: Path) -> None:
    own_core, other_core = sorted(os.sched_getaffinity(0))[:2]
    os.sched_setaffinity(0, {own_core})
    load_sdk()
    gc.collect()
    gc.freeze()
    async with server("bench.blob_sink", core=other_core) as sink:
        recordings = BlobRecordings(StorageSettings(None, connection_string(sink.port)), LocalCredential())
        store = RecordingStore(recordings, Spill(volume, "bench", 1 << 30), Counter())
        await store.open()
        sending = asyncio.create_task(store.run())
        try:
            print(rendered(await measure(store, arguments), markdown=arguments.markdown))
        finally:
            sending.cancel()
            await asyncio.wait((sending,))
            await recordings.close()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=5.0, help="of each call")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--markdown", action="store_true", help="for docs/performance.md")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="acs-voice-gateway-bench-") as volume:
        uvloop.run(run(arguments, Path(volume)))


if __name__ == "__main__":
    main()
