"""`gateway`: the gateway file."""

import argparse
from pathlib import Path

from shared.admin.parsers import Subparsers
from shared.gateway_file import load_gateway_file


def add_commands(subjects: Subparsers) -> None:
    """Add `gateway check`."""
    commands = subjects.add_parser("gateway", help="the gateway file").add_subparsers(required=True)
    check = commands.add_parser("check", help="check a gateway file and list every fault with its line")
    check.add_argument("file", type=Path)
    check.set_defaults(run=_check)


def _check(arguments: argparse.Namespace) -> int:
    routing = load_gateway_file(arguments.file)
    print(f"{arguments.file}: {len(routing.profiles)} profiles, {len(routing.routes)} routes, no fault")
    return 0
