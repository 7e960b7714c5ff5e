"""What the caller does and when. Pure: time is counted in the 20 ms ticks that the phone hears."""

from dataclasses import dataclass
from typing import Final

from emulator.caller.actions import Action, HangUp, Press, Say
from emulator.caller.steps import AS_TOLD, AfterMedia, Step, Steps
from emulator.media.pcm import FRAMES_PER_S

QUIET_FRAMES: Final = 2 * FRAMES_PER_S
"""The caller hangs up when the agent has been quiet this long after saying something."""

PATIENCE_FRAMES: Final = 8 * FRAMES_PER_S
"""How long the caller waits for the agent to say anything at all."""

MEDIA_WAIT_FRAMES: Final = 10 * FRAMES_PER_S
"""How long the caller stays on an answered call whose media never comes up."""


@dataclass(frozen=True)
class Plan:
    """What the caller means to do.

    Attributes:
        speech: what to say; None to say nothing.
        digits: keys to press, after the speech.
        say_after_ms: from the media's being up, or ACS's listening, to the first word or key.
        steps: what to do instead of these, from the moment when the call is connected.
        hangup_after_s: from the answer; None to hang up when the talking is over.
        max_s: from dialling; the caller hangs up at the latest then.
    """

    rate_hz: int
    speech: Say | None = None
    digits: str = ""
    say_after_ms: int = 500
    steps: tuple[Step, ...] = ()
    hangup_after_s: float | None = None
    max_s: float = 120.0


class Script:
    """Goes through a plan, one `tick` for every 20 ms that the caller hears."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._steps = Steps(plan.steps or _usual_steps(plan), plan.rate_hz)
        self._now = 0
        self._answered_at: int | None = None
        self._is_connected = False
        self._has_media = False
        self._done_at: int | None = None
        self._transfers = 0
        self._said_at = -1
        self._heard_at = -1
        self._hung_up = False

    @property
    def now_ms(self) -> int:
        """The phone's time since the call was placed: the last tick's beginning, as the phone ticks at its end."""
        return max(0, self._now - 1) * 1000 // FRAMES_PER_S

    def state(self, name: str) -> None:
        """Take note of what happened to the call."""
        self._steps.state(name)
        if name == "answered" and self._answered_at is None:
            self._answered_at = self._now
        elif name == "connected":
            self._is_connected = True
        elif name in ("media_connected", "play_started", "recognize_started"):
            self._has_media = True
        elif name == "transferring":
            self._transfers += 1
        elif name in ("transfer_accepted", "transfer_failed"):
            self._transfers -= 1
            # Whoever has the caller now is waited for, as for an answer to the last word.
            self._said_at = self._now
            if self._done_at is not None:
                self._done_at = self._now

    def tick(self, *, said: bool, heard: bool) -> list[Action]:
        """Take the next 20 ms: whether the caller's words, or the agent's, were audible in it."""
        self._now += 1
        if said:
            self._said_at = self._now
        if heard:
            self._heard_at = self._now
        if self._hung_up:
            return []
        why = self._reason_to_hang_up()
        if why is not None:
            self._hung_up = True
            return [HangUp(why)]
        if self._plan.steps and not self._is_connected:
            return []
        actions = self._steps.tick(heard=heard)
        self._hung_up = any(isinstance(action, HangUp) for action in actions)
        if self._steps.is_done and self._done_at is None:
            self._done_at = self._now
        return actions

    def _reason_to_hang_up(self) -> str | None:
        plan = self._plan
        if self._now >= plan.max_s * FRAMES_PER_S:
            return "maximum duration"
        if self._answered_at is None:
            return None
        if plan.hangup_after_s is not None:
            over = self._now >= self._answered_at + plan.hangup_after_s * FRAMES_PER_S
            return AS_TOLD if over else None
        if not self._has_media and not self._plan.steps:
            return "no media" if self._now >= self._answered_at + MEDIA_WAIT_FRAMES else None
        if self._done_at is None or self._transfers:
            return None
        if self._heard_at > self._said_at:
            quiet = self._now - max(self._done_at, self._heard_at)
            return "agent quiet" if quiet >= QUIET_FRAMES else None
        return "agent silent" if self._now - self._done_at >= PATIENCE_FRAMES else None


def _usual_steps(plan: Plan) -> list[Step]:
    wait = AfterMedia(plan.say_after_ms * FRAMES_PER_S // 1000)
    return [wait, *([plan.speech] if plan.speech is not None else []), Press(plan.digits)]
