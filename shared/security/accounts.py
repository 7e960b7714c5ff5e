"""Accounts: who may deliver events to us, by the pair of an API id and an API secret.

Secrets are made by us with 256 random bits, or brought along from an existing subscription; only a salted
SHA-256 is kept. A slow hash would add nothing to a random secret, and would let strangers burn our CPU.
"""

import hashlib
import hmac
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from shared.errors import Unauthorized

MIN_SECRET_CHARS = 20
CACHE_S = 30.0
"""A change of an account takes effect within this time."""
CACHE_LIMIT = 1024
"""Accounts kept in memory; the one used longest ago goes first."""


@dataclass(frozen=True, slots=True)
class Account:
    """A tenant of the gateway. Sandbox and production are two accounts."""

    account_id: str
    name: str
    api_id: str
    secret_hashes: tuple[str, ...] = field(repr=False)
    """One, or two while a secret is rotated."""
    enabled: bool = True
    created: float = 0.0
    api_id_header: str = "asapp-api-id"
    api_secret_header: str = "asapp-api-secret"  # noqa: S105 - a header's name
    max_calls: int | None = None
    """Calls at a time; None is no limit but the pods'."""
    blocked_callers: frozenset[str] = field(default=frozenset(), repr=False)
    """Raw ids (`4:+1...`) of callers that are rejected."""
    overflow_to: str | None = field(default=None, repr=False)
    """Raw id of whom a call is redirected to that there is no room for; None rejects it as busy."""


class AccountStore(Protocol):
    """Where accounts are kept."""

    async def by_api_id(self, api_id: str) -> Account | None:
        """Return the account of an API id. Raises `StoreUnavailable`."""
        ...


def new_api_id() -> str:
    """Return a new API id: 96 random bits."""
    return secrets.token_hex(12)


def new_api_secret() -> str:
    """Return a new API secret: 256 random bits."""
    return secrets.token_urlsafe(32)


def hash_secret(secret: str) -> str:
    """Return the salted hash to keep of a secret."""
    salt = secrets.token_hex(16)
    return f"sha256${salt}${_digest(salt, secret)}"


def secret_matches(secret: str, hashes: tuple[str, ...]) -> bool:
    """Compare with every live secret, in a time that does not tell which of them matched, or how far."""
    matched = False
    for item in hashes:
        _, salt, digest = item.split("$")
        matched |= hmac.compare_digest(_digest(salt, secret), digest)
    return matched


def _digest(salt: str, secret: str) -> str:
    return hashlib.sha256(f"{salt}{secret}".encode()).hexdigest()


_NOBODY = hash_secret(new_api_secret())
"""Compared with when the API id is unknown, so that the answer takes as long."""


class Authenticator:
    """Finds the account of a credential pair, with a short memory. `clock` tells seconds."""

    def __init__(self, store: AccountStore, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._clock = clock
        self._cache: OrderedDict[str, tuple[float, Account]] = OrderedDict()

    async def authenticate(self, api_id: str | None, api_secret: str | None) -> Account:
        """Return the enabled account that the pair belongs to.

        A secret that does not match what is remembered re-reads the account once: 401 is final for Event Grid,
        and the secret may have been rotated a moment ago.

        Raises:
            Unauthorized: the pair is missing, unknown or wrong, or the account is disabled.
            StoreUnavailable: the account is not remembered, and storage does not answer.
        """
        if not api_id or not api_secret:
            raise Unauthorized("credentials are missing")
        remembered = self._remembered(api_id)
        if remembered is not None and _lets_in(remembered, api_secret):
            return remembered
        account = await self._store.by_api_id(api_id)
        if account is None:
            self._cache.pop(api_id, None)
            secret_matches(api_secret, (_NOBODY,))
            raise Unauthorized("credentials are not good")
        self._remember(account)
        if not _lets_in(account, api_secret):
            raise Unauthorized("credentials are not good")
        return account

    def _remembered(self, api_id: str) -> Account | None:
        entry = self._cache.get(api_id)
        if entry is None or self._clock() - entry[0] > CACHE_S:
            return None
        self._cache.move_to_end(api_id)
        return entry[1]

    def _remember(self, account: Account) -> None:
        self._cache[account.api_id] = (self._clock(), account)
        self._cache.move_to_end(account.api_id)
        while len(self._cache) > CACHE_LIMIT:
            self._cache.popitem(last=False)


def _lets_in(account: Account, api_secret: str) -> bool:
    return secret_matches(api_secret, account.secret_hashes) and account.enabled
