"""`python -m emulator serve` as a process: what it says, what it reads, how it ends."""

import asyncio
import json
import re
import signal
import sys

import pytest

from emulator.serve import SERVING
from tests.support.functions_host import REPOSITORY

START_S = 20.0
READY = re.compile(r"serving: ACS and Event Grid at (\S+), Key Vault at (\S+) \(its authority: (.+)\)")


@pytest.fixture
async def serve():
    """Start it on free ports: `process, lines = await serve("--settings", path)`; until it serves, or ends."""
    started = []

    async def start(*arguments):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "emulator", "serve", "--port", "0", "--key-vault-port", "0", *arguments),
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, cwd=REPOSITORY,
        )  # fmt: skip
        started.append(process)
        lines = []
        async with asyncio.timeout(START_S):
            while line := (await process.stdout.readline()).decode():
                lines.append(line.rstrip())
                if line.startswith(SERVING):
                    break
        return process, lines

    yield start
    for process in started:
        if process.returncode is None:
            process.kill()
        await process.wait()
        process._transport.close()


async def place(http, base_url, to):
    """Ring a number; return the first state that its caller is told."""
    async with http.ws_connect(f"{base_url}/phone", params={"to": to, "from": "+14255550111"}) as phone:
        while isinstance((message := await phone.receive()).data, bytes):
            pass
        return json.loads(message.data)["state"]


async def test_the_ready_line_says_where_everything_is(serve, http, tmp_path):
    settings = tmp_path / "settings.json"
    settings.write_text(json.dumps({"phone_numbers": ["+18005550197"], "time_scale": 0.01}))
    ca_file = tmp_path / "ca.pem"
    process, lines = await serve("--settings", str(settings), "--key-vault-ca-file", str(ca_file))
    base_url, key_vault_url, authority = READY.fullmatch(lines[-1]).groups()
    assert key_vault_url.startswith("https://127.0.0.1:")
    assert authority == str(ca_file)
    assert ca_file.read_text().startswith("-----BEGIN CERTIFICATE-----")
    assert await place(http, base_url, "+18005550197") == "ringing"
    assert await place(http, base_url, "+18005550199") == "ended"
    process.send_signal(signal.SIGTERM)
    async with asyncio.timeout(START_S):
        assert await process.wait() == 0


async def test_options_go_before_the_settings(serve, http, tmp_path):
    settings = tmp_path / "settings.json"
    settings.write_text(json.dumps({"phone_numbers": ["+18005550197"]}))
    _, lines = await serve("--settings", str(settings), "--phone-number", "+18005550196")
    base_url = READY.fullmatch(lines[-1])[1]
    assert await place(http, base_url, "+18005550196") == "ringing"
    assert await place(http, base_url, "+18005550197") == "ended"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--host", "ü"), "emulator: the host is no address to listen on"),
        (("--settings", "missing.json"), "missing.json"),
        (("--phone-number", "123"), "emulator: The emulator's settings are wrong:"),
    ],
)
async def test_what_cannot_be_served_is_said_plainly(serve, arguments, message):
    process, lines = await serve(*arguments)
    assert await process.wait() == 1
    assert message in "\n".join(lines)
    assert "Traceback" not in "\n".join(lines)
