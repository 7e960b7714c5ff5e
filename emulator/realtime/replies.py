"""What is answered: by default the caller's own words, or else a soft greeting of three tones."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from emulator.wav import resample

GREETING: Final = "(three tones)"
_TONES_HZ: Final = (523.25, 659.25, 783.99)
_TONE_MS: Final = 180
_LEVEL: Final = 5000


@dataclass(frozen=True)
class ToolCall:
    """A function that the client is to call; `arguments` is JSON."""

    name: str
    arguments: str = "{}"


@dataclass(frozen=True)
class Reply:
    """One response.

    Attributes:
        pcm: what is said, at the session's output rate; may be empty.
        text: its transcript.
        tools: functions that are called after it.
    """

    pcm: bytes = b""
    text: str = ""
    tools: tuple[ToolCall, ...] = ()


@dataclass(frozen=True)
class Question:
    """What a response is to answer.

    Attributes:
        speech: the caller's words since the last response, at `input_hz`; empty when a client asks for one by itself.
        text: their transcript.
        input_hz, output_hz: rates of the session.
        instructions: those of this response alone, where it has any.
        tool_outputs: what functions have returned since the last response.
    """

    speech: bytes
    text: str
    input_hz: int
    output_hz: int
    instructions: str | None = None
    tool_outputs: tuple[str, ...] = ()


Answer = Callable[[Question], Reply]
"""Decides what a response says. Called on the event loop: it must be quick."""


def parrot(question: Question) -> Reply:
    """Say back what was heard; greet where nothing was."""
    if question.speech:
        return Reply(resample(question.speech, question.input_hz, question.output_hz), question.text)
    return Reply(greeting(question.output_hz), GREETING)


def nothing(question: Question) -> Reply:  # noqa: ARG001 - an `Answer`
    """Say nothing."""
    return Reply()


def greeting(rate_hz: int) -> bytes:
    """Return half a second of three rising tones."""
    ticks = np.arange(_TONE_MS * rate_hz // 1000)
    swell = np.sin(np.pi * ticks / len(ticks)) * _LEVEL
    tones = [swell * np.sin(2 * np.pi * hz / rate_hz * ticks) for hz in _TONES_HZ]
    return np.concatenate(tones).astype("<i2").tobytes()
