"""The steps of "With an application of your own", in the documentation's words, with the emulator as a process.

Ports and folders are others, so that it can run beside anything else; `npm ci` is done beforehand, and kept.
"""

import asyncio
import json
import os
import signal
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from emulator.ports import free_ports
from emulator.serve import SERVING
from tests.support.documentation import DOCS, PAGES, REPOSITORY, blocks
from tests.support.node_app import copy_with_packages, missing_tool

EXAMPLE = DOCS / "examples" / "own-app"
STEP_S = 30.0


@pytest.fixture
def steps(tmp_path):
    """The section's blocks, for free ports and the test's folder; the settings are in their file."""
    if missing := missing_tool():
        pytest.skip(missing)
    try:
        app = copy_with_packages(EXAMPLE, tmp_path / "own-app")
    except OSError as error:
        if "CI" in os.environ:
            raise
        pytest.skip(f"the example's packages are not installed: {error}")
    ports = free_ports()
    changes = {
        "8061": str(ports.emulator),
        "8062": str(ports.key_vault),
        "3000": str(ports.functions),
        "emulator.json": str(tmp_path / "emulator.json"),
        EXAMPLE.relative_to(REPOSITORY).as_posix(): str(app),
        "npm ci\n": "",
    }
    texts = []
    for block in blocks(PAGES[0]):
        if block.section == "With an application of your own":
            text = block.text
            for old, new in changes.items():
                text = text.replace(old, new)
            texts.append((block.info, text))
    assert [info for info, _ in texts] == ["json", "sh", "sh", "sh", "sh", "sh", "sh"]
    (tmp_path / "emulator.json").write_text(texts[0][1])
    return [text for _, text in texts[1:]]


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


async def output_of(script):
    process = await shell(script)
    async with asyncio.timeout(STEP_S):
        output, _ = await process.communicate()
    process._transport.close()
    assert process.returncode == 0, output.decode()
    return output.decode()


async def test_an_application_in_another_language_is_called_as_the_steps_say(steps):
    serve, app, subscribe, call, look, call_on_a_bad_line = steps
    async with in_another_terminal(serve, SERVING), in_another_terminal(app, "own-app listens"):
        assert json.loads(await output_of(subscribe))["provisioningState"] == "Succeeded"

        report = await output_of(call)
        assert "result               ok" in report
        assert "heard                0 ms" not in report

        [placed] = json.loads(await output_of(look))["value"]
        assert (placed["state"], placed["end"]) == ("ended", "caller_hung_up")

        impaired = await output_of(call_on_a_bad_line)
        assert "done on purpose      " in impaired
        assert "frames delayed" in impaired
