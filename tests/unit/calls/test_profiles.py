"""Profiles in force: read once, reloaded within 30 s, and never replaced by what is not good."""

import asyncio

import pytest

from shared.adapters.blobs import Blob
from shared.adapters.profile_store import Current
from shared.calls.profiles import MIN_INTERVAL_S, OUTDATED_S, RELOAD_AFTER_S, RELOAD_WAIT_S, Profiles
from shared.errors import NotConfigured, NotFound, StoreUnavailable
from shared.gateway_document import encode
from shared.refresh import FIRST_INTERVAL_S, READ_BUDGET_S

EFFECT_S = 30.0


def document(*names):
    return encode({"version": 1, "profiles": {name: {"kind": "echo"} for name in names}, "routes": []})


class Store:
    """Versions by number, and which of them is in force."""

    def __init__(self, *documents):
        self.documents = dict(enumerate(documents, 1))
        self.pointer = Blob(str(len(documents)).encode(), "etag-0") if documents else None
        self.pointer_reads = self.document_reads = 0
        self.is_away = False
        self.gate = None

    def push(self, content):
        number = len(self.documents) + 1
        self.documents[number] = content
        self.use(number)

    def use(self, number):
        self.pointer = Blob(str(number).encode(), f"etag-{number}-{self.pointer_reads}")

    async def current(self, known=None):
        self.pointer_reads += 1
        await asyncio.sleep(0)
        if self.gate is not None:
            await self.gate.wait()
        if self.is_away:
            raise StoreUnavailable("blob storage did not answer")
        if known is not None and known.blob == self.pointer:
            return known
        return None if self.pointer is None else Current(self.pointer)

    async def document(self, version):
        self.document_reads += 1
        if version not in self.documents:
            raise NotFound(f"there is no version {version} of the profiles")
        return self.documents[version]


class Clock:
    now = 1_800_000_000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


async def names(profiles):
    return sorted((await profiles.routing()).profiles)


async def settled(profiles):
    """Let a reload in the background end."""
    if profiles.refresher._task is not None:
        await profiles.refresher._task


async def test_calls_that_come_together_wait_for_one_first_read(clock):
    store = Store(document("a"))
    profiles = Profiles(store, clock=clock)
    assert await asyncio.gather(*(names(profiles) for _ in range(5))) == [["a"]] * 5
    assert (store.pointer_reads, store.document_reads) == (1, 1)


async def test_a_version_that_stays_in_force_is_read_once(clock):
    store = Store(document("a"))
    profiles = Profiles(store, clock=clock)
    for _ in range(5):
        assert await names(profiles) == ["a"]
        await settled(profiles)
        clock.now += RELOAD_AFTER_S + 1
    assert (store.pointer_reads, store.document_reads) == (5, 1)


def test_what_a_reload_may_take_is_left_before_a_change_takes_effect():
    assert OUTDATED_S + RELOAD_WAIT_S < EFFECT_S
    assert RELOAD_AFTER_S + MIN_INTERVAL_S < OUTDATED_S


@pytest.mark.parametrize("step_s", [0.5, 7.0, 9.5, 23.0, EFFECT_S, 3600.0])
async def test_a_change_takes_effect_within_thirty_seconds_however_often_calls_come(clock, step_s):
    store = Store(document("a"))
    profiles = Profiles(store, clock=clock)
    await names(profiles)
    store.push(document("b"))
    pushed = clock.now
    while clock.now - pushed < EFFECT_S:
        await profiles.routing()
        await settled(profiles)
        clock.now += step_s
    assert await names(profiles) == ["b"]


async def test_what_is_fresh_costs_no_read_and_what_is_older_is_read_beside_the_call(clock):
    store = Store(document("a"))
    profiles = Profiles(store, clock=clock)
    await names(profiles)
    store.push(document("b"))
    clock.now += RELOAD_AFTER_S - 1
    assert await names(profiles) == ["a"]
    assert store.pointer_reads == 1
    clock.now += MIN_INTERVAL_S
    assert await names(profiles) == ["a"]
    await settled(profiles)
    assert await names(profiles) == ["b"]


