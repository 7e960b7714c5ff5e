"""The image without an engine: its recipe's steps in a clean folder give a gateway that starts, answers and stops."""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from emulator.ports import free_port_numbers
from tests.support.deployed_package import find_interpreter
from tests.unit.deploy.deployment_files import REPOSITORY, Files

pytestmark = pytest.mark.soak

LARGEST_MB = 250
STARTS_WITHIN_S = 30
STOPS_WITHIN_S = 30
SETTINGS = {
    "ACS_ENDPOINT": "https://acs-1.communication.azure.com",
    "ACS_RESOURCE_ID": "22222222-2222-2222-2222-222222222222",
    "KEY_VAULT_URL": "https://127.0.0.1:1",
    "STORAGE_TABLE_ENDPOINT": "https://127.0.0.1:1/tables",
    "STORAGE_BLOB_ENDPOINT": "https://127.0.0.1:1/blobs",
    "WEB_PUBSUB_ENDPOINT": "https://127.0.0.1:1",
    "AZURE_TOKEN_CREDENTIALS": "ManagedIdentityCredential",
}
"""Of a deployment whose other parts are all away."""


def instructions(recipe):
    """The instructions of a recipe: each with its arguments, continued lines as one, comments left out."""
    lines = re.sub(r"^#.*\n", "", recipe, flags=re.MULTILINE).replace("\\\n", " ")
    return [line.split(None, 1) for line in lines.splitlines() if line.strip()]


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    """A folder in which the steps were done that the recipe names: `app` and `venv` in it, as at the image's root."""
    version = re.search(r"python:([\d.]+)-", Files().text("Dockerfile"))[1]
    python = find_interpreter(version)
    if python is None:
        pytest.skip(f"Python {version} is not installed here: the image's steps are not tried")
    root = tmp_path_factory.mktemp("image")
    folder = root / "build"
    folder.mkdir()
    build, _ = Files().text("Dockerfile").rsplit("\nFROM ", 1)
    for name, arguments in instructions(build):
        if name == "COPY":
            *sources, target = shlex.split(arguments)
            for source in sources:
                place = folder / (source if target.endswith("/") else target)
                place.parent.mkdir(exist_ok=True)
                copy = shutil.copytree if (REPOSITORY / source).is_dir() else shutil.copy
                copy(REPOSITORY / source, place)
        if name == "RUN" and not re.search("apt-get|pip install --no-cache-dir uv", arguments):
            placed = re.sub(r"(?<=[ =])/(?=venv|app|build)", f"{root}/", arguments)
            command = re.sub(r"(?<!/)\bpython -m", f"{python} -m", placed)
            paths = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
            environment = {**os.environ, "PATH": paths}
            subprocess.run(command, shell=True, cwd=folder, env=environment, check=True, timeout=600)
    shutil.rmtree(folder)
    return root


def contents(image):
    return {str(path.relative_to(image)) for path in image.rglob("*")}


@pytest.mark.timeout(900)
def test_it_starts_answers_and_stops_and_writes_nothing(image, tmp_path):
    (port,) = free_port_numbers(1)
    before = contents(image)
    environment = {
        **SETTINGS, "MEDIA_PORT": str(port), "MEDIA_HOST": "127.0.0.1", "RECORDING_SPILL_DIR": str(tmp_path),
        "PATH": f"{image}/venv/bin", "PYTHONDONTWRITEBYTECODE": "1",
    }  # fmt: skip
    command = json.loads(re.search(r"^ENTRYPOINT (.+)$", Files().text("Dockerfile"), re.MULTILINE)[1])
    command[0] = f"{image}/venv/bin/{command[0]}"
    process = subprocess.Popen(command, cwd=image / "app", env=environment, stderr=subprocess.PIPE, text=True)
    try:
        assert asked(f"http://127.0.0.1:{port}/healthz") == {"status": "alive"}
        process.send_signal(signal.SIGTERM)
        _, log = process.communicate(timeout=STOPS_WITHIN_S)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == 0, log
    assert contents(image) == before


def test_it_holds_what_the_gateway_needs_and_nothing_else(image):
    assert {path.name for path in (image / "app").iterdir() if path.is_dir()} == {"shared", "media_gateway"}
    assert any((image / "app" / "media_gateway").glob("hearing.*.so"))
    packages = {path.name for path in (image / "venv" / "lib").glob("python*/site-packages/*")}
    assert {"picows", "uvloop", "soundfile.py"} <= packages
    assert packages.isdisjoint(
        {"pip", "setuptools", "uv", "pytest", "emulator", "functions", "azure_functions"}
    )
    size = sum(path.stat().st_size for path in image.rglob("*") if path.is_file() and not path.is_symlink())
    print(f"\nover the base: {size / 1e6:.0f} MB in {len(contents(image))} files and folders")
    assert size < LARGEST_MB * 1e6


def asked(url):
    deadline = time.monotonic() + STARTS_WITHIN_S
    while True:
        try:
            with urllib.request.urlopen(url, timeout=2) as answer:
                return json.loads(answer.read())
        except OSError:
            assert time.monotonic() < deadline, "it does not answer"
            time.sleep(0.1)
