"""`python -m emulator serve`: ACS, Event Grid and Key Vault alone, for a gateway that is started by other means."""

import argparse
import logging
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import uvloop

from emulator.event_grid.subscriptions import SubscriptionRefused
from emulator.ports import Ports, port_number
from emulator.service import Emulator
from emulator.settings import EmulatorSettings, SettingsError, read_settings
from emulator.up import add_address_arguments, interrupted, say

SERVING = "serving:"
"""How the line begins that is printed when it serves."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument(
        "--settings", type=Path, metavar="FILE", help="all settings, JSON; the other options go before it"
    )
    parser.add_argument("--host", help=f"address to listen on (default: {EmulatorSettings.host})")
    parser.add_argument(
        "--port",
        type=port_number,
        help=f"port of all but Key Vault, 0 for a free one (default: {Ports.emulator})",
    )
    parser.add_argument(
        "--key-vault-port",
        type=port_number,
        help=f"port of Key Vault, HTTPS, 0 for a free one (default: {Ports.key_vault})",
    )
    parser.add_argument(
        "--key-vault-ca-file",
        type=Path,
        metavar="FILE",
        help="where to write the authority that clients are to trust",
    )
    add_address_arguments(parser, "those of the settings")


def run(arguments: argparse.Namespace) -> int:
    """Serve until it is interrupted; return the exit code."""
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(levelname)s %(name)s %(message)s")
    try:
        settings = _settings(arguments)
        # Key Vault's certificate names the host, and names in it are ASCII.
        settings.host.encode("ascii")
        uvloop.run(_serve(settings))
    except (OSError, SettingsError, SubscriptionRefused) as error:
        return _fail(str(error))
    except UnicodeError:
        return _fail("the host is no address to listen on")
    return 0


async def _serve(settings: EmulatorSettings) -> None:
    with interrupted() as stopping:
        emulator = Emulator(settings)
        await emulator.start()
        try:
            say(
                f"{SERVING} ACS and Event Grid at {emulator.base_url}, Key Vault at {emulator.key_vault_url} "
                f"(its authority: {emulator.key_vault_ca_file})"
            )
            await stopping.wait()
        finally:
            await emulator.stop()


def _settings(arguments: argparse.Namespace) -> EmulatorSettings:
    """What the file says, the options before it, and the usual ports where neither names one."""
    settings = read_settings(arguments.settings) if arguments.settings else EmulatorSettings()
    usual = {
        "port": settings.port or Ports.emulator,
        "key_vault_port": settings.key_vault_port or Ports.key_vault,
    }
    given: dict[str, Any] = {
        "host": arguments.host,
        "port": arguments.port,
        "key_vault_port": arguments.key_vault_port,
        "key_vault_ca_file": arguments.key_vault_ca_file,
        "phone_numbers": tuple(arguments.phone_numbers) or None,
        "identities": tuple(arguments.identities) or None,
    }
    return replace(settings, **usual | {name: value for name, value in given.items() if value is not None})


def _fail(text: str) -> int:
    print(f"emulator: {text}", file=sys.stderr)  # noqa: T201 - the command's own message
    return 1
