"""The resources of Azure as the management API shows them: the ACS resource's id, and the link to Azure AI."""

import json
from pathlib import Path
from urllib.parse import urlsplit

from shared.admin.checks.contract import Check, Failed, Site, Skipped
from shared.admin.checks.management import resources

ACS = "Microsoft.Communication/communicationServices"
ACS_API_VERSION = "2025-09-01"
AI = "Microsoft.CognitiveServices/accounts"
AI_API_VERSION = "2025-12-01"
AI_KINDS = frozenset({"CognitiveServices", "AIServices"})
REGIONS_FILE = Path(__file__).resolve().parents[3] / "bicep" / "ai-link-regions.json"


async def acs_resource(site: Site) -> str:
    """Compare the id that ACS's JWT must name with the resource's own."""
    settings = site.settings.common.acs_tokens
    if settings is None:
        raise Skipped("ACS's own JWT is not checked (ACS_JWT_VERIFIED_ON), so the id does not matter")
    host = urlsplit(site.settings.common.acs_endpoint).hostname
    for resource in await resources(site, ACS, ACS_API_VERSION):
        properties = resource["properties"]
        if str(properties.get("hostName", "")).lower() == host:
            if str(properties.get("immutableResourceId", "")).lower() != settings.audience.lower():
                raise Failed("ACS_RESOURCE_ID is not the immutable id of this resource")
            return "ACS_RESOURCE_ID is the resource's immutable id"
    raise Skipped("the ACS resource is in another resource group")


async def ai_link(site: Site) -> str:
    """Look at the account that ACS speaks texts by."""
    endpoint = site.settings.cognitive_services_endpoint
    if endpoint is None:
        raise Skipped("COGNITIVE_SERVICES_ENDPOINT is not set: nothing is spoken by text")
    host = urlsplit(endpoint).hostname or ""
    if host.endswith(".api.cognitive.microsoft.com"):
        raise Failed(
            "the endpoint is a region's, and takes no identity", "give the account a custom subdomain"
        )
    async with site.http.get(endpoint, allow_redirects=False) as response:
        answered = f"the endpoint answers {response.status}"
    try:
        accounts = await resources(site, AI, AI_API_VERSION)
    except Skipped as reason:
        return f"{answered}; kind and region are not looked at: {reason}"
    for account in accounts:
        if urlsplit(str(account["properties"].get("endpoint", ""))).hostname == host:
            return f"{answered}; {_kind_and_region(account['kind'], account['location'])}"
    return f"{answered}; kind and region are not looked at: the account is in another resource group"


def _kind_and_region(kind: str, location: str) -> str:
    if kind not in AI_KINDS:
        raise Failed(
            f"the account is of the kind {kind}", f"ACS links to {' and '.join(sorted(AI_KINDS))} alone"
        )
    region = location.replace(" ", "").lower()
    if REGIONS_FILE.is_file() and region not in json.loads(REGIONS_FILE.read_bytes()):
        raise Failed(f"{region} is not among the regions of the link")
    return f"{kind} in {region}"


CHECKS = (
    Check(
        "acs-resource",
        "ACS_RESOURCE_ID is the immutable id of the ACS resource",
        acs_resource,
        "take the id from the portal: the ACS resource, JSON view, immutableResourceId",
    ),
    Check(
        "ai-link",
        "ACS can be linked to the Azure AI account",
        ai_link,
        "docs/deploy.md, The link to Azure AI",
    ),
)
