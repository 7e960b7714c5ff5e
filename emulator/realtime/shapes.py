"""Sessions and responses as clients may ask for them, member by member.

An unknown or ill-typed member is an error, as it is with the services. Only audio of 16-bit PCM is understood; the
services also take G.711. Words alone, without audio, are not offered.
"""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

_Share = Annotated[float, Meta(ge=0, le=1)]
_Ms = Annotated[int, Meta(ge=0)]
_Tokens = Annotated[int, Meta(ge=1, le=4096)]


class Shape(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """An object all of whose members are known."""


class _Pcm24(Shape, tag="audio/pcm"):
    rate: Literal[24000] = 24000


class ServerVad(Shape, tag="server_vad"):
    """Turns by loudness. The defaults are those of OpenAI's documentation."""

    threshold: _Share = 0.5
    prefix_padding_ms: _Ms = 300
    silence_duration_ms: _Ms = 500
    create_response: bool = True
    interrupt_response: bool = True
    idle_timeout_ms: _Ms | None = None


class _SemanticVad(Shape, tag="semantic_vad"):
    eagerness: Literal["low", "medium", "high", "auto"] = "auto"
    create_response: bool = True
    interrupt_response: bool = True


class _GaTranscription(Shape):
    model: str
    language: str | UnsetType = UNSET
    languages: list[str] | UnsetType = UNSET
    prompt: str | UnsetType = UNSET
    keywords: list[str] | UnsetType = UNSET
    delay: Literal["minimal", "low", "medium", "high", "xhigh"] | UnsetType = UNSET


class _GaNoiseReduction(Shape):
    type: Literal["near_field", "far_field"]
    strength: _Share | UnsetType = UNSET


class _GaInput(Shape):
    format: _Pcm24 | UnsetType = UNSET
    noise_reduction: _GaNoiseReduction | UnsetType | None = UNSET
    transcription: _GaTranscription | UnsetType | None = UNSET
    turn_detection: ServerVad | _SemanticVad | UnsetType | None = UNSET


class _GaVoice(Shape):
    id: str


class _GaOutput(Shape):
    format: _Pcm24 | UnsetType = UNSET
    voice: str | _GaVoice | UnsetType = UNSET
    speed: Annotated[float, Meta(ge=0.25, le=1.5)] | UnsetType = UNSET


class _GaAudio(Shape):
    input: _GaInput | UnsetType = UNSET
    output: _GaOutput | UnsetType = UNSET


class _Function(Shape):
    type: Literal["function"]
    name: str
    description: str | UnsetType = UNSET
    parameters: dict[str, Any] | UnsetType = UNSET


_ToolChoice = Literal["auto", "none", "required"] | dict[str, Any]


class GaSession(Shape):
    """A session of OpenAI and Azure OpenAI."""

    type: Literal["realtime"]
    model: str | UnsetType = UNSET
    instructions: str | UnsetType = UNSET
    output_modalities: tuple[Literal["audio"]] | UnsetType = UNSET
    audio: _GaAudio | UnsetType = UNSET
    tools: list[_Function] | UnsetType = UNSET
    tool_choice: _ToolChoice | UnsetType = UNSET
    parallel_tool_calls: bool | UnsetType = UNSET
    max_output_tokens: _Tokens | Literal["inf"] | UnsetType = UNSET
    reasoning: dict[str, Any] | UnsetType = UNSET
    truncation: Literal["auto", "disabled"] | dict[str, Any] | UnsetType = UNSET
    tracing: Literal["auto"] | dict[str, Any] | UnsetType | None = UNSET
    prompt: dict[str, Any] | UnsetType | None = UNSET
    include: list[str] | UnsetType | None = UNSET


class _AzureVad(Shape):
    threshold: _Share = 0.5
    prefix_padding_ms: _Ms = 300
    silence_duration_ms: _Ms = 500
    create_response: bool = True
    interrupt_response: bool = True
    auto_truncate: bool = False
    end_of_utterance_detection: dict[str, Any] | UnsetType | None = UNSET


class _AzureServerVad(_AzureVad, tag="server_vad"):
    pass


class _AzureSemanticVad(_AzureVad, tag="azure_semantic_vad"):
    speech_duration_ms: _Ms = 80
    remove_filler_words: bool = False
    languages: list[str] | UnsetType = UNSET


class _AzureSemanticVadEn(_AzureVad, tag="azure_semantic_vad_en"):
    speech_duration_ms: _Ms = 80
    remove_filler_words: bool = False


class _AzureSemanticVadMultilingual(_AzureVad, tag="azure_semantic_vad_multilingual"):
    speech_duration_ms: _Ms = 80
    remove_filler_words: bool = False
    languages: list[str] | UnsetType = UNSET


class _AzureTranscription(Shape):
    model: str
    language: str | UnsetType = UNSET
    phrase_list: list[str] | UnsetType = UNSET
    custom_speech: dict[str, str] | UnsetType = UNSET
    prompt: str | UnsetType = UNSET


class _AzureNoiseReduction(Shape):
    type: Literal["azure_deep_noise_suppression", "near_field", "far_field"]


class _EchoCancellation(Shape):
    type: Literal["server_echo_cancellation"]
    reference_source: Literal["server"] | UnsetType = UNSET


_OutputFormat = Literal["pcm16", "pcm16_8000hz", "pcm16_16000hz"]


class VoiceLiveSession(Shape):
    """A session of Voice Live."""

    model: str | UnsetType = UNSET
    modalities: list[Literal["text", "audio"]] | UnsetType = UNSET
    instructions: str | UnsetType = UNSET
    voice: str | dict[str, Any] | UnsetType = UNSET
    input_audio_format: Literal["pcm16"] | UnsetType = UNSET
    input_audio_sampling_rate: Literal[8000, 16000, 24000] | UnsetType = UNSET
    output_audio_format: _OutputFormat | UnsetType = UNSET
    turn_detection: (
        _AzureServerVad
        | _AzureSemanticVad
        | _AzureSemanticVadEn
        | _AzureSemanticVadMultilingual
        | UnsetType
        | None
    ) = UNSET
    input_audio_noise_reduction: _AzureNoiseReduction | UnsetType | None = UNSET
    input_audio_echo_cancellation: _EchoCancellation | UnsetType | None = UNSET
    input_audio_transcription: _AzureTranscription | UnsetType | None = UNSET
    output_audio_timestamp_types: list[Literal["word"]] | UnsetType = UNSET
    tools: list[_Function] | UnsetType = UNSET
    tool_choice: _ToolChoice | UnsetType = UNSET
    parallel_tool_calls: bool | UnsetType = UNSET
    temperature: float | UnsetType = UNSET
    max_response_output_tokens: _Tokens | Literal["inf"] | UnsetType = UNSET
    reasoning_effort: str | UnsetType = UNSET
    interim_response: dict[str, Any] | UnsetType | None = UNSET
    include: list[str] | UnsetType = UNSET
    metadata: Annotated[dict[str, str], Meta(max_length=16)] | UnsetType = UNSET


class GaResponse(Shape):
    """What `response.create` may ask for at OpenAI and Azure OpenAI."""

    instructions: str | UnsetType = UNSET
    output_modalities: tuple[Literal["audio"]] | UnsetType = UNSET
    audio: _GaAudio | UnsetType = UNSET
    conversation: Literal["auto"] | UnsetType = UNSET
    tools: list[_Function] | UnsetType = UNSET
    tool_choice: _ToolChoice | UnsetType = UNSET
    parallel_tool_calls: bool | UnsetType = UNSET
    max_output_tokens: _Tokens | Literal["inf"] | UnsetType = UNSET
    metadata: dict[str, str] | UnsetType | None = UNSET
    reasoning: dict[str, Any] | UnsetType = UNSET
    prompt: dict[str, Any] | UnsetType = UNSET


class VoiceLiveResponse(Shape):
    """What it may ask for at Voice Live."""

    instructions: str | UnsetType = UNSET
    modalities: list[Literal["text", "audio"]] | UnsetType = UNSET
    voice: str | dict[str, Any] | UnsetType = UNSET
    output_audio_format: _OutputFormat | UnsetType = UNSET
    tools: list[_Function] | UnsetType = UNSET
    tool_choice: str | UnsetType = UNSET
    temperature: float | UnsetType = UNSET
    max_output_tokens: _Tokens | Literal["inf"] | UnsetType = UNSET
    metadata: dict[str, str] | UnsetType | None = UNSET
    reasoning_effort: str | UnsetType = UNSET
