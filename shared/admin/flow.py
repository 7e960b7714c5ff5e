"""`flow`: what an IVR says and asks."""

import argparse
from pathlib import Path

from shared.admin.parsers import Subparsers
from shared.flow_file import load_flow_file


def add_commands(subjects: Subparsers) -> None:
    """Add `flow check`."""
    commands = subjects.add_parser("flow", help="flows of the IVR").add_subparsers(required=True)
    check = commands.add_parser("check", help="check a flow file and list every fault with its line")
    check.add_argument("file", type=Path)
    check.set_defaults(run=_check)


def _check(arguments: argparse.Namespace) -> int:
    flow = load_flow_file(arguments.file).flow
    counts = f"{len(flow.steps)} steps, {len(flow.languages)} languages, {len(flow.variables)} variables"
    print(f"{arguments.file}: {counts}, no fault")
    return 0
