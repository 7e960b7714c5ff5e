"""`python -m emulator media-urls`: answered calls whose media is left to whoever opens the printed URLs.

On stdout is one line a call and nothing else, and its end after the last one; everything for people is on stderr.
"""

import argparse
import asyncio
import contextlib
import json
import os
import sys
from collections.abc import AsyncIterator, Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any

import aiohttp

from emulator.numbers import CALLER
from emulator.ports import LOOPBACK, free_ports
from emulator.routed import profiles_called, routed_addresses
from emulator.stack import Stack, StackError, StackOptions
from emulator.up import INTERRUPTED, default_to, interrupted, report, say, unless
from emulator.waiting import cancel_and_wait

MAX_CALLS = 10_000
"""As many as one media gateway can be set to take."""
AT_ONCE = 8
"""Calls that ring at the same time: the gateway is to answer each within seconds."""
REQUEST_S = 10.0
POLL_S = 0.05
TOKEN_S = 30
"""How long the gateway's media URLs are good."""


class CallFailed(Exception):
    """A call did not come to its media; the text is for the person who asked for it."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("--calls", type=_count, default=1, metavar="N", help="how many (default: 1)")
    parser.add_argument(
        "--profile", metavar="P", help="agent profile that answers (default: that of the usual number)"
    )
    parser.add_argument(
        "--json", action="store_true", help="a JSON object a line: url, headers as ACS sends them, sampleRate"
    )
    parser.add_argument(
        "--url", help="the emulator of a running stack, http://... (default: a stack for this, on free ports)"
    )
    parser.add_argument(
        "--root", type=Path, default=Path(), help="the gateway's folder (default: the current one)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Place the calls, print where their media leads, and keep them up until Ctrl-C; return the exit code."""
    try:
        return asyncio.run(_run(arguments, arguments.root.resolve()))
    except (StackError, CallFailed) as error:
        return report(error if isinstance(error, StackError) else StackError(str(error)))


async def _run(arguments: argparse.Namespace, root: Path) -> int:
    to = _whom_to_call(root, arguments.profile)
    with interrupted() as stopping:
        async with contextlib.AsyncExitStack() as exits:
            url, stack = arguments.url, None
            if url is None:
                options = _stack_options(root, arguments.calls)
                url = f"http://{LOOPBACK}:{options.ports.emulator}"
                stack = Stack(options, lambda _part, _line: None)
                exits.push_async_callback(stack.stop)
                _tell("starting a local stack ...")
                if not await unless(stopping, stack.start()):
                    return INTERRUPTED
            calls = await exits.enter_async_context(placed_calls(url, to))
            placing = calls.place_all(arguments.calls, as_json=arguments.json)
            if not await unless(stopping, placing):
                return INTERRUPTED
            _end_of_output()
            _tell(
                f"{arguments.calls} answered; Ctrl-C hangs up. A URL is good for one socket, for {TOKEN_S} s."
            )
            await unless(stopping, stack.watch() if stack is not None else stopping.wait())
    return 0


def _whom_to_call(root: Path, profile: str | None) -> str:
    if profile is None:
        return default_to(routed_addresses(root))
    try:
        called = profiles_called(root)
    except ValueError as error:
        raise StackError(str(error)) from None
    if profile not in called:
        raise StackError(f"no number leads to the profile {profile}; there are {', '.join(called) or 'none'}")
    return called[profile]


def _stack_options(root: Path, calls: int) -> StackOptions:
    settings = {
        "MAX_CALLS": str(calls),
        # A load tool has the URL alone; with the headers of --json it could prove to be ACS.
        "ACS_JWT_VERIFIED_ON": "callbacks",
    }
    return StackOptions(root=root, ports=free_ports(), addresses=routed_addresses(root), settings=settings)


class PlacedCalls:
    """Calls in an emulator; `placed_calls` makes it and hangs them up.

    Args:
        session: for requests.
        url: of the emulator.
        to: whom they call.
    """

    def __init__(self, session: aiohttp.ClientSession, url: str, to: str) -> None:
        self._session = session
        self._calls_url = f"{url.rstrip('/')}/emulator/calls"
        self._to = to
        self._ids: list[str] = []

    async def place_all(self, calls: int, *, as_json: bool) -> None:
        """Place them, a few at a time, and print a line for each as soon as it is answered.

        Raises:
            CallFailed: one of them was not answered with a media stream.
        """
        numbers = iter(range(calls))
        placing = [asyncio.create_task(self._place_in_turn(numbers, as_json)) for _ in range(AT_ONCE)]
        try:
            await asyncio.gather(*placing)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise CallFailed(f"{self._calls_url}: {str(error) or type(error).__name__}") from error
        finally:
            await cancel_and_wait(*placing)

    async def hang_up(self) -> None:
        """Let all callers hang up; those whom the emulator cannot reach any more have gone already."""
        await asyncio.gather(*map(self._hang_up, self._ids), return_exceptions=True)

    async def _place_in_turn(self, numbers: Iterator[int], as_json: bool) -> None:
        for _ in numbers:
            address = await self._place()
            say(json.dumps(address) if as_json else address["url"])

    async def _place(self) -> dict[str, Any]:
        """Place one call; return where its media leads."""
        body = {"to": self._to, "from": CALLER}
        async with self._session.post(self._calls_url, json=body) as response:
            answer = await response.json()
            if response.status != HTTPStatus.CREATED:
                raise CallFailed(f"the emulator places no call: {answer['error']['message']}")
        correlation_id = answer["correlationId"]
        self._ids.append(correlation_id)
        while True:
            async with self._session.get(f"{self._calls_url}/{correlation_id}") as response:
                call = await response.json()
            if call["mediaAddress"] is not None:
                return dict(call["mediaAddress"])
            if call["end"] is not None:
                raise CallFailed(f"a call to {self._to} came to no media stream: {call['end']}")
            await asyncio.sleep(POLL_S)

    async def _hang_up(self, correlation_id: str) -> None:
        async with self._session.post(f"{self._calls_url}/{correlation_id}/hangup"):
            pass


@contextlib.asynccontextmanager
async def placed_calls(url: str, to: str) -> AsyncIterator[PlacedCalls]:
    """Give the means to place calls; hang them up at the end."""
    timeout = aiohttp.ClientTimeout(total=REQUEST_S)
    connector = aiohttp.TCPConnector(limit=AT_ONCE)
    async with aiohttp.ClientSession(timeout=timeout, connector=connector) as session:
        calls = PlacedCalls(session, url, to)
        try:
            yield calls
        finally:
            await calls.hang_up()


def _end_of_output() -> None:
    """Let a program that reads the URLs from a pipe see that there are no more."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201 - the command's own message


def _count(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and 1 <= int(text) <= MAX_CALLS):
        raise argparse.ArgumentTypeError(f"must be a number from 1 to {MAX_CALLS}")
    return int(text)
