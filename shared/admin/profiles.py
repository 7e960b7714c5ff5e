"""`profiles`: agent profiles and routes, as versions of one document."""

import argparse
import asyncio
from pathlib import Path

import msgspec

from shared.adapters.profile_store import BlobProfileStore
from shared.admin.parsers import Subparsers
from shared.admin.publish import config_container, publish_file, warn_of_shared_numbers
from shared.errors import BadRequest, NotConfigured
from shared.gateway_document import DocumentInvalid, decode, to_routing
from shared.gateway_file import load_gateway_file


def add_commands(subjects: Subparsers) -> None:
    """Add `profiles check`, `profiles push`, `profiles use` and `profiles list`."""
    commands = subjects.add_parser("profiles", help="agent profiles and routes").add_subparsers(required=True)
    check = commands.add_parser("check", help="check a gateway file and list every fault with its line")
    check.add_argument("file", type=Path)
    check.set_defaults(run=_check)
    push = commands.add_parser(
        "push", help="check a gateway file, store it as a new version, put it in force"
    )
    push.add_argument("file", type=Path)
    push.set_defaults(run=lambda arguments: asyncio.run(_push(arguments)))
    use = commands.add_parser("use", help="put a stored version in force, to roll back")
    use.add_argument("version", type=int)
    use.set_defaults(run=lambda arguments: asyncio.run(_use(arguments)))
    listing = commands.add_parser("list", help="list stored versions")
    listing.add_argument("--json", action="store_true", help="print JSON")
    listing.set_defaults(run=lambda arguments: asyncio.run(_list(arguments)))


def _check(arguments: argparse.Namespace) -> int:
    document = load_gateway_file(arguments.file).document
    routing = to_routing(document)
    routes = f"{len(routing.routes)} routes" if "routes" in document else "routes left as they are stored"
    warn_of_shared_numbers(routing)
    print(f"{arguments.file}: {len(routing.profiles)} profiles, {routes}, no fault")
    return 0


async def _push(arguments: argparse.Namespace) -> int:
    file = load_gateway_file(arguments.file)
    async with config_container() as container:
        published = await publish_file(container, file)
    routing = published.routing
    warn_of_shared_numbers(routing)
    counts = f"{len(routing.profiles)} profiles, {len(routing.routes)} routes"
    state = "in force within 30 s" if published.is_new else "in force already, nothing was written"
    print(f"version {published.version}: {counts}, {state}")
    return 0


async def _use(arguments: argparse.Namespace) -> int:
    async with config_container() as container:
        store = BlobProfileStore(container)
        current = await store.current()
        try:
            routing = to_routing(decode(await store.document(arguments.version)))
        except DocumentInvalid as invalid:
            raise BadRequest(f"version {arguments.version} is not good at: {invalid}") from None
        await store.use(arguments.version, current)
    warn_of_shared_numbers(routing)
    print(f"version {arguments.version}: in force within 30 s")
    return 0


async def _list(arguments: argparse.Namespace) -> int:
    async with config_container() as container:
        store = BlobProfileStore(container)
        versions, current = await store.versions(), await store.current()
    try:
        in_force = current and current.version
    except NotConfigured:
        in_force = None
    rows = [
        {
            "version": version.number,
            "created": version.created,
            "profiles": version.profiles,
            "routes": version.routes,
            "current": version.number == in_force,
        }
        for version in versions
    ]
    if arguments.json:
        print(msgspec.json.encode(rows).decode())
        return 0
    for version in versions:
        mark = "current" if version.number == in_force else ""
        counts = f"{version.profiles:>4} profiles {version.routes:>4} routes"
        print(f"{version.number:>6}  {version.created:%Y-%m-%d %H:%M:%SZ} {counts}  {mark}".rstrip())
    return 0
