"""What every test gets: the parts' fixtures, and a check that nothing is left running or open."""

import asyncio
import gc
import importlib.util
import inspect
import os
import stat
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

_PLUGINS = ("azurite", "functions_host", "acs_emulator", "voice", "gateway", "metrics")
pytest_plugins = [
    name for name in (f"tests.support.{plugin}" for plugin in _PLUGINS) if importlib.util.find_spec(name)
]

LEFTOVER_GRACE_S = 0.2
"""How long closing connections and ending tasks may take after the test and its fixtures are done."""
COLLECT_AFTER_S = 0.02
"""Most are closed by then. A socket that is left may be an exception's, which with its frames goes in a collection."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes minutes, most of them waiting: at the end the other processes would have nothing to do."""
    items.sort(key=lambda item: "survival" not in item.path.parts)


def pytest_collection_finish() -> None:
    """Spare what is there for good, seven thousand tests and all modules, from every collection of garbage."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def nothing_left_open(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test that leaves a socket open or, if it is asynchronous, a task running."""
    if inspect.iscoroutinefunction(getattr(request.node, "obj", None)):
        request.getfixturevalue("nothing_left_on_the_loop")
        yield
        return
    before = _open_sockets()
    yield
    left = _open_sockets() - before
    if left:
        gc.collect()
        left = _open_sockets() - before
    assert not left, f"the test left {len(left)} socket(s) open: {_describe(left)}"


@pytest.fixture
async def nothing_left_on_the_loop() -> AsyncIterator[None]:
    """Fail an asynchronous test that leaves a task running on its loop, or a socket open."""
    tasks, sockets = asyncio.all_tasks(), _open_sockets()
    yield
    tasks.add(asyncio.current_task())
    await _until_nothing_is_left(tasks, sockets, COLLECT_AFTER_S)
    if _open_sockets() - sockets:
        gc.collect()
    await _until_nothing_is_left(tasks, sockets, LEFTOVER_GRACE_S)
    running = asyncio.all_tasks() - tasks
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
    assert not running, f"the test left tasks running: {sorted(map(str, running))}"
    left = _open_sockets() - sockets
    assert not left, f"the test left {len(left)} socket(s) open: {_describe(left)}"


async def _until_nothing_is_left(
    tasks: set[asyncio.Task[Any]], sockets: frozenset[tuple[int, int]], within_s: float
) -> None:
    """Give what is left so long: nothing tells when the last transport of a loop is closed."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within_s
    while (asyncio.all_tasks() - tasks or _open_sockets() - sockets) and loop.time() < deadline:
        await asyncio.sleep(0.002)


def _open_sockets() -> frozenset[tuple[int, int]]:
    """The sockets of this process, as (descriptor, inode), so that a reused descriptor counts as new."""
    found = set()
    for entry in Path("/dev/fd").iterdir():
        try:
            status = os.fstat(int(entry.name))
        except OSError:  # the descriptor of this very listing
            continue
        if stat.S_ISSOCK(status.st_mode):
            found.add((int(entry.name), status.st_ino))
    return frozenset(found)


def _describe(sockets: frozenset[tuple[int, int]]) -> str:
    """Where the sockets lead to, as far as the system tells."""
    try:
        tables = [
            line.split()
            for name in ("tcp", "tcp6")
            for line in Path(f"/proc/net/{name}").read_text().splitlines()
        ]
    except OSError:
        tables = []
    ends = {row[9]: f"{_port(row[1])} to {_port(row[2])}" for row in tables if row[0] != "sl"}
    return ", ".join(f"fd {fd} ({ends.get(str(inode), 'not TCP')})" for fd, inode in sorted(sockets))


def _port(address: str) -> str:
    return f"port {int(address.rpartition(':')[2], 16)}"
