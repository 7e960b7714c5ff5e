"""What only Azure's management API tells: read where whoever runs the doctor may read it."""

from typing import Any
from urllib.parse import urlencode, urlsplit

from shared.admin.checks.contract import REFUSED_STATUSES, Failed, Site, Skipped
from shared.errors import IdentityUnavailable

SCOPE = "https://management.azure.com/.default"
MAX_PAGES = 20
"""Of one list; a resource group with more is none that the templates made."""


async def resources(site: Site, kind: str, api_version: str) -> list[dict[str, Any]]:
    """Return the resources of a kind in the deployment's resource group.

    Raises:
        Skipped: it is not known where they would be, or we may not look.
    """
    names = ("AZURE_SUBSCRIPTION_ID", "AZURE_RESOURCE_GROUP")
    subscription, group = (site.env.get(name, "").strip() for name in names)
    if site.is_local or not subscription or not group:
        raise Skipped(
            f"the management API is asked only with {' and '.join(names)}, and not of a local stack"
        )
    return await listed(
        site, f"/subscriptions/{subscription}/resourceGroups/{group}/providers/{kind}", api_version
    )


async def listed(site: Site, path: str, api_version: str, *, where: str = "") -> list[dict[str, Any]]:
    """Return every item of a list of the management API, `where` its filter says so. Raises `Skipped`."""
    try:
        token = await site.connections.entra.token(SCOPE)
    except IdentityUnavailable as error:
        raise Skipped(f"the management API is not reached: {error}") from None
    query = urlencode({"api-version": api_version, **({"$filter": where} if where else {})})
    url, found = f"{site.management_url}{path}?{query}", list[dict[str, Any]]()
    for _ in range(MAX_PAGES):
        async with site.http.get(url, headers={"Authorization": f"Bearer {token}"}) as response:
            if response.status in REFUSED_STATUSES:
                raise Skipped("whoever runs this may not read the resource group")
            if not response.ok:
                raise Failed(f"the management API answers {response.status}")
            page = await response.json(content_type=None)
        found += page.get("value", [])
        url = page.get("nextLink") or ""
        if not url:
            return found
        if urlsplit(url).netloc != urlsplit(site.management_url).netloc:
            raise Failed("the management API sends us elsewhere with our token")
    raise Failed(f"a list of the management API has more than {MAX_PAGES} pages")
