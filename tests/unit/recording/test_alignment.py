"""The caller's track stays where the caller's words were, for half an hour of a network that does what it likes."""

import random
from itertools import pairwise

import numpy as np
import pytest

from media_gateway.recording.tracks import Tracks

RATE = 24_000
FRAME_US = 20_000
FRAME = RATE // 50
SECOND_US = 1_000_000
HALF_AN_HOUR_S = 1800
ALLOWED_MS = 20
CLICK = 12_345
CLICK_SAMPLES = 5


class Network:
    """Frames of a caller who clicks once a second, as they arrive through delays of every kind.

    Args:
        drift_ppm: How much slower ACS's clock is than ours.
        jitter_ms: What is added to a frame's way, at most.
        stalls: Second of the call to how many milliseconds nothing arrives; then all comes at once.
        gaps: Second of the call to how many milliseconds ACS sends nothing.
    """

    def __init__(self, *, drift_ppm=0, jitter_ms=0, stalls=None, gaps=None, seconds=HALF_AN_HOUR_S, seed=1):
        self._drift = 1 + drift_ppm / 1e6
        self._random = random.Random(seed)
        self._jitter_ms = jitter_ms
        self._stalls = {second * SECOND_US: ms * 1000 for second, ms in (stalls or {}).items()}
        self._gaps = {second * SECOND_US: ms * 1000 for second, ms in (gaps or {}).items()}
        self._seconds = seconds
        self.clicks_us = []
        """When each click would arrive if the network added nothing."""

    def frames(self):
        """Yield (arrival, samples); arrivals never fall, as on any stream."""
        silence = bytes(FRAME * 2)
        click = CLICK.to_bytes(2, "little") * CLICK_SAMPLES + silence[CLICK_SAMPLES * 2 :]
        skipped_us, last_us = 0, 0
        for number in range(self._seconds * 50):
            spoken_us = number * FRAME_US
            skipped_us += self._gaps.get(spoken_us, 0)
            sent_us = (spoken_us + skipped_us) * self._drift
            arrives_us = sent_us + self._random.random() * self._jitter_ms * 1000
            for begin_us, length_us in self._stalls.items():
                if begin_us <= sent_us < begin_us + length_us:
                    arrives_us = begin_us + length_us
            last_us = max(last_us, int(arrives_us))
            is_click = number % 50 == 25
            if is_click:
                self.clicks_us.append(sent_us)
            yield last_us, click if is_click else silence


def recorded_clicks_us(network):
    """Record what comes through the network, in parts of four seconds; return where the clicks lie."""
    tracks, parts, taken_us = Tracks(RATE, 0), [], 0
    for now_us, pcm in network.frames():
        while now_us - taken_us > 4 * SECOND_US:
            taken_us += 4 * SECOND_US
            parts.append(tracks.take(taken_us))
        tracks.caller(now_us, pcm)
    parts.append(tracks.take(now_us + FRAME_US, final=True))
    parts = [part for part in parts if part is not None]
    assert all(before.end == after.first for before, after in pairwise(parts))
    left = np.concatenate([part.frames[:, 0] for part in parts])
    places = [-9, *(int(place) for place in np.flatnonzero(left == CLICK))]
    return [place * SECOND_US / RATE for before, place in pairwise(places) if place - before > 1]


@pytest.mark.parametrize(
    "impaired",
    [
        {},
        {"jitter_ms": 60},
        {"drift_ppm": 100},
        {"drift_ppm": -100},
        {"drift_ppm": 300, "jitter_ms": 40},
        {"gaps": {100: 60, 200: 120, 300: 1000, 400: 30_000, 1700: 340}},
        {"stalls": {100: 200, 200: 900, 300: 2400}},
        {
            "drift_ppm": -100,
            "jitter_ms": 40,
            "gaps": {50: 500, 600: 5000, 900: 100},
            "stalls": {20: 1500, 601: 400, 1200: 2000},
        },
    ],
    ids=str,
)
def test_over_half_an_hour_no_click_is_off_by_more_than_a_frame(impaired):
    network = Network(**impaired)
    found = recorded_clicks_us(network)
    assert len(found) == len(network.clicks_us)
    errors = [abs(at - sent) / 1000 for at, sent in zip(found, network.clicks_us, strict=True)]
    assert max(errors) <= ALLOWED_MS
