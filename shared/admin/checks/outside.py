"""Both processes as ACS and Event Grid reach them: by their public addresses, with whatever is in between."""

import uuid
from http import HTTPStatus
from typing import Any

import aiohttp

from shared.admin.checks.contract import Check, Failed, Site, Skipped, routing_or_skip
from shared.calls.incoming import MEDIA_PATH
from shared.core.profiles import PromptKind, Routing

EVENTS_PATH = "/mg-genagent-acs/v1/acs-events"
IVR_EVENTS_PATH = "/mg-genagent-acs/v1/ivr-events"
PROMPTS_PATH = "/mg-genagent-acs/v1/prompts"
GOOD = ("ok", "kept from before")
"""How the states of dependencies begin that are no fault."""
RIFF = b"RIFF"


async def edge(site: Site) -> str:
    """Ask the Functions app whether it is ready."""
    return await _ready(site, site.settings.callback_base_url, "dependencies")


async def media(site: Site) -> str:
    """Ask the media gateway whether it is ready."""
    return await _ready(site, _media_url(site), "checks")


async def _ready(site: Site, base_url: str, states_in: str) -> str:
    status, document = await _readyz(site, base_url)
    states = document.get(states_in)
    if not isinstance(states, dict):
        raise Failed(f"/readyz answers {status}, and not as the gateway does")
    faults = [f"{name}: {state}" for name, state in states.items() if not str(state).startswith(GOOD)]
    if status != HTTPStatus.OK or faults:
        raise Failed(f"/readyz answers {status}; {'; '.join(faults)}")
    return f"ready, release {document.get('release', 'unknown')}"


async def release(site: Site) -> str:
    """Compare the code that both processes share."""
    found = []
    for base_url in (site.settings.callback_base_url, _media_url(site)):
        _, document = await _readyz(site, base_url)
        found.append(document.get("release"))
    edge_release, media_release = found
    if edge_release is None or media_release is None:
        raise Skipped("a process does not say which release it runs: see `edge` and `media`")
    if edge_release != media_release:
        raise Failed(f"the Functions app runs {edge_release}, the media gateway {media_release}")
    return f"both run {edge_release}"


async def webhook(site: Site) -> str:
    """Deliver nothing, without credentials: both webhooks must be there, and take nothing from strangers."""
    for path in (EVENTS_PATH, IVR_EVENTS_PATH):
        url = site.settings.callback_base_url + path
        async with site.http.post(url, json=[], allow_redirects=False) as response:
            if response.status != HTTPStatus.UNAUTHORIZED:
                raise Failed(f"{path}: a delivery without credentials is answered {response.status}, not 401")
    return "both take nothing without credentials"


async def media_upgrade(site: Site) -> str:
    """Ask for a media socket without a token: whoever refuses it with 401 has understood the upgrade."""
    url = f"{site.settings.media_base_url}{MEDIA_PATH}/{uuid.uuid4()}"
    try:
        async with site.http.ws_connect(url):
            raise Failed("a media socket without a token is let in")
    except aiohttp.WSServerHandshakeError as refusal:
        if refusal.status != HTTPStatus.UNAUTHORIZED:
            raise Failed(
                f"a WebSocket upgrade without a token is answered {refusal.status}, not 401"
            ) from None
    return "a socket without a token is refused by the gateway itself"


async def prompts(site: Site) -> str:
    """Fetch what ACS has to fetch to play it: the default prompts, and those of profiles."""
    routing = await routing_or_skip(site)
    names = [kind.value for kind in PromptKind] + sorted(_own_prompts(routing))
    missing = [name for name in names if not await _is_sound(site, name)]
    if missing:
        raise Failed(f"{len(missing)} of {len(names)} prompts cannot be fetched: {', '.join(missing)}")
    return f"{len(names)} prompts can be fetched"


async def _is_sound(site: Site, name: str) -> bool:
    async with site.http.get(f"{site.settings.callback_base_url}{PROMPTS_PATH}/{name}.wav") as response:
        return response.status == HTTPStatus.OK and await response.content.read(len(RIFF)) == RIFF


def _own_prompts(routing: Routing) -> set[str]:
    """Return the names by which the profiles' own prompts are fetched."""
    return {
        stored.removeprefix("sounds/").removesuffix(".wav")
        for profile in routing.profiles.values()
        for kind in PromptKind
        if (stored := profile.prompts.name_of(kind)) is not None
    }


async def _readyz(site: Site, base_url: str) -> tuple[int, dict[str, Any]]:
    """Ask a process how it is.

    Raises:
        Failed: it cannot be reached, or its certificate is not good.
    """
    try:
        async with site.http.get(f"{base_url}/readyz", allow_redirects=False) as response:
            try:
                document = await response.json(content_type=None)
            except ValueError:
                document = None
            return response.status, document if isinstance(document, dict) else {}
    except aiohttp.ClientConnectorCertificateError:
        raise Failed(
            "the certificate is not good for its address", "ACS and Event Grid take no other either"
        ) from None
    except (aiohttp.ClientError, TimeoutError) as error:
        raise Failed(f"/readyz does not answer: {type(error).__name__}") from error


def _media_url(site: Site) -> str:
    return site.settings.media_base_url.replace("ws", "http", 1)


CHECKS = (
    Check(
        "edge",
        "the Functions app is reached from here by TLS, and ready",
        edge,
        "deploy it; then what it names, its log and docs/operating.md",
    ),
    Check(
        "media",
        "the media gateway is reached from here by TLS, and a pod is ready",
        media,
        "deploy it; then what it names, its log and docs/operating.md",
    ),
    Check("release", "both processes are of one deployment", release, "deploy the older one (azd deploy)"),
    Check(
        "webhook",
        "Event Grid's webhooks, of agents and of the IVR, are there and ask for credentials",
        webhook,
        "check CALLBACK_BASE_URL: no authentication of the platform may stand before the app, and no cache",
    ),
    Check(
        "media-upgrade",
        "WebSocket upgrades get to the media gateway, which refuses strangers",
        media_upgrade,
        "check MEDIA_BASE_URL: the ingress must have transport auto or http, and pass upgrades on",
    ),
    Check(
        "prompts",
        "ACS can fetch every prompt that it may have to play",
        prompts,
        "admin profiles push FILE stores sounds again; check CALLBACK_BASE_URL",
    ),
)
