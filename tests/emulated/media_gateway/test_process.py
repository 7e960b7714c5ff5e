"""`python -m media_gateway` as a process: its settings, its health, its end."""

import asyncio
import json
import os
import signal
import socket
import sys
from contextlib import asynccontextmanager

from shared.config import media_settings

NOWHERE = {
    "ACS_ENDPOINT": "http://127.0.0.1:9",
    "ACS_ACCESS_KEY": "c2VjcmV0LWtleQ==",
    "KEY_VAULT_URL": "https://127.0.0.1:9",
    "AZURE_CREDENTIAL": "local",
    "STORAGE_CONNECTION_STRING": (
        "DefaultEndpointsProtocol=http;AccountName=a;AccountKey=a2V5;TableEndpoint=http://127.0.0.1:9/a;"
    ),
    "WEB_PUBSUB_CONNECTION_STRING": "Endpoint=http://127.0.0.1:9;AccessKey=cHVibGljLCBhbmQgbG9uZyBlbm91Z2ggZm9yIEhTMjU2;",
    "MEDIA_HOST": "127.0.0.1",
    "MEDIA_PORT": "0",
    "POD_NAME": "pod-a",
}


@asynccontextmanager
async def gateway_process(env):
    path = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "media_gateway", env=path | env,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()
        process._transport.close()


async def get(port, path):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: gateway\r\n\r\n".encode())
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return int(answer.split()[1]), json.loads(answer.partition(b"\r\n\r\n")[2])


async def test_every_fault_of_the_settings_is_said_at_once():
    async with gateway_process({"MAX_CALLS": "many"}) as process:
        _, errors = await process.communicate()

    assert process.returncode == 2
    for name in (b"ACS_ENDPOINT", b"KEY_VAULT_URL", b"MAX_CALLS", b"STORAGE_TABLE_ENDPOINT"):
        assert name in errors
    assert b"Traceback" not in errors


async def test_port_that_is_taken_is_said_in_one_line():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        env = NOWHERE | {"MEDIA_PORT": str(taken.getsockname()[1])}
        async with gateway_process(env) as process:
            _, errors = await process.communicate()

    assert process.returncode == 1
    assert b"cannot listen on 127.0.0.1" in errors
    assert b"Traceback" not in errors


async def test_process_lives_without_the_rest_of_the_world_and_stops_in_order():
    assert media_settings(NOWHERE).pod_name.startswith("pod-a-")
    async with gateway_process(NOWHERE) as process:
        async with asyncio.timeout(20):
            while "port" not in (line := json.loads(await process.stderr.readline())):
                pass
        assert line["message"] == "media gateway listens"
        assert await get(line["port"], "/healthz") == (200, {"status": "alive"})
        status, report = await get(line["port"], "/readyz")
        assert status == 503
        assert report["checks"] == {"keys": "not loaded", "storage": "no answer", "room": "ok", "load": "ok"}

        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(20):
            _, errors = await process.communicate()
    assert process.returncode == 0
    assert json.loads(errors.splitlines()[-1])["message"] == "media gateway stopped"
    assert b"c2VjcmV0LWtleQ" not in errors


STUBBORN = """
import asyncio, sys
import media_gateway.__main__ as gateway

async def serve(settings):
    async def ignore_cancellation():
        while True:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                pass
    global task
    task = asyncio.create_task(ignore_cancellation())
    await asyncio.sleep(0)

gateway.serve, gateway.LEAVE_S = serve, 0.1
sys.exit(gateway.main())
"""


async def test_process_ends_though_an_agent_left_a_task_that_cannot_be_cancelled():
    env = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ} | NOWHERE
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", STUBBORN, env=env, stderr=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(20):
            _, errors = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()
        process._transport.close()

    assert process.returncode == 0
    assert b"tasks that cannot be cancelled were left" in errors
