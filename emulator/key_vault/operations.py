"""Names of every operation of Key Vault that is emulated."""

from typing import Final

OPERATIONS: Final = (
    "setSecret",
    "listSecrets",
    "listSecretVersions",
    "getSecret",
    "updateSecret",
    "deleteSecret",
    "getDeletedSecret",
    "purgeDeletedSecret",
)
