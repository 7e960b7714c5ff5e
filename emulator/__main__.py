"""The emulator's command line: `python -m emulator <command>`."""

import argparse
import importlib
import sys
from collections.abc import Mapping

COMMANDS: Mapping[str, tuple[str, str]] = {
    "up": ("emulator.up", "start the whole local stack and keep it up"),
    "demo": ("emulator.demo", "start the stack, place one spoken call, leave its recording, stop the stack"),
    "call": ("emulator.caller.main", "place a call into a running stack"),
    "media-urls": ("emulator.media_urls", "place calls and print their media URLs, for a load tool"),
    "serve": ("emulator.serve", "serve ACS, Event Grid and Key Vault alone"),
    "realtime": ("emulator.realtime.command", "serve a stand-in of realtime voice services"),
    "ingress": (
        "emulator.ingress.command",
        "pass connections on to several pods, as Container Apps' ingress does",
    ),
    "functions": ("emulator.functions_host.command", "serve a Functions app as `func start` would"),
}
"""Each command's module has `add_arguments(parser)` and `run(arguments) -> int`."""


def main(arguments: list[str]) -> int:
    """Run one command and return its exit code.

    Only the chosen command's module is imported: they are heavy in different ways.
    """
    parser = argparse.ArgumentParser(prog="python -m emulator", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    chosen = arguments[0] if arguments and arguments[0] in COMMANDS else None
    module = importlib.import_module(COMMANDS[chosen][0]) if chosen else None
    for name, (_, summary) in COMMANDS.items():
        command = commands.add_parser(name, help=summary, description=summary)
        if module is not None and name == chosen:
            module.add_arguments(command)
    parsed = parser.parse_args(arguments)
    return int(module.run(parsed)) if module is not None else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
