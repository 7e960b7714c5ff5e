"""`python -m emulator serve`: ACS, Event Grid and Key Vault alone, for a gateway that is started by other means."""

import argparse
import logging
import sys
from pathlib import Path

import uvloop

from emulator.event_grid.subscriptions import SubscriptionRefused
from emulator.ports import LOOPBACK, Ports
from emulator.service import serve
from emulator.settings import EmulatorSettings, SettingsError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("--host", default=LOOPBACK, help="address to listen on (default: %(default)s)")
    parser.add_argument(
        "--port", type=int, default=Ports.emulator, help="port of all but Key Vault (default: %(default)s)"
    )
    parser.add_argument(
        "--key-vault-port",
        type=int,
        default=Ports.key_vault,
        help="port of Key Vault, HTTPS (default: %(default)s)",
    )
    parser.add_argument(
        "--key-vault-ca-file", type=Path, help="where to write the authority that clients are to trust"
    )
    parser.add_argument(
        "--phone-number",
        action="append",
        dest="phone_numbers",
        help="a number of the resource, E.164; may be repeated (default: one example number)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Serve until SIGINT or SIGTERM; return the exit code."""
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(levelname)s %(name)s %(message)s")
    try:
        settings = EmulatorSettings(
            host=arguments.host,
            port=arguments.port,
            key_vault_port=arguments.key_vault_port,
            key_vault_ca_file=arguments.key_vault_ca_file,
            phone_numbers=tuple(arguments.phone_numbers or EmulatorSettings.phone_numbers),
        )
        uvloop.run(serve(settings))
    except (OSError, SettingsError, SubscriptionRefused) as error:
        print(f"emulator: {error}", file=sys.stderr)  # noqa: T201 - the command's own message
        return 1
    return 0
