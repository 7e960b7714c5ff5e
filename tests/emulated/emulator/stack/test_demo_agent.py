"""Which service the demo's realtime agent is at, and the gateway file that leads calls to it."""

import pytest
import yaml

from emulator.demo_agent import ServiceUnclear, gateway_file, named_in, stand_in
from shared.gateway_file import load_gateway_file

KEY = "5a27-40c1"
SERVICES = [
    (
        "wss://api.openai.com/v1/realtime?model=gpt-realtime-mini",
        ("openai", "wss://api.openai.com/v1/realtime", "gpt-realtime-mini", {}),
    ),
    ("https://api.openai.com", ("openai", "wss://api.openai.com/v1/realtime", "gpt-realtime", {})),
    (
        "https://bank.openai.azure.com/openai/v1/",
        ("azure-openai", "wss://bank.openai.azure.com/openai/v1/realtime", "gpt-realtime", {}),
    ),
    (
        "https://bank.openai.azure.com/openai/realtime?api-version=2025-04-01-preview&deployment=desk",
        (
            "azure-openai",
            "wss://bank.openai.azure.com/openai/v1/realtime",
            "desk",
            {},
        ),
    ),
    (
        "ws://127.0.0.1:9000/openai/v1/realtime",
        ("azure-openai", "ws://127.0.0.1:9000/openai/v1/realtime", "gpt-realtime", {}),
    ),
    (
        "https://bank.services.ai.azure.com/voice-live",
        (
            "voice-live",
            "wss://bank.services.ai.azure.com/voice-live/realtime",
            "gpt-realtime",
            {"api-version": "2025-10-01"},
        ),
    ),
    (
        "wss://bank.services.ai.azure.com/voice-live/realtime?api-version=2026-04-10&agent-name=desk&agent-project-name=bank",
        (
            "voice-live",
            "wss://bank.services.ai.azure.com/voice-live/realtime",
            None,
            {"api-version": "2026-04-10", "agent-name": "desk", "agent-project-name": "bank"},
        ),
    ),
]


@pytest.mark.parametrize(("endpoint", "expected"), SERVICES)
def test_the_environment_names_a_service_by_its_url(endpoint, expected):
    agent = named_in({"REALTIME_ENDPOINT": endpoint, "REALTIME_API_KEY": KEY})
    assert (agent.dialect, agent.endpoint, agent.model, agent.query) == expected
    assert agent.key == KEY
    assert KEY not in repr(agent)


def test_without_an_endpoint_no_service_is_named():
    assert named_in({"REALTIME_API_KEY": KEY}) is None
    assert named_in({"REALTIME_ENDPOINT": ""}) is None


@pytest.mark.parametrize(
    ("endpoint", "key", "said"),
    [
        ("wss://api.openai.com", None, "REALTIME_API_KEY is not"),
        ("api.openai.com", KEY, "no URL"),
        ("ftp://api.openai.com", KEY, "no URL"),
        ("wss://bank.openai.azure.com/?api-key=9f81c0", KEY, "has a secret in it"),
        ("wss://user:9f81c0@bank.openai.azure.com/", KEY, "has a secret in it"),
    ],
)
def test_what_is_unclear_is_said_without_the_secret(endpoint, key, said):
    with pytest.raises(ServiceUnclear, match=said) as unclear:
        named_in({"REALTIME_ENDPOINT": endpoint, **({"REALTIME_API_KEY": key} if key else {})})
    assert "9f81c0" not in str(unclear.value)


@pytest.mark.parametrize(
    "agent",
    [stand_in(8066)]
    + [named_in({"REALTIME_ENDPOINT": each, "REALTIME_API_KEY": KEY}) for each, _ in SERVICES],
    ids=lambda agent: agent.endpoint,
)
def test_the_gateway_takes_its_file_and_there_is_no_key_in_it(agent, tmp_path):
    text = gateway_file(agent)
    assert agent.key not in text
    (tmp_path / "gateway.yaml").write_text(text)
    load_gateway_file(tmp_path / "gateway.yaml")
    (profile,) = yaml.safe_load(text)["profiles"].values()
    assert profile["auth"] == {"kind": "key", "secret": "realtime-api-key"}


def test_an_agent_that_is_named_has_no_model(tmp_path):
    agent = named_in({"REALTIME_ENDPOINT": SERVICES[-1][0], "REALTIME_API_KEY": KEY})
    assert "model" not in yaml.safe_load(gateway_file(agent))["profiles"]["realtime"]
