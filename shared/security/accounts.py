"""Accounts: who may deliver events to us, by the pair of an API id and an API secret.

Secrets are made by us with 256 random bits, or brought along from an existing subscription; only a salted
SHA-256 is kept. A slow hash would add nothing to a random secret, and would let strangers burn our CPU.
"""

import hashlib
import hmac
import secrets
from dataclasses import dataclass, field, replace

from shared.errors import Conflict

MIN_SECRET_CHARS = 20
LIVE_SECRETS = 2
"""At a time: the one in use, and while it is rotated the next one."""


@dataclass(frozen=True, slots=True)
class Account:
    """A tenant of the gateway. Sandbox and production are two accounts."""

    account_id: str
    name: str
    api_id: str
    secret_hashes: tuple[str, ...] = field(repr=False)
    """One, or two while a secret is rotated: the older first."""
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


def with_next_secret(account: Account, secret: str, hashed: str) -> Account:
    """Begin a rotation: add a secret, and its hash, beside the one in use.

    Raises:
        Conflict: a rotation is under way, or the secret is the one in use.
    """
    if len(account.secret_hashes) >= LIVE_SECRETS:
        raise Conflict("two secrets are live: finish or cancel that rotation first")
    if secret_matches(secret, account.secret_hashes):
        raise Conflict("the secret is the one in use")
    return replace(account, secret_hashes=(*account.secret_hashes, hashed))


def rotation_finished(account: Account) -> Account:
    """Drop the older secret. Raises `Conflict` where only one is live."""
    _, newer = _live_pair(account)
    return replace(account, secret_hashes=(newer,))


def rotation_cancelled(account: Account) -> Account:
    """Drop the newer secret, of which nothing may be known any more. Raises `Conflict` where only one is live."""
    older, _ = _live_pair(account)
    return replace(account, secret_hashes=(older,))


def _live_pair(account: Account) -> tuple[str, str]:
    if len(account.secret_hashes) < LIVE_SECRETS:
        raise Conflict("no rotation is under way: one secret is live")
    older, newer = account.secret_hashes
    return older, newer


def _digest(salt: str, secret: str) -> str:
    return hashlib.sha256(f"{salt}{secret}".encode("utf-8", "surrogatepass")).hexdigest()
