"""Where a media process spends its time: by shared object, as `perf` sees it, and by function, as Python does.

`perf` sees the kernel and the compiled libraries, but of Python only the interpreter. Python's own samples name the
function, and count to it what compiled code did for it, sending for example; what the event loop does by itself, such
as reading, to the function that it calls next.
"""

import asyncio
import contextlib
import json
import re
import shutil
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from bench.load import SETTLE_S, SPREAD_S, WARM_UP_S

ROOT = Path(__file__).resolve().parent.parent
SAMPLES_A_SECOND = 1999
SAMPLE_S = 0.001
ROWS = 25
_LINE = re.compile(r"\s*([\d.]+)%\s+(\S+)")
_LIBRARY = re.compile(r"lib/python3\.\d+/(?:site-packages/)?(.*)")


@dataclass
class Profile:
    """What `perf` saw of one process: shares by shared object; empty where `perf` cannot be had."""

    shares: dict[str, float] = field(default_factory=dict)

    @contextlib.asynccontextmanager
    async def of(self, pid: int, calls: int, seconds: float) -> AsyncIterator[None]:
        """Sample a process while all calls are echoed."""
        if shutil.which("perf") is None:
            print("`perf` is not installed: no table by shared object", file=sys.stderr)
            yield
            return
        with file() as path:
            sampling = asyncio.create_task(self._sample(pid, calls * SPREAD_S, seconds, path))
            yield
            await sampling
            self.shares = await _shares(path)

    async def _sample(self, pid: int, connecting_s: float, seconds: float, path: Path) -> None:
        await asyncio.sleep(connecting_s + SETTLE_S + WARM_UP_S)
        process = await asyncio.create_subprocess_exec(
            *("perf", "record", "--quiet", "-e", "cpu-clock", "-F", str(SAMPLES_A_SECOND)),
            *("-p", str(pid), "-o", str(path)),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        await asyncio.sleep(seconds)
        process.send_signal(signal.SIGINT)
        await process.wait()


async def _shares(path: Path) -> dict[str, float]:
    process = await asyncio.create_subprocess_exec(
        *("perf", "report", "--stdio", "--sort", "dso", "-i", str(path)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    output, _ = await process.communicate()
    found = [_LINE.match(line) for line in output.decode().splitlines()]
    return {_short(match[2]): float(match[1]) / 100 for match in found if match}


def by_object(profiles: Mapping[str, tuple[Profile, float]]) -> list[list[str]]:
    """Return head and rows of a table: CPU milliseconds a call and second, by shared object.

    Args:
        profiles: What was seen of each variant, and its CPU milliseconds in all.
    """
    total = Counter[str]()
    for profile, cpu_ms in profiles.values():
        total.update({name: share * cpu_ms for name, share in profile.shares.items()})
    rows = [["CPU ms", *profiles], ["all", *(f"{cpu_ms:.2f}" for _, cpu_ms in profiles.values())]]
    for name, _ in total.most_common(ROWS):
        rows.append([name, *(f"{p.shares.get(name, 0.0) * cpu_ms:.3f}" for p, cpu_ms in profiles.values())])
    return rows


@contextlib.contextmanager
def sampled(path: Path) -> Iterator[None]:
    """Look every millisecond of CPU time which function runs; write how often it was which."""
    seen = Counter[str]()

    def look(_number: int, frame: FrameType | None) -> None:
        if frame is not None:
            seen[f"{_module(frame.f_code.co_filename)}  {frame.f_code.co_name}"] += 1

    signal.signal(signal.SIGPROF, look)
    signal.setitimer(signal.ITIMER_PROF, SAMPLE_S, SAMPLE_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        path.write_text(json.dumps(seen))


def by_function(path: Path) -> list[list[str]]:
    """Return head and rows of a table: shares of CPU time by function, of what `sampled` has written."""
    seen = Counter[str](json.loads(path.read_text()))
    total = sum(seen.values())
    return [["share", "function"], *([f"{n / total:.1%}", name] for name, n in seen.most_common(ROWS))]


def _module(file_name: str) -> str:
    library = _LIBRARY.search(file_name)
    if library:
        return library[1]
    path = Path(file_name)
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else file_name


def _short(shared_object: str) -> str:
    return shared_object.partition(".cpython-")[0]


@contextlib.contextmanager
def file() -> Iterator[Path]:
    """Give the path of a file that goes away."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder) / "profile"
