"""The keys of one audience: versions of a Key Vault secret, kept in memory.

The newest version older than ten minutes signs, and every enabled one verifies: so a new version is known
everywhere before the first token is signed with it. When the vault is away, the last good keys stay.
"""

import base64
import binascii
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from shared.errors import VaultUnavailable
from shared.security.refresh import Refresher
from shared.security.tokens import Audience, SigningKey, TokenClaims, UnknownKey, verify

logger = logging.getLogger(__name__)

MEDIA_KEY_SECRET = "media-token-key"  # noqa: S105 - the secret's name in the vault
CALLBACK_KEY_SECRET = "callback-token-key"  # noqa: S105 - the secret's name in the vault

SIGNING_AGE_S = 600.0
REFRESH_AFTER_S = 300.0
MIN_KEY_BYTES = 32


@dataclass(frozen=True, slots=True)
class SecretVersion:
    """One enabled version of a secret; `created` is Unix seconds."""

    version: str
    created: float
    value: str = field(repr=False)


class SecretVersions(Protocol):
    """Where the versions come from: Key Vault."""

    async def enabled_versions(self, name: str) -> Sequence[SecretVersion]:
        """Return every enabled version of a secret. Raises `VaultUnavailable`."""
        ...


class Keyring:
    """Keys of one secret. `clock` tells Unix seconds."""

    def __init__(
        self, vault: SecretVersions, secret_name: str, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._vault = vault
        self._name = secret_name
        self._clock = clock
        self._keys: Mapping[str, bytes] = {}
        self._signing: SigningKey | None = None
        self.refresher = Refresher(self._refresh, max_age_s=REFRESH_AFTER_S, clock=clock)

    def verification_keys(self) -> Mapping[str, bytes]:
        """Return every good key by its name; empty before the first load."""
        return self._keys

    async def signing_key(self) -> SigningKey:
        """Return the key that signs now.

        Raises:
            VaultUnavailable: no key has ever been read, and the vault does not answer.
        """
        await self.refresher.ensure()
        if self._signing is None:
            raise VaultUnavailable("no usable signing key")
        return self._signing

    async def verify_fresh(self, token: str, *, audience: Audience) -> TokenClaims:
        """Check a token, and read the vault again (rarely) when it names an unknown key.

        Raises:
            TokenRejected: the token is not good.
            VaultUnavailable: no key has ever been read, and the vault does not answer.
        """
        await self.refresher.ensure()
        try:
            return verify(token, audience=audience, keys=self._keys)
        except UnknownKey:
            if not await self.refresher.on_demand():
                raise
            return verify(token, audience=audience, keys=self._keys)

    async def _refresh(self) -> None:
        versions = await self._vault.enabled_versions(self._name)
        usable = sorted(
            ((v.created, v.version, key) for v in versions if (key := _decode(v.value)) is not None),
            reverse=True,
        )
        if not usable:
            raise VaultUnavailable(f"the secret {self._name} has no usable version")
        now = self._clock()
        old_enough = [item for item in usable if now - item[0] >= SIGNING_AGE_S]
        # A vault that was just set up has young keys only: then the oldest of them is known longest.
        _, kid, key = old_enough[0] if old_enough else usable[-1]
        self._keys = {version: value for _, version, value in usable}
        self._signing = SigningKey(kid, key)


def _decode(value: str) -> bytes | None:
    try:
        key = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) < MIN_KEY_BYTES:
        logger.error("a version of a token key is not base64 of 32 bytes or more; it is left out")
        return None
    return key
