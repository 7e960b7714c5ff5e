"""A call has every prompt from its first moment on: the default, and the profile's own as soon as it is there."""

import asyncio
from collections import Counter

import numpy as np
import pytest

from media_gateway.prompts import Prompts
from media_gateway.sounds import Sounds
from shared import prompts as package
from shared.core import profiles
from shared.core.profiles import AgentProfile, AudioFormat, EchoAgent, PromptKind
from shared.wav import read_wav
from tests.support.media import MemorySounds
from tests.support.records import wav_bytes

OWN = b"ow" * 480


@pytest.fixture
def files():
    files = MemorySounds()
    files.files["own"] = wav_bytes(OWN)
    return files


@pytest.fixture
def counters():
    return Counter()


@pytest.fixture
def prompts(files, counters):
    return Prompts(Sounds(files, fetch_s=5), counters)


def with_own(audio_format=AudioFormat.PCM24K, **own):
    return AgentProfile("bank", EchoAgent(), audio_format, prompts=profiles.Prompts(**own))


async def test_a_profile_s_own_prompt_is_said_once_it_is_fetched(prompts, counters):
    call = prompts.for_call(with_own(apology="own"))
    await call.prepare()

    assert call.get(PromptKind.APOLOGY) == OWN
    assert counters == {}


async def test_what_a_profile_does_not_name_is_the_default_and_nothing_is_missing(prompts, files, counters):
    call = prompts.for_call(with_own())
    await call.prepare()

    assert all(call.get(kind) for kind in PromptKind)
    assert (files.reads, counters) == ([], {})


async def test_until_its_own_is_there_the_call_says_the_default(prompts, files, counters):
    files.gate = asyncio.Event()
    call = prompts.for_call(with_own(comfort="own"))
    preparing = asyncio.create_task(call.prepare())
    await asyncio.sleep(0)

    assert call.get(PromptKind.COMFORT) == prompts.for_call(with_own()).get(PromptKind.COMFORT)
    assert counters == {"prompts_missing": 1}

    files.gate.set()
    await preparing
    assert call.get(PromptKind.COMFORT) == OWN


async def test_storage_that_is_away_costs_the_own_words_and_nothing_else(prompts, files, counters, caplog):
    files.is_away = True
    call = prompts.for_call(with_own(goodbye="own"))
    await call.prepare()

    assert call.get(PromptKind.GOODBYE) == prompts.for_call(with_own()).get(PromptKind.GOODBYE)
    assert counters == {"prompts_missing": 1}
    assert [record.fault for record in caplog.records] == ["cannot be fetched: the store is away"]


async def test_one_prompt_that_is_not_stored_takes_no_other_along(prompts, counters):
    call = prompts.for_call(with_own(comfort="gone", apology="own"))
    await call.prepare()

    assert call.get(PromptKind.APOLOGY) == OWN
    assert counters == {}


async def test_a_call_that_ends_while_they_are_fetched_leaves_nothing_behind(files, counters):
    files.gate = asyncio.Event()
    sounds = Sounds(files, fetch_s=5)
    preparing = asyncio.create_task(Prompts(sounds, counters).for_call(with_own(apology="own")).prepare())
    await asyncio.sleep(0)
    preparing.cancel()
    await asyncio.gather(preparing, return_exceptions=True)
    await sounds.close()


@pytest.mark.parametrize(
    ("audio_format", "name"), [(AudioFormat.PCM16K, "ab" * 32), (AudioFormat.PCM24K, "apology")]
)
def test_acs_fetches_the_profile_s_own_where_it_can_play_it(files, counters, audio_format, name):
    own = with_own(audio_format, apology=f"sounds/{'ab' * 32}.wav")
    prompts = Prompts(Sounds(files, fetch_s=5), counters, base_url="https://gw.example.com").for_call(own)

    assert prompts.url(PromptKind.APOLOGY) == f"https://gw.example.com/mg-genagent-acs/v1/prompts/{name}.wav"
    assert prompts.url(PromptKind.GOODBYE) == "https://gw.example.com/mg-genagent-acs/v1/prompts/goodbye.wav"


def test_acs_fetches_nothing_from_a_functions_app_that_is_not_known(prompts):
    assert prompts.for_call(with_own()).url(PromptKind.APOLOGY) is None


@pytest.mark.parametrize("kind", PromptKind)
def test_a_default_is_the_same_words_at_either_rate(prompts, kind):
    as_made = np.frombuffer(read_wav(package.default_prompt(kind), 16_000), "<i2")
    narrow, wide = (
        np.frombuffer(prompts.for_call(with_own(audio_format)).get(kind), "<i2") / 32768
        for audio_format in AudioFormat
    )

    assert np.array_equal(narrow * 32768, as_made)
    assert abs(len(wide) / 24_000 - len(narrow) / 16_000) < 0.001
    # Past the filter's 1.5 ms every second sample of 16 kHz stands at every third of 24 kHz.
    late = 36
    same = min(len(wide) - late, len(narrow) * 3 // 2) // 3
    difference = wide[late : late + same * 3 : 3] - narrow[: same * 2 : 2]
    assert np.sqrt((difference**2).mean()) < 0.1 * np.sqrt((narrow**2).mean())


@pytest.mark.parametrize("kind", PromptKind)
def test_a_default_is_short_evenly_loud_and_begins_and_ends_in_silence(kind):
    samples = np.frombuffer(read_wav(package.default_prompt(kind), package.RATE_HZ), "<i2") / 32768
    windows = samples[: len(samples) // 160 * 160].reshape(-1, 160)
    loudness = np.sqrt((windows**2).mean(axis=1))
    words = np.flatnonzero(loudness > 0.03 * loudness.max())

    assert 1 <= len(samples) / package.RATE_HZ <= 5
    assert -21 < 20 * np.log10(np.sqrt((windows[words] ** 2).mean())) < -19
    assert np.abs(samples).max() < 0.9
    assert 40 <= words[0] * 10 <= 60
    assert 40 <= (len(windows) - 1 - words[-1]) * 10 <= 60
