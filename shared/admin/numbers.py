"""`numbers`: which profile answers which number, changed one route at a time."""

import argparse
import asyncio
import sys
from collections.abc import Callable
from typing import Any, TypeAlias

import msgspec

from shared.acs.identifiers import to_raw_id
from shared.adapters.profile_store import BlobProfileStore
from shared.admin.parsers import Subparsers
from shared.admin.publish import config_container, publish_change, read_current, warn_of_shared_numbers
from shared.core.event_filters import FiltersImpossible, filters_of
from shared.errors import NotFound
from shared.gateway_document import to_routing

Routes: TypeAlias = list[dict[str, Any]]


def add_commands(subjects: Subparsers) -> None:
    """Add `numbers route`, `numbers unroute`, `numbers list` and `numbers filters`."""
    commands = subjects.add_parser("numbers", help="who answers which number").add_subparsers(required=True)
    route = commands.add_parser("route", help="let a profile answer a number")
    _add_who(route)
    route.add_argument("--profile", required=True, help="name of the profile that answers")
    route.set_defaults(run=lambda arguments: asyncio.run(_route(arguments)))
    unroute = commands.add_parser("unroute", help="let nobody answer a number")
    _add_who(unroute)
    unroute.set_defaults(run=lambda arguments: asyncio.run(_unroute(arguments)))
    listing = commands.add_parser("list", help="list routes")
    listing.add_argument("--json", action="store_true", help="print JSON")
    listing.set_defaults(run=lambda arguments: asyncio.run(_list(arguments)))
    filters = commands.add_parser(
        "filters", help="the subscriptions of Event Grid that the routes in force need"
    )
    filters.add_argument("--json", action="store_true", help="print JSON, as bicep/main.bicep takes it")
    filters.set_defaults(run=lambda arguments: asyncio.run(_filters(arguments)))


def _add_who(command: argparse.ArgumentParser) -> None:
    command.add_argument("--account", required=True, help="the account's id")
    command.add_argument(
        "--to", required=True, help="the called number (+1...), a raw id, or * for every other call"
    )


async def _route(arguments: argparse.Namespace) -> int:
    route = {"account": arguments.account, "to": arguments.to, "profile": arguments.profile}

    def with_route(routes: Routes) -> Routes:
        if not any(_is_of(arguments, other) for other in routes):
            return [*routes, route]
        return [route if _is_of(arguments, other) else other for other in routes]

    return await _change(with_route)


async def _unroute(arguments: argparse.Namespace) -> int:
    def without_route(routes: Routes) -> Routes:
        left = [route for route in routes if not _is_of(arguments, route)]
        if len(left) == len(routes):
            raise NotFound("the account has no such route")
        return left

    return await _change(without_route)


async def _list(arguments: argparse.Namespace) -> int:
    async with config_container() as container:
        _, document = await read_current(BlobProfileStore(container))
    routes = document.get("routes", [])
    if arguments.json:
        print(msgspec.json.encode(routes).decode())
        return 0
    for route in routes:
        answers = route["profile"] if "profile" in route else f"flow {route['flow']}"
        print(f"{route['to']:<24} {route['account']:<24} {answers}")
    return 0


async def _filters(arguments: argparse.Namespace) -> int:
    async with config_container() as container:
        _, document = await read_current(BlobProfileStore(container))
    try:
        filters = filters_of(to_routing(document))
    except FiltersImpossible as impossible:
        print("\n".join(impossible.faults), file=sys.stderr)
        return 2
    if arguments.json:
        print(msgspec.json.encode(filters).decode())
        return 0
    for each in filters:
        called = " ".join(each.called)
        print(f"{each.name:<24} {each.webhook:<8} {each.operator:<12} {called}".rstrip())
    return 0


async def _change(change: Callable[[Routes], Routes]) -> int:
    """Publish the document in force with other routes."""
    async with config_container() as container:
        store = BlobProfileStore(container)
        current, document = await read_current(store)
        document["routes"] = change(document.get("routes", []))
        published = await publish_change(store, current, document)
    warn_of_shared_numbers(published.routing)
    state = "in force within 30 s" if published.is_new else "in force already, nothing was written"
    print(f"version {published.version}: {state}")
    return 0


def _is_of(arguments: argparse.Namespace, route: dict[str, Any]) -> bool:
    return (route["account"], to_raw_id(route["to"])) == (arguments.account, to_raw_id(arguments.to))
