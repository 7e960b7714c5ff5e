"""Parts on their way to storage: at once, or over the volume while it is away; lost only where nothing takes them."""

import asyncio
from collections import Counter
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from media_gateway.recording.parts import CallFolder, PartName
from media_gateway.recording.spill import Spill
from media_gateway.recording.store import SENT_AT_ONCE, WAITING_PARTS, RecordingStore, StoreTiming
from shared.errors import StoreRefused
from tests.support.recording import MemoryBlobs

FOLDER = CallFolder("demo", "2026-11-24", "call-1")
TIMING = StoreTiming(put_s=0.05, retry_s=0.01, refused_s=0.01)


def part(number):
    return PartName(1, number * 100, number * 100 + 100)


@pytest.fixture
def blobs():
    return MemoryBlobs()


@pytest.fixture
def counters():
    return Counter()


@pytest.fixture
def running(blobs, counters, tmp_path):
    """Run a store: `async with running() as store`."""

    @asynccontextmanager
    async def run(process="pod-1", max_bytes=1_000_000):
        store = RecordingStore(blobs, Spill(tmp_path, process, max_bytes), counters, TIMING)
        await store.open()
        running = asyncio.create_task(store.run())
        try:
            yield store
        finally:
            running.cancel()
            await asyncio.wait((running,))

    return run


async def test_parts_are_sent_at_once(running, blobs, counters):
    async with running() as store:
        for number in range(3):
            store.put(FOLDER, part(number), b"x")
        await store.all_sent(FOLDER)
    assert set(blobs.blobs) == {part(number).within(FOLDER) for number in range(3)}
    assert counters == {"recording_parts_sent": 3}


async def test_while_storage_is_away_nothing_is_lost_and_then_it_is_sent_in_order(running, blobs, counters):
    async with running() as store:
        blobs.is_away = True
        for number in range(30):
            store.put(FOLDER, part(number), b"x")
            await asyncio.sleep(0)
        while counters["recording_parts_spilled"] < 30:
            await asyncio.sleep(0.001)
        blobs.is_away = False
        await store.all_sent(FOLDER)
    assert sorted(blobs.writes) == [part(number).within(FOLDER) for number in range(30)]
    assert counters == {"recording_parts_spilled": 30, "recording_parts_sent": 30}


async def test_storage_that_does_not_answer_in_time_is_away(running, blobs, counters):
    async with running() as store:
        blobs.holds = asyncio.Event()
        store.put(FOLDER, part(0), b"x")
        while not counters["recording_parts_spilled"]:
            await asyncio.sleep(0.001)
        blobs.holds.set()
        await store.all_sent(FOLDER)
    assert counters["recording_parts_sent"] == 1


async def test_what_the_full_volume_does_not_take_is_lost_and_counted(running, blobs, counters, caplog):
    async with running(max_bytes=2) as store:
        blobs.is_away = True
        for number in range(5):
            store.put(FOLDER, part(number), b"x")
        while counters["recording_parts_lost"] < 3:
            await asyncio.sleep(0.001)
        blobs.is_away = False
        await store.all_sent(FOLDER)
    assert counters == {"recording_parts_spilled": 2, "recording_parts_lost": 3, "recording_parts_sent": 2}
    assert caplog.text.count("parts of recordings are lost") == 1


async def test_storage_is_asked_again_though_the_volume_takes_nothing(running, blobs, counters):
    async with running(max_bytes=0) as store:
        blobs.is_away = True
        store.put(FOLDER, part(0), b"x")
        await store.all_sent(FOLDER)
        blobs.is_away = False
        while not counters["recording_parts_sent"]:
            store.put(FOLDER, part(1), b"x")
            await asyncio.sleep(0.005)


async def test_parts_that_come_faster_than_they_are_sent_wait_within_a_limit(running, blobs, counters):
    async with running() as store:
        blobs.holds = asyncio.Event()
        for number in range(WAITING_PARTS + SENT_AT_ONCE + 20):
            store.put(FOLDER, part(number), b"x")
            if number == SENT_AT_ONCE:
                await asyncio.sleep(0)
        assert store._to_send.qsize() <= WAITING_PARTS
        blobs.holds.set()
        await store.all_sent(FOLDER)
    assert counters["recording_parts_sent"] == WAITING_PARTS + SENT_AT_ONCE + 20


