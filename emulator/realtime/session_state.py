"""A session as the service keeps it: its defaults, what an update makes of it, and what follows for the audio."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from emulator.realtime.client_events import Refused, UpdateSession
from emulator.realtime.dialects import Dialect
from emulator.realtime.shapes import ServerVad

GA_RATE_HZ: Final = 24_000
_VOICE_LIVE_OUTPUT_HZ: Final[Mapping[str, int]] = {
    "pcm16": 24_000,
    "pcm16_16000hz": 16_000,
    "pcm16_8000hz": 8_000,
}
_NESTED: Final = frozenset({"audio", "input", "output"})
"""Members of which an update changes parts; any other is replaced whole."""


@dataclass(frozen=True)
class TurnDetection:
    """How turns are told apart. Semantic detection is taken for detection by loudness with the same waits."""

    threshold: float
    prefix_padding_ms: int
    silence_duration_ms: int
    create_response: bool
    interrupt_response: bool


class SessionState:
    """What `session.created` and `session.updated` show, and the parts of it that decide something.

    Args:
        dialect: whose shape it has.
        session_id: its id.
        query: of the URL: the model, or an agent of Foundry.
        expires_at: when the service ends it, in seconds since 1970; None is not said.
    """

    def __init__(
        self, dialect: Dialect, session_id: str, query: Mapping[str, str], expires_at: int | None
    ) -> None:
        self._dialect = dialect
        make = _voice_live if dialect is Dialect.VOICE_LIVE else _ga
        self.document: Mapping[str, Any] = make(session_id, query, expires_at)
        self._derive()

    def update(self, event: UpdateSession, *, has_spoken: bool) -> None:
        """Lay an update over the session.

        Args:
            event: the update.
            has_spoken: whether audio has been sent, after which the voice stands.

        Raises:
            Refused: it changes the model, or the voice too late.
        """
        updated = _merged(self.document, msgspec.to_builtins(event.session))
        if updated["model"] != self.document["model"]:
            raise Refused(
                "invalid_value", "The model of a session cannot be changed.", "session.model", event.event_id
            )
        if has_spoken and _voice(updated) != self.voice:
            raise Refused(
                "cannot_update_voice",
                "Cannot update a conversation's voice if assistant audio is present.",
                None,
                event.event_id,
            )
        self.document = updated
        self._derive()

    def _derive(self) -> None:
        session = self.document
        self.voice = _voice(session)
        if self._dialect is Dialect.VOICE_LIVE:
            self.input_hz: int = session["input_audio_sampling_rate"]
            self.output_hz = _VOICE_LIVE_OUTPUT_HZ[session["output_audio_format"]]
            turns, transcription = session["turn_detection"], session["input_audio_transcription"]
            self.modalities: list[str] = session["modalities"]
            self.max_output_tokens: int | str = session["max_response_output_tokens"]
        else:
            self.input_hz = self.output_hz = GA_RATE_HZ
            audio_in = session["audio"]["input"]
            turns, transcription = audio_in["turn_detection"], audio_in["transcription"]
            self.modalities = session["output_modalities"]
            self.max_output_tokens = session["max_output_tokens"]
        self.transcribes = transcription is not None
        self.turns = None if turns is None else _turn_detection(turns)


def _turn_detection(shown: Mapping[str, Any]) -> TurnDetection:
    usual = msgspec.to_builtins(ServerVad())
    return TurnDetection(
        **{name: shown.get(name, usual[name]) for name in TurnDetection.__dataclass_fields__}
    )


def _voice(session: Mapping[str, Any]) -> Any:
    return session["voice"] if "voice" in session else session["audio"]["output"]["voice"]


def _merged(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    nested = {name: _merged(old[name], new[name]) for name in _NESTED & new.keys()}
    return {**old, **new, **nested}


def _ga(session_id: str, query: Mapping[str, str], expires_at: int | None) -> dict[str, Any]:
    audio_format = {"type": "audio/pcm", "rate": GA_RATE_HZ}
    return {
        "type": "realtime",
        "object": "realtime.session",
        "id": session_id,
        "model": query.get("model"),
        "output_modalities": ["audio"],
        "instructions": "",
        "tools": [],
        "tool_choice": "auto",
        "max_output_tokens": "inf",
        "tracing": None,
        "truncation": "auto",
        "prompt": None,
        "expires_at": expires_at,
        "include": None,
        "audio": {
            "input": {
                "format": audio_format,
                "transcription": None,
                "noise_reduction": None,
                "turn_detection": {
                    "type": "server_vad",
                    **msgspec.to_builtins(ServerVad()),
                },
            },
            "output": {"format": audio_format, "voice": "marin", "speed": 1.0},
        },
    }


def _voice_live(session_id: str, query: Mapping[str, str], expires_at: int | None) -> dict[str, Any]:
    session = {
        "id": session_id,
        "model": query.get("model"),
        "modalities": ["text", "audio"],
        "instructions": "",
        "voice": {"type": "azure-standard", "name": "en-US-AvaNeural"},
        "input_audio_format": "pcm16",
        "input_audio_sampling_rate": 24_000,
        "output_audio_format": "pcm16",
        "turn_detection": {
            "type": "server_vad",
            "threshold": 0.5,
            "prefix_padding_ms": 300,
            "silence_duration_ms": 500,
            "create_response": True,
            "interrupt_response": True,
            "auto_truncate": False,
        },
        "input_audio_noise_reduction": None,
        "input_audio_echo_cancellation": None,
        "input_audio_transcription": None,
        "tools": [],
        "tool_choice": "auto",
        "temperature": 0.8,
        "max_response_output_tokens": "inf",
        "expires_at": expires_at,
    }
    name = query.get("agent-name")
    if name is not None:
        session["agent"] = {
            "type": "agent",
            "name": name,
            "agent_id": name,
            "thread_id": f"thread_{session_id}",
        }
    return session
