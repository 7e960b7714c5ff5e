"""`python -m emulator demo`: the stack up, one spoken call, its recording kept, the stack down."""

import argparse
import asyncio
import os
import shutil
import sys
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TextIO

from emulator.demo_agent import API_KEY, ENDPOINT, ServiceUnclear, gateway_file, named_in, stand_in
from emulator.numbers import CALLED, CALLER
from emulator.ports import LOOPBACK, Ports, free_ports
from emulator.processes import Process
from emulator.realtime.settings import Behaviour
from emulator.routed import GATEWAY_FILE, Addresses
from emulator.seeding import REALTIME_SECRET
from emulator.stack import Stack, StackError, StackOptions
from emulator.up import (
    INTERRUPTED,
    add_stack_arguments,
    default_to,
    interrupted,
    ports_table,
    report,
    say,
    stack_options,
    unless,
)
from emulator.waiting import cancel_and_wait

WORDS = "Hello. Can you hear me?"
CALL_S = 60
GREETING_MS = 4000
"""The caller lets the agent greet first."""
PLAYERS = ("afplay", "aplay", "paplay", "ffplay -autoexit")
"""Commands that play a WAV file, the first that is installed is suggested."""


class Agent(StrEnum):
    """Who answers."""

    ECHO = "echo"
    REALTIME = "realtime"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    add_stack_arguments(parser)
    parser.add_argument(
        "--out", type=Path, default=Path("out/demo"), help="folder for the recording (default: %(default)s)"
    )
    parser.add_argument("--say", default=WORDS, metavar="TEXT", help="what the caller says")
    parser.add_argument(
        "--agent",
        choices=[*Agent],
        default=Agent.ECHO,
        help=f"who answers: what gateway.yaml says, or a realtime voice service: a stand-in that says back what it "
        f"hears, or the one that {ENDPOINT} and {API_KEY} name (default: %(default)s)",
    )
    parser.add_argument(
        "--to", help=f"whom to call (default: {CALLED}, or else the first that gateway.yaml routes)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Run the demo; return the exit code."""
    recording = arguments.out.resolve() / "call.wav"
    log = arguments.out.resolve() / "stack.log"
    try:
        arguments.out.mkdir(parents=True, exist_ok=True)
        recording.unlink(missing_ok=True)
        stream = log.open("w", encoding="utf-8")
        options = _options(arguments)
    except OSError as error:
        return report(StackError(f"the recording cannot be kept there: {error}"))
    except ServiceUnclear as error:
        return report(StackError(str(error)))
    with stream:
        code = asyncio.run(_run(arguments, options, recording, stream))
    if code == 0:
        _say_where(recording)
    elif code != INTERRUPTED:
        say(f"the demo failed; what every part wrote is in {_short(log)}")
    return code


def _options(arguments: argparse.Namespace) -> StackOptions:
    """The stack's options; with a realtime agent also its gateway file, written beside the recording.

    Raises:
        OSError: that file cannot be written.
        ServiceUnclear: the environment does not say which service is meant.
    """
    options = stack_options(arguments, _ports(arguments))
    if arguments.agent == Agent.ECHO:
        return options
    named = named_in(os.environ)
    agent = named or stand_in(options.ports.realtime)
    file = arguments.out.resolve() / GATEWAY_FILE
    file.write_text(gateway_file(agent), encoding="utf-8")
    return replace(
        options,
        addresses=Addresses(),
        gateway_file=file,
        realtime=None if named else Behaviour.PARROT,
        secrets={REALTIME_SECRET: agent.key},
    )


async def _run(arguments: argparse.Namespace, options: StackOptions, recording: Path, log: TextIO) -> int:
    to = arguments.to or default_to(options.addresses)

    def keep(part: str, line: str) -> None:
        log.write(f"{part:<10}| {line}\n")
        log.flush()

    stack = Stack(options, keep)
    failure = None
    say("starting the local stack ...")
    with interrupted() as stopping:
        try:
            if not await unless(stopping, stack.start()):
                return INTERRUPTED
            say(f"{ports_table(options)}\n\ncalling {to} ...")
            call = _call(to, arguments, options, recording)
            try:
                await call.start()
                if not await unless(stopping, _beside(call, stack)):
                    return INTERRUPTED
            finally:
                await call.stop(1.0)
        except StackError as error:
            failure = error
        finally:
            await stack.stop()
    if failure is not None:
        return report(failure)
    return call.exit_code if call.exit_code is not None else 1


def _ports(arguments: argparse.Namespace) -> Ports:
    """The usual ports where they are free: a stack that is up already is no reason for a demo to fail."""
    ports = Ports().shifted(arguments.port_offset)
    if not arguments.free_ports and not ports.in_use():
        return ports
    if not arguments.free_ports:
        say("the usual ports are in use; the demo takes others")
    return free_ports()


def _call(to: str, arguments: argparse.Namespace, options: StackOptions, recording: Path) -> Process:
    command = [sys.executable, "-m", "emulator", "call", f"--to={to}", f"--from={CALLER}"]
    command += [f"--say={arguments.say}"]
    if arguments.agent == Agent.REALTIME:
        command += ["--say-after", str(GREETING_MS)]
    command += ["--record", str(recording), "--url", f"ws://{LOOPBACK}:{options.ports.emulator}/phone"]
    command += ["--max-seconds", str(CALL_S)]
    return Process(
        "call", command, environment=os.environ, folder=Path.cwd(), on_line=lambda line: say(f"  {line}")
    )


async def _beside(call: Process, stack: Stack) -> None:
    """Wait for the end of the call; a part that ends meanwhile is an error."""
    watch = asyncio.create_task(stack.watch())
    ended = asyncio.create_task(call.wait())
    try:
        await asyncio.wait({watch, ended}, return_when=asyncio.FIRST_COMPLETED, timeout=2 * CALL_S)
        if watch.done():
            await watch
        if not ended.done():
            raise StackError(f"the call did not end within {2 * CALL_S} s", call.tail)
    finally:
        await cancel_and_wait(watch, ended)


def _say_where(recording: Path) -> None:
    player = next((player for player in PLAYERS if shutil.which(player.split()[0])), None)
    how = f"{player} {_short(recording)}" if player else "open it with any audio player"
    say(
        f"\nrecording: {_short(recording)} (left: the caller, right: what the caller heard)\nlisten:    {how}"
    )


def _short(path: Path) -> Path:
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
