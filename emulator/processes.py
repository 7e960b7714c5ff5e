"""One child process: its own process group, its output line by line, an orderly end."""

import asyncio
import contextlib
import os
import shutil
import signal
import sys
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from emulator.waiting import cancel_and_wait

TAIL_LINES = 30
MAX_LINE_BYTES = 16 * 1024
"""A longer line of output is shown in pieces."""
CLOSE_S = 2.0

_WITH_PARENT = """
import ctypes, os, sys
ctypes.CDLL(None).prctl(1, 15)  # PR_SET_PDEATHSIG, SIGTERM
if os.getppid() == int(sys.argv[1]):
    os.execvp(sys.argv[2], sys.argv[2:])
"""
"""Has the kernel end the program with its parent. Not a `preexec_fn`: that is unsafe beside threads."""


class Process:
    """A child with a name.

    It leads a process group, so that a Ctrl-C in the terminal reaches it only through `stop`, and `stop` reaches
    its own children too. On Linux it ends too when this process is killed.

    Args:
        name: what the child is called in messages.
        command: program and arguments.
        environment: all of the child's environment.
        folder: its current folder.
        on_line: called with each line of its output, both streams merged.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        environment: Mapping[str, str],
        folder: Path,
        on_line: Callable[[str], None],
    ) -> None:
        self.name = name
        self._command = command
        self._environment = environment
        self._folder = folder
        self._on_line = on_line
        self._tail: deque[str] = deque(maxlen=TAIL_LINES)
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None

    @property
    def tail(self) -> list[str]:
        """The last lines of the output."""
        return list(self._tail)

    @property
    def exit_code(self) -> int | None:
        """The exit code, once the child has ended."""
        return self._process.returncode if self._process else None

    async def start(self) -> None:
        """Start the child.

        Raises:
            OSError: the program cannot be run.
        """
        program = shutil.which(self._command[0], path=self._environment.get("PATH"))
        if program is None:
            raise FileNotFoundError(f"there is no program {self._command[0]}")
        command = [program, *self._command[1:]]
        if sys.platform == "linux":
            command = [sys.executable, "-ISc", _WITH_PARENT, str(os.getpid()), *command]
        # A pipe of our own: with asyncio's, the end of a child is not seen while a grandchild holds it open.
        reading, writing = os.pipe()
        try:
            self._process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=writing,
                stderr=writing,
                cwd=self._folder,
                env=self._environment,
                start_new_session=True,
            )
        except BaseException:
            os.close(reading)
            raise
        finally:
            os.close(writing)
        self._reader = asyncio.create_task(self._read(reading), name=f"output of {self.name}")

    async def wait(self) -> int:
        """Wait for the end of the child and of its output; return the exit code (negative: the signal)."""
        assert self._process is not None  # noqa: S101 - the caller's mistake, not an input
        code = await self._process.wait()
        if self._reader is not None:
            # A grandchild may hold the pipe open after the child is gone.
            await asyncio.wait({self._reader}, timeout=CLOSE_S)
        return code

    async def stop(self, grace_s: float) -> None:
        """Ask the group to end, kill what is left of it after the grace time, and collect the child."""
        if self._process is None:
            return
        if self._process.returncode is None:
            self._signal(signal.SIGTERM)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._process.wait(), grace_s)
        self._signal(signal.SIGKILL)
        await self.wait()
        if self._reader is not None:
            await cancel_and_wait(self._reader)

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if self._process is not None:
                os.killpg(self._process.pid, number)

    async def _read(self, descriptor: int) -> None:
        loop = asyncio.get_running_loop()
        stream = asyncio.StreamReader()
        transport, _ = await loop.connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(stream), os.fdopen(descriptor, "rb", buffering=0)
        )
        pending = b""
        try:
            while chunk := await stream.read(MAX_LINE_BYTES):
                *lines, pending = (pending + chunk).split(b"\n")
                if len(pending) > MAX_LINE_BYTES:
                    lines, pending = [*lines, pending], b""
                for line in lines:
                    self._emit(line)
            if pending:
                self._emit(pending)
        finally:
            transport.close()

    def _emit(self, line: bytes) -> None:
        text = line.decode(errors="replace").rstrip()
        self._tail.append(text)
        self._on_line(text)
