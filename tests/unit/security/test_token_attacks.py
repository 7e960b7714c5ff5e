"""The attack table against the verifiers themselves, and a property for what no table thought of."""

import json
import time

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.config import AcsTokenSettings
from shared.security.acs_jwt import AcsTokenVerifier
from shared.security.tokens import LIFETIME_S, Audience, SigningKey, TokenRejected, mint, verify
from tests.support.attacks import ACS_ATTACKS, ATTACKS, AcsTarget, Target, sign

KEY = SigningKey("a1" * 16, b"k" * 32)
ACS_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
ACS = AcsTokenSettings("resource", "acs", "http://127.0.0.1:1", on_callbacks=True, on_media=True)


@pytest.fixture(params=Audience)
def target(request):
    return Target(request.param, KEY, "call-1", "jti-1")


def keys_of(target):
    return {target.signing.kid: target.signing.key, target.second.kid: target.second.key}


@pytest.mark.parametrize("name", ATTACKS)
def test_no_attack_is_accepted(name, target):
    attack = ATTACKS[name]
    with pytest.raises(TokenRejected) as refused:
        verify(attack.make(target), audience=target.audience, keys=keys_of(target))
    assert refused.value.reason is attack.reason


@pytest.mark.parametrize("name", sorted(set(ATTACKS) - {"expired just past the leeway"}))
def test_no_other_attack_is_accepted_where_a_token_may_be_expired(name):
    target = Target(Audience.MEDIA, KEY, "call-1", "jti-1")
    with pytest.raises(TokenRejected):
        verify(ATTACKS[name].make(target), audience=Audience.MEDIA, keys=keys_of(target), may_be_expired=True)


def test_the_token_that_the_attacks_are_made_from_is_good(target):
    for token in (target.good(), target.token(), target.token(age_s=LIFETIME_S[target.audience] + 3)):
        assert verify(token, audience=target.audience, keys=keys_of(target)).call_id == "call-1"


GOOD = mint(Audience.CALLBACK, call_id="call-1", account_id="demo", jti="jti-1", signing=KEY)


@given(st.integers(0, len(GOOD) - 1), st.integers(0, 255))
@settings(max_examples=400)
def test_a_token_with_one_byte_changed_is_refused(at, byte):
    changed = GOOD[:at] + chr(byte) + GOOD[at + 1 :]
    if changed == GOOD:
        return
    with pytest.raises(TokenRejected):
        verify(changed, audience=Audience.CALLBACK, keys={KEY.kid: KEY.key})


@pytest.mark.parametrize("at", range(len(GOOD)))
def test_a_token_that_lacks_a_byte_or_has_one_twice_is_refused(at):
    for changed in (GOOD[:at] + GOOD[at + 1 :], GOOD[: at + 1] + GOOD[at:], GOOD[:at]):
        with pytest.raises(TokenRejected):
            verify(changed, audience=Audience.CALLBACK, keys={KEY.kid: KEY.key})


VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=10), st.lists(st.text(max_size=5))
)
HEADERS = st.dictionaries(st.sampled_from(["alg", "kid", "typ", "crit", "b64", "zip"]), VALUES, max_size=4)


@given(HEADERS, st.dictionaries(st.sampled_from(["iss", "aud", "iat", "exp", "jti", "nbf", "x"]), VALUES))
@settings(max_examples=400)
def test_only_what_mint_makes_is_accepted_even_from_who_has_the_key(header, claims):
    target = Target(Audience.MEDIA, KEY, "call-1", "jti-1")
    token = sign({**target.header, **header}, {**target.claims(), **claims}, KEY.key)
    try:
        read = verify(token, audience=Audience.MEDIA, keys={KEY.kid: KEY.key})
    except TokenRejected:
        return
    said = json.loads(json.dumps({**target.claims(), **claims}))
    assert set(said) == set(target.claims())
    assert (said["aud"], said["exp"] - said["iat"], read.jti) == ("media", 30, said["jti"])
    assert said["iat"] <= time.time() + 5 < said["exp"] + 10


@given(st.binary(min_size=32, max_size=64))
def test_a_random_key_signs_nothing(key):
    token = mint(Audience.MEDIA, call_id="c", account_id="a", jti="j", signing=SigningKey(KEY.kid, key))
    if key != KEY.key:
        with pytest.raises(TokenRejected):
            verify(token, audience=Audience.MEDIA, keys={KEY.kid: KEY.key})


@given(st.text(max_size=300))
def test_rubbish_is_refused_plainly(text):
    with pytest.raises(TokenRejected):
        verify(text, audience=Audience.MEDIA, keys={KEY.kid: KEY.key})


async def acs_verifier():
    verifier = AcsTokenVerifier(ACS)

    async def read():
        public = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(ACS_KEY.public_key()))
        jwks = {"keys": [{**public, "kid": "acs-1", "alg": "RS256", "use": "sig"}]}
        verifier._keys = {key.key_id: key for key in jwt.PyJWKSet.from_dict(jwks).keys}

    verifier.refresher._read = read
    await verifier.refresher.ensure()
    return verifier


@pytest.mark.parametrize("name", ACS_ATTACKS)
async def test_no_attack_on_acs_own_token_is_accepted(name):
    make, reason = ACS_ATTACKS[name]
    verifier = await acs_verifier()
    target = AcsTarget("resource", "acs", "acs-1", ACS_KEY, GOOD)
    await verifier.verify_fresh(target.bearer())
    with pytest.raises(TokenRejected) as refused:
        await verifier.verify_fresh(make(target))
    assert refused.value.reason is reason
