"""Tokens that must not be accepted, each with a name and what refuses it: one table for every place that verifies.

They are put together by hand, so that anything can be signed, and signed well.
"""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from shared.security.tokens import LIFETIME_S, Audience, Rejection, SigningKey, mint

RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PUBLIC_PEM = RSA_KEY.public_key().public_bytes(
    serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
)
DISABLED = SigningKey("d" * 32, b"d" * 32)
OTHER_SECRET = SigningKey("e" * 32, b"e" * 32)
SECOND = SigningKey("f" * 32, b"f" * 32)
EARLIER_S = 20
"""A token so old is alive, and older than the last read of the keys: what its key is, is known by now."""


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def as_json(value: Any) -> bytes:
    return value if isinstance(value, bytes) else json.dumps(value, separators=(",", ":")).encode()


def sign(header: Any, payload: Any, key: bytes, digest: str = "sha256") -> str:
    """A token of any header and payload, as dict or as raw JSON, signed with HMAC."""
    signed = f"{b64(as_json(header))}.{b64(as_json(payload))}"
    return f"{signed}.{b64(hmac.new(key, signed.encode(), getattr(hashlib, digest)).digest())}"


@dataclass(frozen=True)
class Target:
    """Who verifies, for which call, and what an attacker may have got hold of."""

    audience: Audience
    signing: SigningKey
    call_id: str
    jti: str
    disabled: SigningKey = DISABLED
    other_secret: SigningKey = OTHER_SECRET
    second: SigningKey = SECOND
    """Good too."""

    @property
    def header(self) -> dict[str, Any]:
        return {"alg": "HS256", "kid": self.signing.kid, "typ": "JWT"}

    def claims(self, age_s: float = 0, **changes: Any) -> dict[str, Any]:
        """What `mint` would say, changed; None leaves a claim out."""
        at = int(time.time() - age_s)
        made: dict[str, Any] = {"iss": "acs-voice-gateway", "aud": self.audience.value, "iat": at}
        made |= {"exp": at + LIFETIME_S[self.audience], "jti": self.jti, "call_id": self.call_id}
        made |= {"account_id": "demo", **changes}
        return {name: value for name, value in made.items() if value is not None}

    def token(self, header: Mapping[str, Any] | None = None, age_s: float = 0, **claims: Any) -> str:
        """A token signed with the right key; None leaves a field or a claim out."""
        fields = {
            name: value for name, value in {**self.header, **(header or {})}.items() if value is not None
        }
        return sign(fields, self.claims(age_s, **claims), self.signing.key)

    def raw(self, payload: bytes) -> str:
        return sign(self.header, payload, self.signing.key)

    def good(self) -> str:
        return mint(
            self.audience, call_id=self.call_id, account_id="demo", jti=self.jti, signing=self.signing
        )


@dataclass(frozen=True)
class Attack:
    make: Callable[[Target], str]
    reason: Rejection


def flipped(token: str, part: int) -> str:
    parts = token.split(".")
    # In the first name of header and payload; anywhere else it might hit the key's name, or a claim.
    at = 2
    parts[part] = parts[part][:at] + ("A" if parts[part][at] != "A" else "B") + parts[part][at + 1 :]
    return ".".join(parts)


def unsigned(t: Target, alg: str) -> str:
    return sign({**t.header, "alg": alg}, t.claims(), b"k").rpartition(".")[0] + "."


def by_kid(t: Target, kid: Any) -> str:
    return t.token({"kid": kid}, EARLIER_S)


def by(t: Target, key: SigningKey) -> str:
    return sign({**t.header, "kid": key.kid}, t.claims(EARLIER_S), key.key)


def with_exp(t: Target, value: bytes) -> str:
    return t.raw(as_json(t.claims(exp="EXP")).replace(b'"EXP"', value))


