"""Secrets are kept as hashes, and rotated without a moment in which none is good."""

import pytest

from shared.errors import Conflict
from shared.security.accounts import (
    Account,
    hash_secret,
    rotation_cancelled,
    rotation_finished,
    secret_matches,
    with_next_secret,
)

SECRET = "a-good-secret-of-a-subscription"
NEXT = "the-secret-after-the-rotation"


def account(*secrets):
    return Account("demo", "Demo", "id-1", tuple(map(hash_secret, secrets)))


def live(of):
    return [secret for secret in (SECRET, NEXT) if secret_matches(secret, of.secret_hashes)]


def test_a_secret_is_kept_only_as_a_salted_hash():
    kept = hash_secret(SECRET)
    assert SECRET not in kept
    assert kept != hash_secret(SECRET)
    assert secret_matches(SECRET, (kept,))
    assert not secret_matches(SECRET + "x", (kept,))
    assert kept not in repr(account(SECRET))


def test_while_a_secret_is_rotated_both_are_live_and_then_the_one_that_stays():
    both = with_next_secret(account(SECRET), NEXT, hash_secret(NEXT))
    assert live(both) == [SECRET, NEXT]
    assert live(rotation_finished(both)) == [NEXT]
    assert live(rotation_cancelled(both)) == [SECRET]


def test_a_third_secret_and_one_in_use_are_refused():
    with pytest.raises(Conflict, match="two secrets are live"):
        with_next_secret(account(SECRET, NEXT), "a-third-secret-of-good-length", "")
    with pytest.raises(Conflict, match="the one in use"):
        with_next_secret(account(SECRET), SECRET, "")


@pytest.mark.parametrize("end", [rotation_finished, rotation_cancelled])
def test_no_rotation_ends_that_is_not_under_way(end):
    with pytest.raises(Conflict, match="no rotation is under way"):
        end(account(SECRET))
