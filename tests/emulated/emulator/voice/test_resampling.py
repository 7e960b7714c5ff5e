"""Live conversion between the phone's rate and the stream's."""

import numpy as np
import pytest

from emulator.media.pcm import RATES_HZ, frame_bytes
from emulator.media.resample import Resampler
from tests.support.voice import tone

PAIRS = [(a, b) for a in RATES_HZ for b in RATES_HZ if a != b]


def convert(pcm: bytes, from_hz: int, to_hz: int) -> np.ndarray:
    resampler, size = Resampler(from_hz, to_hz), frame_bytes(from_hz)
    frames = [resampler.frame(pcm[at : at + size]) for at in range(0, len(pcm), size)]
    assert {len(frame) for frame in frames} == {frame_bytes(to_hz)}
    return np.frombuffer(b"".join(frames), "<i2").astype(float)


@pytest.mark.parametrize(("from_hz", "to_hz"), PAIRS)
def test_a_tone_stays_a_tone_and_is_hardly_delayed(from_hz, to_hz):
    heard = convert(tone(1000, from_hz, hz=1000), from_hz, to_hz)[to_hz // 10 :]
    time = (np.arange(len(heard)) + to_hz // 10) / to_hz
    basis = np.stack((np.sin(2 * np.pi * 1000 * time), np.cos(2 * np.pi * 1000 * time)))
    (in_phase, quadrature), *_ = np.linalg.lstsq(basis.T, heard, rcond=None)
    amplitude = np.hypot(in_phase, quadrature)
    noise = heard - (in_phase, quadrature) @ basis
    assert abs(amplitude - 8000) < 80
    assert 20 * np.log10(amplitude / np.sqrt(2) / np.sqrt(np.mean(noise**2))) > 60


@pytest.mark.parametrize(("from_hz", "to_hz"), PAIRS)
def test_the_delay_is_below_two_milliseconds(from_hz, to_hz):
    click = bytearray(frame_bytes(from_hz) * 2)
    click[0:2] = (20_000).to_bytes(2, "little")
    heard = convert(bytes(click), from_hz, to_hz)
    assert int(np.abs(heard).argmax()) / to_hz < 0.002


@pytest.mark.parametrize(("from_hz", "to_hz"), [(24000, 16000), (16000, 8000), (24000, 8000)])
def test_what_the_lower_rate_cannot_carry_is_cut(from_hz, to_hz):
    heard = convert(tone(500, from_hz, hz=to_hz / 2 * 1.3), from_hz, to_hz)
    assert np.abs(heard[to_hz // 10 :]).max() < 8000 / 300


def test_full_scale_does_not_wrap_around():
    square = np.where(np.arange(16000) % 40 < 20, 32767, -32768).astype("<i2").tobytes()
    heard = convert(square, 16000, 24000)
    assert heard.max() == 32767
    assert np.abs(np.diff(heard)).max() < 60_000
