"""Child processes: output, end, and nothing left of their groups."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from emulator.processes import TAIL_LINES, Process


@pytest.fixture
async def child():
    """Start Python code as a child; its lines gather in `child.lines`."""
    started = []

    async def start(code):
        lines, news = [], asyncio.Event()

        def on_line(line):
            lines.append(line)
            news.set()

        process = Process(
            "child",
            [sys.executable, "-u", "-c", code],
            environment=os.environ,
            folder=Path.cwd(),
            on_line=on_line,
        )
        await process.start()
        started.append(process)

        async def until(text):
            async with asyncio.timeout(10):
                while text not in lines:
                    news.clear()
                    await news.wait()

        return process, lines, until

    yield start
    for process in started:
        await process.stop(0)


def is_alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{pid}/stat")
    return not (state.exists() and state.read_text().rpartition(")")[2].split()[0] == "Z")


async def test_both_streams_come_line_by_line(child):
    process, lines, _ = await child(
        "import sys; print('one'); print('two', file=sys.stderr); print('end', end='')"
    )
    assert await process.wait() == 0
    assert lines == ["one", "two", "end"]
    assert process.exit_code == 0


async def test_only_the_last_lines_are_kept(child):
    process, lines, _ = await child("for n in range(100): print(n)")
    await process.wait()
    assert len(lines) == 100
    assert process.tail == [str(n) for n in range(100 - TAIL_LINES, 100)]


async def test_a_line_without_end_is_shown_in_pieces(child):
    process, lines, _ = await child("print('x' * 100_000)")
    await process.wait()
    assert "".join(lines) == "x" * 100_000
    assert max(map(len, lines)) < 40_000


async def test_a_child_is_asked_to_end_first(child):
    process, lines, until = await child(
        "import signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: (print('asked'), sys.exit(3)))\n"
        "print('up'); time.sleep(60)"
    )
    await until("up")
    await process.stop(10)
    assert lines[-1] == "asked"
    assert process.exit_code == 3


async def test_a_child_that_does_not_listen_is_killed_after_the_grace_time(child):
    process, _, until = await child(
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up'); time.sleep(60)"
    )
    await until("up")
    await process.stop(0.1)
    assert process.exit_code == -signal.SIGKILL


@pytest.mark.parametrize("ending", ["time.sleep(60)", "sys.exit(1)"])
async def test_grandchildren_end_with_the_child_that_has_ended_or_not(child, ending):
    process, lines, until = await child(
        "import subprocess, sys, time\n"
        "grandchild = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        f"print(grandchild.pid); print('up'); {ending}"
    )
    await until("up")
    if "exit" in ending:
        assert await process.wait() == 1
    await process.stop(5)
    pid = int(lines[0])
    async with asyncio.timeout(5):
        while is_alive(pid):
            await asyncio.sleep(0.01)


async def test_a_program_that_is_not_there_is_an_error():
    process = Process("x", ["/nowhere/x"], environment={}, folder=Path.cwd(), on_line=print)
    with pytest.raises(FileNotFoundError):
        await process.start()
    await process.stop(0)
