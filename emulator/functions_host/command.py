"""`python -m emulator functions`: the host as a process of its own."""

import argparse
import asyncio
import logging
import os
import signal
import sys
from pathlib import Path

from emulator.functions_host.host import FunctionsHost, Keys
from emulator.functions_host.settings import ProjectError, apply_local_settings
from emulator.ports import Ports, port_number

READY_LINE = "Functions host is listening on"
"""How the line begins that says that the host is ready; its URL follows."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("--root", type=Path, default=Path(), help="the app folder (default: the current one)")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument(
        "--port",
        type=port_number,
        default=Ports.functions,
        help="port to listen on, 0 for a free one (default: %(default)s)",
    )
    parser.add_argument(
        "--function-key", default="", help="ask for this key (default: no keys, as `func start`)"
    )
    parser.add_argument("--master-key", default="", help="the key that opens every function and /admin")


def run(arguments: argparse.Namespace) -> int:
    """Serve the app until SIGINT or SIGTERM; return the exit code."""
    root: Path = arguments.root.resolve()
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(levelname)s %(name)s %(message)s")
    logging.getLogger("azure").setLevel(logging.WARNING)
    keys = None
    if arguments.function_key or arguments.master_key:
        keys = Keys(
            arguments.function_key or arguments.master_key, arguments.master_key or arguments.function_key
        )
    try:
        added = apply_local_settings(root, os.environ)
        _stand_in(root)
        asyncio.run(_serve(FunctionsHost(root, keys=keys), arguments.host, arguments.port, added))
    except (ProjectError, OSError) as error:
        return _fail(str(error))
    return 0


def _fail(text: str) -> int:
    print(f"functions host: {text}", file=sys.stderr)  # noqa: T201 - the command's own message
    return 1


def _stand_in(root: Path) -> None:
    """Take the worker's place: the app folder is current, and the last place that imports are looked for."""
    # `python -m` puts the current folder first: left there, it would hide that a dependency of the same name
    # wins over a package of the app.
    leave_out = {root, Path.cwd()}
    os.chdir(root)
    sys.path[:] = [entry for entry in sys.path if Path(entry).resolve() not in leave_out]
    sys.path.append(str(root))


async def _serve(host: FunctionsHost, address: str, port: int, added: list[str]) -> None:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopping.set)
    await host.start(address, port)
    try:
        _print_functions(host, added)
        await stopping.wait()
    finally:
        await host.stop()
    logging.shutdown()
    # As the real host ends its worker: at once. The model has no shutdown hook, so what the app keeps between
    # invocations (clients, their connections) is never closed by anybody, and closing the loop would complain.
    os._exit(0)


def _print_functions(host: FunctionsHost, added: list[str]) -> None:
    lines = [f"settings taken from local.settings.json: {', '.join(sorted(added))}"] if added else []
    if host.indexing_error is not None:
        lines.append(f"no functions: the app could not be indexed: {host.indexing_error}")
    for route in host.routes:
        methods = ",".join(sorted(route.function.methods or {"all methods"}))
        lines.append(f"  {route.function.name}: [{methods}] {host.url}/{route.template.text.lstrip('/')}")
    lines += [f"  {name}: not served: {problem}" for name, problem in host.errors.items()]
    others = [
        function for function in host.functions if not function.is_http and function.name not in host.errors
    ]
    lines += [
        f"  {f.name}: {f.trigger} {f.schedule}" if f.is_timer else f"  {f.name}: {f.trigger}: not run here"
        for f in others
    ]
    print("\n".join([*lines, f"{READY_LINE} {host.url}"]), flush=True)  # noqa: T201 - the command's own message
