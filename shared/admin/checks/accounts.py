"""Whether what is configured fits together."""

from shared.admin.checks.contract import Check, Failed, Site, routing_or_skip
from shared.gateway_document import shared_numbers


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


CHECKS = (
    Check(
        "routes",
        "each route's account is there, and may deliver calls",
        routes,
        "admin accounts create --account ID, or admin numbers unroute",
    ),
)
