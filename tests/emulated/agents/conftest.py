"""A media gateway whose calls are answered by a realtime agent on the bundled stand-in."""

from contextlib import asynccontextmanager

import pytest

from shared.core.profiles import AudioFormat, Dialect, KeyAuth, RealtimeAgent
from tests.support.media import MemoryOutside, running_gateway
from tests.support.realtime import running_realtime_service

KEY_SECRET = "realtime-key"
KEY = "sk-not-a-real-key"


def agent_on(service, dialect="openai", **changes):
    """The settings of an agent on the stand-in."""
    model = None if "agent-name" in changes.get("query", {}) else "gpt-realtime"
    fields = {
        "dialect": Dialect(dialect),
        "endpoint": service.url(dialect),
        "auth": KeyAuth(KEY_SECRET),
        "model": model,
        "instructions": "You answer calls for a bank.",
    }
    return RealtimeAgent(**{**fields, **changes})


@asynccontextmanager
async def realtime_call(service, gateway, dialect="openai", *, rate=None, profile=None, **changes):
    """Place a call that the agent answers; yield it and the service's session, configured."""
    rate = rate or (AudioFormat.PCM16K if dialect == "voice-live" else AudioFormat.PCM24K)
    number = len(service.sessions)
    call = await gateway.place(agent_on(service, dialect, **changes), audio_format=rate, **(profile or {}))
    session = await service.session(number)
    await session.expect("session.update")
    yield call, session


@pytest.fixture
async def service():
    async with running_realtime_service(key=KEY) as running:
        yield running


@pytest.fixture
async def gateway():
    outside = MemoryOutside()
    outside.vault.secrets[KEY_SECRET] = KEY
    async with running_gateway(outside=outside) as running:
        yield running