async def test_rolling_back_is_a_change_like_others(clock):
    store = Store(document("a"), document("b"))
    profiles = Profiles(store, clock=clock)
    assert await names(profiles) == ["b"]
    store.use(1)
    clock.now += EFFECT_S
    assert await names(profiles) == ["a"]


@pytest.mark.parametrize(
    ("bad", "fault"),
    [
        (b"{", "version 2 of the agent profiles is not good at: file"),
        (
            document("a").replace(b'"routes": []', b'"routes": [{"account":"x","to":"+18005550199","profile":"b"}]'),
            "version 2 of the agent profiles is not good at: routes.0.profile",
        ),
        (document(), "version 2 of the agent profiles is not good at: profiles"),
    ],
)  # fmt: skip
async def test_a_version_that_is_not_good_never_takes_effect(clock, bad, fault, caplog):
    store = Store(document("a"))
    profiles = Profiles(store, clock=clock)
    await names(profiles)
    store.push(bad)
    clock.now += EFFECT_S
    assert await names(profiles) == ["a"]
    assert profiles.refresher.fault == fault
    (line,) = caplog.messages
    assert line.startswith("a refresh failed; what was read before stays in use")
    assert "18005550199" not in str([record.__dict__ for record in caplog.records])
    # Mended in place, as nobody should: it is looked at again.
    store.documents[2] = document("b")
    clock.now += EFFECT_S
    assert (await names(profiles), profiles.refresher.fault) == (["b"], None)


@pytest.mark.parametrize("pointer", [b"", b"two", b"-1", b"99", b"\xff"])
async def test_a_pointer_that_names_no_version_keeps_the_last_good_one(clock, pointer):
    store = Store(document("a"))
    profiles = Profiles(store, clock=clock)
    await names(profiles)
    store.pointer = Blob(pointer, "by hand")
    clock.now += EFFECT_S
    assert await names(profiles) == ["a"]
    assert "version" in profiles.refresher.fault


async def test_a_store_that_is_away_keeps_the_last_good_one(clock):
    store = Store(document("a"))
    profiles = Profiles(store, clock=clock)
    await names(profiles)
    store.is_away = True
    for _ in range(3):
        clock.now += 3600
        assert await names(profiles) == ["a"]
    assert profiles.refresher.fault == "blob storage did not answer"


async def test_a_store_that_hangs_holds_a_call_up_only_for_the_time_that_a_reload_is_worth(
    clock, monkeypatch
):
    monkeypatch.setattr("shared.calls.profiles.RELOAD_WAIT_S", 0.01)
    store = Store(document("a"))
    profiles = Profiles(store, clock=clock)
    await names(profiles)
    store.gate = asyncio.Event()
    clock.now += EFFECT_S
    async with asyncio.timeout(READ_BUDGET_S / 2):
        assert await names(profiles) == ["a"]
    await profiles.refresher.close()


async def test_nothing_pushed_is_the_operators_to_mend_and_a_push_does_it(clock):
    store = Store()
    profiles = Profiles(store, clock=clock)
    with pytest.raises(NotConfigured, match="profiles push"):
        await profiles.routing()
    store.push(document("a"))
    clock.now += FIRST_INTERVAL_S
    assert await names(profiles) == ["a"]


async def test_a_store_that_was_never_read_is_a_temporary_fault(clock):
    store = Store(document("a"))
    store.is_away = True
    with pytest.raises(StoreUnavailable):
        await Profiles(store, clock=clock).routing()


async def test_a_first_version_that_is_not_good_is_the_operators_to_mend(clock):
    with pytest.raises(NotConfigured, match="version 1 of the agent profiles is not good at: file"):
        await Profiles(Store(b"{"), clock=clock).routing()
