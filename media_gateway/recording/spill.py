"""A folder on a volume, for parts of recordings that storage does not take now.

Each process has a folder of its own below the one that is set, and holds a lock on it while it lives. So what a process
that is gone has left is told from what a living one still needs, and is taken over at the next start.

Everything here blocks, and belongs in a thread. A file gets its name when it is whole, so that a killed process leaves
no half part. It is not synced: it outlives its process, not the machine. Files and folders are this user's alone.
"""

import fcntl
import os
import shutil
import threading
from collections import deque
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote, unquote

LOCK = ".lock"
UNFINISHED = ".tmp"
FOLDER_MODE, FILE_MODE = 0o700, 0o600


class Spilled(NamedTuple):
    """A blob that waits on disk."""

    path: Path
    name: str
    size: int


class Spill:
    """Blobs on disk, oldest first. When it is full the newest is refused: what came before it is kept whole.

    Args:
        root: What all processes share; made where it is missing.
        process: A name that no other process ever has.
        max_bytes: What this process keeps; what an earlier one left is taken over even past that.
    """

    def __init__(self, root: Path, process: str, max_bytes: int) -> None:
        self.folder = root / process
        self._root = root
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._held: int | None = None
        """Descriptor of the lock file."""
        self._files: deque[Spilled] = deque()
        self._bytes = 0
        self._count = 0

    def open(self) -> list[str]:
        """Make the folder, take over what processes that are gone have left, and return the names of those blobs.

        Raises:
            OSError: the volume cannot be written.
        """
        self._root.mkdir(FOLDER_MODE, parents=True, exist_ok=True)
        self.folder.mkdir(FOLDER_MODE, exist_ok=True)
        self._held = _locked(self.folder)
        for folder in sorted(self._root.iterdir()):
            if folder != self.folder and folder.is_dir():
                self._take_over(folder)
        return [file.name for file in self._files]

    def close(self) -> None:
        """Let go of the folder: what is left in it is the next process's."""
        with self._lock:
            if not self._files:
                shutil.rmtree(self.folder, ignore_errors=True)
            if self._held is not None:
                os.close(self._held)
                self._held = None

    def __len__(self) -> int:
        return len(self._files)

    def first(self) -> Spilled | None:
        """Return the oldest."""
        return self._files[0] if self._files else None

    def add(self, name: str, data: bytes) -> bool:
        """Keep a blob; False where it is full, or the volume does not take it."""
        with self._lock:
            if self._bytes + len(data) > self._max_bytes:
                return False
            self._count += 1
            path = self.folder / f"{self._count:012}-{quote(name, safe='')}"
            unfinished = path.with_name(path.name + UNFINISHED)
            try:
                unfinished.touch(FILE_MODE)
                unfinished.write_bytes(data)
                unfinished.rename(path)
            except OSError:
                _unlink(unfinished)
                return False
            self._keep(Spilled(path, name, len(data)))
            return True

    def remove(self, spilled: Spilled) -> bool:
        """Forget a blob that is kept elsewhere now; False where its file stays, and goes on to count as full.

        Only the next process would find it, and send it once more.
        """
        with self._lock:
            self._files.remove(spilled)
            is_gone = _unlink(spilled.path)
            if is_gone:
                self._bytes -= spilled.size
            return is_gone

    def put_off(self) -> None:
        """Let the oldest come after all others."""
        with self._lock:
            self._files.rotate(-1)

    def _keep(self, spilled: Spilled) -> None:
        self._files.append(spilled)
        self._bytes += spilled.size

    def _take_over(self, folder: Path) -> None:
        """Move what a process has left here, unless it lives."""
        try:
            held = _locked(folder)
        except OSError:
            return
        try:
            for path in sorted(folder.iterdir()):
                number, _, name = path.name.partition("-")
                if number.isdecimal() and not path.name.endswith(UNFINISHED):
                    self._count += 1
                    here = path.rename(self.folder / f"{self._count:012}-{name}")
                    self._keep(Spilled(here, unquote(name), here.stat().st_size))
            shutil.rmtree(folder, ignore_errors=True)
        finally:
            os.close(held)


def _unlink(path: Path) -> bool:
    """Remove a file; False where the volume does not let it go."""
    try:
        path.unlink(missing_ok=True)
    except OSError:
        return False
    return True


def _locked(folder: Path) -> int:
    """Lock a folder until the descriptor that this returns is closed, by whatever end of the process.

    Raises:
        OSError: another process holds it.
    """
    descriptor = os.open(folder / LOCK, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, FILE_MODE)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor
