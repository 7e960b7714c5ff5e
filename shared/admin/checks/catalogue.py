"""All checks, in the order in which a call needs what they prove; and what is known without asking anybody."""

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager

import aiohttp

from shared.adapters.connect import connect
from shared.admin.checks import accounts, agents, call, event_grid, outside, resources, services
from shared.admin.checks.contract import Check, Finding, Outcome, Site, examine, is_local
from shared.config import FunctionsSettings, SettingsInvalid, functions_settings, media_settings

SETTINGS = "settings"
SETTINGS_ADVICE = "docs/operating.md, Settings; azd env get-values has those of a deployment"
CHECKS: tuple[Check, ...] = (
    *services.CHECKS,
    *resources.CHECKS,
    *outside.CHECKS,
    *accounts.CHECKS,
    *event_grid.CHECKS,
    *agents.CHECKS,
    *call.CHECKS,
)
LAST = CHECKS[-1]
"""It is what the others are for: made when none of them has failed."""
NAMES = tuple(check.name for check in CHECKS)
REQUEST_S = 10.0
"""For one request of a check."""


async def examine_all(
    env: Mapping[str, str], *, wants_local: bool | None = None, without: Collection[str] = ()
) -> list[Finding]:
    """Make every check that the settings allow.

    Args:
        env: has the settings of both processes.
        wants_local: which of a local stack and Azure they must be of; None: either.
        without: names of checks that are left out.
    """
    settings, finding = _settings(env, wants_local)
    asked_for = [check for check in CHECKS if check.name not in without]
    left_out = [Finding(name, Outcome.SKIP, "left out, as asked") for name in NAMES if name in without]
    if settings is None:
        reason = "the settings are not good"
        return [finding, *(Finding(check.name, Outcome.SKIP, reason) for check in asked_for), *left_out]
    async with open_site(env, settings) as site:
        return [finding, *await _examined(asked_for, site), *left_out]


async def _examined(checks: Sequence[Check], site: Site) -> list[Finding]:
    found = list(await asyncio.gather(*(examine(check, site) for check in checks if check is not LAST)))
    if LAST not in checks:
        return found
    if any(finding.outcome is Outcome.FAIL for finding in found):
        return [*found, Finding(LAST.name, Outcome.SKIP, "something else has failed")]
    return [*found, await examine(LAST, site)]


@asynccontextmanager
async def open_site(env: Mapping[str, str], settings: FunctionsSettings) -> AsyncIterator[Site]:
    """Open what checks look at, with the rights of whoever runs them."""
    timeout = aiohttp.ClientTimeout(total=REQUEST_S)
    async with connect(settings.common) as connections, aiohttp.ClientSession(timeout=timeout) as http:
        yield Site(env, settings, connections, http)


def _settings(env: Mapping[str, str], wants_local: bool | None) -> tuple[FunctionsSettings | None, Finding]:
    faults: dict[str, None] = {}
    settings = None
    try:
        settings = functions_settings(env)
    except SettingsInvalid as invalid:
        faults |= dict.fromkeys(invalid.faults)
    try:
        media_settings(env)
    except SettingsInvalid as invalid:
        faults |= dict.fromkeys(invalid.faults)
    if settings is not None and wants_local is not None and is_local(settings) is not wants_local:
        faults["ACS_ENDPOINT is " + ("of Azure" if wants_local else "on this machine")] = None
    if faults or settings is None:
        return None, Finding(SETTINGS, Outcome.FAIL, "; ".join(faults), SETTINGS_ADVICE)
    where = "a local stack" if is_local(settings) else "Azure"
    return settings, Finding(SETTINGS, Outcome.PASS, f"good for both processes, of {where}")
