"""The names of everything that can be made to go wrong."""

from collections.abc import Mapping
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

OF_CALLS: Final = CALL_AUTOMATION
"""Operations whose requests tell of which call they are."""

PARTS: Final[Mapping[str, str]] = {"key_vault": "secret", "storage": "table or container"}
"""What may follow the colon of an operation's name, by the name's beginning."""


def named_by(pattern: str) -> frozenset[str]:
    """The operations that a rule's `operation` names; `*` stands for any characters, a part is not looked at."""
    name = pattern.partition(":")[0]
    return frozenset(operation for operation in REQUESTS if fnmatchcase(operation, name))
