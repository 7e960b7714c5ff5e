"""The agent of a realtime voice service in the demo: which service, and the gateway file that leads calls to it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qsl, urlsplit

import yaml

from emulator.numbers import CALLED
from emulator.ports import LOOPBACK
from emulator.realtime.access import SECRETS_IN_QUERY
from emulator.realtime.dialects import PATHS, Dialect
from emulator.realtime.settings import WELL_KNOWN_KEY
from emulator.seeding import ACCOUNT, REALTIME_SECRET

ENDPOINT: Final = "REALTIME_ENDPOINT"
API_KEY: Final = "REALTIME_API_KEY"
"""Variables of the environment that name a service in place of the stand-in."""

PROFILE: Final = "realtime"
MODEL: Final = "gpt-realtime"
VOICE_LIVE_VERSION: Final = "2025-10-01"
INSTRUCTIONS: Final = (
    "You answer the telephone for a small bank. Keep every answer to one or two short sentences."
)
GREETING: Final = "Greet the caller in one short sentence and offer your help."

_SCHEMES: Final[Mapping[str, str]] = {"https": "wss", "wss": "wss", "http": "ws", "ws": "ws"}


class ServiceUnclear(ValueError):
    """The environment does not say which service is meant; the text says what is wrong with it."""


@dataclass(frozen=True)
class RealtimeAgent:
    """A service that the demo's agent is at.

    Attributes:
        dialect: what it speaks.
        endpoint: its WebSocket URL, without a query.
        model: model or deployment; None where an agent is named in the query.
        key: its API key.
        query: further parameters of the URL.
    """

    dialect: Dialect
    endpoint: str
    model: str | None
    key: str = field(repr=False)
    query: Mapping[str, str] = field(default_factory=dict)


def stand_in(port: int) -> RealtimeAgent:
    """Return the stand-in of the local stack."""
    path = next(path for path, dialect in PATHS.items() if dialect is Dialect.OPENAI)
    return RealtimeAgent(Dialect.OPENAI, f"ws://{LOOPBACK}:{port}{path}", MODEL, WELL_KNOWN_KEY)


def named_in(environment: Mapping[str, str]) -> RealtimeAgent | None:
    """Return the service that the environment names, if it names one.

    `REALTIME_ENDPOINT` may be the URL that the service's page shows: by HTTP or WebSocket, with or without the last
    parts of the path, and with a query.

    Raises:
        ServiceUnclear: it is no URL, has a secret in it, or there is no `REALTIME_API_KEY`.
    """
    text, key = environment.get(ENDPOINT), environment.get(API_KEY)
    if not text:
        return None
    if not key:
        raise ServiceUnclear(f"{ENDPOINT} is set, {API_KEY} is not")
    url = urlsplit(text)
    if url.scheme not in _SCHEMES or not url.hostname:
        raise ServiceUnclear(f"{ENDPOINT} is no URL of a service")
    query = dict(parse_qsl(url.query))
    if SECRETS_IN_QUERY & {name.lower() for name in query} or url.username:
        raise ServiceUnclear(f"{ENDPOINT} has a secret in it; that belongs into {API_KEY}")
    dialect = _dialect(url.hostname, url.path)
    # Azure's preview names the deployment so, and a version that there is none of any more.
    model = query.pop("model", query.pop("deployment", None))
    if dialect is Dialect.AZURE_OPENAI:
        query.pop("api-version", None)
    if dialect is Dialect.VOICE_LIVE:
        query.setdefault("api-version", VOICE_LIVE_VERSION)
    if model is None and "agent-name" not in query:
        model = MODEL
    usual = next(path for path, known in PATHS.items() if known is dialect)
    path = url.path if url.path.endswith("/realtime") and dialect is Dialect.VOICE_LIVE else usual
    return RealtimeAgent(dialect, f"{_SCHEMES[url.scheme]}://{url.netloc}{path}", model, key, query)


def gateway_file(agent: RealtimeAgent) -> str:
    """Return a gateway file whose one number is answered by this agent. There is no secret in it."""
    profile = {
        "kind": "realtime",
        "dialect": str(agent.dialect),
        "endpoint": agent.endpoint,
        "auth": {"kind": "key", "secret": REALTIME_SECRET},
        "instructions": INSTRUCTIONS,
        "greeting": GREETING,
        "recording": {"format": "wav"},
    }
    if agent.model is not None:
        profile["model"] = agent.model
    if agent.query:
        profile["query"] = dict(agent.query)
    route = {"account": ACCOUNT, "to": CALLED, "profile": PROFILE}
    content = {"version": 1, "profiles": {PROFILE: profile}, "routes": [route]}
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True)


def _dialect(host: str, path: str) -> Dialect:
    if "voice-live" in path:
        return Dialect.VOICE_LIVE
    if host.endswith(".openai.azure.com") or path.startswith("/openai/v1"):
        return Dialect.AZURE_OPENAI
    return Dialect.OPENAI
