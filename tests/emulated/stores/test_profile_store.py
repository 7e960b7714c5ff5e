"""Profiles and sounds in blob storage: versions are written once, and one of two writers at once loses."""

import asyncio
import gzip

import pytest
from azure.storage.blob import ContentSettings

from shared.adapters.blobs import BlobContainer, BlobTooLarge
from shared.adapters.connect import LocalCredential
from shared.adapters.profile_store import POINTER, BlobProfileStore, BlobSoundStore
from shared.config import StorageSettings
from shared.errors import Conflict, NotConfigured, NotFound, StoreUnavailable
from shared.wav import MAX_WAV_BYTES, SoundUnusable


@pytest.fixture
async def store(container):
    await container.make()
    return BlobProfileStore(container)


@pytest.fixture
async def sounds(container):
    await container.make()
    return BlobSoundStore(container)


async def push(store, document):
    current = await store.current()
    await store.use(await store.add(document, profiles=1, routes=2), current)


async def test_before_anything_was_made_there_is_nothing(container):
    store = BlobProfileStore(container)
    assert await store.current() is None
    assert await store.versions() == []
    with pytest.raises(NotFound, match="no version 1"):
        await store.document(1)


async def test_making_the_container_again_changes_nothing(container):
    await container.make()
    await container.create("a", b"1")
    await container.make()
    assert (await container.read("a", max_bytes=9)).data == b"1"


async def test_a_version_is_put_in_force_and_an_older_one_again(store):
    for document in (b"first", b"second"):
        await push(store, document)
    current = await store.current()
    assert (current.version, await store.document(current.version)) == (2, b"second")
    await store.use(1, current)
    assert (await store.current()).version == 1
    await push(store, b"third")
    assert [(v.number, v.profiles, v.routes) for v in await store.versions()] == [
        (1, 1, 2),
        (2, 1, 2),
        (3, 1, 2),
    ]


async def test_versions_are_listed_by_number_past_ten(store):
    for _ in range(11):
        await store.add(b"{}", profiles=0, routes=0)
    versions = await store.versions()
    assert [version.number for version in versions] == list(range(1, 12))
    assert versions[0].created.tzinfo is not None


async def test_a_blob_that_somebody_stored_compressed_is_not_inflated(container):
    await container.make()
    stored = gzip.compress(bytes(1_000_000))
    client = await container._open()
    await client.upload_blob("bomb", stored, content_settings=ContentSettings(content_encoding="gzip"))
    assert (await container.read("bomb", max_bytes=len(stored))).data == stored


async def test_the_pointer_is_known_again_until_somebody_writes_it(store):
    await push(store, b"first")
    known = await store.current()
    assert await store.current(known) is known
    await push(store, b"second")
    assert (await store.current(known)).version == 2


async def test_of_two_pushes_at_once_one_loses(store):
    results = await asyncio.gather(*(push(store, b"x") for _ in range(2)), return_exceptions=True)
    assert sorted(type(result) for result in results if result is not None) == [Conflict]
    await push(store, b"y")
    current = await store.current()
    with_old = [store.use(number, current) for number in (1, 2)]
    results = await asyncio.gather(*with_old, return_exceptions=True)
    (lost,) = [result for result in results if result is not None]
    assert isinstance(lost, Conflict)
    assert "somebody else" in str(lost)


async def test_a_version_once_written_stays_as_it_is(container, store):
    await push(store, b"first")
    assert await container.create("gateway/1.json", b"other") is False
    assert await store.document(1) == b"first"


@pytest.mark.parametrize("content", [b"", b"seven", b"x" * 2000])
async def test_a_pointer_that_was_written_by_hand_is_said_plainly(container, store, content):
    await container.create(POINTER, content)
    with pytest.raises(NotConfigured, match="holds no version"):
        (await store.current()).version  # noqa: B018


async def test_a_sound_is_stored_once_and_read_whole(container, sounds):
    content = bytes(range(256)) * 20_000
    for _ in range(2):
        await sounds.put("sounds/a.wav", content)
    assert await sounds.read("sounds/a.wav") == content
    with pytest.raises(SoundUnusable, match="is not stored"):
        await sounds.read("sounds/b.wav")
    await container.create("sounds/large.wav", bytes(MAX_WAV_BYTES + 1))
    with pytest.raises(SoundUnusable, match="too large"):
        await sounds.read("sounds/large.wav")


async def test_no_more_than_asked_for_is_taken(container):
    await container.make()
    await container.create("a", b"123")
    assert (await container.read("a", max_bytes=3)).data == b"123"
    with pytest.raises(BlobTooLarge):
        await container.read("a", max_bytes=2)


async def test_who_wrote_last_is_not_overwritten_unseen(container):
    await container.make()
    await container.create("a", b"1")
    seen = await container.read("a", max_bytes=9)
    assert await container.replace("a", b"2", seen.etag) is True
    assert await container.replace("a", b"3", seen.etag) is False
    assert await container.replace("gone", b"3", seen.etag) is False
    assert (await container.read("a", max_bytes=9)).data == b"2"


async def test_storage_that_is_away_or_refuses_is_a_temporary_fault(
    storage_connection_string, unused_tcp_port
):
    away = f"AccountName=a;AccountKey=a2V5;BlobEndpoint=http://127.0.0.1:{unused_tcp_port}/a;"
    refusing = storage_connection_string.replace("AccountKey=", "AccountKey=AAAA")
    for connection, fault in ((away, "did not answer"), (refusing, "answered 403")):
        container = BlobContainer(StorageSettings(None, connection), LocalCredential(), "config")
        try:
            for ask in (container.make(), container.touch("a"), container.read("a", max_bytes=1)):
                with pytest.raises(StoreUnavailable, match=fault):
                    await ask
            with pytest.raises(StoreUnavailable, match=fault):
                await container.entries("a")
        finally:
            await container.close()
