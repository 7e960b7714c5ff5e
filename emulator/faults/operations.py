"""The names of everything that can be made to go wrong."""

from fnmatch import fnmatchcase
from typing import Final

from emulator.call_automation import operations
from emulator.key_vault.operations import OPERATIONS as KEY_VAULT_OPERATIONS

CALL_AUTOMATION: Final = frozenset(operation.name for operation in operations.ALL)
KEY_VAULT: Final = frozenset(f"key_vault.{operation}" for operation in KEY_VAULT_OPERATIONS)

OPENID_METADATA: Final = "identity.openidMetadata"
KEYS: Final = "identity.keys"
IDENTITY: Final = frozenset({OPENID_METADATA, KEYS})

STORAGE_OTHER: Final = "storage.other"
STORAGE: Final = frozenset(
    {
        "storage.appendBlock",
        "storage.batch",
        "storage.createContainer",
        "storage.createTable",
        "storage.deleteBlob",
        "storage.deleteContainer",
        "storage.deleteEntity",
        "storage.deleteTable",
        "storage.getBlob",
        "storage.getBlobProperties",
        "storage.getContainerProperties",
        "storage.getEntity",
        "storage.insertEntity",
        "storage.listBlobs",
        "storage.listContainers",
        "storage.mergeEntity",
        "storage.putBlob",
        "storage.putBlock",
        "storage.putBlockList",
        "storage.queryEntities",
        "storage.queryTables",
        "storage.updateEntity",
        STORAGE_OTHER,
    }
)

REQUESTS: Final = CALL_AUTOMATION | KEY_VAULT | IDENTITY | STORAGE
"""Requests of the application to a service: whole answers can be replaced, lost or held."""

EVENT_GRID: Final = "event_grid.deliver"
CALLBACK: Final = "callback.deliver"
MESSAGES: Final = frozenset({EVENT_GRID, CALLBACK})
"""Attempts to send something to the application."""

ALL: Final = REQUESTS | MESSAGES

OF_CALLS: Final = CALL_AUTOMATION | MESSAGES
"""Operations that tell of which call they are."""

WITH_PARTS: Final = frozenset({"key_vault", "storage", "event_grid", "callback"})
"""Beginnings of the names after which a colon and a secret, table, container or event's name may follow."""


def named_by(pattern: str) -> frozenset[str]:
    """The operations that a rule's `operation` names; `*` stands for any characters, a part is not looked at."""
    name = pattern.partition(":")[0]
    return frozenset(operation for operation in ALL if fnmatchcase(operation, name))
