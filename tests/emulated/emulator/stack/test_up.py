"""The whole stack as a user starts it: up, watched, down, and nothing left."""

import asyncio
import json
import os
import re
import shutil
import signal
import socket
import sys
import uuid
from pathlib import Path

import pytest
from aiohttp import WSMsgType

from emulator.__main__ import main
from emulator.functions_host.host import DRAIN_S
from emulator.ports import LOOPBACK, Ports
from emulator.stack import GRACE_S
from emulator.up import READY
from tests.support.functions_host import REPOSITORY

UP_S = 45.0
END_S = 25.0


class Command:
    """A command of the emulator under test; its processes, down to grandchildren, carry a mark."""

    def __init__(self):
        self.mark = uuid.uuid4().hex
        self.lines = []
        self.process = None

    async def start(self, *arguments):
        self.process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "emulator", *arguments),
            cwd=REPOSITORY, env=os.environ | {"STACK_TEST_MARK": self.mark},
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip

    async def until(self, text, within_s=UP_S):
        """Read lines until one holds the text."""
        async with asyncio.timeout(within_s):
            while line := (await self.process.stdout.readline()).decode():
                self.lines.append(line.rstrip())
                if text in line:
                    return self.lines[-1]
        raise AssertionError(f"ended without {text!r}:\n" + "\n".join(self.lines))

    async def end(self, number=None):
        """Wait for the end, after a signal if one is given; return the exit code."""
        if number is not None:
            self.process.send_signal(number)
        async with asyncio.timeout(END_S):
            rest, _ = await self.process.communicate()
        self.lines += rest.decode().splitlines()
        return self.process.returncode

    def ports(self):
        """The ports of the printed table."""
        found = [re.match(r"  (\w+) +\w+://127\.0\.0\.1:(\d+) ", line) for line in self.lines]
        return {match[1]: int(match[2]) for match in found if match}

    def left(self):
        """Processes that carry the mark and still run."""
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                if self.mark.encode() in (entry / "environ").read_bytes():
                    found.append(
                        (int(entry.name), (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode())
                    )
            except (OSError, ValueError):  # ended meanwhile, or a zombie
                continue
        return found


@pytest.fixture
async def command():
    command = Command()
    # Whoever runs the tests by `nohup` has them, and the command, ignore it.
    hangup = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield command
    signal.signal(signal.SIGHUP, hangup)
    for pid, _ in command.left():
        os.kill(pid, signal.SIGKILL)
    if command.process is not None:
        await command.process.wait()
        command.process._transport.close()


async def test_everything_comes_up_and_ctrl_c_leaves_nothing(command, http, tmp_path):
    await command.start(
        "up", "--free-ports", "--env", "--data", str(tmp_path / "data"), "--realtime", "parrot"
    )
    ready = await command.until(READY)
    ports = command.ports()
    assert set(ports) == {name for name, _ in Ports().items()}
    assert f"ws://{LOOPBACK}:{ports['emulator']}/phone" in ready
    assert f"export CALLBACK_BASE_URL=http://{LOOPBACK}:{ports['functions']}" in command.lines
    for path in (
        f"{ports['functions']}/readyz",
        f"{ports['media']}/readyz",
        f"{ports['emulator']}/emulator/health",
        f"{ports['realtime']}/healthz",
    ):
        async with http.get(f"http://{LOOPBACK}:{path}") as response:
            assert response.status == 200
    subscriptions = f"http://{LOOPBACK}:{ports['emulator']}/eventgrid/subscriptions"
    async with http.get(subscriptions) as response:
        [subscription] = (await response.json())["value"]
    assert subscription["provisioningState"] == "Succeeded"
    assert (subscription["maxDeliveryAttempts"], subscription["eventTimeToLiveInMinutes"]) == (3, 1)
    [wanted] = subscription["filter"]["advancedFilters"]
    assert (wanted["key"], wanted["values"]) == ("data.to.rawId", ["4:+18005550199", "4:+18005550198"])
    kept = tmp_path / "data" / "azurite" / "account.json"
    account = json.loads(kept.read_text())
    assert subscription["headers"]["asapp-api-id"] == account["api_id"]
    assert account["api_secret"] not in "\n".join(command.lines)
    assert await command.end(signal.SIGINT) == 0
    assert command.left() == []
    assert [port for port in ports.values() if is_listened_on(port)] == []
    assert "Traceback" not in "\n".join(command.lines)

    await command.start("up", "--free-ports", "--data", str(tmp_path / "data"))
    await command.until(READY)
    assert json.loads(kept.read_text()) == account
    assert await command.end(signal.SIGHUP) == 0
    assert command.left() == []

    # Without the tables that its account was in, the stack makes both anew.
    shutil.rmtree(tmp_path / "data" / "azurite")
    await command.start("up", "--free-ports", "--data", str(tmp_path / "data"))
    await command.until(READY)
    assert json.loads(kept.read_text())["api_id"] != account["api_id"]
    assert await command.end(signal.SIGTERM) == 0
    assert command.left() == []


async def test_a_running_stack_has_its_storage_slowed_and_ends_its_call_in_order(command, http):
    await command.start("up", "--free-ports")
    await command.until(READY)
    emulator = f"http://{LOOPBACK}:{command.ports()['emulator']}"
    rule = {"operation": "storage.insertEntity:calls", "action": {"kind": "delay", "ms": 400}}
    async with http.post(f"{emulator}/emulator/faults", json=rule) as response:
        assert response.status == 201
    query = {"to": "+18005550199", "from": "+14255550100"}
    at_ms = {}
    async with asyncio.timeout(END_S), http.ws_connect(f"{emulator}/phone", params=query) as phone:
        while "media_connected" not in at_ms:
            message = await phone.receive()
            if message.type is WSMsgType.TEXT:
                state = json.loads(message.data)
                at_ms[state["state"]] = state["at_ms"]
        assert at_ms["answered"] >= 400
        assert await command.end(signal.SIGINT) == 0
    # The gateway could still hang up, and write down how the call ended.
    assert '"message": "call ended"' in "\n".join(command.lines)
    assert command.left() == []


@pytest.mark.skipif(sys.platform != "linux", reason="by Linux's parent-death signal")
async def test_a_stack_that_is_killed_leaves_nothing(command):
    await command.start("up", "--free-ports")
    await command.until(READY)
    command.process.kill()
    await command.process.wait()
    async with asyncio.timeout(END_S):
        while command.left():
            await asyncio.sleep(0.05)


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="finds the part's process by /proc")
async def test_a_part_that_dies_is_named_and_takes_the_stack_along(command):
    await command.start("up", "--free-ports")
    await command.until(READY)
    [media] = [pid for pid, line in command.left() if "media_gateway" in line]
    os.kill(media, signal.SIGKILL)
    assert await command.end() == 1
    assert f"stopped: media has ended with exit code {-signal.SIGKILL}" in command.lines
    assert command.left() == []


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="finds the pods' processes by /proc")
async def test_several_pods_are_behind_one_port_and_one_that_dies_is_restarted(command, http):
    await command.start("up", "--free-ports", "--pods", "2")
    await command.until(READY)
    ports = {
        name: port
        for line in command.lines
        for name, port in re.findall(r"^  ([\w-]+) +\w+://\S+:(\d+)", line)
    }
    assert {"pod-1", "pod-2"} < set(ports)

    async def answering():
        async with http.get(f"http://{LOOPBACK}:{ports['media']}/readyz") as response:
            return (await response.json())["pod"]

    first, second = await answering(), await answering()
    assert [name.rpartition("-")[0] for name in sorted([first, second])] == ["pod-1", "pod-2"]
    assert await answering() == first
    query = {"to": "+18005550199", "from": "+14255550100"}
    async with (
        asyncio.timeout(END_S),
        http.ws_connect(f"http://{LOOPBACK}:{ports['emulator']}/phone", params=query) as phone,
    ):
        while "media_connected" not in str((await phone.receive()).data):
            pass

    pod, *_ = [pid for pid, line in command.left() if "media_gateway" in line]
    os.kill(pod, signal.SIGKILL)
    await command.until("ended with exit code -9; it is restarted")
    await command.until(" is ready")
    names = {await answering(), await answering()}
    assert len(names) == 2
    assert names != {first, second}

    assert await command.end(signal.SIGINT) == 0
    assert command.left() == []
    assert "Traceback" not in "\n".join(command.lines)


