"""`python -m emulator up`: the whole local stack, until Ctrl-C."""

import argparse
import asyncio
import contextlib
import signal
import sys
from collections.abc import Awaitable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from emulator.environment import as_exports
from emulator.numbers import CALLED
from emulator.ports import LOOPBACK, Ports, free_ports
from emulator.realtime.settings import WELL_KNOWN_KEY, Behaviour
from emulator.routed import Addresses, routed_addresses
from emulator.seeding import REALTIME_SECRET
from emulator.stack import REALTIME, Stack, StackError, StackOptions
from emulator.waiting import cancel_and_wait

INTERRUPTED = 130
READY = "ready:"
"""How the line begins that is printed when everything is up."""
_PURPOSES: Mapping[str, tuple[str, str]] = {
    "emulator": ("http", "ACS, Event Grid, the phone socket ws://…/phone, the emulator's own API"),
    "key_vault": ("https", "Key Vault"),
    "functions": ("http", "the Functions app: Event Grid webhook, callbacks, /healthz, /readyz"),
    "media": ("ws", "the media gateway, and its /healthz, /readyz"),
    "storage_blob": ("http", "blobs as the gateway reaches them: Azurite, behind the emulator's faults"),
    "storage_table": ("http", "tables, likewise"),
    REALTIME: ("ws", "a stand-in of realtime voice services"),
    "blob": ("http", "Azurite"),
    "queue": ("http", "Azurite"),
    "table": ("http", "Azurite"),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    add_stack_arguments(parser)
    parser.add_argument(
        "--pods",
        type=_count,
        default=1,
        metavar="N",
        help="run so many media gateways, on free ports, behind an ingress (default: one, without)",
    )
    parser.add_argument(
        "--env", action="store_true", help="print the gateway's settings, in a form that a shell reads"
    )
    parser.add_argument(
        "--realtime",
        choices=[*Behaviour],
        metavar="BEHAVIOUR",
        help=f"start a stand-in of realtime voice services too ({', '.join(Behaviour)}); its key is the secret "
        f"{REALTIME_SECRET}",
    )


def add_stack_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options that every command has that starts a stack."""
    parser.add_argument(
        "--root", type=Path, default=Path(), help="the gateway's folder (default: the current one)"
    )
    parser.add_argument("--data", type=Path, metavar="DIR", help="keep storage here (default: in memory)")
    parser.add_argument("--func", action="store_true", help="serve the app by `func start` of Core Tools")
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--port-offset", type=_offset, default=0, metavar="N", help="move every port by N")
    where.add_argument(
        "--free-ports", action="store_true", help="listen on free ports instead of the usual ones"
    )
    add_address_arguments(parser, "those that gateway.yaml routes")


def add_address_arguments(parser: argparse.ArgumentParser, otherwise: str) -> None:
    """Declare the options that say what can be called."""
    parser.add_argument(
        "--phone-number",
        action="append",
        default=[],
        dest="phone_numbers",
        metavar="NUMBER",
        help=f"a number that can be called, E.164; may be repeated (default: {otherwise})",
    )
    parser.add_argument(
        "--identity",
        action="append",
        default=[],
        dest="identities",
        metavar="RAW_ID",
        help=f"an ACS user that can be called, 8:acs:...; may be repeated (default: {otherwise})",
    )


def stack_options(arguments: argparse.Namespace, ports: Ports) -> StackOptions:
    """Turn a command's options into the stack's."""
    root = arguments.root.resolve()
    data = arguments.data.resolve() if arguments.data else None
    routed = routed_addresses(root)
    addresses = Addresses(
        tuple(arguments.phone_numbers) or routed.phone_numbers,
        tuple(arguments.identities) or routed.identities,
        routed.of_flows,
    )
    return StackOptions(root=root, ports=ports, data=data, real_func=arguments.func, addresses=addresses)


def run(arguments: argparse.Namespace) -> int:
    """Bring the stack up and keep it up; return the exit code."""
    ports = free_ports() if arguments.free_ports else Ports().shifted(arguments.port_offset)
    options = replace(stack_options(arguments, ports), pods=arguments.pods)
    if arguments.realtime is not None:
        secrets = {REALTIME_SECRET: WELL_KNOWN_KEY}
        options = replace(options, realtime=Behaviour(arguments.realtime), secrets=secrets)
    return asyncio.run(_run(options, show_settings=arguments.env))


async def _run(options: StackOptions, *, show_settings: bool) -> int:
    stack = Stack(options, lambda part, line: say(f"{part:<10}| {line}"))
    failure = None
    with interrupted() as stopping:
        try:
            if not await unless(stopping, stack.start()):
                return INTERRUPTED
            if show_settings:
                say(as_exports(stack.settings))
            say(ports_table(options))
            for pod in stack.pods.pods if stack.pods is not None else ():
                say(
                    f"  {pod.name:<13} {pod.url:<26} a media gateway behind the ingress that has the port of media"
                )
            call = f"python -m emulator call{_where(options)} --say 'Hello there'"
            say(f"{READY} `{call}` places a call; Ctrl-C stops all")
            await unless(stopping, stack.watch())
        except StackError as error:
            failure = error
        finally:
            await stack.stop()
    return report(failure) if failure else 0


@contextlib.contextmanager
def interrupted() -> Iterator[asyncio.Event]:
    """Give an event that Ctrl-C, a SIGTERM or the terminal's closing sets, in place of their usual effect."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    numbers = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as it is under `nohup`
        numbers.append(signal.SIGHUP)
    for number in numbers:
        loop.add_signal_handler(number, stopping.set)
    try:
        yield stopping
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)


async def unless(stopping: asyncio.Event, work: Awaitable[object]) -> bool:
    """Do the work unless the event is set first, which cancels it; tell whether it was done.

    Errors of the work are raised.
    """
    task = asyncio.ensure_future(work)
    stop = asyncio.create_task(stopping.wait())
    try:
        await asyncio.wait({task, stop}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            await task
        return task.done()
    finally:
        await cancel_and_wait(task, stop)


def default_to(addresses: Addresses) -> str:
    """Return whom to call when nobody is named: the usual number where it can be called."""
    return (
        CALLED if CALLED in addresses.phone_numbers else (*addresses.phone_numbers, *addresses.identities)[0]
    )


def _where(options: StackOptions) -> str:
    """What the `call` command needs to be told."""
    to = default_to(options.addresses)
    url = "" if options.ports == Ports() else f" --url ws://{LOOPBACK}:{options.ports.emulator}/phone"
    return url + ("" if to == CALLED else f" --to {to}")


def _count(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and int(text) > 0):
        raise argparse.ArgumentTypeError("must be a number from 1 on")
    return int(text)


def _offset(text: str) -> int:
    offset = int(text)
    try:
        Ports().shifted(offset)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return offset


def ports_table(options: StackOptions) -> str:
    """Return the table of ports: one line a part that there is."""
    lines = []
    for name, port in options.ports.items():
        if name == REALTIME and options.realtime is None:
            continue
        scheme, purpose = _PURPOSES[name]
        lines.append(f"  {name:<13} {f'{scheme}://{LOOPBACK}:{port}':<26} {purpose}")
    return "\n".join(lines)


def report(error: StackError) -> int:
    """Print why the stack failed, with the last lines of the part that did; return the exit code."""
    for line in error.tail:
        print(f"  | {line}", file=sys.stderr)  # noqa: T201 - the command's own message
    print(f"stopped: {error}", file=sys.stderr)  # noqa: T201
    return 1


def say(text: str) -> None:
    """Print for the person in front of the terminal, at once even into a pipe."""
    print(text, flush=True)  # noqa: T201 - the command's own message
