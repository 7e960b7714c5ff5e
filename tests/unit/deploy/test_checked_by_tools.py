"""Templates, image and scripts pass the tools that know their languages.

hadolint and shellcheck come with the development packages. `BICEP_CHECK` names a checker of templates and `BICEP_TYPES`
the folder of resource types that it takes: .ci/run sets them where it can. `bicep` is in no registry of packages. A
test is skipped where its tool is absent.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.deploy.deployment_files import REPOSITORY

SCRIPTS = [
    ".ci/run",
    *sorted(
        str(path.relative_to(REPOSITORY))
        for folder in ("bicep", "tools")
        for path in (REPOSITORY / folder).rglob("*.sh")
    ),
]


def run(*command):
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def tool(name):
    """Return where a tool is; skip the test where it is nowhere."""
    path = shutil.which(name, path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if path is None:
        pytest.skip(f"{name} is not installed here")
    return path


def test_templates_fit_the_types_of_their_resources():
    checker, types = os.environ.get("BICEP_CHECK"), os.environ.get("BICEP_TYPES")
    if not checker or not types:
        pytest.skip("BICEP_CHECK and BICEP_TYPES name no checker of templates: their types are not checked")
    run(sys.executable, checker, "bicep", "--types", types, "--strict")


@pytest.mark.parametrize("template", ["bicep/main.bicep", "bicep/media.bicep"])
def test_templates_compile(template):
    run(tool("bicep"), "build", template, "--stdout")


def test_the_image_s_recipe_is_clean():
    run(tool("hadolint"), "Dockerfile")


@pytest.mark.parametrize("script", SCRIPTS)
def test_scripts_are_clean(script):
    run(tool("shellcheck"), script)
