"""What differs between the services: the URL, the headers, and the shape of the session.

Sources: the vendors' public documentation and SDKs (openai 3.5x, azure-ai-voicelive 1.3), November 2026.

| | OpenAI, Azure OpenAI (GA) | Azure Voice Live |
|---|---|---|
| session | nested, `type: realtime` | flat, with the beta's names |
| audio | 24 kHz only | the call's rate, 16 or 24 kHz |
| what an agent has said, as a text | part `output_text` | part `text` |
| key goes in | `Authorization: Bearer`; Azure: `api-key` | `api-key` |
"""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from media_gateway.agents.contract import CallInfo
from media_gateway.agents.realtime.tools import ToolSpec
from shared.core.profiles import Dialect, EntraAuth, KeyAuth, RealtimeAgent

OPENAI_RATE_HZ = 24_000
"""The only rate of `audio/pcm` in OpenAI's realtime API."""
VOICE_LIVE_API_VERSION = "2025-10-01"
"""The oldest that is no preview; a profile's `query` goes before it."""
CALLER_MODELS: Mapping[Dialect, str] = {
    Dialect.OPENAI: "gpt-4o-mini-transcribe",
    Dialect.AZURE_OPENAI: "gpt-4o-mini-transcribe",
    Dialect.VOICE_LIVE: "azure-speech",
}
"""Write down what the caller says, in a call that is recorded and whose profile names no other."""
AGENT_TEXT_PARTS: Mapping[Dialect, str] = {
    Dialect.OPENAI: "output_text",
    Dialect.AZURE_OPENAI: "output_text",
    Dialect.VOICE_LIVE: "text",
}
"""The type of the part that holds a text of the agent's, in an item of a conversation."""
AZURE_VOICE_ENDS = ("Neural", "HD", "Latest")


def rate_of(dialect: Dialect, call_rate_hz: int) -> int:
    """Return the rate of the audio that the service is to speak in a call of that rate."""
    return call_rate_hz if dialect is Dialect.VOICE_LIVE else OPENAI_RATE_HZ


def url_of(settings: RealtimeAgent) -> str:
    """Return the URL to connect to; it holds no secret. The endpoint comes without a query: the schema says so."""
    query: dict[str, str] = {}
    if settings.dialect is Dialect.VOICE_LIVE:
        query.setdefault("api-version", VOICE_LIVE_API_VERSION)
    if settings.model is not None:
        query["model"] = settings.model
    return f"{settings.endpoint}?{urlencode({**query, **settings.query})}"


def headers_of(dialect: Dialect, auth: KeyAuth | EntraAuth | None, credential: str) -> dict[str, str]:
    """Return the headers that let us in. `credential` is the key or the token."""
    match auth:
        case None:
            return {}
        case KeyAuth() if dialect is not Dialect.OPENAI:
            return {"api-key": credential}
        case _:
            return {"Authorization": f"Bearer {credential}"}


def session_of(
    settings: RealtimeAgent, call: CallInfo, rate_hz: int, tools: Sequence[ToolSpec]
) -> dict[str, Any]:
    """Compose the session; what the profile's `session` has is laid over it.

    Args:
        settings: The profile's.
        call: Only whether it is recorded is looked at: nothing that comes with a call is an instruction.
        rate_hz: Of the audio, both ways.
        tools: What the agent may use.
    """
    transcription = settings.transcription
    if transcription is None and call.is_recorded:
        transcription = {"model": CALLER_MODELS[settings.dialect]}
    compose = _flat if settings.dialect is Dialect.VOICE_LIVE else _nested
    session = compose(settings, rate_hz, transcription)
    if settings.instructions:
        session["instructions"] = settings.instructions
    if tools:
        session["tools"] = [
            {"type": "function", "name": t.name, "description": t.description, "parameters": t.parameters}
            for t in tools
        ]
        session["tool_choice"] = "auto"
    if settings.dialect is Dialect.VOICE_LIVE:
        session["metadata"] = {"call_id": call.call_id}
    return _laid_over(session, settings.session)


def interrupts_by_itself(session: Mapping[str, Any]) -> bool:
    """Whether the service stops its response when the caller speaks; otherwise that is for us to ask."""
    return _turns_of(session).get("interrupt_response", True) is not False


def replies_by_itself(session: Mapping[str, Any]) -> bool:
    """Whether the service answers when the caller has spoken; otherwise that is for us to ask."""
    return _turns_of(session).get("create_response", True) is not False


def _turns_of(session: Mapping[str, Any]) -> Mapping[str, Any]:
    return _object(session, "turn_detection") or _object(session, "audio", "input", "turn_detection")


def rates_in(session: Mapping[str, Any]) -> set[int]:
    """Return the rates that a service says it uses, as far as it says any. Both shapes are looked at."""
    rates: list[object] = [session.get("input_audio_sampling_rate")]
    match session.get("output_audio_format"):
        case "pcm16_16000hz":
            rates.append(16_000)
        case "pcm16_8000hz":
            rates.append(8_000)
        case "pcm16":
            rates.append(24_000)
    rates += [_object(session, "audio", side, "format").get("rate") for side in ("input", "output")]
    return {rate for rate in rates if isinstance(rate, int)}


def _object(session: Mapping[str, Any], *path: str) -> Mapping[str, Any]:
    """Return the object at the end of a path; empty where there is none, whatever a profile or a service has there."""
    found: Any = session
    for name in path:
        found = found.get(name) if isinstance(found, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def _nested(settings: RealtimeAgent, rate_hz: int, transcription: Mapping[str, Any] | None) -> dict[str, Any]:
    form = {"type": "audio/pcm", "rate": rate_hz}
    turns = {"type": "server_vad", "create_response": True, "interrupt_response": True}
    heard: dict[str, Any] = {
        "format": form,
        "turn_detection": settings.turn_detection or turns,
        "noise_reduction": settings.noise_reduction or {"type": "near_field"},
    }
    if transcription is not None:
        heard["transcription"] = transcription
    said: dict[str, Any] = {"format": form}
    if settings.voice is not None:
        said["voice"] = settings.voice
    return {"type": "realtime", "output_modalities": ["audio"], "audio": {"input": heard, "output": said}}


def _flat(settings: RealtimeAgent, rate_hz: int, transcription: Mapping[str, Any] | None) -> dict[str, Any]:
    # Off: the service only guesses what was heard, and we know it.
    turns = {
        "type": "azure_semantic_vad",
        "create_response": True,
        "interrupt_response": True,
        "auto_truncate": False,
    }
    session: dict[str, Any] = {
        "modalities": ["text", "audio"],
        "input_audio_format": "pcm16",
        "input_audio_sampling_rate": rate_hz,
        "output_audio_format": "pcm16" if rate_hz == OPENAI_RATE_HZ else f"pcm16_{rate_hz}hz",
        "turn_detection": settings.turn_detection or turns,
        "input_audio_noise_reduction": settings.noise_reduction or {"type": "azure_deep_noise_suppression"},
    }
    if transcription is not None:
        session["input_audio_transcription"] = transcription
    voice = settings.voice
    if isinstance(voice, str) and voice.endswith(AZURE_VOICE_ENDS):
        voice = {"type": "azure-standard", "name": voice}
    if voice is not None:
        session["voice"] = voice
    return session


def _laid_over(below: dict[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Return `below` with the members of `above`, objects merged member by member."""
    merged = dict(below)
    for name, value in above.items():
        under = merged.get(name)
        if isinstance(value, Mapping) and isinstance(under, dict):
            merged[name] = _laid_over(under, value)
        else:
            merged[name] = value
    return merged
