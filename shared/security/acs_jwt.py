"""ACS's own JWT, on callbacks and on the media socket: it proves that ACS, for our resource, is speaking.

Verification is synchronous and from memory; only the fetch of the keys touches the network, off the request.
"""

import time
from collections.abc import Callable
from typing import Any

import aiohttp
import jwt

from shared.config import AcsTokenSettings
from shared.errors import TemporaryFault
from shared.security.refresh import Refresher
from shared.security.tokens import TokenRejected, UnknownKey

FETCH_TIMEOUT_S = 3.0
REFRESH_AFTER_S = 3600.0
CLOCK_LEEWAY_S = 30


class AcsTokenVerifier:
    """Checks `Authorization: Bearer` of ACS against the published keys."""

    def __init__(self, settings: AcsTokenSettings, *, clock: Callable[[], float] = time.monotonic) -> None:
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
            raise TokenRejected("ACS's token is missing")
        try:
            kid = jwt.get_unverified_header(token).get("kid")
            key = self._keys.get(kid) if isinstance(kid, str) else None
            if key is None:
                raise UnknownKey("ACS's key is not known")
            jwt.decode(
                token,
                key,
                algorithms=["RS256"],
                audience=self._settings.audience,
                issuer=self._settings.issuer,
                leeway=CLOCK_LEEWAY_S,
                options={"require": ["exp", "iss", "aud"]},
            )
        except jwt.InvalidTokenError:
            raise TokenRejected("ACS's token is not good") from None

    async def verify_fresh(self, authorization: str | None) -> None:
        """Check the header's token, and read the keys again (rarely) when it names an unknown one.

        Raises:
            TokenRejected: as `verify`.
            TemporaryFault: no keys are known, and they cannot be read.
        """
        await self.refresher.ensure()
        try:
            self.verify(authorization)
        except UnknownKey:
            if not await self.refresher.on_demand():
                raise
            self.verify(authorization)

    async def _refresh(self) -> None:
        timeout = aiohttp.ClientTimeout(total=FETCH_TIMEOUT_S)
        try:
            async with aiohttp.ClientSession(timeout=timeout) as session:
                metadata = await _fetch(session, self._settings.metadata_url)
                jwks = await _fetch(session, metadata["jwks_uri"])
            keys = {key.key_id: key for key in jwt.PyJWKSet.from_dict(jwks).keys if key.key_id}
        except (aiohttp.ClientError, TimeoutError, ValueError, KeyError, TypeError, jwt.PyJWTError) as error:
            raise TemporaryFault("ACS's public keys could not be read") from error
        self._keys = keys


async def _fetch(session: aiohttp.ClientSession, url: str) -> dict[str, Any]:
    async with session.get(url, allow_redirects=False) as response:
        response.raise_for_status()
        document = await response.json(content_type=None)
    if not isinstance(document, dict):
        raise TypeError("not a JSON object")
    return document
