"""Blobs by plain requests: what the SDK reads back, what is asked again, and what a store that is away means."""

import os
from datetime import UTC, datetime, timedelta

import pytest
from aiohttp import web
from azure.core.credentials import AccessToken
from azure.core.exceptions import ClientAuthenticationError

from shared.adapters.blobs import BlobTooLarge
from shared.adapters.connect import LocalCredential
from shared.adapters.plain_blobs import (
    BLOCK_BYTES,
    LISTED_AT_ONCE,
    PIECE_BYTES,
    SIGNATURE_LIFE,
    PlainBlobs,
)
from shared.config import StorageSettings
from shared.errors import StoreRefused, StoreUnavailable

NAME = "demo/2026-11-20/0197f3a0-0000-7000-8000-000000000000/parts/0001/a b+c.wav"


@pytest.fixture
async def blobs(storage_connection_string, container):
    await container.make()
    blobs = PlainBlobs(StorageSettings(None, storage_connection_string), LocalCredential(), container._name)
    yield blobs
    await blobs.close()


async def test_what_is_put_is_what_the_sdk_reads(blobs, container):
    await blobs.put(NAME, b"x" * 400_000)

    assert (await container.read(NAME, max_bytes=500_000)).data == b"x" * 400_000
    assert [entry.name for entry in await container.entries("demo/")] == [NAME]


async def test_a_blob_is_put_over_what_was_there(blobs, container):
    await blobs.put(NAME, b"old")
    await blobs.put(NAME, b"new")

    assert (await container.read(NAME, max_bytes=100)).data == b"new"


async def test_a_blob_is_read_unless_it_is_too_large_or_not_there(blobs):
    await blobs.put(NAME, b"sound")

    assert await blobs.get(NAME, max_bytes=5) == b"sound"
    assert await blobs.get("gone", max_bytes=5) is None
    with pytest.raises(BlobTooLarge):
        await blobs.get(NAME, max_bytes=4)


