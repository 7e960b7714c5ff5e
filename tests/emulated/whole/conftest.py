"""The whole local stack, every part a process of its own, shared by the tests of this folder."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest_asyncio

from emulator.ports import LOOPBACK, free_ports
from emulator.processes import Process
from emulator.routed import routed_addresses
from emulator.stack import Stack, StackOptions
from shared.adapters.connect import connect
from shared.config import functions_settings
from shared.core.call import CallRecord

REPOSITORY = Path(__file__).resolve().parents[3]
CALL_S = 60.0
SETTLE_S = 15.0


@dataclass
class Running:
    """A running stack, and what its parts have written."""

    stack: Stack
    emulator_url: str
    lines: list[tuple[str, str]] = field(default_factory=list)

    def process(self, name: str) -> Process:
        """One part of the stack."""
        return next(process for process in self.stack._started if process.name == name)

    async def call(self, *arguments: str, record: Path | None = None) -> dict[str, Any]:
        """Place a call by the command line and return its report."""
        command: Sequence[str] = (
            *(
                sys.executable,
                "-m",
                "emulator",
                "call",
                "--json",
                "--url",
                f"ws{self.emulator_url[4:]}/phone",
            ),
            *arguments,
            *(("--record", str(record)) if record else ()),
        )
        process = await asyncio.create_subprocess_exec(
            *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL, cwd=REPOSITORY
        )
        try:
            async with asyncio.timeout(CALL_S):
                output, _ = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        report: dict[str, Any] = json.loads(output)
        return report

    async def newest_record(self, *, final: bool = True) -> CallRecord:
        """The row of the call that was placed last, once it is final (or at once)."""
        settings = functions_settings(self.stack.settings).common
        async with asyncio.timeout(SETTLE_S), connect(settings) as connections:
            while True:
                table = connections.tables.get_table_client("calls")
                ids = [entity["RowKey"] async for entity in table.list_entities(select=["RowKey"])]
                record = await connections.calls.get(max(ids)) if ids else None
                if record is not None and (record.state.is_final or not final):
                    return record
                await asyncio.sleep(0.05)

    def log_of(self, part: str, text: str) -> list[str]:
        """The lines of a part that hold a text."""
        return [line for name, line in self.lines if name == part and text in line]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running() -> AsyncIterator[Running]:
    """One stack for the tests of a module."""
    lines: list[tuple[str, str]] = []
    ports = free_ports()
    options = StackOptions(root=REPOSITORY, ports=ports, addresses=routed_addresses(REPOSITORY))
    stack = Stack(options, lambda part, line: lines.append((part, line)))
    try:
        await stack.start()
        yield Running(stack, f"http://{LOOPBACK}:{ports.emulator}", lines)
    finally:
        await stack.stop()
