"""`identity`: users of ACS that calls can be placed or transferred to, where there is no phone number."""

import argparse
import asyncio
import re
from urllib.parse import urlsplit

import msgspec

from shared.adapters.acs_identities import AcsIdentities
from shared.adapters.connect import Connections, connect
from shared.admin.parsers import Subparsers
from shared.config import functions_settings
from shared.errors import BadRequest, StoreUnavailable

NAME = re.compile(r"[a-z][a-z0-9-]{0,31}")
MAX_RAW_ID_BYTES = 1024


def add_commands(subjects: Subparsers) -> None:
    """Add `identity create`."""
    commands = subjects.add_parser("identity", help="users of ACS that can be called").add_subparsers(
        required=True
    )
    create = commands.add_parser("create", help="make one and print its raw id; each time another")
    create.add_argument(
        "--as",
        dest="name",
        metavar="NAME",
        help="make it once, keep it by this name, and print it ever after",
    )
    create.add_argument("--json", action="store_true", help="print JSON")
    create.set_defaults(run=lambda arguments: asyncio.run(_create(arguments)))


async def _create(arguments: argparse.Namespace) -> int:
    if arguments.name is not None and not NAME.fullmatch(arguments.name):
        raise BadRequest("--as takes a-z, 0-9 and hyphens, 32 at most")
    settings = functions_settings().common
    async with connect(settings) as connections:
        identities = AcsIdentities(settings.acs_endpoint, settings.acs_access_key, connections.entra)
        if arguments.name is None:
            raw_id = await identities.create()
        else:
            # By the resource too: another one does not know its identities.
            kept_as = f"identities/{urlsplit(settings.acs_endpoint).hostname}/{arguments.name}"
            raw_id = await _kept(connections, identities, kept_as)
    print(msgspec.json.encode({"identity": raw_id}).decode() if arguments.json else raw_id)
    return 0


async def _kept(connections: Connections, identities: AcsIdentities, kept_as: str) -> str:
    """Return the identity that the container of the configuration keeps by a name; made where there is none."""
    blobs = connections.config_blobs
    kept = await blobs.read(kept_as, max_bytes=MAX_RAW_ID_BYTES)
    if kept is None:
        await blobs.make()
        # Of two that make one at the same time the first is kept; the other is never called.
        await blobs.create(kept_as, (await identities.create()).encode())
        kept = await blobs.read(kept_as, max_bytes=MAX_RAW_ID_BYTES)
    if kept is None:
        raise StoreUnavailable("the identity that was kept is gone")
    return kept.data.decode()
