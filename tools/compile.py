# ruff: noqa: INP001 - a script, no package
"""Compiles the path of every frame to C, in a copy of the code.

    python tools/compile.py FOLDER [--also bench ...]

FOLDER is made. What is in it runs as the code here does, and takes less of a core for each call
(docs/performance.md); so the image is built. It takes mypyc, which comes with mypy, setuptools, and a C compiler.
"""

import argparse
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
COPIED = ("shared", "media_gateway")
COMPILED = (
    "shared/acs/media_codec.py",
    "shared/core/playout.py",
    "media_gateway/hearing.py",
    "media_gateway/outlet.py",
    "media_gateway/speaker.py",
    "media_gateway/ticker.py",
    "media_gateway/agents/realtime/adapter.py",
    "media_gateway/agents/realtime/event_codec.py",
    "media_gateway/agents/realtime/messages.py",
    "media_gateway/recording/agent_track.py",
    "media_gateway/recording/caller_track.py",
    "media_gateway/recording/line.py",
    "media_gateway/recording/recorder.py",
    "media_gateway/recording/tape.py",
    "media_gateway/recording/tracks.py",
)
"""Not what has classes of msgspec or picows: those are no classes that mypyc can take as a base."""
SCAFFOLDING = ("build", ".mypy_cache")


def compiler() -> str | None:
    """Return the path of the C compiler that Python itself was built with, or of `cc`; None where there is none."""
    own = (sysconfig.get_config_var("CC") or "cc").split()[0]
    return shutil.which(os.environ.get("CC", own)) or shutil.which("cc")


def compile_into(folder: Path, also: tuple[str, ...] = ()) -> None:
    """Copy the code into a new folder, and compile it there."""
    for name in (*COPIED, *also):
        shutil.copytree(
            ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "node_modules")
        )
    # Where mypyc finds no settings of ours it looks at types as far as it has to: `make check` looks at all of them.
    command = [sys.executable, "-m", "mypyc", *COMPILED]
    environment = {"CC": compiler() or "cc", "MYPYC_OPT_LEVEL": "3"} | os.environ
    done = subprocess.run(  # noqa: S603 - our own command
        command,
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"{done.stdout}\nmypyc failed: see above")
    for name in SCAFFOLDING:
        shutil.rmtree(folder / name, ignore_errors=True)


def main() -> None:
    """Do as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="is made; must not be there yet")
    parser.add_argument("--also", nargs="+", default=(), metavar="NAME", help="folders that are copied too")
    arguments = parser.parse_args()
    if arguments.folder.exists():
        sys.exit(f"{arguments.folder} is there already")
    if compiler() is None:
        sys.exit("a C compiler is missing: install one (on Debian and Ubuntu the package gcc)")
    compile_into(arguments.folder, tuple(arguments.also))


if __name__ == "__main__":
    main()
