"""What the caller does and when. Pure: time is counted in the 20 ms ticks that the phone hears."""

from dataclasses import dataclass
from typing import Final

from emulator.media.pcm import FRAMES_PER_S, frame_bytes

LEAD_FRAMES: Final = 5
"""Speech is sent 100 ms ahead, so that the network's jitter does not tear it."""

DIGIT_FRAMES: Final = 15
"""A key every 300 ms."""

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
        speech: what to say, PCM at `rate_hz`; empty to say nothing.
        digits: keys to press, after the speech.
        say_after_ms: from the media's being up to the first word or key.
        hangup_after_s: from the answer; None to hang up when the talking is over.
        max_s: from dialling; the caller hangs up at the latest then.
    """

    rate_hz: int
    speech: bytes = b""
    digits: str = ""
    say_after_ms: int = 500
    hangup_after_s: float | None = None
    max_s: float = 120.0


@dataclass(frozen=True)
class Say:
    """Send this audio now."""

    pcm: bytes


@dataclass(frozen=True)
class Press:
    """Press this key now."""

    digit: str


@dataclass(frozen=True)
class HangUp:
    """End the call, for this reason."""

    why: str


@dataclass(frozen=True)
class Remark:
    """Something for the timeline."""

    name: str


Action = Say | Press | HangUp | Remark


class Script:
    """Goes through a plan, one `tick` for every 20 ms that the caller hears."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        size = frame_bytes(plan.rate_hz)
        self._speech = [plan.speech[at : at + size] for at in range(0, len(plan.speech), size)]
        self._now = 0
        self._answered_at: int | None = None
        self._media_at: int | None = None
        self._speech_at: int | None = None
        self._sent = 0
        self._pressed = 0
        self._next_digit_at = 0
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
        if name == "answered" and self._answered_at is None:
            self._answered_at = self._now
        elif name == "media_connected" and self._media_at is None:
            self._media_at = self._now
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
        return self._talk()

    def _talk(self) -> list[Action]:
        wait = self._plan.say_after_ms * FRAMES_PER_S // 1000
        if self._media_at is None or self._now < self._media_at + wait or self._done_at is not None:
            return []
        if self._sent < len(self._speech):
            return self._say()
        if self._speech_at is not None and self._now < self._speech_at + len(self._speech) + LEAD_FRAMES:
            return []
        if self._pressed < len(self._plan.digits):
            return self._press()
        self._done_at = self._now
        return [Remark("said")] if self._speech else []

    def _say(self) -> list[Action]:
        actions: list[Action] = []
        count = 1
        if self._speech_at is None:
            self._speech_at = self._now
            actions.append(Remark("saying"))
            count = LEAD_FRAMES
        frames = self._speech[self._sent : self._sent + count]
        self._sent += len(frames)
        return [*actions, Say(b"".join(frames))]

    def _press(self) -> list[Action]:
        if self._now < self._next_digit_at:
            return []
        self._next_digit_at = self._now + DIGIT_FRAMES
        self._pressed += 1
        return [Press(self._plan.digits[self._pressed - 1])]

    def _reason_to_hang_up(self) -> str | None:
        plan = self._plan
        if self._now >= plan.max_s * FRAMES_PER_S:
            return "maximum duration"
        if self._answered_at is None:
            return None
        if plan.hangup_after_s is not None:
            over = self._now >= self._answered_at + plan.hangup_after_s * FRAMES_PER_S
            return "as told" if over else None
        if self._media_at is None:
            return "no media" if self._now >= self._answered_at + MEDIA_WAIT_FRAMES else None
        if self._done_at is None or self._transfers:
            return None
        if self._heard_at > self._said_at:
            quiet = self._now - max(self._done_at, self._heard_at)
            return "agent quiet" if quiet >= QUIET_FRAMES else None
        return "agent silent" if self._now - self._done_at >= PATIENCE_FRAMES else None
