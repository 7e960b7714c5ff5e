"""Recordings that a killed process left are found by others, once their calls must be over."""

import asyncio
import uuid
from itertools import count

import pytest

from media_gateway.recording.parts import OVER_AFTER_S, CallFolder, PartName
from media_gateway.recording.sweeper import Sweeper
from tests.support.recording import MemoryBlobs

NOW = 1_800_000_000.0
PART = PartName(1, 0, 100)


numbers = count()


def call_id(age_s):
    """The id of a call that began so long ago."""
    return str(uuid.UUID(int=int((NOW - age_s) * 1000) << 80 | next(numbers) | 7 << 76 | 2 << 62))


class Submitted:
    """Takes calls as a finaliser does."""

    def __init__(self):
        self.calls = set()

    def submit(self, folder):
        self.calls.add(folder)


@pytest.fixture
def blobs():
    return MemoryBlobs()


@pytest.fixture
def submitted():
    return Submitted()


def left(blobs, folder):
    blobs.blobs[PART.within(folder)] = b"part"


async def test_calls_that_must_be_over_are_found_whatever_their_account_and_day(blobs, submitted):
    old = {
        CallFolder(account, date, call_id(OVER_AFTER_S + 60))
        for account in ("demo", "other")
        for date in ("2027-01-14", "2027-01-15")
    }
    for folder in old:
        left(blobs, folder)
        left(blobs, CallFolder(folder.account, folder.date, call_id(60)))
    sweeper = Sweeper(blobs, submitted, clock=lambda: NOW)
    await sweeper.look()
    assert submitted.calls == old
    submitted.calls.clear()
    await sweeper.look()
    assert submitted.calls == set()


@pytest.mark.parametrize("name", ["not-an-id", str(uuid.UUID(int=4 << 76))])
async def test_what_is_no_call_of_ours_is_left_alone(blobs, submitted, name):
    left(blobs, CallFolder("demo", "2027-01-15", name))
    blobs.blobs["unfinished/demo/yesterday/x/y"] = b""
    blobs.blobs["unfinished/x"] = b""
    await Sweeper(blobs, submitted, clock=lambda: NOW).look()
    assert submitted.calls == set()


async def test_it_looks_again_though_storage_was_away_or_odd(blobs, submitted, caplog):
    folder = CallFolder("demo", "2027-01-15", call_id(OVER_AFTER_S + 60))
    left(blobs, folder)
    real, looks = blobs.folders, []

    async def folders(prefix):
        looks.append(prefix)
        blobs.is_away = len(looks) == 1
        if len(looks) == 2:
            raise KeyError("odd")
        return await real(prefix)

    blobs.folders = folders
    running = asyncio.create_task(Sweeper(blobs, submitted, clock=lambda: NOW, look_every_s=0.002).run())
    while not submitted.calls:
        await asyncio.sleep(0.001)
    running.cancel()
    await asyncio.wait((running,))
    assert submitted.calls == {folder}
    assert "could not be looked for" in caplog.text
