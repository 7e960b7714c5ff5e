"""The stores on Azurite, through the real SDK."""

import pytest

from shared.adapters.tables import create_tables, open_tables


@pytest.fixture
async def tables(storage_connection_string):
    service = open_tables(endpoint=None, connection_string=storage_connection_string, credential=None)
    async with service:
        await create_tables(service)
        yield service
