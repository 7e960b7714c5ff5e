"""What a check of the doctor is, what it may look at, and what comes of it."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from http import HTTPStatus
from urllib.parse import urlsplit

import aiohttp
from azure.core.exceptions import AzureError, HttpResponseError

from shared.adapters.connect import Connections
from shared.adapters.profile_store import BlobProfileStore
from shared.config import FunctionsSettings
from shared.core.profiles import Routing
from shared.core.tool_hosts import LOOPBACK_HOSTS
from shared.errors import GatewayError, NotConfigured
from shared.gateway_document import DocumentInvalid, decode, to_routing

CHECK_S = 30.0
"""For one check; all run at the same time."""
REFUSED_STATUSES = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})


class Outcome(StrEnum):
    """What came of a check."""

    PASS = "pass"  # noqa: S105 - a word of the report
    FAIL = "fail"
    SKIP = "skip"


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found. No text holds a number, a word or a secret: reports end up in logs of deployments."""

    check: str
    outcome: Outcome
    found: str
    advice: str = ""
    """What to do about a failure."""


class Failed(Exception):
    """What the check proves is not so. The text is for the operator; `advice` stands in for the check's own."""

    def __init__(self, found: str, advice: str | None = None) -> None:
        super().__init__(found)
        self.advice = advice


class Skipped(Exception):
    """The check cannot be made here; the text says why."""


@dataclass(frozen=True, slots=True)
class Site:
    """A deployment, or a local stack, as whoever runs the doctor reaches it."""

    env: Mapping[str, str] = field(repr=False)
    settings: FunctionsSettings
    connections: Connections
    http: aiohttp.ClientSession
    management_url: str = "https://management.azure.com"

    @property
    def is_local(self) -> bool:
        """Whether this is a stack on this machine."""
        return is_local(self.settings)

    @property
    def is_entered_by_identity(self) -> bool:
        """Whether all services know us as who we are, and so may let the processes do what they forbid us."""
        common = self.settings.common
        keys = (common.acs_access_key, common.storage.connection_string, common.web_pubsub.connection_string)
        return not any(keys) and not common.vault.local_credential


@dataclass(frozen=True, slots=True)
class Check:
    """One check; `run` returns what it saw, or raises `Failed`, `Skipped` or an error of what it asked."""

    name: str
    proves: str
    run: Callable[[Site], Awaitable[str]]
    advice: str
    """What to do when it fails."""


async def examine(check: Check, site: Site) -> Finding:
    """Make a check, in its time."""
    try:
        async with asyncio.timeout(CHECK_S):
            return Finding(check.name, Outcome.PASS, await check.run(site))
    except Skipped as reason:
        return Finding(check.name, Outcome.SKIP, str(reason))
    except Failed as failed:
        advice = check.advice if failed.advice is None else failed.advice
        return Finding(check.name, Outcome.FAIL, str(failed), advice)
    except (GatewayError, AzureError) as error:
        if site.is_entered_by_identity and _is_refusal(error):
            found = "whoever runs this has no role for it; that the processes have, their own readiness says"
            return Finding(check.name, Outcome.SKIP, found)
        # An SDK's own text may name tenants, accounts and addresses with tokens.
        found = str(error) if isinstance(error, GatewayError) else type(error).__name__
        return Finding(check.name, Outcome.FAIL, found, check.advice)
    except TimeoutError:
        return Finding(check.name, Outcome.FAIL, "no answer in time", check.advice)
    except aiohttp.ClientError as error:
        return Finding(check.name, Outcome.FAIL, f"no good answer: {type(error).__name__}", check.advice)


def is_local(settings: FunctionsSettings) -> bool:
    """Whether the settings are those of a stack on this machine."""
    return urlsplit(settings.common.acs_endpoint).hostname in LOOPBACK_HOSTS


async def routing_in_force(site: Site) -> Routing:
    """Return the profiles and routes that calls are answered by.

    Raises:
        NotConfigured: nothing was ever pushed, or what is in force is not good.
        StoreUnavailable: storage is away, or refuses.
    """
    store = BlobProfileStore(site.connections.config_blobs)
    current = await store.current()
    if current is None:
        raise NotConfigured("no profiles were ever pushed")
    try:
        return to_routing(decode(await store.document(current.version)))
    except DocumentInvalid as invalid:
        raise NotConfigured(f"version {current.version} is not good at: {invalid}") from None


async def routing_or_skip(site: Site) -> Routing:
    """Return what `routing_in_force` does, for a check that is about something else. Raises `Skipped`."""
    try:
        return await routing_in_force(site)
    except GatewayError:
        raise Skipped("the profiles in force cannot be read: see `profiles`") from None


def _is_refusal(error: BaseException) -> bool:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, HttpResponseError) and cause.status_code in REFUSED_STATUSES:
            return True
        cause = cause.__cause__
    return False
