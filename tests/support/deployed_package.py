"""The Functions app as it is deployed: its package staged by .funcignore, and a Python that holds nothing else."""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pathspec

REPOSITORY = Path(__file__).resolve().parents[2]
RUNTIME = "azure-functions-runtime==1.3.0"
"""Microsoft's own indexing and invocation code, the Python worker's since 3.13."""
RUNTIME_SINCE = "3.13"


def stage(root: Path, target: Path) -> Path:
    """Copy the app as `func` and `azd` would upload it: all that .funcignore leaves."""
    ignored = pathspec.GitIgnoreSpec.from_lines((root / ".funcignore").read_text().splitlines())
    for folder, subfolders, files in os.walk(root):
        relative = Path(folder).relative_to(root)
        subfolders[:] = [
            name for name in subfolders if not ignored.match_file(f"{(relative / name).as_posix()}/")
        ]
        kept = [name for name in files if not ignored.match_file((relative / name).as_posix())]
        for name in kept:
            (target / relative).mkdir(parents=True, exist_ok=True)
            shutil.copy2(Path(folder) / name, target / relative / name)
    return target


def find_interpreter(version: str) -> Path | None:
    """Return a Python of this version ("3.13") that really runs, from the path or from pyenv."""
    candidates = [Path(sys.base_prefix) / "bin" / "python3"]
    candidates += [Path(folder) / f"python{version}" for folder in os.get_exec_path()]
    if pyenv := shutil.which("pyenv"):
        installed = _output([pyenv, "versions", "--bare"]).split()
        matching = [name for name in installed if name.startswith(f"{version}.")]
        candidates += [
            Path(_output([pyenv, "prefix", name])) / "bin" / "python3" for name in reversed(matching)
        ]
    code = "import sys; print('%d.%d' % sys.version_info[:2])"
    for candidate in candidates:
        if candidate.is_file() and _output([str(candidate), "-c", code]) == version:
            return candidate
    return None


def deployed_python(version: str, interpreter: Path) -> Path:
    """Return the Python of an environment that holds requirements.txt and Microsoft's runtime, and nothing else.

    It is made once for each content of requirements.txt, and kept.
    """
    requirements = REPOSITORY / "requirements.txt"
    made_from = hashlib.sha256(requirements.read_bytes() + f"{RUNTIME} {interpreter}".encode()).hexdigest()[
        :12
    ]
    folder = REPOSITORY / ".setup" / f"deployed-{version}"
    python, stamp = folder / "bin" / "python", folder / "made-from"
    folder.parent.mkdir(exist_ok=True)
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (stamp.is_file() and stamp.read_text() == made_from):
            _uv("venv", "--clear", "--python", str(interpreter), str(folder))
            _uv("pip", "install", "--python", str(python), "--requirement", str(requirements))
            # Up to 3.12 the worker is no package of a registry. Its successor's code runs there as well, and is
            # the nearest to it that can be had: put past what it says of its Python.
            site_packages = _output(
                [str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
            )
            target = ["--no-deps", "--python-version", RUNTIME_SINCE, "--target", site_packages]
            _uv("pip", "install", "--python", str(python), *target, RUNTIME)
            stamp.write_text(made_from)
    return python


def _uv(*arguments: str) -> None:
    environment = os.environ | {"UV_PYTHON_DOWNLOADS": "never"}
    uv = Path(sys.executable).with_name("uv")
    done = subprocess.run(
        [uv, "--quiet", *arguments], env=environment, capture_output=True, text=True, timeout=110, check=False
    )
    assert done.returncode == 0, f"uv {' '.join(arguments)}:\n{done.stderr}"


def _output(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
