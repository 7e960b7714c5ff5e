"""`python -m emulator media-urls`: any load tool can be the media of calls that the gateway has answered."""

import asyncio
import base64
import json
import signal
import sys

import aiohttp
import pytest

from tests.support.functions_host import REPOSITORY

CALLS = 4
UP_S = 45.0
END_S = 25.0
ECHO_S = 10.0
RATE_HZ = 24_000
FRAME = b"\x10\x00" * (RATE_HZ // 50)
ECHO_DELAY_FRAMES = 150
"""Of the echo profile; its clock is the audio, so it can be had in no time."""


class MediaUrls:
    """The command; what it prints for programs and for people is kept apart."""

    def __init__(self):
        self.process = None

    async def start(self, *arguments):
        self.process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "emulator", "media-urls", *arguments),
            cwd=REPOSITORY, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip

    async def lines(self):
        """All that it prints on stdout, up to the end of that."""
        async with asyncio.timeout(UP_S):
            return (await self.process.stdout.read()).decode().splitlines()

    async def end(self, number=None):
        """Wait for the end, after a signal if one is given; return the exit code and what it said to people."""
        if number is not None:
            self.process.send_signal(number)
        async with asyncio.timeout(END_S):
            _, said = await self.process.communicate()
        return self.process.returncode, said.decode()


@pytest.fixture
async def command():
    command = MediaUrls()
    yield command
    if command.process is not None and command.process.returncode is None:
        command.process.kill()
        await command.process.wait()


async def echoed(http, url, headers=None):
    """Open the media socket as ACS does, say more than the echo holds back, and return the first that comes back."""
    async with asyncio.timeout(ECHO_S), http.ws_connect(url, headers=headers) as socket:
        metadata = {"sampleRate": RATE_HZ, "encoding": "PCM", "channels": 1, "length": len(FRAME)}
        await socket.send_json({"kind": "AudioMetadata", "audioMetadata": metadata})
        audio = {"data": base64.b64encode(FRAME).decode(), "silent": False}
        for _ in range(ECHO_DELAY_FRAMES + 5):
            await socket.send_json({"kind": "AudioData", "audioData": audio})
        answer = await socket.receive_json()
        # What was said before the agent listened comes back in larger pieces.
        return base64.b64decode(answer["AudioData"]["Data"])[: len(FRAME)]


async def test_each_url_takes_a_socket_and_the_agent_answers(command, http):
    await command.start("--calls", str(CALLS), "--profile", "echo")
    urls = await command.lines()
    assert len(set(urls)) == CALLS
    assert await asyncio.gather(*(echoed(http, url) for url in urls)) == [FRAME] * CALLS
    code, said = await command.end(signal.SIGINT)
    assert code == 0, said
    assert "for 30 s" in said
    assert "Traceback" not in said


async def test_with_the_headers_a_socket_is_taken_for_acs_by_a_stack_that_checks(command, http):
    """One that runs already, for which it prints JSON; its calls are hung up and it goes on."""
    up = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "emulator", "up", "--free-ports"),
        cwd=REPOSITORY, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    try:
        emulator = await emulator_of(up)
        await command.start("--url", emulator, "--json")
        [call] = map(json.loads, await command.lines())
        assert call["sampleRate"] == RATE_HZ
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await echoed(http, call["url"])
        assert await echoed(http, call["url"], call["headers"]) == FRAME
        assert (await command.end(signal.SIGINT))[0] == 0
        async with http.get(f"{emulator}/emulator/health") as response:
            assert (await response.json())["liveCalls"] == 0
    finally:
        up.terminate()
        await up.communicate()


async def emulator_of(up):
    """Wait until a stack is ready; return its emulator's URL."""
    url = ""
    async with asyncio.timeout(UP_S):
        while line := (await up.stdout.readline()).decode():
            name, _, rest = line.strip().partition(" ")
            if name == "emulator":
                url = rest.split()[0]
            if line.startswith("ready:"):
                return url
    raise AssertionError("the stack did not come up")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--profile", "nobody"], "there are echo, reception"),
        (["--url", "http://127.0.0.1:9"], "http://127.0.0.1:9/emulator/calls"),
        (["--root", "docs", "--profile", "echo"], "gateway.yaml has no routes"),
    ],
)
async def test_what_is_wrong_is_said(command, arguments, words):
    await command.start(*arguments)
    code, said = await command.end()
    assert code == 1
    assert words in said
    assert "Traceback" not in said