@pytest.mark.parametrize("count", ["0", "-1", "two"])
def test_a_stack_has_at_least_one_pod(count, capsys):
    with pytest.raises(SystemExit) as exit_:
        main(["up", f"--pods={count}"])
    assert exit_.value.code == 2
    assert "argument --pods: must be a number from 1 on" in capsys.readouterr().err


async def test_ctrl_c_while_it_starts_leaves_nothing(command):
    await command.start("up", "--free-ports")
    await command.until("azurite")
    assert await command.end(signal.SIGINT) != 0
    assert command.left() == []


async def test_a_port_in_use_is_said_before_anything_starts(command):
    with socket.create_server((LOOPBACK, 0)) as server:
        taken = server.getsockname()[1]
        await command.start("up", "--port-offset", str(taken - Ports.media))
        assert await command.end() == 1
    (line,) = command.lines
    # Another test may hold one of the neighbouring ports just now.
    assert line.startswith("stopped: in use already: port ")
    assert f"{taken} (media)" in line
    assert line.endswith("; stop what listens there, or use --port-offset")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("up", "--data"), "stopped: storage cannot be kept there: "),
        (("demo", "--out"), "stopped: the recording cannot be kept there: "),
    ],
)
async def test_a_file_where_a_folder_should_be_is_said_plainly(command, tmp_path, arguments, message):
    (tmp_path / "file").write_text("")
    await command.start(*arguments, str(tmp_path / "file"), "--free-ports")
    assert await command.end() == 1
    [line] = command.lines
    assert line.startswith(message)


