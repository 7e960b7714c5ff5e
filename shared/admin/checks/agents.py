"""The services behind realtime profiles: each is connected to, takes a session, and speaks."""

import asyncio
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import aiohttp

from shared.admin.checks.contract import (
    REFUSED_STATUSES,
    Check,
    Failed,
    Outcome,
    Site,
    Skipped,
    routing_or_skip,
)
from shared.core.profiles import AgentProfile, Dialect, EntraAuth, KeyAuth, RealtimeAgent
from shared.errors import GatewayError
from shared.in_turns import in_turns

AT_ONCE = 4
"""Sessions: what a service has room for is there for calls."""
CONNECT_S = 5.0
EVENT_S = 5.0
"""For each event, the first sound too."""
VOICE_LIVE_API_VERSION = "2025-10-01"
GREETING: Mapping[str, object] = {
    "type": "response.create",
    "response": {"instructions": "Say hello, and nothing else."},
}
SOUNDS = ("response.output_audio.delta", "response.audio.delta")
"""Voice Live has kept the older name."""
REFUSALS: Mapping[int, str] = {
    401: "refuses the credential",
    403: "refuses the credential",
    404: "has no such model",
}


async def agents(site: Site) -> str:
    """Open a session for each realtime profile with its own instructions, and have it say hello to nobody."""
    routing = await routing_or_skip(site)
    realtime = [profile for profile in routing.profiles.values() if isinstance(profile.agent, RealtimeAgent)]

    async def examined(profile: AgentProfile) -> tuple[Outcome, str]:
        return await _examined(site, profile)

    found = await in_turns(examined, realtime, at_once=AT_ONCE)
    if faults := [fault for outcome, fault in found if outcome is Outcome.FAIL]:
        raise Failed("; ".join(faults))
    if unseen := [reason for outcome, reason in found if outcome is Outcome.SKIP]:
        raise Skipped("; ".join(unseen))
    return f"{len(realtime)} realtime agents speak, {len(routing.profiles) - len(realtime)} need no service"


async def _examined(site: Site, profile: AgentProfile) -> tuple[Outcome, str]:
    agent = profile.agent
    assert isinstance(agent, RealtimeAgent)  # noqa: S101 - the caller has chosen them
    try:
        async with asyncio.timeout(CONNECT_S + 3 * EVENT_S):
            await _talk(site, agent)
    except aiohttp.WSServerHandshakeError as refusal:
        if refusal.status in REFUSED_STATUSES and isinstance(agent.auth, EntraAuth):
            reason = "the service does not let in whoever runs this; pods come with an identity of their own"
            return Outcome.SKIP, f"{profile.name}: {reason}"
        said = REFUSALS.get(refusal.status, f"answers {refusal.status}")
        return Outcome.FAIL, f"{profile.name}: the service {said}"
    except (Failed, GatewayError) as error:
        return Outcome.FAIL, f"{profile.name}: {error}"
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        return Outcome.FAIL, f"{profile.name}: the service does not answer ({type(error).__name__})"
    return Outcome.PASS, ""


async def _talk(site: Site, agent: RealtimeAgent) -> None:
    headers = await _headers(site, agent)
    timeout = aiohttp.ClientWSTimeout(ws_receive=EVENT_S)
    async with site.http.ws_connect(_url(agent), headers=headers, timeout=timeout, max_msg_size=0) as socket:
        await _event(socket, "session.created")
        session: dict[str, Any] = {"instructions": agent.instructions}
        if agent.dialect is not Dialect.VOICE_LIVE:
            session["type"] = "realtime"
        await socket.send_json({"type": "session.update", "session": session})
        await _event(socket, "session.updated")
        # What a session does not show: a quota that is used up fails the response.
        await socket.send_json(GREETING)
        await _event(socket, *SOUNDS)


async def _event(socket: aiohttp.ClientWebSocketResponse, *wanted: str) -> None:
    """Wait for an event of the service; others that come first mean nothing here, but for a failure."""
    while True:
        try:
            event = await socket.receive_json()
        except TimeoutError:
            raise Failed(f"no {wanted[0]} came in time") from None
        except (TypeError, ValueError):
            raise Failed(f"no {wanted[0]} came before the end of the connection") from None
        kind = event.get("type") if isinstance(event, dict) else None
        if kind in wanted:
            return
        if kind == "error":
            raise Failed(f"the service says there is an error, code {_code(event)}")
        if kind == "response.done":
            details = (event.get("response") or {}).get("status_details") or {}
            raise Failed(f"the service said nothing, code {_code(details)}")


def _code(source: Mapping[str, Any]) -> str:
    return str((source.get("error") or {}).get("code") or "none")


async def _headers(site: Site, agent: RealtimeAgent) -> dict[str, str]:
    match agent.auth:
        case KeyAuth(secret=name):
            value = await site.connections.vault.value(name)
            if value is None:
                raise Failed(f"Key Vault has no secret {name}")
            key = value.strip()
            return {"Authorization": f"Bearer {key}"} if agent.dialect is Dialect.OPENAI else {"api-key": key}
        case EntraAuth(scope=scope):
            return {"Authorization": f"Bearer {await site.connections.entra.token(scope)}"}
    return {}


def _url(agent: RealtimeAgent) -> str:
    query = {"api-version": VOICE_LIVE_API_VERSION} if agent.dialect is Dialect.VOICE_LIVE else {}
    if agent.model is not None:
        query["model"] = agent.model
    return f"{agent.endpoint}?{urlencode({**query, **agent.query})}"


CHECKS = (
    Check(
        "agents",
        "each realtime profile's service connects, takes a session, and speaks",
        agents,
        "check the profile's endpoint, model and auth, that the secret's value is the service's key, and its quota",
    ),
)
