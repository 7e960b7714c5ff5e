"""The gateway file is put in force again whenever it, or a sound that it names, is written."""

import asyncio
import os

import pytest

from emulator import gateway_file
from emulator.seeding import SeedingError

LOOK_S = 0.005


@pytest.fixture
async def watch(tmp_path, monkeypatch):
    """A watched folder, with what was said of each push; `watch.outcome` is what the next pushes come to."""

    class Watch:
        def __init__(self):
            self.said = []
            self.outcome = "version 2: in force\n"

        def write(self, name, text, written_at):
            path = tmp_path / name
            path.write_text(text)
            # File systems tell times by the millisecond or worse; a person saves less often.
            os.utime(path, (written_at, written_at))

        async def until_said(self, *lines):
            async with asyncio.timeout(5):
                while self.said != list(lines):
                    await asyncio.sleep(LOOK_S)

    async def run_admin(root, environment, *arguments):
        assert arguments == ("profiles", "push", "gateway.yaml")
        if isinstance(watch.outcome, Exception):
            raise watch.outcome
        return watch.outcome

    watch = Watch()
    monkeypatch.setattr(gateway_file, "run_admin", run_admin)
    watch.write("gateway.yaml", "profiles: {a: {greeting: sounds/hello.wav}, b: [1, {x: y.wav}]}", 1000)
    (tmp_path / "sounds").mkdir()
    watch.write("sounds/hello.wav", "", 1000)
    pushed = gateway_file.PushedFile(tmp_path, {})
    await pushed.push()
    task = asyncio.create_task(pushed.push_changes(watch.said.append, LOOK_S))
    yield watch
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_nothing_is_pushed_while_nothing_is_written(watch):
    await asyncio.sleep(10 * LOOK_S)
    assert watch.said == []


async def test_the_file_that_is_written_is_pushed_once(watch):
    watch.write("gateway.yaml", "profiles: {}", 1001)
    await watch.until_said("version 2: in force")
    await asyncio.sleep(10 * LOOK_S)
    assert watch.said == ["version 2: in force"]


async def test_a_sound_that_is_written_is_pushed(watch):
    watch.write("sounds/hello.wav", "", 1001)
    await watch.until_said("version 2: in force")


async def test_faults_are_said_and_the_next_writing_is_pushed_again(watch):
    watch.outcome = SeedingError("profiles push failed: gateway.yaml:1: profiles\ngateway.yaml:2: routes")
    watch.write("gateway.yaml", "profiles: [", 1001)
    await watch.until_said("profiles push failed: gateway.yaml:1: profiles", "gateway.yaml:2: routes")
    watch.outcome = "version 2: in force\n"
    watch.write("gateway.yaml", "profiles: {}", 1002)
    async with asyncio.timeout(5):
        while watch.said[-1] != "version 2: in force":
            await asyncio.sleep(LOOK_S)
