"""The npm packages of an example, installed once for each content of its lock file, and kept."""

import fcntl
import hashlib
import shutil
import subprocess
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
OLDEST_NODE = 20


def missing_tool() -> str | None:
    """Say what there is not that such an example needs."""
    for tool in ("node", "npm", "curl", "bash"):
        if shutil.which(tool) is None:
            return f"{tool} is not installed"
    done = subprocess.run(["node", "--version"], capture_output=True, text=True, timeout=20, check=True)
    if int(done.stdout.strip().removeprefix("v").partition(".")[0]) < OLDEST_NODE:
        return f"Node.js {done.stdout.strip()} is older than {OLDEST_NODE}"
    return None


def copy_with_packages(example: Path, target: Path) -> Path:
    """Copy an example to `target`, with its packages as `npm ci` installs them.

    Raises:
        OSError: the registry could not be reached, or npm failed.
    """
    lock_file = (example / "package-lock.json").read_bytes()
    folder = REPOSITORY / ".setup" / f"node-{example.name}"
    stamp, made_from = folder / "made-from", hashlib.sha256(lock_file).hexdigest()[:12]
    folder.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (stamp.is_file() and stamp.read_text() == made_from):
            for name in ("package.json", "package-lock.json"):
                shutil.copy2(example / name, folder / name)
            quiet = ["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error", "--fetch-retries=1"]
            done = subprocess.run(
                ["npm", "ci", *quiet], cwd=folder, capture_output=True, text=True, timeout=90, check=False
            )
            if done.returncode != 0:
                raise OSError(f"npm ci: {done.stderr.strip()}")
            stamp.write_text(made_from)
    shutil.copytree(example, target, ignore=shutil.ignore_patterns("node_modules"))
    (target / "node_modules").symlink_to(folder / "node_modules")
    return target
