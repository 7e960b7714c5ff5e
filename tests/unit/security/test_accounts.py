"""Who may deliver: the pair must be right, a rotation takes effect at once, and the memory is short."""

import pytest

from shared.errors import StoreUnavailable, Unauthorized
from shared.security.accounts import CACHE_LIMIT, CACHE_S, Account, Authenticator, hash_secret, secret_matches

SECRET = "a-good-secret-of-a-subscription"


def account(api_id="id-1", secrets=(SECRET,), **changes):
    return Account("demo", "Demo", api_id, tuple(map(hash_secret, secrets)), **changes)


class Store:
    """Accounts, as far as the authenticator sees them."""

    def __init__(self, *accounts):
        self.accounts = {item.api_id: item for item in accounts}
        self.reads = 0
        self.away = False

    async def by_api_id(self, api_id):
        self.reads += 1
        if self.away:
            raise StoreUnavailable("table storage did not answer")
        return self.accounts.get(api_id)


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


async def test_the_right_pair_is_let_in_and_remembered():
    store = Store(account())
    authenticator = Authenticator(store, clock=Clock())
    for _ in range(3):
        assert (await authenticator.authenticate("id-1", SECRET)).account_id == "demo"
    assert store.reads == 1


@pytest.mark.parametrize(
    ("api_id", "secret"),
    [
        (None, None),
        ("id-1", None),
        (None, SECRET),
        ("", ""),
        ("id-1", "wrong"),
        ("id-2", SECRET),
        ("id-1", SECRET + "x"),
    ],
)
async def test_anything_else_is_refused(api_id, secret):
    with pytest.raises(Unauthorized):
        await Authenticator(Store(account())).authenticate(api_id, secret)


async def test_either_of_two_live_secrets_is_good():
    authenticator = Authenticator(Store(account(secrets=(SECRET, "another-good-secret-there"))))
    assert await authenticator.authenticate("id-1", SECRET)
    assert await authenticator.authenticate("id-1", "another-good-secret-there")


async def test_a_secret_that_was_just_rotated_is_read_again_before_it_is_refused():
    store = Store(account())
    authenticator = Authenticator(store)
    await authenticator.authenticate("id-1", SECRET)
    store.accounts["id-1"] = account(secrets=("the-secret-after-rotation",))
    assert await authenticator.authenticate("id-1", "the-secret-after-rotation")
    with pytest.raises(Unauthorized):
        await authenticator.authenticate("id-1", SECRET)


async def test_an_account_that_was_disabled_is_out_when_the_memory_ends():
    store, clock = Store(account()), Clock()
    authenticator = Authenticator(store, clock=clock)
    await authenticator.authenticate("id-1", SECRET)
    store.accounts["id-1"] = account(enabled=False)
    clock.now = CACHE_S + 1
    with pytest.raises(Unauthorized):
        await authenticator.authenticate("id-1", SECRET)


async def test_a_remembered_account_is_let_in_while_storage_is_away():
    store = Store(account())
    authenticator = Authenticator(store)
    await authenticator.authenticate("id-1", SECRET)
    store.away = True
    assert await authenticator.authenticate("id-1", SECRET)
    with pytest.raises(StoreUnavailable):
        await authenticator.authenticate("id-2", SECRET)


async def test_the_memory_is_bounded():
    accounts = [account(f"id-{n}") for n in range(CACHE_LIMIT + 5)]
    store = Store(*accounts)
    authenticator = Authenticator(store)
    for item in accounts:
        await authenticator.authenticate(item.api_id, SECRET)
    reads = store.reads
    await authenticator.authenticate("id-0", SECRET)
    assert store.reads == reads + 1


def test_a_secret_is_kept_only_as_a_salted_hash():
    kept = hash_secret(SECRET)
    assert SECRET not in kept
    assert kept != hash_secret(SECRET)
    assert secret_matches(SECRET, (kept,))
    assert kept not in repr(account())
