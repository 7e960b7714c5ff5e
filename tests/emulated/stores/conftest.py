"""The stores on Azurite, through the real SDK."""

import uuid

import pytest

from shared.adapters.blobs import BlobContainer
from shared.adapters.connect import LocalCredential
from shared.adapters.tables import create_tables, open_tables
from shared.config import StorageSettings


@pytest.fixture
async def tables(storage_connection_string):
    service = open_tables(StorageSettings(None, storage_connection_string), LocalCredential())
    async with service:
        await create_tables(service)
        yield service


@pytest.fixture
async def container(storage_connection_string):
    """A container of the test's own, not made yet."""
    settings = StorageSettings(None, storage_connection_string)
    container = BlobContainer(settings, LocalCredential(), f"test-{uuid.uuid4().hex}")
    yield container
    await container.close()
