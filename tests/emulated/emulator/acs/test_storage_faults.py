"""Faults of Table and Blob storage, as the real SDKs see them through the proxy in front of Azurite."""

import asyncio
import uuid

import pytest
from azure.core import MatchConditions
from azure.core.exceptions import (
    AzureError,
    HttpResponseError,
    ResourceExistsError,
    ResourceModifiedError,
    ResourceNotFoundError,
)
from azure.data.tables import UpdateMode
from azure.data.tables.aio import TableServiceClient
from azure.storage.blob.aio import BlobServiceClient

from emulator.faults import Cut, FaultRule, Reset, Status, When
from emulator.storage_proxy import blob_operation, table_operation


@pytest.fixture
async def emulator(start_emulator, azurite):
    return await start_emulator(
        azurite_blob_port=azurite.ports["blob"], azurite_table_port=azurite.ports["table"]
    )


@pytest.fixture
async def table(emulator):
    """A table of the test's own, through the proxy; the client does not try again by itself."""
    name = "t" + uuid.uuid4().hex
    connection = emulator.storage_connection_string
    async with TableServiceClient.from_connection_string(connection, retry_total=0) as service:
        await service.create_table(name)
        yield service.get_table_client(name)


@pytest.fixture
async def container(emulator):
    connection = emulator.storage_connection_string
    async with BlobServiceClient.from_connection_string(connection, retry_total=0) as service:
        yield await service.create_container("c" + uuid.uuid4().hex)


def row(key: str = "r", **values):
    return {"PartitionKey": "p", "RowKey": key, **values}


async def test_everything_that_the_sdk_does_with_tables_passes_the_proxy(table, emulator):
    created = await table.create_entity(row(note="a 'quoted' value/with ü", number=1))
    await table.upsert_entity(row(number=2), mode=UpdateMode.MERGE)
    await table.submit_transaction([("create", row("s")), ("upsert", row("t"))])
    with pytest.raises(ResourceExistsError):
        await table.create_entity(row())
    with pytest.raises(ResourceModifiedError):
        await table.update_entity(
            row(),
            mode=UpdateMode.REPLACE,
            etag=created["etag"],
            match_condition=MatchConditions.IfNotModified,
        )

    assert (await table.get_entity("p", "r"))["number"] == 2
    found = [entity["RowKey"] async for entity in table.query_entities("PartitionKey eq 'p'")]
    await table.delete_entity("p", "r")

    assert found == ["r", "s", "t"]
    operations = [seen.operation.removesuffix(table.table_name) for seen in emulator.requests("storage.*")]
    assert operations == [
        "storage.createTable:",
        "storage.insertEntity:",
        "storage.mergeEntity:",
        "storage.batch:",
        "storage.insertEntity:",
        "storage.updateEntity:",
        "storage.getEntity:",
        "storage.queryEntities:",
        "storage.deleteEntity:",
    ]


async def test_everything_that_the_sdk_does_with_blobs_passes_the_proxy(container, emulator):
    blob = container.get_blob_client("a folder/ü.bin")
    content = bytes(range(256)) * 1024

    await blob.upload_blob(content, metadata={"k": "v"})
    assert await (await blob.download_blob()).readall() == content
    assert (await blob.get_blob_properties()).size == len(content)
    assert [each.name async for each in container.list_blobs()] == ["a folder/ü.bin"]
    await blob.stage_block("YQ==", b"a")
    await blob.commit_block_list(["YQ=="])
    await blob.delete_blob()

    names = [
        seen.operation.partition(":")[0].removeprefix("storage.") for seen in emulator.requests("storage.*")
    ]
    assert names == [
        "createContainer", "putBlob", "getBlob", "getBlobProperties", "listBlobs",
        "putBlock", "putBlockList", "deleteBlob",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("fault", "error", "code"),
    [
        (Status(status=503), HttpResponseError, "ServerBusy"),
        (Status(status=404), ResourceNotFoundError, "ResourceNotFound"),
        (Status(status=409, code="EntityAlreadyExists"), ResourceExistsError, "EntityAlreadyExists"),
    ],
)
async def test_table_fails_in_its_own_shape(table, emulator, fault, error, code):
    emulator.faults.fail_next(f"storage.insertEntity:{table.table_name}", fault)

    with pytest.raises(error) as failed:
        await table.create_entity(row())

    assert failed.value.status_code == fault.status
    assert failed.value.response.headers["x-ms-error-code"] == code
    await table.create_entity(row())


async def test_condition_that_storage_calls_unmet_is_one_to_the_sdk(table, emulator):
    await table.create_entity(row())
    emulator.faults.fail_next("storage.mergeEntity", Status(status=412, code="UpdateConditionNotSatisfied"))

    with pytest.raises(ResourceModifiedError):
        await table.upsert_entity(row())


async def test_blob_fails_in_its_own_shape(container, emulator):
    emulator.faults.fail_next("storage.putBlob", Status(status=503, retry_after_seconds=1))

    with pytest.raises(HttpResponseError) as failed:
        await container.upload_blob("b", b"content")

    assert (failed.value.status_code, failed.value.error_code) == (503, "ServerBusy")
    assert failed.value.response.headers["Retry-After"] == "1"


