"""Who may deliver: changes take effect in time, and wrong credentials are slowed without slowing others."""

import asyncio
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import NotConfigured, StoreUnavailable, TooManyAttempts, Unauthorized
from shared.metrics import Metrics
from shared.security.accounts import Account, hash_secret
from shared.security.attempts import MAX_PENALTY_S, MAX_WAITING, MAX_WAITING_OF_ONE, Attempts
from shared.security.authenticator import Authenticator
from shared.security.directory import KEPT, MAX_AGE_S, AccountDirectory, Accounts

SECRET = "a-good-secret-of-a-subscription"
HASH = hash_secret(SECRET)


def account(name="demo", secret=SECRET, **changes):
    hashed = HASH if secret == SECRET else hash_secret(secret)
    return Account(name, "Demo", f"id-of-{name}", (hashed,), **changes)


def headers(api_id="id-of-demo", secret=SECRET):
    return {"Asapp-Api-Id": api_id, "Asapp-Api-Secret": secret}


class World:
    """Storage, a clock, a sleep that a test lets pass, and what was counted."""

    def __init__(self, *accounts):
        self.accounts = list(accounts)
        self.reads = 0
        self.away = False
        self.read_held = None
        """Where it is an event, a read returns late, with what was there at its begin."""
        self.now = 0.0
        self.slept = []
        self.stopped = None
        """Where it is an event, sleeping waits for it."""
        self.counted = []

    async def all(self):
        self.reads += 1
        if self.away:
            raise StoreUnavailable("table storage did not answer")
        found = list(self.accounts)
        if self.read_held is not None:
            await self.read_held.wait()
        return found

    def clock(self):
        return self.now

    async def sleep(self, seconds):
        if self.stopped is not None:
            await self.stopped.wait()
        self.slept.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)

    def create_counter(self, name, **described):
        return self

    create_gauge = create_counter

    def add(self, amount, attributes):
        self.counted += [attributes["reason"]] * amount


@pytest.fixture
async def make():
    """Make an authenticator in a world; its reads end with the test."""
    directories = []

    def build(world):
        timing = {"clock": world.clock, "sleep": world.sleep}
        directories.append(AccountDirectory(world, **timing))
        return Authenticator(directories[-1], Attempts(Metrics(world), **timing))

    yield build
    for directory in directories:
        await directory.refresher.close()


async def test_good_credentials_are_let_in_from_memory(make):
    world = World(account())
    authenticator = make(world)
    for _ in range(3):
        assert await authenticator.authenticate(headers()) == account()
    assert (world.reads, world.slept) == (1, [])


@pytest.mark.parametrize(
    ("shown", "reason"),
    [
        (headers(secret="wrong"), "wrong"),
        (headers(secret=SECRET + "x"), "wrong"),
        (headers(secret=SECRET + "\udcff"), "wrong"),
        (headers(api_id="\udcff", secret="\udcff"), "unknown"),
        (headers(api_id="id-of-nobody"), "unknown"),
        (headers(api_id="id-of-off"), "disabled"),
    ],
)
async def test_anything_else_is_refused_and_counted(make, shown, reason):
    world = World(account(), account("off", enabled=False))
    with pytest.raises(Unauthorized):
        await make(world).authenticate(shown)
    assert world.counted == [reason]


@pytest.mark.parametrize("shown", [{}, {"asapp-api-id": "id-of-demo"}, headers("", "")])
async def test_a_delivery_without_a_known_pair_has_no_credentials(make, shown):
    world = World(account())
    authenticator = make(world)
    assert await authenticator.authenticate(shown) is None
    assert isinstance(authenticator.missing(), Unauthorized)
    assert (world.counted, world.reads, world.slept) == (["missing"], 1, [])


async def test_without_any_account_a_delivery_may_come_again(make):
    world = World()
    authenticator = make(world)
    assert await authenticator.authenticate(headers()) is None
    assert isinstance(authenticator.missing(), NotConfigured)
    world.accounts.append(account())
    assert await authenticator.authenticate(headers()) is not None


async def test_while_storage_is_away_headers_that_nobody_had_are_not_refused_for_good(make):
    world = World(account())
    authenticator = make(world)
    await authenticator.authenticate(headers())
    world.away = True
    world.accounts = [account(api_id_header="x-id", api_secret_header="x-secret")]
    renamed = {"x-id": "id-of-demo", "x-secret": SECRET}
    world.now = MAX_AGE_S + 1
    assert await authenticator.authenticate(renamed) is None
    assert isinstance(authenticator.missing(), StoreUnavailable)
    world.away = False
    world.now += MAX_AGE_S + 1
    assert await authenticator.authenticate(renamed)


async def test_a_secret_that_was_just_rotated_is_read_again_before_it_is_refused(make):
    world = World(account())
    authenticator = make(world)
    await authenticator.authenticate(headers())
    world.accounts = [account(secret="the-secret-after-rotation")]
    assert await authenticator.authenticate(headers(secret="the-secret-after-rotation"))
    assert world.slept == [1.0]
    with pytest.raises(Unauthorized):
        await authenticator.authenticate(headers())


async def test_a_read_that_began_before_the_delivery_came_does_not_refuse_it(make):
    world = World(account())
    authenticator = make(world)
    await authenticator.authenticate(headers())
    world.now = MAX_AGE_S - 1
    world.read_held = asyncio.Event()
    await authenticator.authenticate(headers())  # begins a read in the background
    await asyncio.sleep(0)
    world.accounts = [account(secret="the-secret-after-rotation")]
    delivery = asyncio.create_task(authenticator.authenticate(headers(secret="the-secret-after-rotation")))
    await asyncio.sleep(0)
    world.read_held.set()
    assert await delivery is not None
    assert world.reads == 3


