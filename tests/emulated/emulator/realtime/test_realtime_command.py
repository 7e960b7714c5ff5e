"""`python -m emulator realtime` as a process: what it says, what it heeds, how it ends."""

import argparse
import asyncio
import re
import signal
import sys

import aiohttp
import pytest

from emulator.realtime.command import SERVING, add_arguments
from emulator.realtime.settings import Behaviour, Trouble
from tests.support.functions_host import REPOSITORY

START_S = 20.0
URL = re.compile(r" +(\S+) +(ws://127\.0\.0\.1:\d+/\S+)")


async def start(*arguments):
    """Start it on a free port; return the process and its lines until it serves, or ends."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "emulator", "realtime", "--port", "0", *arguments),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, cwd=REPOSITORY,
    )  # fmt: skip
    lines = []
    async with asyncio.timeout(START_S):
        while line := (await process.stdout.readline()).decode():
            lines.append(line.rstrip())
            if line.startswith(SERVING):
                break
    return process, lines


async def test_it_says_where_each_service_is_and_ends_on_ctrl_c():
    process, lines = await start("--behaviour", "echo", "--key", "secret")
    urls = dict(URL.fullmatch(line).groups() for line in lines[:-1])
    assert list(urls) == ["openai", "azure-openai", "voice-live"]
    async with aiohttp.ClientSession() as http:
        headers = {"api-key": "secret"}
        async with http.ws_connect(urls["azure-openai"], params={"model": "m"}, headers=headers) as socket:
            assert (await socket.receive_json())["type"] == "session.created"
            process.send_signal(signal.SIGINT)
            await socket.receive()
    assert await process.wait() == 0
    assert b"Traceback" not in await process.stdout.read()
    process._transport.close()


async def test_a_port_that_is_taken_is_said():
    first, lines = await start()
    port = lines[-1].split("127.0.0.1:")[1].split(",")[0]
    second, output = await start("--port", port)
    assert await second.wait() == 1
    assert "in use" in output[-1]
    first.terminate()
    assert await first.wait() == 0
    for process in (first, second):
        process._transport.close()


@pytest.mark.parametrize("arguments", [["--behaviour", "helpful"], ["--trouble", "many"], ["--port", "x"]])
def test_what_it_does_not_know_is_refused(arguments):
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    with pytest.raises(SystemExit):
        parser.parse_args(arguments)


def test_every_behaviour_and_trouble_is_documented():
    text = (REPOSITORY / "docs" / "emulator" / "realtime.md").read_text()
    assert [name for name in Behaviour if f"| `{name}`" not in text] == []
    assert [name for name in Trouble if f"`--trouble {name}`" not in text] == []