async def test_other_tables_and_operations_are_spared(table, emulator):
    emulator.faults.add(FaultRule("storage.insertEntity:calls", Reset()))
    emulator.faults.add(FaultRule(f"storage.mergeEntity:{table.table_name}", Reset()))

    await table.create_entity(row())


@pytest.mark.parametrize("action", [Reset(when=When.AFTER), Cut(), Status(status=500, when=When.AFTER)])
async def test_write_whose_reply_is_lost_is_written(table, emulator, action):
    emulator.faults.add(FaultRule("storage.insertEntity", action, times=1))

    # Half a reply makes the SDK stumble over its own error: no AzureError then.
    with pytest.raises((AzureError, AttributeError)):
        await table.create_entity(row())

    assert (await table.get_entity("p", "r"))["RowKey"] == "r"


async def test_write_that_is_lost_is_not_written(table, emulator):
    emulator.faults.add(FaultRule("storage.*", Reset(), times=1))

    with pytest.raises(AzureError):
        await table.create_entity(row())

    with pytest.raises(ResourceNotFoundError):
        await table.get_entity("p", "r")


@pytest.mark.parametrize("when", When)
async def test_write_is_held_at_its_exact_step(table, emulator, when):
    emulator.faults.hold_next(f"storage.insertEntity:{table.table_name}", when=when)
    writing = asyncio.create_task(table.create_entity(row()))

    held = await emulator.faults.held("storage.insertEntity")

    written = [entity async for entity in table.list_entities()]
    assert len(written) == (when is When.AFTER)
    assert not writing.done()
    held.release()
    await writing


async def test_a_write_of_a_process_that_died_arrives_all_the_same(table, emulator):
    emulator.faults.hold_next("storage.insertEntity")
    writing = asyncio.create_task(table.create_entity(row()))
    held = await emulator.faults.held("storage.insertEntity")
    writing.cancel()
    await asyncio.gather(writing, return_exceptions=True)

    held.release()

    async with asyncio.timeout(5):
        while not [entity async for entity in table.list_entities()]:
            pass


async def test_storage_that_is_down_is_an_error_of_its_gateway(start_emulator, unused_tcp_port_factory):
    emulator = await start_emulator(azurite_table_port=unused_tcp_port_factory())
    connection = emulator.storage_connection_string
    async with TableServiceClient.from_connection_string(connection, retry_total=0) as service:
        with pytest.raises(HttpResponseError) as failed:
            await service.create_table("calls")

    assert failed.value.status_code == 502


KEYS = "(PartitionKey='p',RowKey='it''s (a) row')"


@pytest.mark.parametrize(
    ("method", "path", "body", "operation"),
    [
        ("POST", "/a/Tables", b'{"TableName": "calls"}', ("storage.createTable", "calls")),
        ("GET", "/a/Tables", b"", ("storage.queryTables", "")),
        ("DELETE", "/a/Tables('calls')", b"", ("storage.deleteTable", "calls")),
        ("GET", "/a/calls()", b"", ("storage.queryEntities", "calls")),
        ("POST", "/a/calls", b"", ("storage.insertEntity", "calls")),
        ("GET", "/a/calls" + KEYS, b"", ("storage.getEntity", "calls")),
        ("PUT", "/a/calls" + KEYS, b"", ("storage.updateEntity", "calls")),
        ("PATCH", "/a/calls" + KEYS, b"", ("storage.mergeEntity", "calls")),
        ("MERGE", "/a/calls" + KEYS, b"", ("storage.mergeEntity", "calls")),
        ("DELETE", "/a/calls" + KEYS, b"", ("storage.deleteEntity", "calls")),
        (
            "POST",
            "/a/$batch",
            b"--x\r\n\r\nPUT http://h:1/a/calls(P='a') HTTP/1.1",
            ("storage.batch", "calls"),
        ),
        ("GET", "/a", b"", ("storage.other", "")),
        ("PUT", "/a/calls", b"", ("storage.other", "calls")),
    ],
)
def test_table_requests_are_known_by_name(method, path, body, operation):
    assert table_operation(method, path, body) == operation


@pytest.mark.parametrize(
    ("method", "path", "query", "operation"),
    [
        ("GET", "/a/", {"comp": "list"}, ("storage.listContainers", "")),
        ("PUT", "/a/c", {"restype": "container"}, ("storage.createContainer", "c")),
        ("GET", "/a/c", {"restype": "container", "comp": "list"}, ("storage.listBlobs", "c")),
        ("PUT", "/a/c/x/y", {}, ("storage.putBlob", "c")),
        ("PUT", "/a/c/x", {"comp": "block"}, ("storage.putBlock", "c")),
        ("PUT", "/a/c/x", {"comp": "lease"}, ("storage.other", "c")),
        ("HEAD", "/a/c/x", {}, ("storage.getBlobProperties", "c")),
    ],
)
def test_blob_requests_are_known_by_name(method, path, query, operation):
    assert blob_operation(method, path, query) == operation
