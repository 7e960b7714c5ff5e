"""Which release of the shared code a process runs, so that two that are not of one deployment can be told apart."""

import hashlib
from functools import cache
from pathlib import Path

SHARED = Path(__file__).parent
DIGEST_CHARS = 12


def digest_of(folder: Path) -> str:
    """Return what stands for the code and the schemas below `folder`: the same for the same files, on any machine."""
    digest = hashlib.sha256()
    for file in sorted(
        (file for file in folder.rglob("*") if file.suffix in (".py", ".json")),
        key=lambda file: file.relative_to(folder).as_posix(),
    ):
        # Checked out on Windows, lines end otherwise.
        content = file.read_bytes().replace(b"\r\n", b"\n")
        digest.update(f"{file.relative_to(folder).as_posix()}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()[:DIGEST_CHARS]


@cache
def release() -> str:
    """Return what stands for the code that this process runs. The first time, files are read for some 20 ms."""
    return digest_of(SHARED)
