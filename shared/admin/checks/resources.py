"""The resources of Azure as the management API shows them: the ACS resource's id, and the link to Azure AI."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from shared.admin.checks.contract import Check, Failed, Site, Skipped, routing_or_skip
from shared.admin.checks.management import listed, resources
from shared.core import ai_link as ai_link_faults
from shared.core.ai_link import Advice

ACS = "Microsoft.Communication/communicationServices"
ACS_API_VERSION = "2025-09-01"
AI = "Microsoft.CognitiveServices/accounts"
AI_API_VERSION = "2025-12-01"
AI_KINDS = frozenset({"CognitiveServices", "AIServices"})
AI_ROLE = "a97b65f3-24c7-4388-baec-2e87135dc908"
"""Cognitive Services User, in every tenant."""
ROLES_API_VERSION = "2022-04-01"
REGIONAL_HOSTS = ".api.cognitive.microsoft.com"
ANY_REGION = "ALLOW_ANY_AI_REGION"
"""What the templates take for the same: the list of regions may be older than the service."""
REGIONS_FILE = Path(__file__).resolve().parents[3] / "bicep" / "ai-link-regions.json"


async def acs_resource(site: Site) -> str:
    """Compare the id that ACS's JWT must name with the resource's own."""
    settings = site.settings.common.acs_tokens
    if settings is None:
        raise Skipped("ACS's own JWT is not checked (ACS_JWT_VERIFIED_ON), so the id does not matter")
    properties = (await _acs(site))["properties"]
    if str(properties.get("immutableResourceId", "")).lower() != settings.audience.lower():
        raise Failed("ACS_RESOURCE_ID is not the immutable id of this resource")
    return "ACS_RESOURCE_ID is the resource's immutable id"


async def ai_link(site: Site) -> str:
    """Look at the account that ACS speaks texts by, and at what lets ACS use it."""
    endpoint = site.settings.cognitive_services_endpoint
    if endpoint is None:
        if any(route.flow for route in (await routing_or_skip(site)).routes):
            raise _failed(ai_link_faults.NO_ENDPOINT)
        raise Skipped(
            "COGNITIVE_SERVICES_ENDPOINT is not set, and no flow is routed: nothing is spoken by text"
        )
    host = urlsplit(endpoint).hostname or ""
    if host.endswith(REGIONAL_HOSTS):
        raise _failed(ai_link_faults.NO_DOMAIN)
    async with site.http.get(endpoint, allow_redirects=False) as response:
        seen = [f"the endpoint answers {response.status}"]
    try:
        account = await _account(site, host)
        seen.append(_kind_and_region(site, account))
        seen.append(await _role(site, account["id"]))
    except Skipped as reason:
        seen.append(f"no more is looked at: {reason}")
    return "; ".join(seen)


async def _acs(site: Site) -> dict[str, Any]:
    """Return the ACS resource as the management API shows it. Raises `Skipped`."""
    host = urlsplit(site.settings.common.acs_endpoint).hostname
    for resource in await resources(site, ACS, ACS_API_VERSION):
        if str(resource["properties"].get("hostName", "")).lower() == host:
            return resource
    raise Skipped("the ACS resource is in another resource group")


async def _account(site: Site, host: str) -> dict[str, Any]:
    """Return the Azure AI account likewise. Raises `Skipped`."""
    for account in await resources(site, AI, AI_API_VERSION):
        if urlsplit(str(account["properties"].get("endpoint", ""))).hostname == host:
            return account
    raise Skipped("the Azure AI account is in another resource group")


def _kind_and_region(site: Site, account: Mapping[str, Any]) -> str:
    kind, region = account["kind"], account["location"].replace(" ", "").lower()
    if kind not in AI_KINDS:
        raise _failed(ai_link_faults.WRONG_KIND, f"its kind is {kind}")
    # The image has no templates, and so no list.
    is_any_taken = site.env.get(ANY_REGION) == "true" or not REGIONS_FILE.is_file()
    if not is_any_taken and region not in json.loads(REGIONS_FILE.read_bytes()):
        raise _failed(ai_link_faults.WRONG_REGION, f"it is in {region}")
    return f"{kind} in {region}"


async def _role(site: Site, account_id: str) -> str:
    principal = ((await _acs(site)).get("identity") or {}).get("principalId")
    if not principal:
        raise _failed(ai_link_faults.IDENTITY_OFF)
    given = await listed(
        site,
        f"{account_id}/providers/Microsoft.Authorization/roleAssignments",
        ROLES_API_VERSION,
        where=f"principalId eq '{principal}'",
    )
    if not any(each["properties"]["roleDefinitionId"].lower().endswith(AI_ROLE) for each in given):
        raise _failed(ai_link_faults.NO_ROLE)
    return "ACS's identity may use it"


def _failed(advice: Advice, seen: str = "") -> Failed:
    return Failed(f"{advice.wrong}: {seen}" if seen else advice.wrong, advice.do)


CHECKS = (
    Check(
        "acs-resource",
        "ACS_RESOURCE_ID is the immutable id of the ACS resource",
        acs_resource,
        "take the id from the portal: the ACS resource, JSON view, immutableResourceId",
    ),
    Check(
        "ai-link",
        "ACS is linked to the Azure AI account",
        ai_link,
        "docs/deploy.md, The link to Azure AI",
    ),
)
