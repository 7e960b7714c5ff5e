"""How long a call may last, and how long a caller may say nothing. Both wait while somebody else is being rung.

Silence is that nobody says or presses anything, on either side; frames without a word come all the time. Who waits
for an agent that has not connected yet is not silent.
"""

import asyncio
from collections.abc import Callable

from media_gateway.speaker import Speaker
from shared.core.profiles import AgentProfile

STEP_S = 1.0
LONGEST_SPEECH_S = 60.0
"""Speech whose end is not told counts as over then."""


class Patience:
    """Watches the clock for one call.

    Args:
        profile: What it allows.
        speaker: Tells whether something is being said to the caller.
        is_waiting: Whether time does not count: a transfer or a fallback is under way.
        is_heard: Whether somebody listens to the caller.
        on_duration: Called when the call has lasted as long as it may.
        on_silence: Called each time that the caller was silent for long, with how often before, since the last word.
        step_s: How often the clock is looked at.
    """

    def __init__(
        self,
        profile: AgentProfile,
        speaker: Speaker,
        *,
        is_waiting: Callable[[], bool],
        is_heard: Callable[[], bool],
        on_duration: Callable[[], None],
        on_silence: Callable[[int], None],
        step_s: float = STEP_S,
    ) -> None:
        self._profile = profile
        self._speaker = speaker
        self._is_waiting = is_waiting
        self._is_heard = is_heard
        self._on_duration = on_duration
        self._on_silence = on_silence
        self._step_s = step_s
        self._silent_s = 0.0
        self._silences = 0
        self._speech_left_s = 0.0
        """While the caller speaks: how much longer that is believed."""

    def caller_speaks(self) -> None:
        """Take that the caller begins to say something."""
        self.caller_said()
        self._speech_left_s = LONGEST_SPEECH_S

    def caller_said(self) -> None:
        """Take that the caller has said or pressed something."""
        self._silent_s, self._silences, self._speech_left_s = 0.0, 0, 0.0

    async def run(self) -> None:
        """Watch until cancelled, or until the call has lasted as long as it may."""
        loop = asyncio.get_running_loop()
        lasted_s, before = 0.0, loop.time()
        while lasted_s < self._profile.max_duration_s:
            await asyncio.sleep(min(self._step_s, self._profile.max_duration_s - lasted_s))
            now = loop.time()
            if not self._is_waiting():
                lasted_s += now - before
                self._listen(now - before)
            before = now
        self._on_duration()

    def _listen(self, passed_s: float) -> None:
        silence = self._profile.silence
        if silence is None:
            return
        if self._speech_left_s > 0:
            self._speech_left_s -= passed_s
        elif self._speaker.remaining_s() > 0 or not self._is_heard():
            self._silent_s = 0.0
        else:
            self._silent_s += passed_s
            if self._silent_s >= silence.after_s:
                self._silent_s = 0.0
                self._silences += 1
                self._on_silence(self._silences - 1)
