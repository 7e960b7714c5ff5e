"""Offline speech: whichever engine is there makes sounds of plausible length."""

import builtins
import ctypes
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from emulator.caller.voice import NOISE_AFTER_MS, NOISE_BEFORE_MS, spoken, with_noise_floor
from emulator.media.pcm import duration_ms, is_audible, size_of
from emulator.speech import SpeechError, find_engine
from emulator.speech.espeak import load_espeak
from emulator.speech.flite import load_flite
from emulator.wav import resample

SENTENCE = "What is my account balance?"


def load(loader):
    try:
        return loader()
    except (OSError, ImportError) as error:
        pytest.skip(f"not installed: {error}")


@pytest.mark.parametrize("loader", [load_flite, load_espeak])
def test_a_sentence_sounds_and_is_plausibly_long(loader):
    pcm, rate_hz = load(loader)(SENTENCE)
    assert 1000 < duration_ms(len(pcm), rate_hz) < 4000
    assert is_audible(pcm)
    longer, _ = loader()(f"{SENTENCE} And when is the next payment due, please?")
    assert len(longer) > 1.4 * len(pcm)


@pytest.mark.parametrize("rate_hz", [8000, 16000, 24000])
def test_the_engine_that_is_found_speaks_at_the_phones_rate(rate_hz):
    pcm = find_engine().speak(SENTENCE, rate_hz)
    assert 1000 < duration_ms(len(pcm), rate_hz) < 4000


def test_threads_do_not_disturb_one_another():
    engine = find_engine()
    texts = [SENTENCE, "Yes.", "I want to pay my bill.", "Goodbye."]
    alone = [engine.speak(text, 16000) for text in texts]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda text: engine.speak(text, 16000), texts * 4))
    # Not equal to the byte: espeak-ng carries some state from one text to the next.
    for made, expected in zip(together, alone * 4, strict=True):
        assert abs(len(made) - len(expected)) < 0.01 * len(expected)


def test_a_text_without_words_is_refused():
    with pytest.raises(SpeechError, match="nothing"):
        find_engine().speak("", 16000)


def test_without_an_engine_it_is_said_what_to_install(monkeypatch):
    real_import = builtins.__import__

    def missing(name, *arguments, **options):
        if name == "espeakng_loader":
            raise ImportError(name)
        return real_import(name, *arguments, **options)

    def nothing(*_, **__):
        raise OSError("no such library")

    monkeypatch.setattr(builtins, "__import__", missing)
    monkeypatch.setattr(ctypes, "CDLL", nothing)
    load_flite.cache_clear()
    load_espeak.cache_clear()
    with pytest.raises(SpeechError, match="install flite"):
        find_engine()


def test_the_callers_line_is_never_digitally_silent_around_the_words():
    pcm = spoken("Yes.", 16000)
    for silence in (pcm[: size_of(NOISE_BEFORE_MS, 16000)], pcm[-size_of(NOISE_AFTER_MS, 16000) :]):
        samples = np.frombuffer(silence, "<i2").astype(float)
        assert 8 < np.sqrt(np.mean(samples**2)) < 16
        assert not is_audible(silence)
    assert is_audible(pcm)


def test_the_noise_floor_leaves_the_level_below_full_scale():
    square = np.where(np.arange(800) % 40 < 20, 32767, -32768).astype("<i2").tobytes()
    samples = np.frombuffer(with_noise_floor(square, 8000), "<i2")
    assert np.abs(samples.astype(int)).max() < 20_000


def test_conversion_keeps_nothing_as_nothing():
    assert resample(b"", 22050, 16000) == b""