def last_character_varied(t: Target) -> str:
    """The same signature, spelt otherwise: the last character has two bits that count for nothing."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    token = t.good()
    return token[:-1] + alphabet[alphabet.index(token[-1]) + 1]


def other_purpose(t: Target) -> str:
    audience = next(audience for audience in Audience if audience is not t.audience)
    return t.token(aud=audience.value, exp=int(time.time()) + LIFETIME_S[audience])


def expired(t: Target, ago_s: int) -> str:
    return t.token(age_s=LIFETIME_S[t.audience] + ago_s)


R = Rejection

ATTACKS: Mapping[str, Attack] = {
    # the signature
    "no token": Attack(lambda t: "", R.MISSING),
    "forged signature": Attack(lambda t: sign(t.header, t.claims(), b"x" * 32), R.BAD_SIGNATURE),
    "truncated signature": Attack(lambda t: t.good()[:-3], R.BAD_SIGNATURE),
    "no signature": Attack(lambda t: t.good().rpartition(".")[0] + ".", R.BAD_SIGNATURE),
    "signature of another token": Attack(
        lambda t: t.good().rpartition(".")[0] + "." + t.token(jti="another").rpartition(".")[2],
        R.BAD_SIGNATURE,
    ),
    "flipped bits in the signature": Attack(lambda t: flipped(t.good(), 2), R.BAD_SIGNATURE),
    "flipped bits in the payload": Attack(lambda t: flipped(t.good(), 1), R.MALFORMED),
    "flipped bits in the header": Attack(lambda t: flipped(t.good(), 0), R.MALFORMED),
    "signed with an empty key": Attack(lambda t: sign(t.header, t.claims(), b""), R.BAD_SIGNATURE),
    "signed with the key's base64": Attack(
        lambda t: sign(t.header, t.claims(), base64.b64encode(t.signing.key)), R.BAD_SIGNATURE
    ),
    "signed with a public key's bytes": Attack(
        lambda t: sign(t.header, t.claims(), PUBLIC_PEM), R.BAD_SIGNATURE
    ),
    # the algorithm
    "alg none": Attack(lambda t: unsigned(t, "none"), R.BAD_SIGNATURE),
    "alg None": Attack(lambda t: unsigned(t, "None"), R.BAD_SIGNATURE),
    "alg nOnE": Attack(lambda t: unsigned(t, "nOnE"), R.BAD_SIGNATURE),
    "alg none over a good signature": Attack(lambda t: t.token({"alg": "none"}), R.BAD_SIGNATURE),
    "alg empty": Attack(lambda t: t.token({"alg": ""}), R.BAD_SIGNATURE),
    "alg missing": Attack(lambda t: t.token({"alg": None}), R.BAD_SIGNATURE),
    "HS384": Attack(
        lambda t: sign({**t.header, "alg": "HS384"}, t.claims(), t.signing.key, "sha384"), R.BAD_SIGNATURE
    ),
    "HS512": Attack(
        lambda t: sign({**t.header, "alg": "HS512"}, t.claims(), t.signing.key, "sha512"), R.BAD_SIGNATURE
    ),
    "RS256 of a key of their own": Attack(
        lambda t: jwt.encode(t.claims(), RSA_KEY, algorithm="RS256", headers={"kid": t.signing.kid}),
        R.BAD_SIGNATURE,
    ),
    "RS256 over an HMAC": Attack(lambda t: t.token({"alg": "RS256"}), R.BAD_SIGNATURE),
    # the key's name
    "kid missing": Attack(lambda t: by_kid(t, None), R.MALFORMED),
    "kid empty": Attack(lambda t: by_kid(t, ""), R.UNKNOWN_KEY),
    "kid a number": Attack(lambda t: by_kid(t, 7), R.MALFORMED),
    "kid a list": Attack(lambda t: by_kid(t, [t.signing.kid]), R.MALFORMED),
    "kid a path": Attack(lambda t: by_kid(t, f"../{t.signing.kid}"), R.UNKNOWN_KEY),
    "kid a query": Attack(lambda t: by_kid(t, "x' UNION SELECT 'key"), R.UNKNOWN_KEY),
    "kid very long": Attack(lambda t: by_kid(t, "a" * 4000), R.MALFORMED),
    "kid unknown": Attack(lambda t: by_kid(t, "0" * 32), R.UNKNOWN_KEY),
    "kid in upper case": Attack(lambda t: by_kid(t, t.signing.kid.upper() + "A"), R.UNKNOWN_KEY),
    "version of another secret": Attack(lambda t: by(t, t.other_secret), R.UNKNOWN_KEY),
    "disabled version": Attack(lambda t: by(t, t.disabled), R.UNKNOWN_KEY),
    "name of a key, signed with another": Attack(
        lambda t: sign({**t.header, "kid": t.second.kid}, t.claims(EARLIER_S), t.signing.key), R.BAD_SIGNATURE
    ),
    # the times
    "expired long ago": Attack(lambda t: expired(t, 86_400), R.EXPIRED),
    "expired just past the leeway": Attack(lambda t: expired(t, 6), R.EXPIRED),
    "exp missing": Attack(lambda t: t.token(exp=None), R.MALFORMED),
    "exp null": Attack(lambda t: with_exp(t, b"null"), R.MALFORMED),
    "exp text": Attack(lambda t: with_exp(t, b'"9999999999"'), R.MALFORMED),
    "exp huge": Attack(lambda t: with_exp(t, b"9" * 300), R.MALFORMED),
    "exp negative": Attack(lambda t: with_exp(t, b"-1"), R.EXPIRED),
    "exp NaN": Attack(lambda t: with_exp(t, b"NaN"), R.MALFORMED),
    "exp Infinity": Attack(lambda t: with_exp(t, b"Infinity"), R.MALFORMED),
    "exp a fraction": Attack(lambda t: with_exp(t, f"{time.time() + 30}".encode()), R.MALFORMED),
    "exp true": Attack(lambda t: with_exp(t, b"true"), R.EXPIRED),
    "longer life than it gets": Attack(lambda t: t.token(exp=int(time.time()) + 86_400), R.MALFORMED),
    "nbf to come": Attack(lambda t: t.token(nbf=int(time.time()) + 600), R.MALFORMED),
    "iat to come": Attack(lambda t: t.token(age_s=-600), R.NOT_YET_VALID),
    "iat missing": Attack(lambda t: t.token(iat=None), R.MALFORMED),
    "iat text": Attack(lambda t: t.token(iat="now"), R.MALFORMED),
    # purpose and issuer
    "aud missing": Attack(lambda t: t.token(aud=None), R.MALFORMED),
    "aud a list": Attack(lambda t: t.token(aud=["media", "callback"]), R.WRONG_PURPOSE),
    "aud of the other purpose": Attack(other_purpose, R.WRONG_PURPOSE),
    "aud in upper case": Attack(lambda t: t.token(aud=t.audience.value.upper()), R.WRONG_PURPOSE),
    "iss missing": Attack(lambda t: t.token(iss=None), R.MALFORMED),
    "iss another": Attack(lambda t: t.token(iss="somebody"), R.WRONG_PURPOSE),
    "iss a list": Attack(lambda t: t.token(iss=["acs-voice-gateway"]), R.WRONG_PURPOSE),
    # what it names
    "jti missing": Attack(lambda t: t.token(jti=None), R.MALFORMED),
    "jti empty": Attack(lambda t: t.token(jti=""), R.MALFORMED),
    "jti a number": Attack(lambda t: t.token(jti=7), R.MALFORMED),
    "call missing": Attack(lambda t: t.token(call_id=None), R.MALFORMED),
    "call a number": Attack(lambda t: t.token(call_id=7), R.MALFORMED),
    "account missing": Attack(lambda t: t.token(account_id=None), R.MALFORMED),
    "account empty": Attack(lambda t: t.token(account_id=""), R.MALFORMED),
    "one claim more": Attack(lambda t: t.token(admin=True), R.MALFORMED),
    # the header
    "typ another": Attack(lambda t: t.token({"typ": "at+jwt"}), R.MALFORMED),
    "crit": Attack(lambda t: t.token({"crit": ["exp"]}), R.MALFORMED),
    "jku": Attack(lambda t: t.token({"jku": "https://evil.example/keys"}), R.MALFORMED),
    "x5u": Attack(lambda t: t.token({"x5u": "https://evil.example/cert"}), R.MALFORMED),
    "jwk": Attack(lambda t: t.token({"jwk": {"kty": "oct", "k": b64(t.signing.key)}}), R.MALFORMED),
    "b64 false": Attack(lambda t: t.token({"b64": False, "crit": ["b64"]}), R.MALFORMED),
    "cty JWT": Attack(lambda t: t.token({"cty": "JWT"}), R.MALFORMED),
    # the form
    "claims said twice": Attack(
        lambda t: t.raw(b'{"call_id":"another",' + as_json(t.claims())[1:]), R.MALFORMED
    ),
    "claims spelt otherwise": Attack(lambda t: t.raw(json.dumps(t.claims()).encode()), R.MALFORMED),
    "a token in a token": Attack(lambda t: t.raw(as_json(t.good())), R.MALFORMED),
    "payload a list": Attack(lambda t: t.raw(as_json([t.claims()])), R.MALFORMED),
    "payload no JSON": Attack(lambda t: t.raw(b"call=1"), R.MALFORMED),
    "payload nested deep": Attack(lambda t: t.raw(b"[" * 600), R.MALFORMED),
    "JWE of five parts": Attack(lambda t: ".".join(["YQ"] * 5), R.MALFORMED),
    "two parts": Attack(lambda t: t.good().rpartition(".")[0], R.MALFORMED),
    "dots": Attack(lambda t: "..", R.MALFORMED),
    "letters that look alike": Attack(lambda t: t.good().replace("e", "\u0435", 1), R.MALFORMED),
    "white space before": Attack(lambda t: " " + t.good(), R.MALFORMED),
    "white space after": Attack(lambda t: t.good() + "\n", R.MALFORMED),
    "white space within the signature": Attack(lambda t: t.good()[:-9] + "\r\n" + t.good()[-9:], R.MALFORMED),
    "base64 with padding": Attack(lambda t: t.good() + "=", R.MALFORMED),
    "signature spelt otherwise": Attack(last_character_varied, R.MALFORMED),
    "scheme before": Attack(lambda t: f"Bearer {t.good()}", R.MALFORMED),
    "ACS's kind of token": Attack(
        lambda t: jwt.encode(
            {"iss": "acs", "aud": "resource", "exp": 9_999_999_999}, RSA_KEY, algorithm="RS256"
        ),
        R.MALFORMED,
    ),
}
"""Tokens of ours. All but "other" calls and accounts, which only who knows the call can tell."""


@dataclass(frozen=True)
class AcsTarget:
    """Who ACS's tokens are for, and a key pair that is known as ACS's."""

    audience: str
    issuer: str
    kid: str
    key: rsa.RSAPrivateKey
    ours: str
    """A good token of ours."""

    def bearer(
        self, key: Any = None, algorithm: str = "RS256", kid: str | None = None, **changes: Any
    ) -> str:
        now = int(time.time())
        claims = {
            "iss": self.issuer,
            "aud": self.audience,
            "iat": now - EARLIER_S,
            "exp": now + 300,
            **changes,
        }
        claims = {name: value for name, value in claims.items() if value is not None}
        return "Bearer " + jwt.encode(
            claims, key or self.key, algorithm=algorithm, headers={"kid": kid or self.kid}
        )

    def hmac_of_public_key(self) -> str:
        pem = self.key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        claims = {"iss": self.issuer, "aud": self.audience, "exp": int(time.time()) + 300}
        return "Bearer " + sign({"alg": "HS256", "kid": self.kid, "typ": "JWT"}, claims, pem)


ACS_ATTACKS: Mapping[str, tuple[Callable[[AcsTarget], str], Rejection]] = {
    "missing": (lambda t: "", R.ACS_MISSING),
    "Basic": (lambda t: "Basic " + t.bearer().removeprefix("Bearer "), R.ACS_MISSING),
    "no token after Bearer": (lambda t: "Bearer ", R.ACS_MISSING),
    "no JWT": (lambda t: "Bearer nonsense", R.ACS_REFUSED),
    "two tokens": (lambda t: f"{t.bearer()} {t.bearer()}", R.ACS_REFUSED),
    "another resource's": (lambda t: t.bearer(aud="44444444-4444-4444-4444-444444444444"), R.ACS_REFUSED),
    "aud missing": (lambda t: t.bearer(aud=None), R.ACS_REFUSED),
    "aud empty": (lambda t: t.bearer(aud=""), R.ACS_REFUSED),
    "iss another": (lambda t: t.bearer(iss="https://evil.example"), R.ACS_REFUSED),
    "iss missing": (lambda t: t.bearer(iss=None), R.ACS_REFUSED),
    "expired": (lambda t: t.bearer(exp=int(time.time()) - 60), R.ACS_EXPIRED),
    "just past the leeway": (lambda t: t.bearer(exp=int(time.time()) - 6), R.ACS_EXPIRED),
    "exp missing": (lambda t: t.bearer(exp=None), R.ACS_REFUSED),
    "nbf to come": (lambda t: t.bearer(nbf=int(time.time()) + 60), R.ACS_REFUSED),
    "HS256 of the public key": (lambda t: t.hmac_of_public_key(), R.ACS_REFUSED),
    "alg none": (lambda t: "Bearer " + _acs_unsigned(t), R.ACS_REFUSED),
    "RS384": (lambda t: t.bearer(algorithm="RS384"), R.ACS_REFUSED),
    "a stranger's key": (lambda t: t.bearer(RSA_KEY), R.ACS_REFUSED),
    "unknown kid": (lambda t: t.bearer(kid="unknown"), R.ACS_UNKNOWN_KEY),
    "unknown kid of another resource": (lambda t: t.bearer(kid="unknown", aud="another"), R.ACS_REFUSED),
    "ours": (lambda t: f"Bearer {t.ours}", R.ACS_REFUSED),
    "very long": (lambda t: "Bearer " + "a" * 5000, R.ACS_REFUSED),
}
"""Authorization headers."""


def _acs_unsigned(t: AcsTarget) -> str:
    claims = {"iss": t.issuer, "aud": t.audience, "exp": int(time.time()) + 300}
    return sign({"alg": "none", "kid": t.kid}, claims, b"k").rpartition(".")[0] + "."
