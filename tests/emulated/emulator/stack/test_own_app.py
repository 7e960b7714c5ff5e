"""The steps of "With an application of your own", and the bad days after it, in the documentation's words.

Ports and folders are others, so that it can run beside anything else; `npm ci` is done beforehand, and kept.
"""

import json
import os

import pytest

from emulator.ports import free_ports
from emulator.serve import SERVING
from tests.support.documentation import DOCS, PAGES, REPOSITORY, blocks
from tests.support.node_app import copy_with_packages, missing_tool
from tests.support.terminal import in_another_terminal, output_of

EXAMPLE = DOCS / "examples" / "own-app"


DAYS = 2


@pytest.fixture
def section(tmp_path):
    """The blocks of a section, for free ports and the test's folder: `section("In your own CI")`."""
    if missing := missing_tool():
        pytest.skip(missing)
    try:
        app = copy_with_packages(EXAMPLE, tmp_path / "own-app")
    except OSError as error:
        if "CI" in os.environ:
            raise
        pytest.skip(f"the example's packages are not installed: {error}")
    ports = free_ports()
    changes = {
        "8061": str(ports.emulator),
        "8062": str(ports.key_vault),
        "3000": str(ports.functions),
        "emulator.json": str(tmp_path / "emulator.json"),
        EXAMPLE.relative_to(REPOSITORY).as_posix(): str(app),
        "npm ci\n": "",
        "bad-days.json": str(tmp_path / "bad-days.json"),
        "emulator.log": str(tmp_path / "emulator.log"),
        "struck.json": str(tmp_path / "struck.json"),
        "day-$day": f"{tmp_path}/day-$day",
        "seq 100": f"seq {DAYS}",
    }

    def translated(name):
        texts = []
        for block in blocks(PAGES[0]):
            if block.section == name:
                text = block.text
                for old, new in changes.items():
                    text = text.replace(old, new)
                texts.append((block.info, text))
        return texts

    return translated


@pytest.fixture
def steps(section, tmp_path):
    """The steps of an application of your own; the settings are in their file."""
    texts = section("With an application of your own")
    assert [info for info, _ in texts] == ["json", "sh", "sh", "sh", "sh", "sh", "sh"]
    (tmp_path / "emulator.json").write_text(texts[0][1])
    return [text for _, text in texts[1:]]


async def test_an_application_in_another_language_is_called_as_the_steps_say(steps):
    serve, app, subscribe, call, look, call_on_a_bad_line = steps
    async with in_another_terminal(serve, SERVING), in_another_terminal(app, "own-app listens"):
        assert json.loads(await output_of(subscribe))["provisioningState"] == "Succeeded"

        report = await output_of(call)
        assert "result               ok" in report
        assert "heard                0 ms" not in report

        [placed] = json.loads(await output_of(look))["value"]
        assert (placed["state"], placed["end"]) == ("ended", "caller_hung_up")

        impaired = await output_of(call_on_a_bad_line)
        assert "done on purpose      " in impaired
        assert "frames delayed" in impaired


async def test_bad_days_come_again_with_their_seed_and_a_call_that_was_bad_fails_the_build(
    steps, section, tmp_path
):
    _, app, *_ = steps
    [(_, settings), (_, script)] = section("A hundred bad days in your CI")
    (tmp_path / "bad-days.json").write_text(settings)
    script = script.replace("--hangup-after 4", "--hangup-after 1.5")
    async with in_another_terminal(app, "own-app listens"):
        assert await output_of(script) == ""
        first = struck(tmp_path)
        assert sum(first) > 0

        output = await output_of(script.replace("--min-heard-ms 200", "--min-heard-ms 60000"), code=1)
        assert output == "".join(f"day {day}: exit code 6\n" for day in range(1, DAYS + 1))
        assert struck(tmp_path) == first


def struck(folder):
    """How often each rule of answers and deliveries has struck: callbacks may go on after their call."""
    rules = json.loads((folder / "struck.json").read_text())["value"]
    return [rule["applied"] for rule in rules if rule["operation"] != "callback.deliver"]
