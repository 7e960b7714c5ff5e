"""`python -m emulator realtime`: the stand-in of a realtime voice service, until Ctrl-C."""

import argparse
import logging
import sys

import uvloop

from emulator.ports import Ports, port_number
from emulator.realtime.dialects import Dialect
from emulator.realtime.service import RealtimeService
from emulator.realtime.settings import Behaviour, RealtimeSettings, Trouble
from emulator.up import interrupted, say

SERVING = "serving:"
"""How the line begins that is printed when it serves."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    usual = RealtimeSettings()
    parser.add_argument("--host", default=usual.host, help="address to listen on (default: %(default)s)")
    parser.add_argument(
        "--port",
        type=port_number,
        default=Ports.realtime,
        help="port, 0 for a free one (default: %(default)s)",
    )
    parser.add_argument(
        "--behaviour",
        choices=[*Behaviour],
        default=usual.behaviour,
        help="what is done with what is heard (default: %(default)s)",
    )
    parser.add_argument("--key", help="API key that is asked for (default: everybody is let in)")
    parser.add_argument(
        "--token",
        action="append",
        default=[],
        dest="tokens",
        help="bearer token that Azure's services take; may be repeated",
    )
    parser.add_argument(
        "--transcript",
        action="append",
        default=[],
        dest="transcripts",
        metavar="TEXT",
        help="what the next turn of each session is said to be; may be repeated (default: its length)",
    )
    parser.add_argument(
        "--speed",
        type=float,
        help="ms of a response that are sent for each ms that is appended (default: all at once)",
    )
    parser.add_argument(
        "--connections-per-minute", type=int, metavar="N", help="answer 429 to more (default: any number)"
    )
    for name, what in (
        ("session", "how long a session lasts"),
        ("created-delay", "wait before session.created"),
        ("updated-delay", "wait before session.updated"),
        ("drop-after", "when a connection is lost without a word"),
    ):
        parser.add_argument(f"--{name}", type=float, metavar="SECONDS", help=what)
    parser.add_argument(
        "--trouble",
        action="append",
        choices=[*Trouble],
        default=[],
        dest="troubles",
        metavar="NAME",
        help=f"what goes wrong, may be repeated: {', '.join(Trouble)}",
    )


def run(arguments: argparse.Namespace) -> int:
    """Serve until it is interrupted; return the exit code."""
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(levelname)s %(name)s %(message)s")
    try:
        uvloop.run(_serve(_settings(arguments)))
    except OSError as error:
        print(f"emulator: {error}", file=sys.stderr)  # noqa: T201 - the command's own message
        return 1
    return 0


async def _serve(settings: RealtimeSettings) -> None:
    with interrupted() as stopping:
        service = RealtimeService(settings)
        await service.start()
        try:
            for dialect in Dialect:
                say(f"  {dialect:<13} {service.url(dialect)}")
            say(
                f"{SERVING} {settings.behaviour} at {service.base_url}, its health at /healthz; Ctrl-C ends it"
            )
            await stopping.wait()
        finally:
            await service.stop()


def _settings(arguments: argparse.Namespace) -> RealtimeSettings:
    return RealtimeSettings(
        host=arguments.host,
        port=arguments.port,
        behaviour=Behaviour(arguments.behaviour),
        key=arguments.key,
        tokens=frozenset(arguments.tokens),
        transcripts=tuple(arguments.transcripts),
        speed=arguments.speed,
        connections_per_minute=arguments.connections_per_minute,
        session_s=arguments.session,
        created_delay_s=arguments.created_delay or 0.0,
        updated_delay_s=arguments.updated_delay or 0.0,
        drop_after_s=arguments.drop_after,
        troubles=frozenset(map(Trouble, arguments.troubles)),
    )
