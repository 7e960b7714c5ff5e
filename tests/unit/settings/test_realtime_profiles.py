"""Profiles of realtime agents: what a document may say, and what is found before any call is lost to it."""

import copy

import pytest

from shared.core.profiles import AudioFormat, Dialect, EntraAuth, HttpTool, KeyAuth, RecordingFormat
from shared.gateway_document import faults_of, sounds_of, to_routing

OPENAI = {
    "kind": "realtime",
    "dialect": "openai",
    "endpoint": "wss://api.openai.com/v1/realtime",
    "model": "gpt-realtime",
    "auth": {"kind": "key", "secret": "openai-key"},
    "instructions": "You answer calls for a bank.",
    "greeting": "Greet the caller.",
    "tools": [
        {
            "name": "balance",
            "description": "Balance of an account",
            "url": "https://crm.example.com/balance",
            "parameters": {"type": "object", "properties": {"account": {"type": "string"}}},
            "secret_headers": {"Authorization": "crm-token"},
        }
    ],
    "transfer_targets": {"sales": "+14255550123", "ivr": "8:acs:11111111-1111-1111-1111-111111111111_x"},
    "recording": {"format": "flac"},
}
VOICE_LIVE_AGENT = {
    "kind": "realtime",
    "dialect": "voice-live",
    "endpoint": "wss://res.services.ai.azure.com/voice-live/realtime",
    "query": {"api-version": "2025-10-01", "agent-name": "bank", "agent-project-name": "calls"},
    "auth": {"kind": "entra", "scope": "https://ai.azure.com/.default"},
}


def document(profile):
    return {"version": 1, "profiles": {"bank": profile}}


def profile_of(settings):
    assert list(faults_of(document(settings))) == []
    return to_routing(document(settings)).profiles["bank"]


def faults(**changes):
    settings = copy.deepcopy(OPENAI) | changes
    settings = {name: value for name, value in settings.items() if value is not None}
    return [
        (fault.place_name.removeprefix("profiles.bank."), fault.text)
        for fault in faults_of(document(settings))
    ]


def test_an_openai_profile_becomes_what_the_agent_needs():
    profile = profile_of(OPENAI)

    assert profile.audio_format is AudioFormat.PCM24K
    assert profile.recording.format is RecordingFormat.FLAC
    agent = profile.agent
    assert (agent.dialect, agent.model, agent.auth) == (Dialect.OPENAI, "gpt-realtime", KeyAuth("openai-key"))
    assert agent.tools == (
        HttpTool(
            name="balance",
            description="Balance of an account",
            url="https://crm.example.com/balance",
            parameters={"type": "object", "properties": {"account": {"type": "string"}}},
            secret_headers={"Authorization": "crm-token"},
        ),
    )
    assert agent.transfer_targets["sales"] == "4:+14255550123"


def test_acs_streams_what_the_agent_speaks():
    assert profile_of(VOICE_LIVE_AGENT).audio_format is AudioFormat.PCM16K
    assert profile_of(VOICE_LIVE_AGENT | {"audio_format": "pcm24KMono"}).audio_format is AudioFormat.PCM24K
    assert profile_of(OPENAI | {"audio_format": "pcm16KMono"}).audio_format is AudioFormat.PCM16K


def test_a_foundry_agent_goes_by_entra_and_without_a_model():
    agent = profile_of(VOICE_LIVE_AGENT).agent

    assert agent.auth == EntraAuth("https://ai.azure.com/.default")
    assert agent.model is None


def test_a_stand_in_on_loopback_asks_for_no_credential():
    assert faults(endpoint="ws://127.0.0.1:8066/v1/realtime", auth=None) == []


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"endpoint": "ws://api.openai.com/v1/realtime"}, "endpoint"),
        ({"endpoint": "https://api.openai.com/v1/realtime"}, "endpoint"),
        ({"endpoint": "wss://user:word@api.openai.com/v1/realtime"}, "endpoint"),
        ({"endpoint": "wss://[api.openai.com/v1/realtime"}, "endpoint"),
        ({"endpoint": "wss://api.openai.com:99999/v1/realtime"}, "endpoint"),
        ({"endpoint": "wss:///v1/realtime"}, "endpoint"),
        ({"tools": [OPENAI["tools"][0] | {"url": "https://user:word@crm.example.com/"}]}, "tools.0.url"),
        ({"auth": None}, "auth"),
        ({"auth": {"kind": "key", "secret": "not a name"}}, "auth"),
        ({"auth": {"kind": "key", "secret": "k", "scope": "https://x/.default"}}, "auth"),
        ({"auth": {"kind": "entra", "scope": "https://ai.azure.com/.default"}}, "auth.kind"),
        ({"model": None}, "model"),
        ({"query": {"api-key": "1"}}, "query.api-key"),
        ({"query": {"model": "x"}}, "query.model"),
        ({"greeting": ""}, "greeting"),
        ({"transfer_targets": {"sales": "call me"}}, "transfer_targets.sales"),
        ({"digits_pause_ms": -1}, "digits_pause_ms"),
        ({"tools": [OPENAI["tools"][0] | {"name": "end_call"}]}, "tools.0.name"),
        ({"tools": [OPENAI["tools"][0], OPENAI["tools"][0]]}, "tools.1.name"),
        ({"tools": [OPENAI["tools"][0] | {"url": "http://crm.example.com/"}]}, "tools.0.url"),
        ({"tools": [OPENAI["tools"][0] | {"headers": {"Host": "x"}}]}, "tools.0.headers.Host"),
        ({"tools": [OPENAI["tools"][0] | {"headers": {"X": "a\r\nb"}}]}, "tools.0.headers.X"),
        ({"recording": {"format": "mp3"}}, "recording.format"),
    ],
)
def test_a_fault_is_found_when_the_document_is_pushed(changes, place):
    assert place in {found for found, _ in faults(**changes)}


def test_an_announcement_is_a_sound_at_the_rate_of_the_call():
    settings = VOICE_LIVE_AGENT | {"recording": {"announcement": "notice.wav"}}
    (sound,) = sounds_of(document(settings))

    assert (sound.name, sound.rate_hz) == ("notice.wav", 16_000)
    assert sound.place == ("profiles", "bank", "recording", "announcement")
