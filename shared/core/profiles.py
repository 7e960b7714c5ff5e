"""Agent profiles and routes: what answers a called number.

They come from the gateway document (see `shared/gateway_document.py`), already validated. A call keeps the snapshot
of the profile it started with, so the shapes here are also what stands in the call's row.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from msgspec import Struct

from shared.core.flow_model import Flow
from shared.core.variables import ContextSettings

ACS_USER_PREFIX = "8:acs:"
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


class Dialect(StrEnum):
    """Whose realtime API is spoken: the same messages, under other names and in other shapes."""

    OPENAI = "openai"
    AZURE_OPENAI = "azure-openai"
    VOICE_LIVE = "voice-live"


class KeyAuth(Struct, frozen=True, tag="key", tag_field="kind"):
    """An API key, kept in Key Vault."""

    secret: str
    """Name of the Key Vault secret."""


class EntraAuth(Struct, frozen=True, tag="entra", tag_field="kind"):
    """A token of this process's identity."""

    scope: str


class BuiltIn(StrEnum):
    """The tools that every realtime agent has; a profile's own must have other names."""

    END_CALL = "end_call"
    TRANSFER_CALL = "transfer_call"
    SET_VARIABLES = "set_variables"
    SEND_DTMF = "send_dtmf"
    PAUSE_RECORDING = "pause_recording"
    RESUME_RECORDING = "resume_recording"


BUILT_IN_TOOLS = frozenset(BuiltIn)


class HttpTool(Struct, frozen=True, omit_defaults=True):
    """A tool of the agent that is one HTTP request, with the agent's arguments as JSON."""

    name: str
    description: str
    url: str
    """https; the host must be one that the operator allows (`TOOL_HOSTS`)."""
    parameters: Mapping[str, Any] = {}
    """JSON Schema of the arguments, as the agent is told it; empty where there are none."""
    method: str = "POST"
    """GET sends the arguments as a query, POST as a JSON body."""
    headers: Mapping[str, str] = {}
    secret_headers: Mapping[str, str] = {}
    """Header to the name of the Key Vault secret that holds its whole value."""
    timeout_ms: int = 5000


class RealtimeAgent(Struct, frozen=True, tag="realtime", tag_field="kind", omit_defaults=True):
    """A speech-to-speech model behind a realtime WebSocket."""

    dialect: Dialect
    endpoint: str
    """wss URL without `model` and without a secret; `query` is added to it."""
    auth: KeyAuth | EntraAuth | None = None
    """None: the service asks for none; loopback only."""
    model: str | None = None
    query: Mapping[str, str] = {}
    """Further query parameters: `api-version`, `agent-name`, `agent-project-name`, ..."""
    instructions: str = ""
    greeting: str | None = None
    """Instructions for the first words; None: the caller speaks first."""
    voice: str | Mapping[str, Any] | None = None
    turn_detection: Mapping[str, Any] | None = None
    """As the service documents it; None is the dialect's default of this gateway."""
    transcription: Mapping[str, Any] | None = None
    noise_reduction: Mapping[str, Any] | None = None
    session: Mapping[str, Any] = {}
    """Further members of the session, laid over what the gateway composes."""
    tools: tuple[HttpTool, ...] = ()
    transfer_targets: Mapping[str, str] = {}
    """Where `transfer_call` may lead: a name for the model, to a number (`+1...`) or raw id."""
    digits_pause_ms: int = 1500
    """Keys that follow one another within this are told to the agent together; `#` ends a group at once."""


AgentSettings = EchoAgent | ScriptAgent | RealtimeAgent


class RecordingFormat(StrEnum):
    """What a call's recording is when it is finished."""

    WAV = "wav"
    FLAC = "flac"


class Analysis(Struct, frozen=True):
    """What Azure AI Language is asked about the transcript of a finished call: sentiment and key phrases."""

    language: str
    """In which the call is held, as the service names it: `en`, `pt-BR`."""


