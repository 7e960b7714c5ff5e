"""`make setup` says what is missing in one plain line."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SETUP = Path(__file__).resolve().parents[4] / "tools" / "setup.sh"
TOOLS = ("bash", "cat", "cksum", "dirname", "env", "mkdir")
WORKING_PYTHON = f'exec {sys.executable} "$@"'
NO_VENV = f'case "$2" in *ensurepip*) exit 1;; esac; exec {sys.executable} "$@"'


def node(major):
    return f'[ "$1" = -p ] && echo {major} || echo v{major}.1.0'


@pytest.mark.parametrize(
    ("programs", "line"),
    [
        ({}, "setup: Python 3.11, 3.12 or 3.13 is missing"),
        ({"python3": "exit 1"}, "setup: Python 3.11, 3.12 or 3.13 is missing"),
        ({"python3": NO_VENV}, "setup: Python's venv module is missing"),
        ({"python3": WORKING_PYTHON}, "setup: Node.js is missing"),
        ({"python3": "exit 1", "python3.12": WORKING_PYTHON}, "setup: Node.js is missing"),
        ({"python3": WORKING_PYTHON, "node": node(18)}, "setup: Node.js v18.1.0 is too old"),
        ({"python3": WORKING_PYTHON, "node": node(22)}, "setup: npm is missing"),
    ],
)
def test_a_missing_prerequisite_is_one_plain_line(tmp_path, programs, line):
    for tool in TOOLS:
        (tmp_path / tool).symlink_to(shutil.which(tool))
    for name, body in programs.items():
        program = tmp_path / name
        program.write_text(f"#!{shutil.which('bash')}\n{body}\n")
        program.chmod(0o755)
    done = subprocess.run(
        [SETUP], env={"PATH": str(tmp_path)}, capture_output=True, text=True, timeout=20, check=False
    )
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith(line)
    assert len(done.stderr.splitlines()) == 1
