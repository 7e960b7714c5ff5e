"""The pinned Azurite serves tables, blobs and queues to the real SDKs."""

import uuid

import pytest
from azure.data.tables.aio import TableServiceClient
from azure.storage.blob.aio import BlobServiceClient

from emulator import azurite as azurite_module
from emulator.azurite import AzuriteMissingError, azurite_command


async def test_tables_are_served(storage_connection_string):
    name = f"t{uuid.uuid4().hex}"
    async with TableServiceClient.from_connection_string(storage_connection_string) as service:
        table = await service.create_table(name)
        async with table:
            await table.create_entity({"PartitionKey": "p", "RowKey": "r", "value": 7})
            assert (await table.get_entity("p", "r"))["value"] == 7


async def test_blobs_are_served(storage_connection_string):
    async with BlobServiceClient.from_connection_string(storage_connection_string) as service:
        container = await service.create_container(f"c{uuid.uuid4().hex}")
        blob = await container.upload_blob("a.bin", b"sound")
        assert await (await blob.download_blob()).readall() == b"sound"


def test_telemetry_is_off_and_nothing_is_written_without_a_folder(tmp_path):
    command = azurite_command(blob=0, queue=0, table=0)
    assert "--disableTelemetry" in command
    assert "--inMemoryPersistence" in command
    stored = azurite_command(blob=0, queue=0, table=0, data=tmp_path)
    assert stored[stored.index("--location") + 1] == str(tmp_path)
    assert "--inMemoryPersistence" not in stored


@pytest.mark.parametrize(
    ("node", "folder", "message"),
    [
        (None, azurite_module.FOLDER, "Node.js is not installed"),
        ("/bin/node", "elsewhere", "run `make setup`"),
    ],
)
def test_what_is_missing_is_said_in_one_line(monkeypatch, tmp_path, node, folder, message):
    monkeypatch.setattr("emulator.azurite.shutil.which", lambda _: node)
    monkeypatch.setattr("emulator.azurite.FOLDER", tmp_path / folder)
    with pytest.raises(AzuriteMissingError, match=message):
        azurite_command(blob=0, queue=0, table=0)
