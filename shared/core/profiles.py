"""Agent profiles and routes: what answers a called number.

They come from the gateway document (see `shared/gateway_document.py`), already validated. A call keeps the snapshot
of the profile it started with, so the shapes here are also what stands in the call's row.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum

from msgspec import Struct

MAX_SOUND_S = 110
"""Longest WAV file: it is said in one go, and the playout queue holds 120 s."""


class AudioFormat(StrEnum):
    """The PCM formats that ACS media streaming speaks; both are 16-bit little-endian mono."""

    PCM16K = "pcm16KMono"
    PCM24K = "pcm24KMono"

    @property
    def rate_hz(self) -> int:
        """Samples a second."""
        return 16_000 if self is AudioFormat.PCM16K else 24_000


class EchoAgent(Struct, frozen=True, tag="echo", tag_field="kind"):
    """Says back what it hears, `delay_ms` of audio later."""

    delay_ms: int = 0


class ScriptStep(Struct, frozen=True, omit_defaults=True):
    """What a key does: play a WAV file (by its stored name), and then perhaps end the call."""

    play: str | None = None
    end: bool = False


class ScriptAgent(Struct, frozen=True, tag="script", tag_field="kind", omit_defaults=True):
    """Plays WAV files, at the start and on keys; with neither it stays silent."""

    greeting: str | None = None
    on_digit: Mapping[str, ScriptStep] = {}


AgentSettings = EchoAgent | ScriptAgent


class AgentProfile(Struct, frozen=True):
    """One configured voice agent."""

    name: str
    agent: AgentSettings
    audio_format: AudioFormat
    playout_delay_ms: int = 0
    """What the network adds between sending audio and the caller hearing it."""
    max_duration_s: int = 3600
    connections_per_minute: int | None = None
    """Quota of the agent's service: sessions opened in any minute. None is no limit."""


class Route(Struct, frozen=True):
    """Which profile answers a called number or identity of an account."""

    account: str
    to: str
    """Raw id of the called party (`4:+1...`, `8:acs:...`), or `*` for any."""
    profile: str


class Routing(Struct, frozen=True):
    """All routes and profiles of a gateway document."""

    profiles: dict[str, AgentProfile]
    routes: tuple[Route, ...]

    def profile_for(self, account_id: str, called_raw_id: str) -> AgentProfile | None:
        """Return the profile that answers, or None; an exact route goes before a `*` route."""
        return self._first(account_id, called_raw_id) or self._first(account_id, "*")

    @property
    def own_numbers(self) -> frozenset[str]:
        """Raw ids of everything that has a route of its own, whatever account's."""
        return frozenset(route.to for route in self.routes if route.to != "*")

    def _first(self, account_id: str, to: str) -> AgentProfile | None:
        matches: Sequence[Route] = [r for r in self.routes if r.account == account_id and r.to == to]
        return self.profiles[matches[0].profile] if matches else None
