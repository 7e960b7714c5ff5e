"""The services of Azure behind the gateway, each asked for the least that shows it works and lets us in."""

import time
import uuid
from typing import Any

import aiohttp
import jwt
from azure.identity.aio import DefaultAzureCredential

from shared.adapters.blobs import BlobContainer
from shared.adapters.recording_store import CONTAINER as RECORDINGS
from shared.adapters.tables import TABLES, store_faults
from shared.admin.checks.contract import Check, Failed, Site, Skipped, routing_in_force
from shared.core.signals import EventsStored, encode
from shared.errors import CallGone
from shared.security.keyring import CALLBACK_KEY_SECRET, MEDIA_KEY_SECRET, Keyring

KEY_AGE_DAYS = 365
"""A key that has signed for longer should have been rotated long ago."""
DAY_S = 86_400.0
RECEIVE_S = 5.0
PUBSUB_PROTOCOL = "json.webpubsub.azure.v1"
NOBODY_S_PREFIX = "doctor/"
"""Of blobs that nobody ever writes: listing them shows the right to list, and reads nothing."""


async def token_keys(site: Site) -> str:
    """Find a version of each secret that signs, and is good for as long as a token lives."""
    return ", ".join([await _token_key(site, name) for name in (MEDIA_KEY_SECRET, CALLBACK_KEY_SECRET)])


async def _token_key(site: Site, name: str) -> str:
    times, vault = site.settings.common.token_keys, site.connections.vault
    keyring = Keyring(vault, name, times)
    try:
        key = await keyring.signing_key()
    finally:
        await keyring.refresher.close()
    now = time.time()
    version = next(version for version in await vault.versions(name) if version.version == key.kid)
    if not version.outlasts_a_token(now):
        raise Failed(f"{name} expires before the tokens that it signs", "admin keys rotate")
    age_days = (now - version.begins) / DAY_S
    if age_days > KEY_AGE_DAYS:
        raise Failed(f"{name} has signed for {age_days:.0f} days", "admin keys rotate")
    return f"{name} is {max(age_days, 0):.0f} days old"


async def tables(site: Site) -> str:
    """Read at most one row of each table."""
    missing = []
    for name in TABLES:
        client = site.connections.tables.get_table_client(name)
        async with store_faults():
            if not [t async for t in site.connections.tables.query_tables(f"TableName eq '{name}'")]:
                missing.append(name)
                continue
            pages = client.list_entities(results_per_page=1, select=["PartitionKey"]).by_page()
            async for page in pages:
                _ = [row async for row in page]
                break
    if missing:
        raise Failed(f"there is no table {', '.join(missing)}")
    return f"{len(TABLES)} tables can be read"


async def profiles(site: Site) -> str:
    """Read the version in force."""
    routing = await routing_in_force(site)
    return f"{len(routing.profiles)} profiles, {len(routing.routes)} routes in force"


async def recordings(site: Site) -> str:
    """List recordings that nobody has; whoever records first makes the container."""
    async with DefaultAzureCredential() as credential:
        container = BlobContainer(site.settings.common.storage, credential, RECORDINGS)
        try:
            await container.entries(NOBODY_S_PREFIX, limit=1)
        finally:
            await container.close()
    return "the container can be listed"


async def web_pubsub(site: Site) -> str:
    """Send a signal to a pod that there is not, and receive it as that pod."""
    pod, signal = f"doctor-{uuid.uuid4().hex[:8]}", EventsStored(str(uuid.uuid4()))
    signals = site.connections.signals
    url = await signals.client_url(pod)
    timeout = aiohttp.ClientWSTimeout(ws_receive=RECEIVE_S)
    began = time.perf_counter()
    async with site.http.ws_connect(url, protocols=(PUBSUB_PROTOCOL,), timeout=timeout) as socket:
        if (await _json(socket)).get("event") != "connected":
            raise Failed("Web PubSub did not say that the client is connected")
        await signals.send(pod, signal)
        if (await _json(socket)).get("data") != dict(encode(signal)):
            raise Failed("another message came than was sent")
    return f"a signal came back {(time.perf_counter() - began) * 1000:.0f} ms after connecting"


async def _json(socket: aiohttp.ClientWebSocketResponse) -> dict[str, Any]:
    try:
        received = await socket.receive_json()
    except TypeError:
        raise Failed("Web PubSub closed the connection") from None
    return received if isinstance(received, dict) else {}


async def acs(site: Site) -> str:
    """Ask about a call that there is not: only who is let in hears that it is unknown."""
    try:
        await site.connections.call_control.stop_media(str(uuid.uuid4()))
    except CallGone:
        return "Call Automation lets us in"
    raise Failed("Call Automation knows a call that there is not")


async def acs_keys(site: Site) -> str:
    """Read who signs ACS's own JWT, and with which keys."""
    settings = site.settings.common.acs_tokens
    if settings is None:
        raise Skipped("ACS's own JWT is not checked (ACS_JWT_VERIFIED_ON): our tokens stand alone")
    metadata = await _fetched(site, settings.metadata_url)
    if metadata.get("issuer") != settings.issuer:
        raise Failed("ACS's metadata name another issuer", "mend ACS_TOKEN_ISSUER, or leave it out")
    try:
        keys = jwt.PyJWKSet.from_dict(await _fetched(site, str(metadata.get("jwks_uri")))).keys
    except jwt.PyJWTError:
        raise Failed("ACS's metadata lead to no keys") from None
    return f"{len(keys)} public keys"


async def _fetched(site: Site, url: str) -> dict[str, Any]:
    try:
        async with site.http.get(url, allow_redirects=False) as response:
            response.raise_for_status()
            document = await response.json(content_type=None)
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise Failed("what should say who signs ACS's tokens is no JSON object")
    return document


async def dead_letters(site: Site) -> str:
    """Count what Event Grid gave up."""
    letters = await site.connections.dead_letters.look()
    return (
        "no dead letters" if letters.count == 0 else f"{letters.count} dead letters, kept of calls given up"
    )


CHECKS = (
    Check(
        "token-keys",
        "Key Vault has a version of both secrets that signs now, and is not old",
        token_keys,
        "admin keys bootstrap; and a role on the vault that reads secrets",
    ),
    Check(
        "tables",
        "table storage has every table",
        tables,
        "admin accounts create makes the tables; a role of Storage Table Data reads them",
    ),
    Check("profiles", "a good version of profiles is in force", profiles, "admin profiles push FILE"),
    Check(
        "recordings",
        "the container of recordings lets us in",
        recordings,
        "check STORAGE_BLOB_ENDPOINT, and the role on the container",
    ),
    Check(
        "dead-letters",
        "the container of dead letters lets us in",
        dead_letters,
        "check STORAGE_BLOB_ENDPOINT, and the role on the container",
    ),
    Check(
        "web-pubsub",
        "a signal gets to whom it is for",
        web_pubsub,
        "check WEB_PUBSUB_ENDPOINT, the role Web PubSub Service Owner, and that nothing keeps WebSockets away",
    ),
    Check(
        "acs",
        "ACS answers, and knows us",
        acs,
        "check ACS_ENDPOINT, and ACS_ACCESS_KEY or the role Communication and Email Service Owner",
    ),
    Check(
        "acs-keys",
        "ACS's own JWT can be checked",
        acs_keys,
        "check ACS_OPENID_METADATA_URL, and that nothing keeps the address away",
    ),
)
