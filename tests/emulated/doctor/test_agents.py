"""The doctor's try of realtime agents: each dialect by its own door, and what each refusal is told as."""

from types import SimpleNamespace

import aiohttp
import pytest

from shared.admin.checks import agents
from shared.admin.checks.agents import CHECKS
from shared.admin.checks.contract import Outcome, examine
from shared.core.profiles import (
    AgentProfile,
    AudioFormat,
    Dialect,
    EchoAgent,
    EntraAuth,
    KeyAuth,
    RealtimeAgent,
    Routing,
)
from shared.errors import IdentityUnavailable
from tests.support.realtime import running_realtime_service

KEY, TOKEN = "the-key", "the-token"
SCOPE = "https://ai.azure.com/.default"
(CHECK,) = CHECKS


@pytest.fixture
async def examined(monkeypatch):
    """Examine one profile beside an echo: `await examined(agent, secret=..., token=...)`."""

    async def make(agent, *, secret=KEY, token=TOKEN):
        profiles = {
            "desk": AgentProfile("desk", agent, AudioFormat.PCM24K),
            "echo": AgentProfile("echo", EchoAgent(), AudioFormat.PCM16K),
        }

        async def routing(_):
            return Routing(profiles=profiles, routes=())

        async def value(_name):
            return secret

        async def give(_scope):
            if token is None:
                raise IdentityUnavailable("Entra gave no token")
            return token

        monkeypatch.setattr(agents, "routing_or_skip", routing)
        connections = SimpleNamespace(vault=SimpleNamespace(value=value), entra=SimpleNamespace(token=give))
        async with aiohttp.ClientSession() as http:
            return await examine(CHECK, SimpleNamespace(connections=connections, http=http))

    return make


def realtime(service, dialect=Dialect.OPENAI, auth=None, **changes):
    return RealtimeAgent(dialect, service.url(dialect.value), auth, **({"model": "gpt-realtime"} | changes))


@pytest.mark.parametrize("dialect", Dialect)
async def test_a_service_of_each_dialect_takes_a_session_and_speaks(examined, dialect):
    async with running_realtime_service("parrot", key=KEY) as service:
        found = await examined(realtime(service, dialect, KeyAuth("key"), instructions="Be short."))
    assert (found.outcome, found.found) == (Outcome.PASS, "1 realtime agents speak, 1 need no service")


@pytest.mark.parametrize(
    ("service_has", "agent_has", "given", "said"),
    [
        ({"key": KEY}, {"auth": KeyAuth("key")}, {"secret": "another"}, "the service refuses the credential"),
        ({"key": KEY}, {"auth": KeyAuth("key")}, {"secret": None}, "Key Vault has no secret key"),
        ({"key": KEY}, {"auth": EntraAuth(SCOPE)}, {"token": None}, "Entra gave no token"),
        ({}, {"model": None}, {}, "the service answers 400"),
        ({}, {"endpoint": "ws://127.0.0.1:9/"}, {}, "the service does not answer (ClientConnectorError)"),
        ({"troubles": ["deaf"]}, {}, {}, "no session.created came in time"),
        ({"troubles": ["rate-limit"]}, {}, {}, "the service said nothing, code rate_limit_exceeded"),
        ({}, {}, {}, "the service said nothing, code none"),
    ],
    ids=["key", "secret", "identity", "model", "address", "deaf", "quota", "silent"],
)
async def test_a_service_that_no_call_would_get_through_to_is_a_fault(
    examined, monkeypatch, service_has, agent_has, given, said
):
    monkeypatch.setattr(agents, "EVENT_S", 0.2)
    async with running_realtime_service(**service_has) as service:
        agent = realtime(service)
        agent = RealtimeAgent(
            agent.dialect,
            agent_has.get("endpoint", agent.endpoint),
            agent_has.get("auth"),
            agent_has.get("model", agent.model),
        )
        found = await examined(agent, **given)
    assert (found.outcome, found.found) == (Outcome.FAIL, f"desk: {said}")


async def test_a_service_that_knows_pods_by_identity_need_not_know_whoever_runs_this(examined):
    async with running_realtime_service(key=KEY) as service:
        found = await examined(
            realtime(service, Dialect.VOICE_LIVE, EntraAuth(SCOPE)), token="the-deployer-s"
        )
    assert found.outcome is Outcome.SKIP
    assert found.found.startswith("desk: the service does not let in whoever runs this")
