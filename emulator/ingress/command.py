"""`python -m emulator ingress`: one port in front of several pods that somebody else started, until Ctrl-C."""

import argparse
import logging
import sys

import uvloop

from emulator.ingress.backends import Backend
from emulator.ingress.service import Ingress
from emulator.ingress.settings import IngressSettings
from emulator.ports import Ports, port_number
from emulator.up import interrupted, say

SERVING = "serving:"
"""How the line begins that is printed when it serves."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    usual = IngressSettings()
    parser.add_argument("--host", default=usual.host, help="address to listen on (default: %(default)s)")
    parser.add_argument(
        "--port", type=port_number, default=Ports.media, help="port, 0 for a free one (default: %(default)s)"
    )
    parser.add_argument(
        "--backend",
        type=_backend,
        nargs="+",
        action="extend",
        required=True,
        dest="backends",
        metavar="URL",
        help="a pod, http://HOST:PORT; it gets connections while its /readyz says that it is ready",
    )
    parser.add_argument(
        "--idle",
        type=float,
        default=usual.idle_s,
        metavar="SECONDS",
        help="a connection without a byte for so long is cut (default: %(default)s)",
    )
    parser.add_argument(
        "--probe-period",
        type=float,
        default=usual.probe_s,
        metavar="SECONDS",
        help="how often each /readyz is asked (default: %(default)s)",
    )
    parser.add_argument(
        "--probe-failures",
        type=int,
        default=usual.probe_failures,
        metavar="N",
        help="so many failed probes in a row make a pod one that is not ready (default: %(default)s)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Serve until it is interrupted; return the exit code."""
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(levelname)s %(name)s %(message)s")
    settings = IngressSettings(
        host=arguments.host,
        port=arguments.port,
        idle_s=arguments.idle,
        probe_s=arguments.probe_period,
        probe_failures=arguments.probe_failures,
    )
    try:
        uvloop.run(_serve(settings, arguments.backends))
    except (OSError, ValueError) as error:
        print(f"emulator: {error}", file=sys.stderr)  # noqa: T201 - the command's own message
        return 1
    return 0


async def _serve(settings: IngressSettings, backends: list[str]) -> None:
    with interrupted() as stopping:
        ingress = Ingress(settings, on_change=lambda backend: say(f"  {backend.url} is {backend.state}"))
        await ingress.start()
        try:
            for url in backends:
                ingress.add(url)
            say(f"{SERVING} {len(backends)} backends at {ingress.url}; Ctrl-C ends it")
            await stopping.wait()
        finally:
            await ingress.stop()


def _backend(text: str) -> str:
    try:
        return Backend(text).url
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
