"""What differs between the services: how each is reached, let in, and told what it is to do."""

from dataclasses import replace
from urllib.parse import parse_qsl, urlsplit

import pytest

from media_gateway.agents.realtime.dialects import (
    headers_of,
    interrupts_by_itself,
    rate_of,
    rates_in,
    replies_by_itself,
    session_of,
    url_of,
)
from media_gateway.agents.realtime.tools import ToolSpec
from shared.core.profiles import Dialect, EntraAuth, KeyAuth, RealtimeAgent
from tests.unit.agents.talk import CALL

TOOL = ToolSpec("end_call", "End the call.", {"type": "object", "properties": {}})
OPENAI = (Dialect.OPENAI, Dialect.AZURE_OPENAI)


def agent(dialect=Dialect.OPENAI, **changes):
    fields = {"endpoint": "wss://host/v1/realtime", "model": "gpt-realtime"} | changes
    return RealtimeAgent(dialect=dialect, **fields)


def session(dialect=Dialect.OPENAI, *, rate_hz=24_000, is_recorded=False, tools=(), **changes):
    call = replace(CALL, is_recorded=is_recorded)
    return session_of(agent(dialect, **changes), call, rate_hz, tools)


@pytest.mark.parametrize("dialect", OPENAI)
def test_openai_s_session_is_nested(dialect):
    assert session(dialect, instructions="Be brief.", voice="marin", tools=(TOOL,)) == {
        "type": "realtime",
        "output_modalities": ["audio"],
        "audio": {
            "input": {
                "format": {"type": "audio/pcm", "rate": 24_000},
                "turn_detection": {"type": "server_vad", "create_response": True, "interrupt_response": True},
                "noise_reduction": {"type": "near_field"},
            },
            "output": {"format": {"type": "audio/pcm", "rate": 24_000}, "voice": "marin"},
        },
        "instructions": "Be brief.",
        "tools": [
            {
                "type": "function",
                "name": "end_call",
                "description": "End the call.",
                "parameters": TOOL.parameters,
            }
        ],
        "tool_choice": "auto",
    }


@pytest.mark.parametrize(("rate_hz", "said"), [(16_000, "pcm16_16000hz"), (24_000, "pcm16")])
def test_voice_live_s_is_flat(rate_hz, said):
    assert session(Dialect.VOICE_LIVE, rate_hz=rate_hz) == {
        "modalities": ["text", "audio"],
        "input_audio_format": "pcm16",
        "input_audio_sampling_rate": rate_hz,
        "output_audio_format": said,
        "turn_detection": {
            "type": "azure_semantic_vad",
            "create_response": True,
            "interrupt_response": True,
            "auto_truncate": False,
        },
        "input_audio_noise_reduction": {"type": "azure_deep_noise_suppression"},
        "metadata": {"call_id": CALL.call_id},
    }


@pytest.mark.parametrize("dialect", Dialect)
def test_nothing_that_comes_with_a_call_is_in_the_session(dialect):
    shown = str(session(dialect))
    assert not [word for word in (CALL.caller, CALL.called, "1234", "order") if word in shown]


@pytest.mark.parametrize(
    ("voice", "sent"),
    [
        ("en-US-AvaNeural", {"type": "azure-standard", "name": "en-US-AvaNeural"}),
        (
            "en-US-Ava:DragonHDLatest",
            {"type": "azure-standard", "name": "en-US-Ava:DragonHDLatest"},
        ),
        ("alloy", "alloy"),
        ({"type": "azure-custom", "name": "x"}, {"type": "azure-custom", "name": "x"}),
    ],
)
def test_voice_live_has_azure_s_voices_and_openai_s(voice, sent):
    assert session(Dialect.VOICE_LIVE, voice=voice)["voice"] == sent


def test_the_caller_is_transcribed_where_the_call_is_recorded_or_the_profile_says_so():
    def transcription(**how):
        return session(**how)["audio"]["input"].get("transcription")

    assert transcription() is None
    assert transcription(is_recorded=True) == {"model": "gpt-4o-mini-transcribe"}
    own = {"model": "whisper-1", "language": "en"}
    assert transcription(transcription=own) == own
    flat = session(Dialect.VOICE_LIVE, is_recorded=True)
    assert flat["input_audio_transcription"] == {"model": "azure-speech"}


