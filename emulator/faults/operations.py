"""The names of everything that can be made to go wrong."""

from fnmatch import fnmatchcase
from typing import Final

from emulator.call_automation import operations
from emulator.key_vault.operations import OPERATIONS as KEY_VAULT_OPERATIONS
from emulator.language.operations import OF_KINDS as LANGUAGE_OPERATIONS
from emulator.web_pubsub.operations import DELIVER
from emulator.web_pubsub.operations import OPERATIONS as WEB_PUBSUB_OPERATIONS

CALL_AUTOMATION: Final = frozenset(operation.name for operation in operations.ALL)
KEY_VAULT: Final = frozenset(f"key_vault.{operation}" for operation in KEY_VAULT_OPERATIONS)

WEB_PUBSUB_PREFIX: Final = "web_pubsub."
WEB_PUBSUB: Final = frozenset(WEB_PUBSUB_PREFIX + operation for operation in WEB_PUBSUB_OPERATIONS)

OPENID_METADATA: Final = "identity.openidMetadata"
KEYS: Final = "identity.keys"
IDENTITY: Final = frozenset({OPENID_METADATA, KEYS})

AZURE_AI_SPEAK: Final = "azure_ai.speak"
"""ACS lets Azure AI speak a text, for a call that is to hear it."""

AZURE_AI_RECOGNIZE: Final = "azure_ai.recognize"
"""ACS lets Azure AI listen to the words of a caller."""

AZURE_AI: Final = frozenset({AZURE_AI_SPEAK, AZURE_AI_RECOGNIZE})

LANGUAGE_PREFIX: Final = "language."
LANGUAGE: Final = frozenset(LANGUAGE_PREFIX + operation for operation in LANGUAGE_OPERATIONS.values())

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

REQUESTS: Final = CALL_AUTOMATION | KEY_VAULT | IDENTITY | STORAGE | WEB_PUBSUB | AZURE_AI | LANGUAGE
"""Requests to a service, by the application or on its behalf: whole answers can be replaced, lost or held."""

EVENT_GRID: Final = "event_grid.deliver"
CALLBACK: Final = "callback.deliver"
WEB_PUBSUB_DELIVER: Final = WEB_PUBSUB_PREFIX + DELIVER
MESSAGES: Final = frozenset({EVENT_GRID, CALLBACK, WEB_PUBSUB_DELIVER})
"""Attempts to send something to the application."""

ALL: Final = REQUESTS | MESSAGES

OF_CALLS: Final = CALL_AUTOMATION | AZURE_AI | {EVENT_GRID, CALLBACK}
"""Operations that tell of which call they are."""

WITH_PARTS: Final = frozenset({"key_vault", "storage", "event_grid", "callback", "web_pubsub"})
"""Beginnings of the names after which a colon and a secret, table, container, event or group's name may follow."""


def named_by(pattern: str) -> frozenset[str]:
    """The operations that a rule's `operation` names; `*` stands for any characters, a part is not looked at."""
    name = pattern.partition(":")[0]
    return frozenset(operation for operation in ALL if fnmatchcase(operation, name))
