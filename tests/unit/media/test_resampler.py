"""Audio at another rate is the same audio: clean, in time, and however it was cut."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from media_gateway.resampler import DELAY_MS, RATES_HZ, Resampler

PAIRS = [(a, b) for a in RATES_HZ for b in RATES_HZ if a != b]
LIVE = [(16_000, 24_000), (24_000, 16_000)]
LOUDNESS = 12_000
SETTLED_S = 0.1


def tone(hz, rate_hz, *, seconds=1.0, loudness=LOUDNESS):
    time = np.arange(round(seconds * rate_hz)) / rate_hz
    return np.rint(loudness * np.sin(2 * np.pi * hz * time)).astype("<i2").tobytes()


def converted(pcm, from_hz, to_hz):
    return np.frombuffer(Resampler(from_hz, to_hz).process(pcm), "<i2").astype(float)


def analysed(heard, rate_hz, hz):
    """Return amplitude and delay (in seconds) of the tone that is in `heard`, and the RMS of all else."""
    first = round(SETTLED_S * rate_hz)
    time = np.arange(first, len(heard)) / rate_hz
    basis = np.stack((np.sin(2 * np.pi * hz * time), np.cos(2 * np.pi * hz * time)), axis=1)
    (in_phase, quadrature), *_ = np.linalg.lstsq(basis, heard[first:], rcond=None)
    rest = heard[first:] - basis @ (in_phase, quadrature)
    delay_s = (-np.arctan2(quadrature, in_phase) / (2 * np.pi * hz)) % (1 / hz)
    return np.hypot(in_phase, quadrature), delay_s, rest.std()


def decibels(ratio):
    return 20 * np.log10(ratio)


@pytest.mark.parametrize(("from_hz", "to_hz"), LIVE)
@pytest.mark.parametrize("hz", [100, 300, 1000, 2500, 4000, 5500, 6400, 6800])
def test_speech_passes_unchanged_and_clean(from_hz, to_hz, hz):
    amplitude, _, noise = analysed(converted(tone(hz, from_hz), from_hz, to_hz), to_hz, hz)
    assert abs(decibels(amplitude / LOUDNESS)) < 0.05
    assert decibels(amplitude / np.sqrt(2) / noise) > 75


@pytest.mark.parametrize(("from_hz", "to_hz"), [pair for pair in PAIRS if 8000 in pair])
@pytest.mark.parametrize("hz", [300, 1000, 2500, 3000])
def test_a_telephone_s_band_passes_as_cleanly(from_hz, to_hz, hz):
    amplitude, _, noise = analysed(converted(tone(hz, from_hz), from_hz, to_hz), to_hz, hz)
    assert abs(decibels(amplitude / LOUDNESS)) < 0.05
    assert decibels(amplitude / np.sqrt(2) / noise) > 70


@pytest.mark.parametrize(
    ("hz", "quieter_by"), [(8200, 55), (8300, 65), (8500, 70), (9000, 70), (10_000, 75), (11_500, 75)]
)
def test_what_16_khz_cannot_carry_does_not_fold_back(hz, quieter_by):
    heard = converted(tone(hz, 24_000), 24_000, 16_000)[1600:]
    assert decibels(LOUDNESS / np.sqrt(2) / max(heard.std(), 1e-3)) > quieter_by


@pytest.mark.parametrize("from_hz", [16_000, 24_000])
@pytest.mark.parametrize(("hz", "quieter_by"), [(4600, 60), (5000, 65), (7000, 70)])
def test_what_8_khz_cannot_carry_does_not_fold_back(from_hz, hz, quieter_by):
    heard = converted(tone(hz, from_hz), from_hz, 8000)[800:]
    assert decibels(LOUDNESS / np.sqrt(2) / max(heard.std(), 1e-3)) > quieter_by


@pytest.mark.parametrize(("from_hz", "to_hz"), PAIRS)
def test_the_delay_is_what_it_is_said_to_be_and_below_two_milliseconds(from_hz, to_hz):
    _, delay_s, _ = analysed(converted(tone(100, from_hz), from_hz, to_hz), to_hz, 100)
    assert delay_s * 1000 == pytest.approx(DELAY_MS, abs=0.01)
    assert DELAY_MS < 2


@pytest.mark.parametrize(("from_hz", "to_hz"), PAIRS)
def test_a_frame_gives_a_frame_at_once(from_hz, to_hz):
    resampler = Resampler(from_hz, to_hz)
    frame = tone(440, from_hz, seconds=0.02)
    assert {len(resampler.process(frame)) for _ in range(50)} == {to_hz // 50 * 2}


SAMPLES = np.random.default_rng(7).integers(-32768, 32768, 6000).astype("<i2").tobytes()


@given(st.sampled_from(PAIRS), st.lists(st.integers(0, 6000), max_size=30))
def test_however_the_audio_is_cut_the_output_is_the_same(pair, cuts):
    whole = Resampler(*pair).process(SAMPLES)
    ends = [0, *sorted(cuts), 6000]
    resampler = Resampler(*pair)
    pieces = [resampler.process(SAMPLES[2 * a : 2 * b]) for a, b in pairwise(ends)]
    assert b"".join(pieces) == whole


@given(st.sampled_from(PAIRS), st.lists(st.integers(0, 700), max_size=30))
def test_of_every_whole_millisecond_there_is_a_millisecond(pair, lengths):
    from_hz, to_hz = pair
    resampler = Resampler(from_hz, to_hz)
    given_samples = made = 0
    for length in lengths:
        given_samples += length
        made += len(resampler.process(bytes(2 * length))) // 2
        assert made == given_samples * 1000 // from_hz * to_hz // 1000


@pytest.mark.parametrize(("from_hz", "to_hz"), PAIRS)
def test_silence_stays_silent(from_hz, to_hz):
    assert not converted(bytes(from_hz), from_hz, to_hz).any()


@pytest.mark.parametrize(("from_hz", "to_hz"), PAIRS)
def test_full_scale_is_clipped_and_does_not_wrap_around(from_hz, to_hz):
    half_period = from_hz // 800
    square = np.where(np.arange(from_hz) // half_period % 2 == 0, 32767, -32768).astype("<i2").tobytes()
    heard = converted(square, from_hz, to_hz)[to_hz // 10 :]
    assert (heard.min(), heard.max()) == (-32768, 32767)
    edges = (np.sign(heard[1:]) != np.sign(heard[:-1])).sum()
    assert edges == pytest.approx(0.9 * 800, abs=2)


@pytest.mark.parametrize(
    ("from_hz", "to_hz"), [(16_000, 16_000), (44_100, 16_000), (16_000, 22_050), (0, 8000), (48_000, 24_000)]
)
def test_other_rates_are_refused(from_hz, to_hz):
    with pytest.raises(ValueError, match=f"from {from_hz} to {to_hz} Hz"):
        Resampler(from_hz, to_hz)


def test_half_a_sample_is_refused():
    with pytest.raises(ValueError):
        Resampler(16_000, 24_000).process(b"\0\0\0")
