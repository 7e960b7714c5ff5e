"""The Functions app as a deployed package, under Microsoft's own Python runtime, with no settings and no Azure."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.support.deployed_package import deployed_python, find_interpreter

DRIVER = Path(__file__).with_name("package_driver.py")
PACKAGE = {
    "function_app.py",
    "functions",
    "host.json",
    "requirements.txt",
    "shared",
}
"""All that Azure gets. Whatever else appears at the top needs a line in .funcignore, or a place here."""


@pytest.fixture(scope="session", params=["3.11", "3.12", "3.13"])
def seen(request, package, tmp_path_factory):
    """What the runtime saw of the package, under each Python that Azure runs."""
    interpreter = find_interpreter(request.param)
    if interpreter is None:
        pytest.skip(f"Python {request.param} is not installed here: its runtime is not tested")
    python = deployed_python(request.param, interpreter)
    placeholder = tmp_path_factory.mktemp("placeholder")
    done = subprocess.run(
        [python, "-P", "-E", "-s", "-B", DRIVER, package, placeholder],
        env={}, cwd=placeholder, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_package_holds_the_app_and_nothing_else(package):
    assert {entry.name for entry in package.iterdir()} == PACKAGE
    assert not list(package.rglob("local.settings*"))
    assert not list(package.rglob("*.pyc"))
    prompts = {file.name for file in (package / "shared" / "prompts").glob("*.wav")}
    assert prompts == {"comfort.wav", "apology.wav", "goodbye.wav", "reprompt.wav"}


def test_the_app_folder_comes_last_and_its_packages_are_its_own(seen, package):
    assert seen["path_ends_with_app"]
    assert seen["folder"] == str(package)
    assert seen["modules"] == {
        "shared": str(package / "shared" / "__init__.py"),
        "functions": str(package / "functions" / "__init__.py"),
    }
    assert seen["taken_names"] == [], "a dependency ships a top-level name of ours, and would win"


def test_every_function_is_indexed_with_its_route_and_methods(seen):
    triggers = {
        name: (binding["route"], sorted(binding["methods"]), binding["authLevel"])
        for name, bindings in seen["bindings"].items()
        for binding in bindings
        if binding["type"] == "httpTrigger"
    }
    assert triggers == {
        "acs_events": ("mg-genagent-acs/v1/acs-events", ["POST"], "ANONYMOUS"),
        "acs_events_handshake": ("mg-genagent-acs/v1/acs-events", ["OPTIONS"], "ANONYMOUS"),
        "call_events": ("mg-genagent-acs/v1/calls/{call_id:guid}/events", ["POST"], "ANONYMOUS"),
        "healthz": ("healthz", ["GET"], "ANONYMOUS"),
        "ivr_call_events": ("mg-genagent-acs/v1/ivr/{call_id:guid}/events", ["POST"], "ANONYMOUS"),
        "ivr_events": ("mg-genagent-acs/v1/ivr-events", ["POST"], "ANONYMOUS"),
        "ivr_events_handshake": ("mg-genagent-acs/v1/ivr-events", ["OPTIONS"], "ANONYMOUS"),
        "prompts": ("mg-genagent-acs/v1/prompts/{name}.wav", ["GET", "HEAD"], "ANONYMOUS"),
        "readyz": ("readyz", ["GET"], "ANONYMOUS"),
    }


def test_upkeep_has_a_timer_that_the_host_keeps_account_of(seen):
    (timer,) = seen["bindings"]["upkeep"]
    assert (timer["type"], timer["schedule"], timer["useMonitor"]) == ("timerTrigger", "0 */5 * * * *", True)


def test_calls_at_the_ivr_are_looked_after_each_minute(seen):
    (timer,) = seen["bindings"]["ivr_upkeep"]
    assert (timer["type"], timer["schedule"], timer["useMonitor"]) == ("timerTrigger", "0 * * * * *", False)


def test_health_is_answered_without_settings(seen):
    assert seen["healthz"]["status"] == 200
    assert seen["readyz"]["status"] == 503
    assert "ACS_ENDPOINT" in seen["readyz"]["body"], "the answer names what is missing"


def test_nothing_is_fetched_while_it_loads_and_answers(seen):
    assert seen["outgoing"] == []
