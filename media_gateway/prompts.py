"""What the gateway itself says to a caller, as samples: a profile's own WAV files, else the defaults.

They are played when something is wrong, and storage may be what is wrong: so a call has the defaults from its first
moment on, and its profile's own as soon as they are fetched, which begins with the call.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Mapping

from media_gateway.resampler import Resampler
from media_gateway.sounds import Sounds
from shared.core.profiles import AgentProfile, AudioFormat, PromptKind
from shared.core.profiles import Prompts as OwnPrompts
from shared.prompts import RATE_HZ, default_prompt, fetched_name
from shared.wav import SoundUnusable, read_wav

logger = logging.getLogger(__name__)

PROMPTS_PATH = "/mg-genagent-acs/v1/prompts"
"""Of the Functions app, which serves the defaults by their kind, and profiles' own by the hash of their content."""


class CallPrompts:
    """The prompts of one call. Made by `Prompts.for_call`."""

    def __init__(
        self,
        own: OwnPrompts,
        rate_hz: int,
        defaults: Mapping[PromptKind, bytes],
        sounds: Sounds,
        counters: Counter[str],
        base_url: str | None,
    ) -> None:
        self._own = own
        self._rate_hz = rate_hz
        self._defaults = defaults
        self._sounds = sounds
        self._counters = counters
        self._base_url = base_url
        self._ready: dict[PromptKind, bytes] = {}

    async def prepare(self) -> None:
        """Fetch the profile's own, each by itself. Raises nothing; the call goes on meanwhile, and owns the task."""
        names = {kind: name for kind in PromptKind if (name := self._own.name_of(kind)) is not None}
        await asyncio.gather(*(self._fetch(kind, name) for kind, name in names.items()))

    def get(self, kind: PromptKind) -> bytes:
        """Return samples: signed 16-bit little-endian mono PCM at the call's rate.

        Where the profile's own is not there, or not yet, it is the default, and counted.
        """
        if kind in self._ready:
            return self._ready[kind]
        if self._own.name_of(kind) is not None:
            self._counters["prompts_missing"] += 1
        return self._defaults[kind]

    def url(self, kind: PromptKind) -> str | None:
        """Return where ACS can fetch it; None where this process does not know its Functions app."""
        if self._base_url is None:
            return None
        return f"{self._base_url}{PROMPTS_PATH}/{fetched_name(self._own, self._rate_hz, kind)}"

    async def _fetch(self, kind: PromptKind, name: str) -> None:
        try:
            self._ready[kind] = (await self._sounds.load((name,), self._rate_hz))[name]
        except SoundUnusable as unusable:
            logger.warning(
                "a prompt cannot be had; the default stands in for it",
                extra={"prompt": kind.value, "fault": str(unusable)},
            )


class Prompts:
    """The prompts of all calls of this process. Blocks for some milliseconds when it is made.

    Args:
        sounds: where profiles' own come from.
        counters: of the process.
        base_url: of the Functions app, where ACS can fetch them; None where that is not known.
    """

    def __init__(self, sounds: Sounds, counters: Counter[str], *, base_url: str | None = None) -> None:
        self._sounds = sounds
        self._counters = counters
        self._base_url = base_url
        self._defaults: Mapping[int, Mapping[PromptKind, bytes]] = {
            audio_format.rate_hz: {kind: _default(kind, audio_format.rate_hz) for kind in PromptKind}
            for audio_format in AudioFormat
        }

    def for_call(self, profile: AgentProfile) -> CallPrompts:
        """Return the prompts of a call with this profile, at its rate; they fetch nothing before `prepare`."""
        rate_hz = profile.audio_format.rate_hz
        return CallPrompts(
            profile.prompts, rate_hz, self._defaults[rate_hz], self._sounds, self._counters, self._base_url
        )


def _default(kind: PromptKind, rate_hz: int) -> bytes:
    samples = read_wav(default_prompt(kind), RATE_HZ)
    return samples if rate_hz == RATE_HZ else Resampler(RATE_HZ, rate_hz).process(samples)
