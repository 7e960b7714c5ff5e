"""Secrets and their versions, in memory."""

import time
import uuid
from dataclasses import dataclass, field, replace
from typing import Any, Final

RECOVERABLE_DAYS: Final = 90
RECOVERY_LEVEL: Final = "Recoverable+Purgeable"


class VaultError(Exception):
    """A refusal by Key Vault.

    Attributes:
        status: the HTTP status.
        code: the error code.
        inner_code: code of the inner error, if there is one.
    """

    def __init__(self, status: int, code: str, message: str, *, inner_code: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.inner_code = inner_code


@dataclass(frozen=True)
class SecretVersion:
    """One version of a secret; times are Unix seconds."""

    value: str = field(repr=False)
    version: str = field(default_factory=lambda: uuid.uuid4().hex)
    content_type: str | None = None
    tags: dict[str, str] = field(default_factory=dict)
    enabled: bool = True
    not_before: int | None = None
    expires: int | None = None
    created: int = field(default_factory=lambda: int(time.time()))
    updated: int = field(default_factory=lambda: int(time.time()))


@dataclass(frozen=True)
class DeletedSecret:
    """A deleted secret that can still be read about; its name is taken until it is purged."""

    versions: dict[str, SecretVersion]
    deleted: int = field(default_factory=lambda: int(time.time()))

    @property
    def latest(self) -> SecretVersion:
        """The version that was set last."""
        return list(self.versions.values())[-1]

    @property
    def purged(self) -> int:
        """When it would go away by itself."""
        return self.deleted + RECOVERABLE_DAYS * 24 * 3600


class SecretStore:
    """The vault's content."""

    def __init__(self) -> None:
        self._secrets: dict[str, dict[str, SecretVersion]] = {}
        self._deleted: dict[str, DeletedSecret] = {}

    def names(self) -> list[str]:
        """Names of all secrets."""
        return list(self._secrets)

    def add(self, name: str, version: SecretVersion) -> SecretVersion:
        """Set a secret: a new version of an old name, or a new name.

        Raises:
            VaultError: a deleted secret has the name.
        """
        if name in self._deleted:
            message = f"Secret {name} is currently in a deleted but recoverable state, and its name cannot be reused."
            raise VaultError(409, "Conflict", message, inner_code="ObjectIsDeletedButRecoverable")
        self._secrets.setdefault(name, {})[version.version] = version
        return version

    def latest(self, name: str) -> SecretVersion:
        """The version that was set last, enabled or not.

        Raises:
            VaultError: no such secret.
        """
        return self.versions(name)[-1]

    def get(self, name: str, version: str) -> SecretVersion:
        """One version; the latest when `version` is empty.

        Raises:
            VaultError: no such secret or version.
        """
        if not version:
            return self.latest(name)
        found = self._secrets.get(name, {}).get(version)
        if found is None:
            raise _not_found(f"{name}/{version}")
        return found

    def read(self, name: str, version: str) -> SecretVersion:
        """As `get`, but only an enabled version.

        Raises:
            VaultError: no such secret or version, or it is disabled.
        """
        found = self.get(name, version)
        if not found.enabled:
            message = "Operation get is not allowed on a disabled secret."
            raise VaultError(403, "Forbidden", message, inner_code="SecretDisabled")
        return found

    def versions(self, name: str) -> list[SecretVersion]:
        """All versions, in the order in which they were set.

        Raises:
            VaultError: no such secret.
        """
        if name not in self._secrets:
            raise _not_found(name)
        return list(self._secrets[name].values())

    def update(self, name: str, version: str, changes: dict[str, Any]) -> SecretVersion:
        """Change properties of a version; the latest when `version` is empty.

        Args:
            name: of the secret.
            version: of the secret.
            changes: fields of SecretVersion.

        Raises:
            VaultError: no such secret or version.
        """
        found = self.get(name, version)
        changed = replace(found, **changes, updated=int(time.time()))
        self._secrets[name][found.version] = changed
        return changed

    def delete(self, name: str) -> DeletedSecret:
        """Delete a secret with all its versions.

        Raises:
            VaultError: no such secret.
        """
        self.versions(name)
        deleted = self._deleted[name] = DeletedSecret(self._secrets.pop(name))
        return deleted

    def deleted(self, name: str) -> DeletedSecret:
        """A deleted secret.

        Raises:
            VaultError: no deleted secret has this name.
        """
        if name not in self._deleted:
            raise VaultError(404, "SecretNotFound", f"Deleted Secret not found: {name}")
        return self._deleted[name]

    def purge(self, name: str) -> None:
        """Forget a deleted secret.

        Raises:
            VaultError: no deleted secret has this name.
        """
        self.deleted(name)
        del self._deleted[name]


def _not_found(what: str) -> VaultError:
    return VaultError(
        404, "SecretNotFound", f"A secret with (name/id) {what} was not found in this key vault."
    )