@pytest.mark.parametrize("offset", ["-7071", "55534", "1e3"])
def test_an_offset_that_leads_out_of_the_ports_is_refused(offset, capsys):
    with pytest.raises(SystemExit) as exit_:
        main(["up", f"--port-offset={offset}"])
    assert exit_.value.code == 2
    assert "argument --port-offset: " in capsys.readouterr().err


def test_the_functions_host_ends_by_itself_before_the_stack_would_kill_it():
    assert DRAIN_S < GRACE_S


async def test_core_tools_that_are_missing_are_said_plainly(command, monkeypatch, tmp_path):
    (tmp_path / "node").symlink_to(shutil.which("node"))
    monkeypatch.setenv("PATH", str(tmp_path))
    await command.start("up", "--free-ports", "--func")
    assert await command.end() == 1
    [line] = command.lines
    assert line.startswith("stopped: Azure Functions Core Tools (`func`) is not installed")


async def test_a_gateway_that_cannot_be_indexed_is_said_with_its_reason(command, tmp_path):
    for name in ("shared", "functions", "media_gateway", "emulator", "gateway.yaml", "prompts", "host.json"):
        (tmp_path / name).symlink_to(REPOSITORY / name)
    (tmp_path / "function_app.py").write_text("import no_such_module\n")
    await command.start("up", "--free-ports", "--root", str(tmp_path))
    assert await command.end() == 1
    assert "ModuleNotFoundError: No module named 'no_such_module'" in command.lines[-1]
    assert command.lines[-1].startswith("stopped: functions")


async def test_a_gateway_file_that_is_edited_is_in_force_without_a_restart(command, tmp_path):
    for name in (
        "shared",
        "functions",
        "media_gateway",
        "emulator",
        "prompts",
        "host.json",
        "function_app.py",
    ):
        (tmp_path / name).symlink_to(REPOSITORY / name)
    file = tmp_path / "gateway.yaml"
    good = (REPOSITORY / "gateway.yaml").read_text()
    file.write_text(good)
    await command.start("up", "--free-ports", "--root", str(tmp_path))
    await command.until(READY)
    file.write_text(good.replace("profile: echo", "profile: nobody"))
    assert "there is no profile 'nobody'" in await command.until("profiles  | ")
    file.write_text(good.replace("delay_ms: 3000", "delay_ms: 1000"))
    assert command.process.returncode is None
    said = await command.until("profiles  | ")
    assert said == "profiles  | version 2: 2 profiles, 2 routes, in force within 30 s"
    assert await command.end(signal.SIGINT) == 0


async def test_a_gateway_file_with_faults_stops_the_start_with_their_lines(command, tmp_path):
    for name in ("shared", "functions", "media_gateway", "emulator", "host.json", "function_app.py"):
        (tmp_path / name).symlink_to(REPOSITORY / name)
    (tmp_path / "gateway.yaml").write_text("version: 1\nprofiles: {echo: {kind: robot}}\n")
    await command.start("up", "--free-ports", "--root", str(tmp_path))
    assert await command.end() == 1
    assert command.lines[-1] == (
        "stopped: profiles push failed: "
        'gateway.yaml:2: profiles.echo.kind: "robot" is not one of "echo", "script" or "realtime"'
    )
    assert command.left() == []


def is_listened_on(port):
    with socket.socket() as probe:
        return probe.connect_ex((LOOPBACK, port)) == 0
