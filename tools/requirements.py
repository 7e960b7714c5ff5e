# ruff: noqa: INP001 - a script, no package
"""Exports pyproject.toml's dependencies to the files that pip and the Functions build read.

`--check` compares instead, and fails when a file is stale: versions that are pinned already are kept, so it is stale
only when pyproject.toml has changed without it.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
UV = Path(sys.executable).with_name("uv")
OLDEST_PYTHON = "3.11"
FILES = {"requirements.txt": "functions", "requirements-dev.txt": "dev"}
"""Each file and the extra of pyproject.toml that it holds."""


def export(folder: Path) -> None:
    """Compile the files of a folder that holds pyproject.toml and, perhaps, their present state."""
    for name, extra in FILES.items():
        command = [str(UV), "pip", "compile", "pyproject.toml", "--quiet", "--universal", "--extra", extra]
        command += [
            "--python-version",
            OLDEST_PYTHON,
            "--custom-compile-command",
            "make requirements",
            "-o",
            name,
        ]
        subprocess.run(command, cwd=folder, check=True, env=os.environ | {"UV_PYTHON_DOWNLOADS": "never"})  # noqa: S603 - our own command


def stale() -> list[str]:
    """Return the names of the files that another export would change."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for name in ("pyproject.toml", *FILES):
            shutil.copy(ROOT / name, folder / name)
        export(folder)
        return [name for name in FILES if _pins(folder / name) != _pins(ROOT / name)]


def _pins(path: Path) -> list[str]:
    return [line for line in path.read_text().splitlines() if line and not line.startswith("#")]


def main() -> int:
    """Run the command and return its exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="fail when a file is stale")
    try:
        if not parser.parse_args().check:
            export(ROOT)
            return 0
        found = stale()
    except (subprocess.CalledProcessError, OSError) as error:
        sys.stderr.write(f"requirements: {error}\n")
        return 1
    if found:
        sys.stderr.write(f"stale: {', '.join(found)}; run `make requirements` and commit the result\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
