"""Our own JWTs: they prove which call a callback or a media socket belongs to.

ACS's JWT proves the resource only (see `acs_jwt.py`). Each audience has a key of its own, so that a pod, which
knows the media key, cannot forge callbacks.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import jwt

from shared.errors import Unauthorized

ALGORITHM = "HS256"
ISSUER = "acs-voice-gateway"
CLOCK_LEEWAY_S = 5


class Audience(StrEnum):
    """What a token is good for."""

    MEDIA = "media"
    CALLBACK = "callback"


LIFETIME_S: Mapping[Audience, int] = {Audience.MEDIA: 30, Audience.CALLBACK: 3 * 60 * 60}
"""A media socket opens within the ringing time; callbacks come for as long as a call may last."""


class TokenRejected(Unauthorized):
    """The token is missing, malformed, forged, expired, or made for something else."""


class UnknownKey(TokenRejected):
    """The token names a key that is not known here; it may be newer than our copy of the keys."""


@dataclass(frozen=True, slots=True)
class TokenClaims:
    """What a verified token says. `expires_at` is Unix seconds."""

    call_id: str
    account_id: str
    jti: str
    expires_at: int


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key and the name it goes by in a token's header."""

    kid: str
    key: bytes

    def __repr__(self) -> str:
        return f"SigningKey(kid={self.kid!r})"


def mint(audience: Audience, *, call_id: str, account_id: str, jti: str, signing: SigningKey) -> str:
    """Return a signed token for one call, good for the audience's lifetime from now."""
    now = int(time.time())
    claims = {
        "iss": ISSUER,
        "aud": audience.value,
        "iat": now,
        "exp": now + LIFETIME_S[audience],
        "jti": jti,
        "call_id": call_id,
        "account_id": account_id,
    }
    return jwt.encode(claims, signing.key, algorithm=ALGORITHM, headers={"kid": signing.kid})


def verify(token: str, *, audience: Audience, keys: Mapping[str, bytes]) -> TokenClaims:
    """Check signature, key, issuer, audience and time, and return the claims. Synchronous, from memory alone.

    Raises:
        UnknownKey: no key of that name; refresh the keys (rarely) and try again.
        TokenRejected: anything else.
    """
    try:
        kid = jwt.get_unverified_header(token).get("kid")
        if not isinstance(kid, str) or kid not in keys:
            raise UnknownKey("the token's key is not known")
        claims = jwt.decode(
            token,
            keys[kid],
            algorithms=[ALGORITHM],
            audience=audience.value,
            issuer=ISSUER,
            leeway=CLOCK_LEEWAY_S,
            options={"require": ["exp", "iat", "aud", "iss", "jti"], "strict_aud": True},
        )
    except jwt.InvalidTokenError:
        raise TokenRejected("the token is not good") from None
    call_id, account_id, jti = claims.get("call_id"), claims.get("account_id"), claims["jti"]
    if not (isinstance(call_id, str) and isinstance(account_id, str) and isinstance(jti, str)):
        raise TokenRejected("the token names no call")
    return TokenClaims(call_id, account_id, jti, int(claims["exp"]))