async def test_a_file_is_put_in_blocks_and_there_when_it_is_whole(blobs, container, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(os.urandom(2 * BLOCK_BYTES + PIECE_BYTES + 1))
    await blobs.put_file(NAME, path)

    assert (await container.read(NAME, max_bytes=3 * BLOCK_BYTES)).data == path.read_bytes()


async def test_a_listing_of_many_pages_is_whole(blobs):
    names = [f"a/{number:03}" for number in range(2 * LISTED_AT_ONCE + 1)]
    for name in (*names, "a/b/1", "a/b/2", "a/c & d/1"):
        await blobs.put(name, b"x")

    assert await blobs.names("a/") == sorted((*names, "a/b/1", "a/b/2", "a/c & d/1"))
    assert await blobs.folders("a/") == ["a/b/", "a/c & d/"]
    assert await blobs.names("b/") == []


async def test_a_deleted_blob_is_gone_and_may_be_deleted_again(blobs):
    await blobs.put(NAME, b"x")
    for _ in range(2):
        await blobs.delete(NAME)

    assert await blobs.names("") == []


async def test_the_signature_is_renewed_before_it_ends(storage_connection_string, container):
    await container.make()
    now = [datetime.now(UTC) - SIGNATURE_LIFE - timedelta(days=1)]
    settings = StorageSettings(None, storage_connection_string)
    blobs = PlainBlobs(settings, LocalCredential(), container._name, clock=lambda: now[0])
    with pytest.raises(StoreUnavailable):
        await blobs.put("late", b"1")  # signed so long ago that it is over
    now[0] = datetime.now(UTC)
    await blobs.put("now", b"2")
    await blobs.close()

    assert (await container.read("now", max_bytes=10)).data == b"2"


async def test_a_container_that_is_not_there_refuses_blobs(storage_connection_string, container):
    settings = StorageSettings(None, storage_connection_string)
    blobs = PlainBlobs(settings, LocalCredential(), "no-such-container")
    with pytest.raises(StoreRefused, match="404"):
        await blobs.put(NAME, b"x")
    with pytest.raises(StoreRefused, match="404"):
        await container.create(NAME, b"x")  # by the SDK: this one was not made either
    await blobs.close()


async def test_nobody_there_is_a_store_that_is_away():
    blobs = PlainBlobs(StorageSettings(None, None, "http://127.0.0.1:9"), LocalCredential(), "recordings")
    with pytest.raises(StoreUnavailable):
        await blobs.put(NAME, b"x")
    await blobs.close()


class Identity:
    """The process's identity: gives a token for storage, or none."""

    def __init__(self, token):
        self.token = token

    async def get_token(self, scope):
        assert scope == "https://storage.azure.com/.default"
        if self.token is None:
            raise ClientAuthenticationError("no identity")
        return AccessToken(self.token, 0)


@pytest.fixture
async def storage():
    """A blob service that keeps what it was asked, and answers nothing but a status; the first ones are `busy`."""
    asked, busy = [], []
    statuses = {"GET": 200, "PUT": 201, "DELETE": 202}

    async def answer(request):
        asked.append((request.raw_path, dict(request.headers), await request.read()))
        return web.Response(status=busy.pop() if busy else statuses[request.method])

    application = web.Application()
    application.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = site._server.sockets[0].getsockname()[1]
    yield StorageSettings(None, None, f"http://127.0.0.1:{port}"), asked, busy
    await runner.cleanup()


async def test_the_process_s_identity_lets_it_in(storage):
    settings, asked, _ = storage
    blobs = PlainBlobs(settings, Identity("token-1"), "recordings")
    await blobs.put(NAME, b"sound")
    await blobs.close()

    ((path, headers, body),) = asked
    assert path == f"/recordings/{NAME.replace(' ', '%20').replace('+', '%2B')}"
    assert headers["Authorization"] == "Bearer token-1"
    assert headers["x-ms-blob-type"] == "BlockBlob"
    assert body == b"sound"


async def test_without_an_identity_the_store_is_away(storage):
    settings, asked, _ = storage
    blobs = PlainBlobs(settings, Identity(None), "recordings")
    with pytest.raises(StoreUnavailable):
        await blobs.put(NAME, b"sound")
    await blobs.close()

    assert asked == []


async def test_a_block_tells_its_length_beforehand_for_the_service_takes_no_chunks(storage, tmp_path):
    settings, asked, _ = storage
    path = tmp_path / "file"
    path.write_bytes(bytes(PIECE_BYTES + 1))
    blobs = PlainBlobs(settings, Identity("token-1"), "recordings")
    await blobs.put_file("file", path)
    await blobs.close()

    (block_path, headers, body), (list_path, _, listed) = asked
    block = block_path.removeprefix("/recordings/file?comp=block&blockid=")
    assert headers["Content-Length"] == str(PIECE_BYTES + 1)
    assert body == path.read_bytes()
    assert (list_path, listed.decode()) == (
        "/recordings/file?comp=blocklist",
        f"<BlockList><Latest>{block}</Latest></BlockList>",
    )


async def test_what_is_not_answered_is_asked_once_more_with_all_it_said(storage, tmp_path):
    settings, asked, busy = storage
    path = tmp_path / "file"
    path.write_bytes(b"sound")
    blobs = PlainBlobs(settings, Identity("token-1"), "recordings")
    busy += [503]
    await blobs.put_file("file", path)
    assert [body for _, _, body in asked[:2]] == [b"sound", b"sound"]
    busy += [503]
    await blobs.delete("file")
    busy += [503]
    assert await blobs.get("file", max_bytes=1) == b""
    busy += [503, 503]
    with pytest.raises(StoreUnavailable, match="503"):
        await blobs.get("file", max_bytes=1)
    await blobs.close()


@pytest.mark.parametrize(
    ("status", "is_refused"),
    [(400, True), (403, True), (409, True), (408, False), (429, False), (500, False), (503, False)],
)
async def test_what_is_refused_is_told_from_what_may_be_taken_later(storage, status, is_refused):
    settings, asked, busy = storage
    blobs = PlainBlobs(settings, Identity("token-1"), "recordings")
    busy += [status, status]
    with pytest.raises(StoreUnavailable, match=str(status)) as raised:
        await blobs.delete(NAME)
    await blobs.close()

    assert isinstance(raised.value, StoreRefused) == is_refused
    assert len(asked) == (1 if is_refused else 2)


async def test_a_part_is_tried_once_for_it_has_a_volume_to_go_to(storage):
    settings, asked, busy = storage
    blobs = PlainBlobs(settings, Identity("token-1"), "recordings")
    busy += [503]
    with pytest.raises(StoreUnavailable, match="503"):
        await blobs.put(NAME, b"sound")
    await blobs.close()

    assert len(asked) == 1
