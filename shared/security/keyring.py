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

from shared.config import TokenKeyTimes
from shared.errors import VaultUnavailable
from shared.refresh import Refresher
from shared.security.tokens import (
    LONGEST_LIFETIME_S,
    Audience,
    SigningKey,
    TokenClaims,
    UnknownKey,
    verify,
)

logger = logging.getLogger(__name__)

MEDIA_KEY_SECRET = "media-token-key"  # noqa: S105 - the secret's name in the vault
CALLBACK_KEY_SECRET = "callback-token-key"  # noqa: S105 - the secret's name in the vault

MIN_KEY_BYTES = 32
MAX_WAITING = 1000
"""Tokens that may wait for the vault to be read; past it they are told to come again."""


@dataclass(frozen=True, slots=True)
class SecretVersion:
    """One version of a secret as the vault lists it. Times are Unix seconds."""

    version: str
    created: float
    value: str = field(repr=False)
    """Empty where only the list was read."""
    enabled: bool = True
    not_before: float | None = None
    expires: float | None = None

    @property
    def begins(self) -> float:
        """Since when everybody may know and use it."""
        return max(self.created, self.not_before or 0.0)

    def is_good(self, now: float) -> bool:
        """Whether it verifies: enabled, begun and not expired."""
        return (
            self.enabled
            and (self.not_before is None or self.not_before <= now)
            and (self.expires is None or now < self.expires)
        )

    def outlasts_a_token(self, now: float) -> bool:
        """Whether whatever it signs at `now` dies before it expires."""
        return self.expires is None or self.expires - now > LONGEST_LIFETIME_S


class SecretVersions(Protocol):
    """Where the versions come from: Key Vault."""

    async def enabled_versions(self, name: str) -> Sequence[SecretVersion]:
        """Return every enabled version of a secret. Raises `VaultUnavailable`."""
        ...


def signing_version(
    versions: Sequence[SecretVersion], now: float, signing_age_s: float
) -> SecretVersion | None:
    """Return the version that signs at `now` (Unix seconds); None where none is good.

    It is the newest that began `signing_age_s` ago. While all are younger, as in a vault that was just set up, it
    is the oldest: that one is known longest. A version leaves off signing as long before it expires as a token
    lives, if there is another, so that its expiry refuses nobody.
    """
    good = sorted(
        (version for version in versions if version.is_good(now)),
        key=lambda version: (version.begins, version.version),
        reverse=True,
    )
    lasting = [version for version in good if version.outlasts_a_token(now)] or good
    old_enough = [version for version in lasting if now - version.begins >= signing_age_s]
    if old_enough:
        return old_enough[0]
    return lasting[-1] if lasting else None


class Keyring:
    """Keys of one secret. `clock` tells Unix seconds."""

    def __init__(
        self,
        vault: SecretVersions,
        secret_name: str,
        times: TokenKeyTimes | None = None,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._vault = vault
        self._name = secret_name
        self._times = times or TokenKeyTimes()
        self._clock = clock
        self._versions: Sequence[SecretVersion] = ()
        self._keys: Mapping[str, bytes] = {}
        self._waiting = 0
        self.refresher = Refresher(
            self._refresh,
            max_age_s=self._times.refresh_s,
            min_interval_s=self._times.min_interval_s,
            clock=clock,
        )

    def verification_keys(self) -> Mapping[str, bytes]:
        """Return every key that is good now by its name; empty before the first load."""
        now = self._clock()
        return {v.version: self._keys[v.version] for v in self._versions if v.is_good(now)}

    async def signing_key(self) -> SigningKey:
        """Return the key that signs now.

        Raises:
            VaultUnavailable: no key has ever been read, and the vault does not answer; or none is good now.
        """
        await self.refresher.ensure()
        # Chosen anew each time: a version comes of age between two reads, and while the vault is away.
        version = signing_version(self._versions, self._clock(), self._times.signing_age_s)
        if version is None:
            raise VaultUnavailable("no usable signing key")
        return SigningKey(version.version, self._keys[version.version])

    def verify(self, token: str, *, audience: Audience, may_be_expired: bool = False) -> TokenClaims:
        """Check a token from memory alone. `may_be_expired` is that of `tokens.verify`.

        Raises:
            TokenRejected: the token is not good. `UnknownKey`: the vault was read after the token says it was
                made, and does not have its key.
            VaultUnavailable: its key may be newer than what was read of the vault.
        """
        try:
            return verify(
                token, audience=audience, keys=self.verification_keys(), may_be_expired=may_be_expired
            )
        except UnknownKey as unknown:
            if self.refresher.is_newer_than(unknown.made_by):
                raise
            raise KeyNotRead(unknown.made_by) from None

    async def verify_fresh(self, token: str, *, audience: Audience) -> TokenClaims:
        """Check a token; one whose key may be newer than ours waits until the vault may be read again.

        A token is refused for its key only if the vault was read after the token was made. However many come, the
        vault is read once in `min_interval_s`, so a good token waits so long at most, and for the read.

        Raises:
            TokenRejected: the token is not good.
            VaultUnavailable: no key has ever been read, or none since the token was made, and the vault does not
                answer; or too many wait.
        """
        await self.refresher.ensure()
        try:
            return self.verify(token, audience=audience)
        except KeyNotRead as not_read:
            if self._waiting >= MAX_WAITING:
                raise
            self._waiting += 1
            try:
                await self.refresher.newer_than(not_read.made_by)
            finally:
                self._waiting -= 1
        return verify(token, audience=audience, keys=self.verification_keys())

    async def _refresh(self) -> None:
        versions = await self._vault.enabled_versions(self._name)
        keys = {v.version: key for v in versions if (key := _decode(v.value)) is not None}
        if not keys:
            raise VaultUnavailable(f"the secret {self._name} has no usable version")
        self._versions = tuple(version for version in versions if version.version in keys)
        self._keys = keys


class KeyNotRead(VaultUnavailable):
    """A token names a key that may be newer than the last read of the vault: it is neither good nor forged yet."""

    def __init__(self, made_by: float) -> None:
        super().__init__("the keys are older than the token")
        self.made_by = made_by


def _decode(value: str) -> bytes | None:
    try:
        key = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) < MIN_KEY_BYTES:
        logger.error("a version of a token key is not base64 of 32 bytes or more; it is left out")
        return None
    return key
