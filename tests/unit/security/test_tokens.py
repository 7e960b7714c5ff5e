"""Our tokens prove one call, for one purpose, for a short time; anything else is refused."""

import base64
import time

import jwt
import pytest

from shared.security.tokens import (
    CLOCK_LEEWAY_S,
    ISSUER,
    LIFETIME_S,
    MAX_TOKEN_CHARS,
    Audience,
    Rejection,
    SigningKey,
    TokenRejected,
    UnknownKey,
    _Claims,
    _encode,
    mint,
    verify,
)

KEY = SigningKey("v1", b"k" * 32)
KEYS = {"v1": KEY.key, "v0": b"o" * 32}
WHO = {"call_id": "call-1", "account_id": "demo", "jti": "jti-1"}


def claims(**changes):
    now = int(time.time())
    made = {"iss": ISSUER, "aud": "media", "iat": now, "exp": now + 30, "jti": "jti-1"}
    made |= {"call_id": "call-1", "account_id": "demo", **changes}
    return {name: value for name, value in made.items() if value is not None}


def signed(payload, key=KEY.key, algorithm="HS256", **headers):
    return jwt.encode(payload, key, algorithm=algorithm, headers={"kid": "v1", **headers})


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
    ended = int(time.time()) - CLOCK_LEEWAY_S + 2
    token = signed(claims(iat=ended - 30, exp=ended))
    assert verify(token, audience=Audience.MEDIA, keys=KEYS).jti == "jti-1"


@pytest.mark.parametrize(("age_s", "is_expired"), [(0, False), (30, False), (40, True), (10_800, True)])
def test_a_token_past_its_time_is_told_apart_where_it_may_be_expired(age_s, is_expired):
    made = int(time.time()) - age_s
    token = signed(claims(iat=made, exp=made + 30))
    read = verify(token, audience=Audience.MEDIA, keys=KEYS, may_be_expired=True)
    assert (read.jti, read.is_expired) == ("jti-1", is_expired)


def test_no_token_is_good_once_no_call_can_last_any_more():
    made = int(time.time()) - 10_800 - CLOCK_LEEWAY_S
    token = signed(claims(iat=made, exp=made + 30))
    with pytest.raises(TokenRejected) as refused:
        verify(token, audience=Audience.MEDIA, keys=KEYS, may_be_expired=True)
    assert refused.value.reason is Rejection.EXPIRED


def test_a_token_of_an_unknown_key_is_told_apart_with_the_time_it_was_made_by():
    token = signed(claims(), kid="v9")
    with pytest.raises(UnknownKey) as unknown:
        verify(token, audience=Audience.MEDIA, keys=KEYS)
    assert unknown.value.made_by == pytest.approx(time.time() + CLOCK_LEEWAY_S, abs=2)


def test_the_spelling_of_a_token_is_fixed():
    """Tokens outlive a deployment, and are accepted byte for byte: a library that spells otherwise loses them."""
    token = _encode(
        _Claims(ISSUER, "media", 1_700_000_000, 1_700_000_030, "jti-1", "call-1", "demo"), "v1", KEY.key
    )
    header, payload, signature = token.split(".")
    assert base64.urlsafe_b64decode(header + "==") == b'{"alg":"HS256","kid":"v1","typ":"JWT"}'
    assert base64.urlsafe_b64decode(payload + "==") == (
        b'{"iss":"acs-voice-gateway","aud":"media","iat":1700000000,"exp":1700000030,'
        b'"jti":"jti-1","call_id":"call-1","account_id":"demo"}'
    )
    assert len(signature) == 43


def test_the_longest_token_is_well_below_the_limit():
    names = {"call_id": "c" * 36, "account_id": "a" * 63, "jti": "j" * 36}
    assert (
        len(mint(Audience.CALLBACK, signing=SigningKey("f" * 32, KEY.key), **names)) < MAX_TOKEN_CHARS * 0.6
    )


def test_keys_stay_out_of_what_is_printed():
    assert "kkkk" not in repr(KEY)
