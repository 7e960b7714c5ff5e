"""ACS's own JWT, on callbacks and on the media socket: it proves that ACS, for our resource, is speaking.

Verification is synchronous and from memory; only the fetch of the keys touches the network, off the request.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any, Final

import aiohttp
import jwt
from jwt.types import Options

from shared.config import AcsTokenSettings
from shared.errors import AcsUnavailable
from shared.refresh import Refresher
from shared.security.tokens import CLOCK_LEEWAY_S, Rejection, TokenRejected, UnknownKey

FETCH_TIMEOUT_S = 3.0
REFRESH_AFTER_S = 3600.0
MAX_TOKEN_CHARS = 4096
ALGORITHM = "RS256"
REFUSED = "ACS's token is not good"
REQUIRED: Sequence[str] = ("exp", "iss", "aud")
CHECKS: Final = Options(require=list(REQUIRED))
CLAIMS_ONLY: Final = Options(
    require=list(REQUIRED),
    verify_signature=False,
    verify_exp=True,
    verify_nbf=True,
    verify_iat=True,
    verify_aud=True,
    verify_iss=True,
)
"""PyJWT leaves out every check with the signature's, unless told."""


class AcsTokenVerifier:
    """Checks `Authorization: Bearer` of ACS against the published keys."""

    def __init__(self, settings: AcsTokenSettings, *, clock: Callable[[], float] = time.time) -> None:
        self._settings = settings
        self._keys: dict[str, jwt.PyJWK] = {}
        self.refresher = Refresher(self._refresh, max_age_s=REFRESH_AFTER_S, clock=clock)

    def verify(self, authorization: str | None) -> None:
        """Check the header's token. Synchronous, from the keys read before.

        Raises:
            UnknownKey: signed with a key that is not known here.
            TokenRejected: anything else that is wrong with it.
        """
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise TokenRejected(Rejection.ACS_MISSING, "ACS's token is missing")
        if len(token) > MAX_TOKEN_CHARS or not token.isascii():
            raise TokenRejected(Rejection.ACS_REFUSED, REFUSED)
        try:
            kid = jwt.get_unverified_header(token).get("kid")
            key = self._keys.get(kid) if isinstance(kid, str) else None
            if key is None:
                raise UnknownKey(Rejection.ACS_UNKNOWN_KEY, self._issued_at(token))
            jwt.decode(
                token,
                key,
                algorithms=[ALGORITHM],
                audience=self._settings.audience,
                issuer=self._settings.issuer,
                # Enough for two clocks that Azure keeps: ACS makes a token for each request and sends it at once.
                leeway=CLOCK_LEEWAY_S,
                options=CHECKS,
            )
        except jwt.ExpiredSignatureError:
            raise TokenRejected(Rejection.ACS_EXPIRED, REFUSED) from None
        except (jwt.InvalidTokenError, RecursionError):
            raise TokenRejected(Rejection.ACS_REFUSED, REFUSED) from None

    async def verify_fresh(self, authorization: str | None) -> None:
        """Check the header's token; one whose key may be newer than ours waits until they may be read again.

        Raises:
            TokenRejected: as `verify`.
            TemporaryFault: no keys are known, or none since the token was made, and they cannot be read.
        """
        await self.refresher.ensure()
        try:
            self.verify(authorization)
        except UnknownKey as unknown:
            if self.refresher.is_newer_than(unknown.made_by):
                raise
            await self.refresher.newer_than(unknown.made_by)
            self.verify(authorization)

    def _issued_at(self, token: str) -> float:
        """Return when a token of an unknown key says it was made; a token that could not be good is refused."""
        claims = jwt.decode(
            token,
            audience=self._settings.audience,
            issuer=self._settings.issuer,
            leeway=CLOCK_LEEWAY_S,
            options=CLAIMS_ONLY,
        )
        issued_at = claims.get("iat", claims.get("nbf"))
        return issued_at if isinstance(issued_at, int | float) else float("inf")

    async def _refresh(self) -> None:
        timeout = aiohttp.ClientTimeout(total=FETCH_TIMEOUT_S)
        try:
            async with aiohttp.ClientSession(timeout=timeout) as session:
                metadata = await _fetch(session, self._settings.metadata_url)
                jwks = await _fetch(session, metadata["jwks_uri"])
            keys = {key.key_id: key for key in jwt.PyJWKSet.from_dict(jwks).keys if key.key_id}
        except (aiohttp.ClientError, TimeoutError, ValueError, KeyError, TypeError, jwt.PyJWTError) as error:
            raise AcsUnavailable("ACS's public keys could not be read") from error
        self._keys = keys


async def _fetch(session: aiohttp.ClientSession, url: str) -> dict[str, Any]:
    async with session.get(url, allow_redirects=False) as response:
        response.raise_for_status()
        document = await response.json(content_type=None)
    if not isinstance(document, dict):
        raise TypeError("not a JSON object")
    return document
