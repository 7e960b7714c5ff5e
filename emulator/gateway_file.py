"""Putting the gateway file in force in the local stack, at its start and again whenever it changes."""

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import yaml

from emulator.routed import GATEWAY_FILE
from emulator.seeding import SeedingError, run_admin

LOOK_S = 1.0
"""How often the files are looked at."""


class PushedFile:
    """The gateway file of a folder, pushed by the operator's own command.

    Args:
        root: the gateway's folder.
        environment: all of the command's environment, the gateway's settings in it.
        file: the file, from that folder.
    """

    def __init__(self, root: Path, environment: Mapping[str, str], file: str | Path = GATEWAY_FILE) -> None:
        self._root = root
        self._environment = environment
        self._file = file
        self._written: Mapping[Path, int] = {}

    async def push(self) -> list[str]:
        """Put the file in force; return what the command printed.

        Raises:
            SeedingError: the command failed; the text has what it said, each fault of the file with its line.
        """
        # Looked at before: what is written while the command reads is pushed again.
        self._written = await asyncio.to_thread(_written, self._path)
        output = await run_admin(self._root, self._environment, "profiles", "push", str(self._file))
        return output.splitlines()

    async def push_changes(self, say: Callable[[str], None], look_s: float = LOOK_S) -> None:
        """Push whenever the file, or a sound that it names, was written since the last push, until cancelled.

        Args:
            say: called with each line of what came of it.
            look_s: how often the files are looked at.
        """
        while True:
            await asyncio.sleep(look_s)
            if await asyncio.to_thread(_written, self._path) == self._written:
                continue
            try:
                lines = await self.push()
            except (SeedingError, OSError) as error:
                lines = str(error).splitlines()
            for line in lines:
                say(line)

    @property
    def _path(self) -> Path:
        return self._root / self._file


def _written(file: Path) -> Mapping[Path, int]:
    """Return when the file and each sound that it names were last written."""
    times = {}
    for path in (file, *_sounds(file)):
        with contextlib.suppress(OSError, ValueError):
            times[path] = path.stat().st_mtime_ns
    return times


def _sounds(file: Path) -> list[Path]:
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
        return [file.parent / text for text in _texts(content) if text.endswith(".wav")]
    except (OSError, ValueError, yaml.YAMLError, RecursionError):
        return []  # being written, or faulty: then the command says so


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
