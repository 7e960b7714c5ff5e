"""Our own JWTs: they prove which call a callback or a media socket belongs to.

ACS's JWT proves the resource only (see `acs_jwt.py`). Each audience has a key of its own, so that a pod, which
knows the media key, cannot forge callbacks.
"""

import hmac
import time
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import jwt
import msgspec
from jwt.types import Options

from shared.errors import Unauthorized

ALGORITHM = "HS256"
ISSUER = "acs-voice-gateway"
CLOCK_LEEWAY_S = 5
MAX_TOKEN_CHARS = 1024
"""About twice the longest that `mint` makes."""


class Audience(StrEnum):
    """What a token is good for."""

    MEDIA = "media"
    CALLBACK = "callback"


LIFETIME_S: Mapping[Audience, int] = {Audience.MEDIA: 30, Audience.CALLBACK: 3 * 60 * 60}
"""A media socket opens within the ringing time; callbacks come for as long as a call may last."""
LONGEST_LIFETIME_S = max(LIFETIME_S.values())


class Rejection(StrEnum):
    """Why a token is refused; the `reason` of the metric."""

    MISSING = "missing"
    MALFORMED = "malformed"
    UNKNOWN_KEY = "unknown_key"
    BAD_SIGNATURE = "bad_signature"
    EXPIRED = "expired"
    NOT_YET_VALID = "not_yet_valid"
    WRONG_PURPOSE = "wrong_purpose"
    OTHER_CALL = "other_call"
    OTHER_ACCOUNT = "other_account"
    ACS_MISSING = "acs_missing"
    ACS_UNKNOWN_KEY = "acs_unknown_key"
    ACS_EXPIRED = "acs_expired"
    ACS_REFUSED = "acs_refused"


class TokenRejected(Unauthorized):
    """The token is missing, malformed, forged, expired, or made for something else."""

    def __init__(self, reason: Rejection, text: str = "the token is not good") -> None:
        super().__init__(text)
        self.reason = reason


class UnknownKey(TokenRejected):
    """The token names a key that is not known here; all else about it may be right.

    `made_by` is the latest moment, in Unix seconds, at which it was made if it tells the truth. Keys that were read
    after it, and lack the token's, show that it is forged; older ones show nothing.

    Args:
        issued_at: the token's `iat`, in whole seconds of the signer's clock; infinite where it has none.
    """

    def __init__(self, reason: Rejection, issued_at: float) -> None:
        super().__init__(reason, "the token's key is not known")
        self.made_by = issued_at + 1 + CLOCK_LEEWAY_S


@dataclass(frozen=True, slots=True)
class TokenClaims:
    """What a verified token says. `expires_at` is Unix seconds."""

    call_id: str
    account_id: str
    jti: str
    expires_at: int
    is_expired: bool = False
    """Only where `verify` was to let that pass."""


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key and the name it goes by in a token's header."""

    kid: str
    key: bytes

    def __repr__(self) -> str:
        return f"SigningKey(kid={self.kid!r})"


class _Claims(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All that a token says, in the order in which it does."""

    iss: str
    aud: str
    iat: int
    exp: int
    jti: str
    call_id: str
    account_id: str


_CLAIMS_ONLY: Final = Options(
    verify_signature=False,
    require=list(_Claims.__struct_fields__),
    verify_exp=True,
    verify_iat=True,
    verify_aud=True,
    verify_iss=True,
    strict_aud=True,
)
"""PyJWT leaves out every check with the signature's, unless told."""
_CLAIMS_ONLY_EXPIRED_TOO: Final = Options(**{**_CLAIMS_ONLY, "verify_exp": False})
_SIGNATURE_ONLY: Final = Options(verify_exp=False, verify_iat=False, verify_aud=False, verify_iss=False)


def mint(audience: Audience, *, call_id: str, account_id: str, jti: str, signing: SigningKey) -> str:
    """Return a signed token for one call, good for the audience's lifetime from now."""
    now = int(time.time())
    claims = _Claims(ISSUER, audience.value, now, now + LIFETIME_S[audience], jti, call_id, account_id)
    return _encode(claims, signing.kid, signing.key)


def verify(
    token: str, *, audience: Audience, keys: Mapping[str, bytes], may_be_expired: bool = False
) -> TokenClaims:
    """Accept what `mint` made for this audience, byte for byte and in its time. Synchronous, from memory alone.

    Whatever else is wrong is found before the key is looked up, so that only a token that would be good if its
    key were known is worth reading the keys again.

    Args:
        token: As it came.
        audience: What it has to be for.
        keys: Every key that is good, by its name.
        may_be_expired: Whether one that is past its own time passes, if it is no older than the longest that any
            token lives: nothing can be about a call any more after that.

    Raises:
        UnknownKey: no key of that name.
        TokenRejected: anything else.
    """
    if not token:
        raise TokenRejected(Rejection.MISSING, "the token is missing")
    if len(token) > MAX_TOKEN_CHARS or not token.isascii():
        raise TokenRejected(Rejection.MALFORMED)
    try:
        kid = jwt.get_unverified_header(token).get("kid")
        said = jwt.decode(
            token,
            audience=audience.value,
            issuer=ISSUER,
            leeway=CLOCK_LEEWAY_S,
            options=_CLAIMS_ONLY_EXPIRED_TOO if may_be_expired else _CLAIMS_ONLY,
        )
        claims = msgspec.convert(said, _Claims)
        if not isinstance(kid, str) or not _is_complete(claims, LIFETIME_S[audience]):
            raise TokenRejected(Rejection.MALFORMED)
        now = time.time() - CLOCK_LEEWAY_S
        if now - claims.iat >= LONGEST_LIFETIME_S:
            raise TokenRejected(Rejection.EXPIRED)
        key = keys.get(kid)
        if key is None:
            raise UnknownKey(Rejection.UNKNOWN_KEY, claims.iat)
        jwt.decode(token, key, algorithms=[ALGORITHM], options=_SIGNATURE_ONLY)
    except jwt.ExpiredSignatureError:
        raise TokenRejected(Rejection.EXPIRED) from None
    except jwt.ImmatureSignatureError:
        raise TokenRejected(Rejection.NOT_YET_VALID) from None
    except (jwt.InvalidAudienceError, jwt.InvalidIssuerError):
        raise TokenRejected(Rejection.WRONG_PURPOSE) from None
    except (jwt.InvalidSignatureError, jwt.InvalidAlgorithmError):
        raise TokenRejected(Rejection.BAD_SIGNATURE) from None
    except (jwt.InvalidTokenError, msgspec.ValidationError, RecursionError):
        raise TokenRejected(Rejection.MALFORMED) from None
    # One token has one spelling. Lenient base64, doubled claims and headers that nobody asked for end here.
    if not hmac.compare_digest(_encode(claims, kid, key), token):
        raise TokenRejected(Rejection.MALFORMED)
    return TokenClaims(
        claims.call_id, claims.account_id, claims.jti, claims.exp, is_expired=claims.exp <= now
    )


def _is_complete(claims: _Claims, lifetime_s: int) -> bool:
    names = (claims.call_id, claims.account_id, claims.jti)
    return all(names) and claims.exp - claims.iat == lifetime_s


def _encode(claims: _Claims, kid: str, key: bytes) -> str:
    return jwt.encode(msgspec.structs.asdict(claims), key, algorithm=ALGORITHM, headers={"kid": kid})