async def test_a_part_that_finds_no_room_in_memory_is_lost_and_counted(running, blobs, counters):
    async with running() as store:
        for number in range(3 * WAITING_PARTS):
            store.put(FOLDER, part(number), b"x")
        await store.all_sent(FOLDER)
    assert counters["recording_parts_lost"] == WAITING_PARTS
    assert counters["recording_parts_sent"] == 2 * WAITING_PARTS


async def test_what_is_in_memory_when_the_process_stops_is_sent_by_the_next_one(running, blobs, counters):
    async with running("pod-1") as store:
        blobs.holds = asyncio.Event()
        for number in range(SENT_AT_ONCE + 5):
            store.put(FOLDER, part(number), b"x")
        await asyncio.sleep(0)
    assert blobs.blobs == {}
    blobs.holds = None
    async with running("pod-2") as store:
        await store.all_sent(FOLDER)
    assert len(blobs.blobs) == SENT_AT_ONCE + 5
    assert counters["recording_parts_lost"] == 0


async def test_an_odd_fault_of_the_adapter_is_taken_for_an_outage(running, blobs, counters, caplog):
    async with running() as store:
        real, calls = blobs.put, []

        async def put(name, data):
            calls.append(name)
            if len(calls) == 1:
                raise KeyError("odd")
            await real(name, data)

        blobs.put = put
        store.put(FOLDER, part(0), b"x")
        await store.all_sent(FOLDER)
    assert counters == {"recording_parts_spilled": 1, "recording_parts_sent": 1}
    assert "in an unexpected way" in caplog.text


async def test_a_part_that_is_refused_holds_up_no_other_and_is_tried_again(running, blobs, counters, caplog):
    refused = part(0).within(FOLDER)
    async with running() as store:
        blobs.refuses = {refused}
        for number in range(3):
            store.put(FOLDER, part(number), b"x")
        with pytest.raises(StoreRefused):
            await store.all_sent(FOLDER)
        assert set(blobs.blobs) == {part(number).within(FOLDER) for number in (1, 2)}
        while counters["recording_parts_refused"] < 3:
            await asyncio.sleep(0.001)
        blobs.refuses.clear()
        # Refused until it is sent and gone from the volume too.
        while counters["recording_parts_sent"] < 3:
            await asyncio.sleep(0.001)
        await store.all_sent(FOLDER)
    assert refused in blobs.blobs
    assert counters["recording_parts_spilled"] == 1
    assert caplog.text.count("storage refuses parts") == 1


async def test_parts_on_the_volume_behind_one_that_is_refused_are_sent(running, blobs, counters):
    async with running() as store:
        blobs.is_away = True
        for number in range(5):
            store.put(FOLDER, part(number), b"x")
        while counters["recording_parts_spilled"] < 5:
            await asyncio.sleep(0.001)
        blobs.refuses = {part(number).within(FOLDER) for number in (0, 3)}
        blobs.is_away = False
        while len(blobs.blobs) < 3:
            await asyncio.sleep(0.001)
        assert len(store._spill) == 2


async def test_the_next_process_tries_what_was_refused(running, blobs):
    blobs.refuses = {part(0).within(FOLDER)}
    async with running("pod-1") as store:
        store.put(FOLDER, part(0), b"x")
        with pytest.raises(StoreRefused):
            await store.all_sent(FOLDER)
    blobs.refuses.clear()
    async with running("pod-2") as store:
        await store.all_sent(FOLDER)
    assert len(blobs.blobs) == 1


async def test_a_file_that_the_volume_does_not_let_go_is_counted_and_holds_up_none(
    running, blobs, counters, monkeypatch
):
    async with running() as store:
        blobs.is_away = True
        for number in range(2):
            store.put(FOLDER, part(number), b"x")
        while counters["recording_parts_spilled"] < 2:
            await asyncio.sleep(0.001)
        with monkeypatch.context() as patched:
            patched.setattr(Path, "unlink", _refuse)
            blobs.is_away = False
            await store.all_sent(FOLDER)
    assert counters["recording_files_left"] == counters["recording_parts_sent"] == 2


def _refuse(path, **options):
    raise OSError("read-only file system")
