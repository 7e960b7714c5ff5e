"""Our tokens prove one call, for one purpose, for a short time; anything else is refused."""

import base64
import json
import time

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from shared.security.tokens import (
    CLOCK_LEEWAY_S,
    ISSUER,
    LIFETIME_S,
    Audience,
    SigningKey,
    TokenRejected,
    UnknownKey,
    mint,
    verify,
)

KEY = SigningKey("v1", b"k" * 32)
KEYS = {"v1": KEY.key, "v0": b"o" * 32}
WHO = {"call_id": "call-1", "account_id": "demo", "jti": "jti-1"}


def claims(**changes):
    now = int(time.time())
    made = {"iss": ISSUER, "aud": "media", "iat": now, "exp": now + 30, **WHO, **changes}
    return {name: value for name, value in made.items() if value is not None}


def signed(payload, key=KEY.key, algorithm="HS256", **headers):
    return jwt.encode(payload, key, algorithm=algorithm, headers={"kid": "v1", **headers})


def unsigned(payload, header):
    parts = (base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in (header, payload))
    return b".".join([*parts, b""]).decode()


@pytest.mark.parametrize(("audience", "lifetime"), [(Audience.MEDIA, 30), (Audience.CALLBACK, 10_800)])
def test_a_minted_token_is_good_for_its_audience_and_lifetime(audience, lifetime):
    read = verify(mint(audience, signing=KEY, **WHO), audience=audience, keys=KEYS)
    assert (read.call_id, read.account_id, read.jti) == ("call-1", "demo", "jti-1")
    assert read.expires_at - time.time() == pytest.approx(lifetime, abs=2)
    assert LIFETIME_S[audience] == lifetime


def test_a_token_of_an_older_key_stays_good():
    token = mint(Audience.MEDIA, signing=SigningKey("v0", KEYS["v0"]), **WHO)
    assert verify(token, audience=Audience.MEDIA, keys=KEYS).call_id == "call-1"


def test_a_clock_a_little_ahead_is_forgiven():
    token = signed(claims(exp=int(time.time()) - CLOCK_LEEWAY_S + 2))
    assert verify(token, audience=Audience.MEDIA, keys=KEYS).jti == "jti-1"


@pytest.mark.parametrize("kid", ["v9", None, 7])
def test_a_token_of_an_unknown_key_is_told_apart(kid):
    if not isinstance(kid, int):
        token = jwt.encode(claims(), KEY.key, algorithm="HS256", headers={"kid": kid} if kid else {})
        with pytest.raises(UnknownKey):
            verify(token, audience=Audience.MEDIA, keys=KEYS)
    else:
        with pytest.raises(TokenRejected):
            verify(unsigned(claims(), {"alg": "HS256", "kid": kid}), audience=Audience.MEDIA, keys=KEYS)


RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)

FORGERIES = {
    "another audience": lambda: signed(claims(aud="callback")),
    "a list of audiences": lambda: signed(claims(aud=["media", "callback"])),
    "no audience": lambda: signed(claims(aud=None)),
    "expired": lambda: signed(claims(exp=int(time.time()) - 60)),
    "no expiry": lambda: signed(claims(exp=None)),
    "issued in the future": lambda: signed(claims(iat=int(time.time()) + 600)),
    "another issuer": lambda: signed(claims(iss="somebody")),
    "no token id": lambda: signed(claims(jti=None)),
    "no call": lambda: signed(claims(call_id=None)),
    "a call that is no text": lambda: signed(claims(call_id=7)),
    "another key": lambda: signed(claims(), key=b"x" * 32),
    "the key of another name": lambda: signed(claims(), kid="v0"),
    "another hash": lambda: signed(claims(), algorithm="HS512", key=KEY.key * 2),
    "an RSA signature": lambda: signed(claims(), key=RSA_KEY, algorithm="RS256"),
    "no signature": lambda: unsigned(claims(), {"alg": "none", "kid": "v1"}),
    "a cut signature": lambda: signed(claims())[:-4],
    "a changed claim": lambda: ".".join(
        [
            signed(claims()).split(".")[0],
            signed(claims(call_id="call-2")).split(".")[1],
            signed(claims()).split(".")[2],
        ]
    ),
    "no token": lambda: "",
    "no JWT": lambda: "abc.def.ghi",
    "two parts": lambda: "abc.def",
}


@pytest.mark.parametrize("forge", FORGERIES.values(), ids=FORGERIES)
def test_nothing_else_is_accepted(forge):
    with pytest.raises(TokenRejected):
        verify(forge(), audience=Audience.MEDIA, keys=KEYS)


def test_keys_stay_out_of_what_is_printed():
    assert "kkkk" not in repr(KEY)
