"""Recordings in blob storage: written over what was there, large ones in blocks, listed, deleted."""

import os

import pytest

from shared.adapters.blobs import BlobTooLarge
from shared.adapters.connect import LocalCredential
from shared.adapters.plain_blobs import BLOCK_BYTES
from shared.adapters.recording_store import BlobRecordings
from shared.config import StorageSettings
from shared.errors import StoreUnavailable


@pytest.fixture
async def recordings(storage_connection_string, container_name):
    recordings = BlobRecordings(
        StorageSettings(None, storage_connection_string), LocalCredential(), container_name
    )
    yield recordings
    await recordings.close()


async def test_the_first_blob_makes_the_container_and_a_later_one_takes_its_place(recordings):
    assert await recordings.names("a/") == []
    await recordings.put("a/1", b"one")
    await recordings.put("a/1", b"two")
    assert await recordings.read("a/1", max_bytes=3) == b"two"
    assert await recordings.read("a/2", max_bytes=3) is None
    with pytest.raises(BlobTooLarge):
        await recordings.read("a/1", max_bytes=2)


@pytest.mark.parametrize("size", [0, 1, BLOCK_BYTES, 3 * BLOCK_BYTES + 1])
async def test_a_file_of_any_size_is_written_whole_over_what_was_there(recordings, tmp_path, size):
    path = tmp_path / "file"
    path.write_bytes(os.urandom(size))
    await recordings.put("file", b"before")
    await recordings.put_file("file", path)
    assert await recordings.read("file", max_bytes=size) == path.read_bytes()


async def test_any_number_of_blobs_is_deleted_whether_or_not_they_are_there(recordings):
    for name in ("a/1", "a/2", "b/1"):
        await recordings.put(name, b"x")
    await recordings.delete([])
    await recordings.delete(["a/1", *(f"gone/{number}" for number in range(3)), "a/2"])
    assert await recordings.names("") == ["b/1"]


async def test_folders_are_what_lies_right_below(recordings):
    assert await recordings.folders("a/") == []
    for name in ("a/1/x", "a/1/y", "a/2/z/w", "a/file", "b/3/x"):
        await recordings.put(name, b"x")
    assert await recordings.folders("a/") == ["a/1/", "a/2/"]
    assert await recordings.folders("") == ["a/", "b/"]


async def test_storage_that_is_away_is_a_temporary_fault(unused_tcp_port, tmp_path):
    away = f"AccountName=a;AccountKey=a2V5;BlobEndpoint=http://127.0.0.1:{unused_tcp_port}/a;"
    recordings = BlobRecordings(StorageSettings(None, away), LocalCredential())
    path = tmp_path / "file"
    path.write_bytes(bytes(2 * BLOCK_BYTES))
    try:
        for ask in (
            recordings.put("a", b"1"),
            recordings.put_file("a", path),
            recordings.names("a"),
            recordings.folders("a"),
            recordings.delete(["a"]),
        ):
            with pytest.raises(StoreUnavailable, match="did not answer"):
                await ask
    finally:
        await recordings.close()
