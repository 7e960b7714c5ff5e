"""`python -m emulator ingress`, on uvloop's loop as it runs there."""

import asyncio
import signal
import socket
import sys

import pytest
from picows import ws_connect

from emulator.__main__ import main
from emulator.ingress.command import SERVING
from emulator.ports import free_ports
from tests.emulated.emulator.ingress.conftest import WITHIN_S, Caller, FakePod


async def test_the_command_passes_sockets_on_to_ready_pods_and_ends_on_ctrl_c():
    pods = [FakePod("pod-0"), FakePod("pod-1")]
    for pod in pods:
        await pod.start()
    pods[1].is_ready = False
    port = free_ports().media
    options = ("--port", str(port), "--backend", *(pod.url for pod in pods), "--probe-period", "0.05")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "emulator", "ingress", *options, "--probe-failures", "1", "--idle", "60"),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip

    async def until(text):
        async with asyncio.timeout(20):
            while text not in (line := (await process.stdout.readline()).decode()):
                assert line, "it has ended"
        return line

    try:
        assert f"2 backends at http://127.0.0.1:{port}" in await until(SERVING)
        await until(f"{pods[0].url} is ready")
        callers = [(await ws_connect(Caller, f"ws://127.0.0.1:{port}/"))[1] for _ in range(2)]
        assert [await caller.hear(0) for caller in callers] == [b"pod-0"] * 2
        pods[0].is_ready = False
        await until(f'{pods[0].url} is not ready: {{"status":"not ready"}}')
        callers[0].say(b"still here")
        assert await callers[0].hear(1) == b"still here"

        process.send_signal(signal.SIGINT)

        async with asyncio.timeout(WITHIN_S):
            rest, _ = await process.communicate()
        assert (process.returncode, rest) == (0, b"")
        for caller in callers:
            await caller.over()
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()
        process._transport.close()
        for pod in pods:
            await pod.stop()


@pytest.mark.parametrize("backend", ["ws://127.0.0.1:8063", "127.0.0.1:8063", "http://127.0.0.1"])
def test_what_is_no_backend_is_refused_at_once(backend, capsys):
    with pytest.raises(SystemExit) as exit_:
        main(["ingress", "--backend", backend])
    assert exit_.value.code == 2
    assert f"a backend must be http://HOST:PORT, not {backend}" in capsys.readouterr().err


def test_a_port_that_is_taken_is_said_in_one_line(capsys):
    port = free_ports().media
    with socket.create_server(("127.0.0.1", port)):
        assert main(["ingress", "--port", str(port), "--backend", "http://127.0.0.1:1"]) == 1
    assert capsys.readouterr().err.startswith("emulator: ")
