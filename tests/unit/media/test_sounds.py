"""Sounds are fetched once for all calls, kept within a limit, and a fault is the waiting call's only."""

import asyncio

import pytest

from media_gateway.sounds import Sounds
from shared.wav import SoundUnusable
from tests.support.media import MemorySounds
from tests.support.records import wav_bytes

RATE_HZ = 16_000
SIZE = 1000


def samples(name):
    return name.encode().ljust(SIZE, b".")


@pytest.fixture
def files():
    files = MemorySounds()
    for name in "abcd":
        files.files[name] = wav_bytes(samples(name), rate_hz=RATE_HZ)
    return files


async def test_calls_that_want_a_sound_together_wait_for_one_fetch(files):
    sounds = Sounds(files, fetch_s=5)
    files.gate = asyncio.Event()
    calls = [asyncio.create_task(sounds.load({"a", "b"}, RATE_HZ)) for _ in range(3)]
    await asyncio.sleep(0)
    files.gate.set()
    assert await asyncio.gather(*calls) == [{"a": samples("a"), "b": samples("b")}] * 3
    assert sorted(files.reads) == ["a", "b"]


async def test_the_next_call_needs_no_fetch(files):
    sounds = Sounds(files, fetch_s=5)
    first = await sounds.load({"a"}, RATE_HZ)
    files.is_away = True
    assert (await sounds.load({"a"}, RATE_HZ))["a"] is first["a"]


async def test_a_call_that_gives_up_takes_the_sound_from_no_other(files):
    sounds = Sounds(files, fetch_s=5)
    files.gate = asyncio.Event()
    gives_up, stays = (asyncio.create_task(sounds.load({"a"}, RATE_HZ)) for _ in range(2))
    await asyncio.sleep(0)
    gives_up.cancel()
    await asyncio.gather(gives_up, return_exceptions=True)
    files.gate.set()
    assert await stays == {"a": samples("a")}


async def test_past_the_limit_the_sound_used_longest_ago_goes_first(files):
    sounds = Sounds(files, fetch_s=5, limit_bytes=2 * SIZE)
    for name in ("a", "b", "a", "c"):
        await sounds.load({name}, RATE_HZ)
    assert files.reads == ["a", "b", "c"]
    await sounds.load({"a", "c"}, RATE_HZ)
    assert files.reads == ["a", "b", "c"]
    await sounds.load({"b"}, RATE_HZ)
    assert files.reads == ["a", "b", "c", "b"]


async def test_a_sound_larger_than_the_limit_is_played_and_not_kept(files):
    sounds = Sounds(files, fetch_s=5, limit_bytes=SIZE - 1)
    for _ in range(2):
        assert await sounds.load({"a"}, RATE_HZ) == {"a": samples("a")}
    assert files.reads == ["a", "a"]


async def test_a_call_may_have_more_sounds_than_are_kept(files):
    sounds = Sounds(files, fetch_s=5, limit_bytes=2 * SIZE)
    assert await sounds.load(set("abcd"), RATE_HZ) == {name: samples(name) for name in "abcd"}


async def test_what_cannot_be_had_is_said_and_asked_for_again_by_the_next_call(files):
    sounds = Sounds(files, fetch_s=5)
    files.is_away = True
    with pytest.raises(SoundUnusable, match="cannot be fetched"):
        await sounds.load({"a", "b"}, RATE_HZ)
    files.is_away = False
    assert await sounds.load({"a"}, RATE_HZ) == {"a": samples("a")}
    with pytest.raises(SoundUnusable, match="not stored"):
        await sounds.load({"gone"}, RATE_HZ)


async def test_a_fetch_that_never_ends_is_given_up(files):
    sounds = Sounds(files, fetch_s=0.01)
    files.gate = asyncio.Event()
    with pytest.raises(SoundUnusable, match="not there in time"):
        await sounds.load({"a"}, RATE_HZ)


async def test_a_sound_at_another_rate_is_refused_for_that_call_only(files):
    sounds = Sounds(files, fetch_s=5)
    with pytest.raises(SoundUnusable, match="24000 Hz"):
        await sounds.load({"a"}, 24_000)
    assert await sounds.load({"a"}, RATE_HZ) == {"a": samples("a")}


async def test_closing_ends_what_is_being_fetched(files):
    sounds = Sounds(files, fetch_s=5)
    files.gate = asyncio.Event()
    call = asyncio.create_task(sounds.load({"a"}, RATE_HZ))
    await asyncio.sleep(0)
    await sounds.close()
    with pytest.raises(asyncio.CancelledError):
        await call
