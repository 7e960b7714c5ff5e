"""What the caller does, one thing after another. Pure: time is counted in the 20 ms ticks that the phone hears."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from emulator.caller.actions import Action, HangUp, Press, Remark, Say, Words
from emulator.media.line import DIGITS
from emulator.media.pcm import FRAMES_PER_S, duration_ms, frame_bytes

LEAD_FRAMES: Final = 5
"""Speech is sent 100 ms ahead, so that the network's jitter does not tear it."""

KEY_FRAMES: Final = 15
"""A key every 300 ms."""

PAUSE_FRAMES: Final = FRAMES_PER_S
"""`wait quiet`: so long after something that was heard."""

AS_TOLD: Final = "as told"
"""Why a caller hangs up whose script says so."""

_STEP = re.compile(r"(?P<verb>say|press|wait|hang up)(?:\s+(?P<object>.+))?", re.DOTALL)


class Until(StrEnum):
    """What a caller may wait for."""

    LISTENING = "listening"
    """ACS listens for a recognition to which the caller has not said or pressed anything yet."""

    WORDS = "words"
    """Something is heard."""

    QUIET = "quiet"
    """Something was heard since, and then nothing for `PAUSE_FRAMES`."""


@dataclass(frozen=True)
class AfterMedia:
    """Wait until the media is up, or ACS listens, and so much longer."""

    frames: int


@dataclass(frozen=True)
class Pause:
    """Do nothing for so long."""

    frames: int


@dataclass(frozen=True)
class Await:
    """Wait until it is so; without end, if it never is."""

    until: Until


Step = AfterMedia | Pause | Await | Say | Press | HangUp


def read_step(text: str) -> Step:
    """Read one step: `say TEXT`, `press KEYS`, `wait SECONDS`, `wait listening|words|quiet` or `hang up`.

    What is to be said has no sound yet.

    Raises:
        ValueError: the text tells what is wrong.
    """
    match = _STEP.fullmatch(text.strip())
    verb, what = (match["verb"], match["object"]) if match else ("", None)
    if verb == "hang up" and what is None:
        return HangUp(AS_TOLD)
    if verb == "say" and what is not None:
        return Say(b"", what)
    if verb == "press" and what is not None and set(what.upper()) <= DIGITS:
        return Press(what.upper())
    if verb == "wait" and what is not None:
        if what in frozenset(Until):
            return Await(Until(what))
        if re.fullmatch(r"\d{1,4}(\.\d{1,3})?", what):
            return Pause(round(float(what) * FRAMES_PER_S))
    raise ValueError("a step is: say TEXT, press KEYS, wait SECONDS, wait listening|words|quiet, or hang up")


class Steps:
    """Goes through the steps, one `tick` for every 20 ms that the caller hears.

    Args:
        steps: in order.
        rate_hz: the phone's.

    Attributes:
        is_done: whether the last of them is.
    """

    def __init__(self, steps: Sequence[Step], rate_hz: int) -> None:
        self.is_done = not steps
        self._steps = list(steps)
        self._rate_hz = rate_hz
        self._now = 0
        self._since: int | None = None
        self._done_of_step = 0
        self._media_at: int | None = None
        self._heard_at = -1
        self._is_listening = False
        self._recognitions = 0
        self._answered = 0

    def state(self, name: str) -> None:
        """Take note of what happened to the call."""
        if name == "recognize_started":
            self._recognitions += 1
        elif name in ("recognize_completed", "recognize_failed", "recognize_canceled"):
            self._is_listening = False
        elif name == "recognize_listening":
            self._is_listening = True
        if name in ("media_connected", "recognize_listening") and self._media_at is None:
            self._media_at = self._now

    def tick(self, *, heard: bool) -> list[Action]:
        """Take the next 20 ms: whether something was audible in it."""
        self._now += 1
        if heard:
            self._heard_at = self._now
        actions: list[Action] = []
        while self._steps:
            if self._since is None:
                self._since, self._done_of_step = self._now, 0
            is_over = self._do(self._steps[0], self._since, actions)
            if not is_over:
                return actions
            del self._steps[0]
            self._since = None
        self.is_done = True
        return actions

    def _do(self, step: Step, since: int, actions: list[Action]) -> bool:
        """Do the next 20 ms of a step that began then; whether it is over."""
        match step:
            case AfterMedia(frames):
                return self._media_at is not None and self._now >= self._media_at + frames
            case Pause(frames):
                return self._now >= since + frames
            case Await(until):
                return self._await(until, since)
            case Say():
                return self._say(step, since, actions)
            case Press(keys):
                return self._press(keys, since, actions)
            case HangUp():
                actions.append(step)
                return True

    def _await(self, until: Until, since: int) -> bool:
        if until is Until.WORDS:
            return self._heard_at >= since
        if until is Until.QUIET:
            return self._heard_at >= since and self._now >= self._heard_at + PAUSE_FRAMES
        is_new = self._is_listening and self._recognitions > self._answered
        if is_new:
            self._answered = self._recognitions
        return is_new

    def _say(self, step: Say, since: int, actions: list[Action]) -> bool:
        size = frame_bytes(self._rate_hz)
        frames = -(-len(step.pcm) // size)
        if not frames:
            return True
        if self._done_of_step < frames:
            count = 1
            if not self._done_of_step:
                count = LEAD_FRAMES
                self._answered = self._recognitions
                actions.append(Remark("saying"))
                if step.text is not None:
                    ms = duration_ms(len(step.pcm), self._rate_hz) - step.unspoken_ms
                    actions.append(Words(step.text, max(0.0, ms)))
            start = self._done_of_step * size
            self._done_of_step = min(frames, self._done_of_step + count)
            actions.append(Say(step.pcm[start : self._done_of_step * size]))
            return False
        if self._now < since + frames + LEAD_FRAMES:
            return False
        actions.append(Remark("said"))
        return True

    def _press(self, keys: str, since: int, actions: list[Action]) -> bool:
        if self._done_of_step < len(keys) and self._now >= since + self._done_of_step * KEY_FRAMES:
            self._answered = self._recognitions
            actions.append(Press(keys[self._done_of_step]))
            self._done_of_step += 1
        return self._done_of_step == len(keys)
