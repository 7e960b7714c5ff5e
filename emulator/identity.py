"""Who the emulator is to the applications that it calls: signed tokens, and the keys to verify them.

The token proves "ACS, for this resource" and nothing about the call; so do the real ones.
"""

import asyncio
import time
import uuid
from collections.abc import Callable
from typing import Any

import jwt
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from emulator.faults.gate import Gate
from emulator.faults.operations import KEYS, OPENID_METADATA
from emulator.faults.registry import Occasion
from emulator.faults.rules import Status, TokenFlaw
from emulator.wire.errors import AcsError

OPENID_METADATA_PATH = "/calling/.well-known/acsopenidconfiguration"
KEYS_PATH = "/calling/keys"

CALLBACK_TOKEN_SECONDS = 5 * 60
MEDIA_TOKEN_SECONDS = 24 * 3600

_ALGORITHM = "RS256"
_RSA_BITS = 2048
_RSA_EXPONENT = 65537


class Identity:
    """One RSA key and the tokens that it signs.

    Args:
        issuer: `iss` of the tokens.
        audience: `aud` of the tokens: the immutable id of the ACS resource.
        key: the private key.
    """

    def __init__(self, *, issuer: str, audience: str, key: rsa.RSAPrivateKey) -> None:
        self.issuer = issuer
        self._audience = audience
        self._key = key
        self._key_id = uuid.uuid4().hex

    @classmethod
    async def create(cls, *, issuer: str, audience: str) -> "Identity":
        """Make an identity with a new key; making it takes long enough to be done off the event loop."""
        key = await asyncio.to_thread(rsa.generate_private_key, _RSA_EXPONENT, _RSA_BITS)
        return cls(issuer=issuer, audience=audience, key=key)

    def callback_token(self, flaw: TokenFlaw | None = None) -> str:
        """A new token for one callback request; it lives 5 minutes, unless a flaw is asked for."""
        match flaw:
            case TokenFlaw.EXPIRED:
                return self._token(-CALLBACK_TOKEN_SECONDS)
            case TokenFlaw.WRONG_AUDIENCE:
                return self._token(CALLBACK_TOKEN_SECONDS, aud=str(uuid.uuid4()))
            case TokenFlaw.WRONG_ISSUER:
                return self._token(CALLBACK_TOKEN_SECONDS, iss="https://issuer.example.com")
            case TokenFlaw.UNKNOWN_KEY:
                return self._token(CALLBACK_TOKEN_SECONDS, key_id=uuid.uuid4().hex)
            case TokenFlaw.FORGED:
                content, _, _ = self._token(CALLBACK_TOKEN_SECONDS).rpartition(".")
                _, _, signature_of_another = self._token(CALLBACK_TOKEN_SECONDS).rpartition(".")
                return f"{content}.{signature_of_another}"
            case TokenFlaw.MISSING:
                return ""
        return self._token(CALLBACK_TOKEN_SECONDS)

    def media_token(self) -> str:
        """A new token for one media connection request; it lives 24 hours."""
        return self._token(MEDIA_TOKEN_SECONDS)

    def metadata(self, base_url: str) -> dict[str, Any]:
        """The OpenID metadata document of an emulator at this URL."""
        return {
            "issuer": self.issuer,
            "jwks_uri": base_url + KEYS_PATH,
            "id_token_signing_alg_values_supported": [_ALGORITHM],
        }

    def keys(self) -> dict[str, Any]:
        """The JSON Web Key Set."""
        key = RSAAlgorithm.to_jwk(self._key.public_key(), as_dict=True)
        return {"keys": [{**key, "kid": self._key_id, "use": "sig", "alg": _ALGORITHM}]}

    def _token(self, lifetime_seconds: int, *, key_id: str | None = None, **other_claims: str) -> str:
        now = int(time.time())
        claims = {
            "iss": self.issuer,
            "aud": self._audience,
            "iat": now,
            "nbf": now,
            "exp": now + lifetime_seconds,
            "jti": str(uuid.uuid4()),
            **other_claims,
        }
        headers = {"kid": key_id or self._key_id}
        return jwt.encode(claims, self._key, algorithm=_ALGORITHM, headers=headers)


def identity_routes(identity: Identity, base_url: str, gate: Gate) -> list[web.RouteDef]:
    """The routes where applications find the keys; open to everybody, as the real ones are."""

    def route(path: str, operation: str, content: Callable[[], dict[str, Any]]) -> web.RouteDef:
        async def perform() -> web.Response:
            return web.json_response(content())

        async def handle(request: web.Request) -> web.StreamResponse:
            return await gate.answer(
                request, Occasion(operation, thing=operation, about=f"GET {path}"), perform, _fault
            )

        return web.get(path, handle)

    return [
        route(OPENID_METADATA_PATH, OPENID_METADATA, lambda: identity.metadata(base_url)),
        route(KEYS_PATH, KEYS, identity.keys),
    ]


def _fault(fault: Status) -> web.Response:
    error = AcsError(fault.status, fault.code or "InternalServerError", fault.message)
    return web.Response(
        status=error.status, body=error.body(), content_type="application/json", headers=fault.headers()
    )
