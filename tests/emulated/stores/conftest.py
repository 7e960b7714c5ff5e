"""The stores on Azurite, through the real SDK."""

import pytest

from shared.adapters.connect import LocalCredential
from shared.adapters.tables import create_tables, open_tables
from shared.config import StorageSettings


@pytest.fixture
async def tables(storage_connection_string):
    service = open_tables(StorageSettings(None, storage_connection_string), LocalCredential())
    async with service:
        await create_tables(service)
        yield service
