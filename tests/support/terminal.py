"""The steps of a page, in the shells of a reader."""

import asyncio
import os
import signal
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.support.documentation import REPOSITORY

STEP_S = 30.0


async def shell(script, **options):
    """Start a step as a reader's shell would, in a process group of its own."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return await asyncio.create_subprocess_exec(
        *("bash", "-e", "-c", script), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        cwd=REPOSITORY, env=os.environ | {"PATH": path}, start_new_session=True, **options,
    )  # fmt: skip


@asynccontextmanager
async def in_another_terminal(script, ready):
    """Run a step beside the others, from its ready line on; it is interrupted at the end."""
    process = await shell(script)
    lines = []
    try:
        async with asyncio.timeout(STEP_S):
            while line := (await process.stdout.readline()).decode():
                lines.append(line)
                if line.startswith(ready):
                    break
            else:
                pytest.fail("".join(lines))
        yield process
    finally:
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGTERM)
        async with asyncio.timeout(STEP_S):
            await process.communicate()
        process._transport.close()


async def output_of(script, code=0):
    process = await shell(script)
    try:
        async with asyncio.timeout(STEP_S):
            output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGTERM)
        process._transport.close()
    assert process.returncode == code, output.decode()
    return output.decode()