async def test_a_disabled_account_is_out_after_the_maximum_age(make):
    world = World(account())
    authenticator = make(world)
    await authenticator.authenticate(headers())
    world.accounts = [account(enabled=False)]
    world.now = MAX_AGE_S + 1
    with pytest.raises(Unauthorized):
        await authenticator.authenticate(headers())


async def test_known_accounts_are_let_in_while_storage_is_away_but_not_for_ever(make):
    world = World(account())
    authenticator = make(world)
    await authenticator.authenticate(headers())
    world.away = True
    world.now = MAX_AGE_S * KEPT - 1
    assert await authenticator.authenticate(headers())
    with pytest.raises(StoreUnavailable):
        await authenticator.authenticate(headers(secret="wrong"))
    world.now = MAX_AGE_S * KEPT + 1
    with pytest.raises(StoreUnavailable):
        await authenticator.authenticate(headers())


async def test_each_failure_waits_longer_up_to_a_limit_and_is_forgotten(make):
    world = World(account(), account("other"))
    authenticator = make(world)

    async def penalty(api_id):
        with pytest.raises(Unauthorized):
            await authenticator.authenticate(headers(api_id, "wrong"))
        return world.slept[-1]

    assert [await penalty("id-of-demo") for _ in range(6)] == [0.25, 0.5, 1, 2, 4, MAX_PENALTY_S]
    assert await penalty("id-of-other") == 0.25
    assert [await penalty(f"id-{n}") for n in range(2)] == [0.25, 0.5]
    world.now += 301
    assert await penalty("id-of-demo") == 0.25


async def test_a_flood_is_bounded_read_for_once_and_slows_nobody_else(make, caplog):
    world = World(*(account(f"a{n}") for n in range(6)))
    authenticator = make(world)
    await authenticator.authenticate(headers("id-of-a0"))
    world.stopped = asyncio.Event()
    flood = [
        asyncio.create_task(authenticator.authenticate(headers(f"id-of-a{n}", "wrong")))
        for n in range(6)
        for _ in range(MAX_WAITING_OF_ONE + 4)
    ]
    for _ in range(20):
        await asyncio.sleep(0)
    assert sum(not task.done() for task in flood) == MAX_WAITING
    assert {type(task.exception()) for task in flood if task.done()} == {TooManyAttempts}
    assert await authenticator.authenticate(headers("id-of-a0"))
    assert world.reads == 1
    assert len(caplog.records) == 6, "one line for an account, not for an attempt"
    assert SECRET not in caplog.text
    world.stopped.set()
    results = await asyncio.gather(*flood, return_exceptions=True)
    assert sum(isinstance(result, Unauthorized) for result in results) == MAX_WAITING
    assert world.counted.count("throttled") == len(flood) - MAX_WAITING
    assert world.reads <= 2 + sum(world.slept)


async def test_who_is_turned_away_makes_the_next_try_find_memory_fresh(make):
    world = World(account())
    authenticator = make(world)
    await authenticator.authenticate(headers())
    world.stopped = asyncio.Event()
    flood = [
        asyncio.create_task(authenticator.authenticate(headers(secret="wrong")))
        for _ in range(MAX_WAITING_OF_ONE)
    ]
    await asyncio.sleep(0)
    world.accounts = [account(secret="the-secret-after-rotation")]
    world.now = 2.0
    rotated = headers(secret="the-secret-after-rotation")
    with pytest.raises(TooManyAttempts):
        await authenticator.authenticate(rotated)
    for _ in range(5):
        await asyncio.sleep(0)
    assert await authenticator.authenticate(rotated)
    world.stopped.set()
    await asyncio.gather(*flood, return_exceptions=True)


async def test_an_account_with_its_own_headers_is_not_reached_by_others(make):
    world = World(account("own", api_id_header="x-id", api_secret_header="x-secret"), account())
    authenticator = make(world)
    found = await authenticator.authenticate({"X-ID": "id-of-own", "x-secret": SECRET} | headers("x", "y"))
    assert found is not None
    assert found.account_id == "own"
    with pytest.raises(Unauthorized):
        await authenticator.authenticate(headers("id-of-own"))


NAMES = st.sampled_from(["a", "b", "c", "d"])


@given(
    pairs=st.lists(st.tuples(NAMES, NAMES).filter(lambda pair: pair[0] != pair[1]), min_size=1, max_size=6),
    sent=st.dictionaries(NAMES, st.sampled_from(["id-of-0", "id-of-1", "id-of-2", SECRET, "x"])),
)
def test_a_delivery_is_let_in_exactly_if_some_account_s_own_two_headers_hold_its_pair(pairs, sent):
    accounts = [
        replace(account(str(n)), api_id_header=pair[0], api_secret_header=pair[1])
        for n, pair in enumerate(pairs)
    ]
    directory = Accounts(accounts)
    upper = {name.upper(): value for name, value in sent.items()}
    verdict = directory.judge(directory.shown(upper))
    good = [
        item
        for item in accounts
        if (sent.get(item.api_id_header), sent.get(item.api_secret_header)) == (item.api_id, SECRET)
    ]
    assert (verdict.reason is None) == bool(good)
    assert not good or verdict.account in good