def test_the_profile_s_session_is_laid_over_member_by_member():
    over = {"audio": {"input": {"noise_reduction": None}, "output": {"speed": 1.2}}, "max_output_tokens": 500}
    laid = session(session=over)
    assert laid["audio"]["input"]["noise_reduction"] is None
    assert laid["audio"]["input"]["format"] == {"type": "audio/pcm", "rate": 24_000}
    assert laid["audio"]["output"]["speed"] == 1.2
    assert laid["max_output_tokens"] == 500
    assert session()["audio"]["output"] == {"format": {"type": "audio/pcm", "rate": 24_000}}


@pytest.mark.parametrize("dialect", Dialect)
def test_who_interrupts_and_who_replies_is_read_from_where_the_dialect_has_it(dialect):
    turns = {"type": "server_vad", "create_response": False, "interrupt_response": False}
    ours = session(dialect, turn_detection=turns)
    assert (interrupts_by_itself(ours), replies_by_itself(ours)) == (False, False)
    theirs = session(dialect)
    assert (interrupts_by_itself(theirs), replies_by_itself(theirs)) == (True, True)


@pytest.mark.parametrize(
    "over",
    [
        {"audio": None},
        {"audio": {"input": None}},
        {"audio": {"input": {"turn_detection": None}}},
        {"audio": 1},
    ],
)
def test_a_session_without_turns_leaves_them_to_the_service(over):
    odd = session(session=over)
    assert (interrupts_by_itself(odd), replies_by_itself(odd)) == (True, True)
    rates_in(odd)


@pytest.mark.parametrize(
    ("said", "rates"),
    [
        ({}, set()),
        (session(), {24_000}),
        (session(Dialect.VOICE_LIVE, rate_hz=16_000), {16_000}),
        (session(Dialect.VOICE_LIVE), {24_000}),
        ({"output_audio_format": "pcm16_8000hz", "input_audio_sampling_rate": 16_000}, {8_000, 16_000}),
        ({"audio": {"output": {"format": {"type": "audio/pcm", "rate": 16_000}}}}, {16_000}),
        ({"audio": {"output": {"format": {"type": "audio/pcmu"}}, "input": None}}, set()),
        ({"audio": {"output": {"format": "pcm16"}}}, set()),
    ],
)
def test_the_rates_that_a_service_says_it_uses(said, rates):
    assert rates_in(said) == rates


def test_only_voice_live_speaks_the_call_s_rate():
    assert [rate_of(dialect, 16_000) for dialect in Dialect] == [24_000, 24_000, 16_000]


@pytest.mark.parametrize(
    ("dialect", "changes", "query"),
    [
        (Dialect.OPENAI, {}, {"model": "gpt-realtime"}),
        (Dialect.AZURE_OPENAI, {"model": "my deployment&x=1"}, {"model": "my deployment&x=1"}),
        (Dialect.VOICE_LIVE, {}, {"api-version": "2025-10-01", "model": "gpt-realtime"}),
        (
            Dialect.VOICE_LIVE,
            {"model": None, "query": {"api-version": "2026-04-10", "agent-name": "front desk"}},
            {"api-version": "2026-04-10", "agent-name": "front desk"},
        ),
    ],
)
def test_the_url_has_the_model_and_what_the_profile_adds(dialect, changes, query):
    url = urlsplit(url_of(agent(dialect, **changes)))
    assert (url.scheme, url.netloc, url.path) == ("wss", "host", "/v1/realtime")
    assert dict(parse_qsl(url.query)) == query


@pytest.mark.parametrize(
    ("dialect", "auth", "headers"),
    [
        (Dialect.OPENAI, KeyAuth("k"), {"Authorization": "Bearer secret"}),
        (Dialect.AZURE_OPENAI, KeyAuth("k"), {"api-key": "secret"}),
        (Dialect.VOICE_LIVE, KeyAuth("k"), {"api-key": "secret"}),
        (Dialect.AZURE_OPENAI, EntraAuth("https://x/.default"), {"Authorization": "Bearer secret"}),
        (Dialect.VOICE_LIVE, EntraAuth("https://x/.default"), {"Authorization": "Bearer secret"}),
        (Dialect.VOICE_LIVE, None, {}),
    ],
)
def test_a_credential_goes_in_a_header_and_never_in_the_url(dialect, auth, headers):
    assert headers_of(dialect, auth, "secret") == headers
    assert "secret" not in url_of(agent(dialect, auth=auth))
