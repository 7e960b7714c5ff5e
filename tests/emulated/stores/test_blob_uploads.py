"""Blobs put by one plain request: what the SDK reads back, and what a store that is away means."""

from datetime import UTC, datetime, timedelta

import pytest
from aiohttp import web
from azure.core.credentials import AccessToken
from azure.core.exceptions import ClientAuthenticationError

from shared.adapters.blob_uploads import SIGNATURE_LIFE, BlobUploads
from shared.adapters.connect import LocalCredential
from shared.config import StorageSettings
from shared.errors import StoreUnavailable

NAME = "demo/2026-11-20/0197f3a0-0000-7000-8000-000000000000/parts/0001/a b+c.wav"


@pytest.fixture
async def uploads(storage_connection_string, container):
    await container.make()
    uploads = BlobUploads(
        StorageSettings(None, storage_connection_string), LocalCredential(), container._name
    )
    yield uploads
    await uploads.close()


async def test_what_is_put_is_what_the_sdk_reads(uploads, container):
    await uploads.put(NAME, b"x" * 400_000)

    assert (await container.read(NAME, max_bytes=500_000)).data == b"x" * 400_000
    assert [entry.name for entry in await container.entries("demo/")] == [NAME]


async def test_a_blob_is_put_over_what_was_there(uploads, container):
    await uploads.put(NAME, b"old")
    await uploads.put(NAME, b"new")

    assert (await container.read(NAME, max_bytes=100)).data == b"new"


async def test_the_signature_is_renewed_before_it_ends(storage_connection_string, container):
    await container.make()
    now = [datetime.now(UTC) - SIGNATURE_LIFE - timedelta(days=1)]
    settings = StorageSettings(None, storage_connection_string)
    uploads = BlobUploads(settings, LocalCredential(), container._name, clock=lambda: now[0])
    with pytest.raises(StoreUnavailable):
        await uploads.put("late", b"1")  # signed so long ago that it is over
    now[0] = datetime.now(UTC)
    await uploads.put("now", b"2")
    await uploads.close()

    assert (await container.read("now", max_bytes=10)).data == b"2"


async def test_a_container_that_is_not_there_is_a_store_that_does_not_take_it(storage_connection_string):
    settings = StorageSettings(None, storage_connection_string)
    uploads = BlobUploads(settings, LocalCredential(), "no-such-container")
    with pytest.raises(StoreUnavailable, match="404"):
        await uploads.put(NAME, b"x")
    await uploads.close()


async def test_nobody_there_is_a_store_that_is_away():
    uploads = BlobUploads(StorageSettings(None, None, "http://127.0.0.1:9"), LocalCredential(), "recordings")
    with pytest.raises(StoreUnavailable):
        await uploads.put(NAME, b"x")
    await uploads.close()


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
    """A blob service that keeps what it was asked."""
    asked = []

    async def put(request):
        asked.append((request.raw_path, dict(request.headers), await request.read()))
        return web.Response(status=201)

    application = web.Application()
    application.router.add_put("/{path:.*}", put)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = site._server.sockets[0].getsockname()[1]
    yield StorageSettings(None, None, f"http://127.0.0.1:{port}"), asked
    await runner.cleanup()


async def test_the_process_s_identity_lets_it_in(storage):
    settings, asked = storage
    uploads = BlobUploads(settings, Identity("token-1"), "recordings")
    await uploads.put(NAME, b"sound")
    await uploads.close()

    ((path, headers, body),) = asked
    assert path == f"/recordings/{NAME.replace(' ', '%20').replace('+', '%2B')}"
    assert headers["Authorization"] == "Bearer token-1"
    assert headers["x-ms-blob-type"] == "BlockBlob"
    assert body == b"sound"


async def test_without_an_identity_the_store_is_away(storage):
    settings, asked = storage
    uploads = BlobUploads(settings, Identity(None), "recordings")
    with pytest.raises(StoreUnavailable):
        await uploads.put(NAME, b"sound")
    await uploads.close()

    assert asked == []
