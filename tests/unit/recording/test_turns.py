"""How long the caller waits for the agent, told from the recording alone."""

import numpy as np
import pytest

from media_gateway.recording.line import SAMPLE
from media_gateway.recording.turns import LOUD, Loudness, Turn

RATE = 16_000
LOUDLY, QUIETLY = LOUD * 10, LOUD // 2


def turns_of(*scenes, step=5000):
    """Scenes of (milliseconds, how loud the caller is, and the agent)."""
    frames = np.concatenate(
        [np.tile(np.array([caller, agent], SAMPLE), (RATE * ms // 1000, 1)) for ms, caller, agent in scenes]
    )
    loudness = Loudness(RATE)
    for begin in range(0, len(frames), step):
        loudness.add(frames[begin : begin + step])
    return loudness.turns()


def test_the_wait_is_from_the_callers_last_word_to_the_agents_first():
    scenes = (
        (500, 0, 0),
        (1000, LOUDLY, 0),
        (700, QUIETLY, 0),
        (1000, 0, LOUDLY),
        (400, -LOUDLY, 0),
        (240, 0, 0),
    )
    assert turns_of(*scenes, (1000, 0, -LOUDLY)) == [Turn(1500, 700), Turn(3600, 240)]


@pytest.mark.parametrize(
    "scenes",
    [
        [],
        [(1000, LOUDLY, 0)],
        [(1000, 0, LOUDLY)],
        [(1000, 0, LOUDLY), (2000, 0, 0), (1000, 0, LOUDLY)],
        [(1000, LOUDLY, 0), (1000, LOUDLY, LOUDLY), (500, 0, LOUDLY)],
    ],
    ids=["nothing", "the caller alone", "a greeting", "the agent goes on by itself", "the agent interrupts"],
)
def test_what_is_no_answer_is_no_turn(scenes):
    assert (turns_of(*scenes) if scenes else Loudness(RATE).turns()) == []


def test_the_loudest_sample_is_loud():
    assert turns_of((100, -32_768, 0), (100, 0, 0), (100, 0, -32_768)) == [Turn(100, 100)]


def test_a_breath_within_what_the_agent_says_begins_no_turn():
    assert turns_of((1000, LOUDLY, 0), (300, 0, 0), (500, 0, LOUDLY), (200, 0, 0), (500, 0, LOUDLY)) == [
        Turn(1000, 300)
    ]
