"""Whether what is configured fits together."""

from shared.admin.checks.contract import Check, Failed, Site, routing_or_skip
from shared.core.flow_model import Http
from shared.core.profiles import HttpTool, RealtimeAgent, Routing
from shared.gateway_document import shared_numbers
from shared.in_turns import in_turns

AT_ONCE = 4
"""Reads of the vault, which has a limit for all who use it."""


async def routes(site: Site) -> str:
    """Look for the account of each route; that its profile is there, the profiles' own check says."""
    routing = await routing_or_skip(site)
    if not routing.routes:
        raise Failed("no route: nobody answers any call")
    accounts = {account.account_id: account for account in await site.connections.accounts.all()}
    named = {route.account for route in routing.routes}
    if missing := named - accounts.keys():
        raise Failed(f"routes of accounts that are not there: {', '.join(sorted(missing))}")
    if disabled := {name for name in named if not accounts[name].enabled}:
        raise Failed(
            f"routes of accounts that are disabled: {', '.join(sorted(disabled))}",
            "admin accounts enable --account ID, or take their routes away",
        )
    found = f"{len(routing.routes)} routes of {len(named)} accounts"
    moving = len(shared_numbers(routing))
    return f"{found}; {moving} numbers are routed by several of them" if moving else found


async def secrets(site: Site) -> str:
    """Look for the secrets of tools' and flows' headers; those that agents connect by, the agents' own check has."""
    names = sorted(_named_secrets(await routing_or_skip(site)))
    values = await in_turns(site.connections.vault.value, names, at_once=AT_ONCE)
    if missing := [name for name, value in zip(names, values, strict=True) if value is None]:
        raise Failed(f"Key Vault has no secret {', '.join(missing)}")
    return f"{len(names)} secrets of tools and flows are there"


def _named_secrets(routing: Routing) -> set[str]:
    agents = [profile.agent for profile in routing.profiles.values()]
    asking: list[HttpTool | Http] = [
        tool for agent in agents if isinstance(agent, RealtimeAgent) for tool in agent.tools
    ]
    asking += [
        step for flow in routing.flows.values() for step in flow.steps.values() if isinstance(step, Http)
    ]
    return {name for each in asking for name in each.secret_headers.values()}


CHECKS = (
    Check(
        "routes",
        "each route's account is there, and may deliver calls",
        routes,
        "admin accounts create --account ID, or admin numbers unroute",
    ),
    Check(
        "secrets",
        "Key Vault has the secrets that tools and flows name",
        secrets,
        "set them (az keyvault secret set), and name them in agentSecrets and flowSecrets: docs/deploy.md, Choices",
    ),
)
