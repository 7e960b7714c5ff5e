"""`identity`: users of ACS that calls can be placed or transferred to, where there is no phone number."""

import argparse
import asyncio

import msgspec

from shared.adapters.acs_identities import AcsIdentities
from shared.adapters.connect import connect
from shared.admin.parsers import Subparsers
from shared.config import functions_settings


def add_commands(subjects: Subparsers) -> None:
    """Add `identity create`."""
    commands = subjects.add_parser("identity", help="users of ACS that can be called").add_subparsers(
        required=True
    )
    create = commands.add_parser("create", help="make one and print its raw id; each time another")
    create.add_argument("--json", action="store_true", help="print JSON")
    create.set_defaults(run=lambda arguments: asyncio.run(_create(arguments)))


async def _create(arguments: argparse.Namespace) -> int:
    settings = functions_settings().common
    async with connect(settings) as connections:
        identities = AcsIdentities(settings.acs_endpoint, settings.acs_access_key, connections.entra)
        raw_id = await identities.create()
    print(msgspec.json.encode({"identity": raw_id}).decode() if arguments.json else raw_id)
    return 0