class Recording(Struct, frozen=True, omit_defaults=True):
    """What is kept of a call: two tracks, transcript and timeline."""

    format: RecordingFormat = RecordingFormat.WAV
    announcement: str | None = None
    """WAV file that is played first and whole, by its stored name."""
    analysis: Analysis | None = None
    """None: nobody is asked."""


class PromptKind(StrEnum):
    """What the gateway itself says to a caller; each has a default in `shared/prompts`."""

    COMFORT = "comfort"
    """The agent is not there yet."""
    APOLOGY = "apology"
    """The call cannot go on."""
    GOODBYE = "goodbye"
    """The call ends: maximum duration, a silent caller, shutdown."""
    REPROMPT = "reprompt"
    """The caller is silent."""


class Prompts(Struct, frozen=True, omit_defaults=True):
    """A profile's own WAV files by their stored names, one field a `PromptKind`; None is the default."""

    comfort: str | None = None
    apology: str | None = None
    goodbye: str | None = None
    reprompt: str | None = None

    def name_of(self, kind: PromptKind) -> str | None:
        """Return the stored name of one."""
        name: str | None = getattr(self, kind.value)
        return name


class Fallback(Struct, frozen=True, omit_defaults=True):
    """Where a call goes that its agent is lost to."""

    transfer: str
    """Raw id; may be one of our own numbers, for it is another call then."""
    caller_id: str | None = None
    """Number (`+1...`) that a phone is shown; None is what ACS shows of itself."""


class Silence(Struct, frozen=True, omit_defaults=True):
    """What becomes of a caller who says and presses nothing."""

    after_s: int
    """Of silence on both sides, before each reprompt and before the goodbye."""
    reprompts: int = 2


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
    recording: Recording | None = None
    """None: nothing is kept of what is said."""
    fallback: Fallback | None = None
    """None: an apology, and the call is ended."""
    prompts: Prompts = Prompts()
    silence: Silence | None = None
    """None: a silent caller is left alone."""
    transfer_caller_id: str | None = None
    """Number (`+1...`) that a phone is shown which the agent transfers to; None is what ACS shows of itself."""
    transfer_timeout_s: int = 60
    """Then a transfer that nothing was heard of has failed."""
    context: ContextSettings = ContextSettings()


class Route(Struct, frozen=True):
    """Who answers a called number or identity of an account: a profile, or a flow of the IVR."""

    account: str
    to: str
    """Raw id of the called party (`4:+1...`, `8:acs:...`), or `*` for any."""
    profile: str | None = None
    flow: str | None = None
    """One of the two is None."""


class Routing(Struct, frozen=True):
    """All routes, profiles and flows of a gateway document."""

    profiles: dict[str, AgentProfile]
    routes: tuple[Route, ...]
    flows: Mapping[str, Flow] = {}

    def profile_for(self, account_id: str, called_raw_id: str) -> AgentProfile | None:
        """Return the profile that answers, or None; an exact route goes before a `*` route."""
        route = self._route(account_id, called_raw_id)
        return None if route is None or route.profile is None else self.profiles[route.profile]

    def flow_for(self, account_id: str, called_raw_id: str) -> str | None:
        """Return the name of the flow that answers, likewise: no call is answered by both."""
        route = self._route(account_id, called_raw_id)
        return None if route is None else route.flow

    def identity_of(self, account_id: str, flow: str) -> str:
        """Return the ACS user by which calls can be sent back to a flow, the first that has a route; empty: none."""
        return next(
            (
                route.to
                for route in self.routes
                if (route.account, route.flow) == (account_id, flow) and route.to.startswith(ACS_USER_PREFIX)
            ),
            "",
        )

    @property
    def own_numbers(self) -> frozenset[str]:
        """Raw ids of everything that has a route of its own, whatever account's."""
        return frozenset(route.to for route in self.routes if route.to != "*")

    def _route(self, account_id: str, called_raw_id: str) -> Route | None:
        routes = {route.to: route for route in self.routes if route.account == account_id}
        return routes.get(called_raw_id) or routes.get("*")
