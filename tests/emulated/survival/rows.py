"""The rows of the survival table: what happens, what a caller is to get, and what they got."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field

import pytest

from tests.support.survival import Survivors

PROPERTY = "survival"
"""Under this name a test reports its row."""
IS_BESIDE_OTHERS = "PYTEST_XDIST_WORKER" in os.environ
SLACK = 2 if IS_BESIDE_OTHERS else 1
"""Where other tests run at the same time waits are longer, and are not what the table promises."""


@dataclass(frozen=True)
class Lived:
    """How a row went.

    Attributes:
        callers: how many it happened to.
        waited_s: the longest that one of them heard nothing.
        got: what they got, where that is more than the row says.
    """

    callers: int
    waited_s: float
    got: str = ""


@dataclass(frozen=True)
class Row:
    """One thing that happens.

    Attributes:
        what: happens.
        gets: what the caller is to get.
        at_most_s: how long they may hear nothing.
        live: lets it happen, and checks everything but the wait.
    """

    what: str
    gets: str
    at_most_s: float
    live: Callable[[Survivors], Awaitable[Lived]]


@dataclass
class Rows:
    """The rows of one module, in order."""

    all: list[Row] = field(default_factory=list)

    def row(self, what: str, gets: str, *, at_most_s: float):
        """Take a function for what happens in a row."""

        def take(live):
            self.all.append(Row(what, gets, at_most_s, live))
            return live

        return take


def items_of(*groups: Rows):
    """The values of a parameter `rows` by which each row is a test.

    Under xdist all are one: its workers would each let everything happen for those that they get.
    """
    rows = [row for group in groups for row in group.all]
    if IS_BESIDE_OTHERS:
        return [pytest.param(rows, id="every row")]
    return [pytest.param([row], id=row.live.__name__) for row in rows]


class Results:
    """What became of each row of a module; a row that failed fails its own test only."""

    def __init__(self) -> None:
        self._of: dict[str, Lived | Exception] = {}

    async def live(self, stack: Survivors, rows: Iterable[Row], *, at_once: bool = False) -> None:
        """Let rows happen, one after the other or all at once."""
        rows = list(rows)
        if at_once and rows:
            stack.together = asyncio.Barrier(len(rows))
            await asyncio.gather(*(self._live(stack, row) for row in rows))
        else:
            for row in rows:
                stack.together = asyncio.Barrier(1)
                await self._live(stack, row)

    async def _live(self, stack: Survivors, row: Row) -> None:
        try:
            self._of[row.what] = await row.live(stack)
        except Exception as error:  # noqa: BLE001 - raised again in the test of the row
            self._of[row.what] = error
            await stack.together.abort()

    def of(self, row: Row) -> Lived:
        """How a row went; raises what it raised."""
        lived = self._of[row.what]
        if isinstance(lived, Exception):
            raise lived
        return lived


def selected(request, rows: Rows) -> list[Row]:
    """The rows of which a test of this session asks for the fixture of `request`."""
    items = [item for item in request.session.items if request.fixturename in item.fixturenames]
    wanted = {
        row.what for item in items if item.module is request.module for row in item.callspec.params["rows"]
    }
    return [row for row in rows.all if row.what in wanted]


def check(rows: Iterable[Row], results: Results, record_property: Callable[[str, object], None]) -> None:
    """Hold rows against their bounds, and put them into the table."""
    faults = []
    for row in rows:
        try:
            lived = results.of(row)
            record_property(
                PROPERTY, [row.what, row.gets, lived.callers, lived.waited_s, row.at_most_s, lived.got]
            )
            assert lived.waited_s <= row.at_most_s * SLACK, row.what
        except Exception as error:  # noqa: BLE001 - all of them are told
            faults.append(error)
    if faults:
        raise faults[0] if len(faults) == 1 else ExceptionGroup("rows of the survival table", faults)


def table(rows: Iterable[list]) -> str:
    """The rows as Markdown."""
    head = "| what happens | what the caller gets | callers | longest wait | at most |\n|---|---|---|---|---|"
    lines = [
        f"| {what} | {'; '.join(filter(None, (gets, got)))} | {callers} | {waited_s:.1f} s | {at_most_s:g} s |"
        for what, gets, callers, waited_s, at_most_s, got in rows
    ]
    return "\n".join([head, *lines])
