"""Who is let in, before the upgrade."""

import aiohttp
import pytest

from tests.support.realtime import running_realtime_service

QUERY = {"model": "gpt-realtime", "api-version": "2026-07-15"}


async def status(dial, service, **how):
    """The answer to an upgrade, 101 where it comes about."""
    try:
        async with dial(service, **how):
            return 101
    except aiohttp.WSServerHandshakeError as error:
        return error.status


@pytest.mark.parametrize(
    ("dialect", "headers", "expected"),
    [
        ("openai", {"Authorization": "Bearer secret"}, 101),
        ("openai", {"Authorization": "Bearer wrong"}, 401),
        ("openai", {"api-key": "secret"}, 401),
        ("openai", {"Authorization": "Bearer entra"}, 401),
        ("openai", {}, 401),
        ("azure-openai", {"api-key": "secret"}, 101),
        ("azure-openai", {"api-key": "secret", "Authorization": "Bearer secret"}, 101),
        ("azure-openai", {"api-key": "wrong"}, 401),
        ("azure-openai", {"Authorization": "Bearer entra"}, 101),
        ("azure-openai", {"Authorization": "Bearer secret"}, 401),
        ("voice-live", {"api-key": "secret"}, 101),
        ("voice-live", {"Authorization": "bearer entra"}, 101),
        ("voice-live", {"Authorization": "Basic entra"}, 401),
        ("voice-live", {}, 401),
    ],
)
async def test_each_service_takes_its_own_credentials(dial, dialect, headers, expected):
    async with running_realtime_service(key="secret", tokens=frozenset({"entra"})) as service:
        assert await status(dial, service, dialect=dialect, headers=headers) == expected
        assert service.counters["refused_401"] == (expected == 401)


async def test_without_a_key_everybody_is_let_in(dial):
    async with running_realtime_service() as service:
        assert await status(dial, service) == 101


@pytest.mark.parametrize("name", ["api-key", "access_token", "Authorization"])
async def test_a_secret_in_the_url_is_refused(dial, name):
    async with running_realtime_service(key="secret") as service:
        query = {**QUERY, name: "secret"}
        headers = {"api-key": "secret"}
        assert await status(dial, service, dialect="voice-live", query=query, headers=headers) == 401


@pytest.mark.parametrize(
    ("dialect", "query", "expected"),
    [
        ("openai", {}, 400),
        ("azure-openai", {"deployment": "gpt-realtime"}, 400),
        ("voice-live", {"model": "gpt-realtime"}, 400),
        ("voice-live", {"api-version": "2026-07-15"}, 400),
        ("voice-live", {"api-version": "2026-07-15", "agent-name": "desk"}, 400),
        (
            "voice-live",
            {"api-version": "2026-07-15", "agent-name": "desk", "agent-project-name": "bank"},
            101,
        ),
    ],
)
async def test_the_url_names_a_model_or_an_agent(dial, dialect, query, expected):
    async with running_realtime_service() as service:
        assert await status(dial, service, dialect=dialect, query=query) == expected


async def test_an_agent_is_shown_in_the_session(dial):
    query = {"api-version": "2026-07-15", "agent-name": "desk", "agent-project-name": "bank"}
    async with running_realtime_service() as service, dial(service, "voice-live", query) as client:
        session = (await client.next())["session"]
        assert session["agent"]["name"] == "desk"
        assert session["model"] is None
        assert service.sessions[0].query["agent-project-name"] == "bank"


async def test_the_betas_header_is_refused(dial):
    async with running_realtime_service() as service:
        assert await status(dial, service, headers={"OpenAI-Beta": "realtime=v1"}) == 400


async def test_more_connections_in_a_minute_are_put_off(dial):
    async with running_realtime_service(connections_per_minute=2) as service:
        async with dial(service), dial(service):
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                async with dial(service):
                    pass
        assert refused.value.status == 429
        assert 59 <= int(refused.value.headers["Retry-After"]) <= 60
        assert service.counters == {"opened": 2, "refused_429": 1}


async def test_other_paths_and_plain_requests():
    async with running_realtime_service() as service, aiohttp.ClientSession() as http:
        async with http.get(f"{service.base_url}/healthz") as response:
            assert (response.status, await response.json()) == (200, {"status": "alive"})
        async with http.get(f"{service.base_url}/v2/realtime?model=m") as response:
            assert response.status == 404
        async with http.get(f"{service.base_url}/v1/realtime?model=m") as response:
            assert response.status == 400
