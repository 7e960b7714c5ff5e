"""The path of every frame as the image has it, compiled: tests of its own, and of calls, pass on it as they do here.

Not all tests can: some put a stand-in where a compiled module looks at nothing but its own.
"""

import os
import shutil
import subprocess
import sys

import pytest

from tests.support.functions_host import REPOSITORY

TESTED = (
    "tests/unit/media/test_click_track.py",
    "tests/unit/media/test_media_codec.py",
    "tests/unit/media/test_playout.py",
    "tests/unit/agents/test_conversation.py",
    "tests/unit/recording/test_recorder.py",
    "tests/unit/recording/test_tracks.py",
    "tests/emulated/agents/test_fifty_calls.py",
    "tests/emulated/media_gateway/test_call_streams.py",
)
ONLY_LOOKED_AT = "import media_gateway.hearing, media_gateway.recording.tape as tape; print(tape.__file__)"


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    """A copy of the code that is compiled as in the image, but for the time that the compiler takes."""
    if shutil.which(os.environ.get("CC", "cc")) is None:
        pytest.skip("a C compiler is not installed here: the compiled path of frames is not tested")
    code = tmp_path_factory.mktemp("compiled") / "code"
    subprocess.run(
        [sys.executable, "tools/compile.py", str(code), "--also", "tests", "emulator", "functions"],
        cwd=REPOSITORY, env=os.environ | {"MYPYC_OPT_LEVEL": "0"}, check=True, timeout=300,
    )  # fmt: skip
    shutil.copy(REPOSITORY / "pyproject.toml", code)
    return code


@pytest.mark.timeout(400)
def test_what_is_compiled_passes_the_tests_of_what_is_not(compiled):
    looked_at = subprocess.run(
        [sys.executable, "-c", ONLY_LOOKED_AT], cwd=compiled, check=True, capture_output=True, text=True
    )
    assert looked_at.stdout.startswith(str(compiled / "media_gateway/recording/tape.cpython"))

    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", *TESTED]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    done = subprocess.run(
        command, cwd=compiled, env=environment, check=False, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout[-4000:]
