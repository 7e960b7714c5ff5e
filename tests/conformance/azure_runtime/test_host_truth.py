"""The emulator's Functions host against Microsoft's own Python runtime, function by function, request by request.

Out of the runtime's reach, because the .NET host decides it before or after: which route a path matches, 404 for a
path or a method that matches none, keys, the empty 500 for an invocation that failed, a body without Content-Length,
a request that is no HTTP, how a bare text becomes a response, and the spelling of Set-Cookie. `exchanges.py` states
the first half by hand; the tests of `tests/emulated/functions_host` compare the rest with what is known of that host.
"""

import http.client
import importlib
import json
import os
import re
import runpy
import subprocess
import sys
import tempfile
import time
from email.utils import parsedate_to_datetime
from http.cookies import SimpleCookie
from pathlib import Path

import pytest

from emulator.functions_host.app import MODULE, IndexingError, load_app
from emulator.functions_host.command import READY_LINE
from emulator.functions_host.invocation import thread_count
from tests.conformance.azure_runtime.exchanges import HOST, OURS, SAMPLE, TimerRun, awkward
from tests.support.deployed_package import REPOSITORY, deployed_python, find_interpreter
from tests.support.faulty_apps import FAULTY_APPS, ODD_APPS
from tests.support.functions_host import SAMPLE_APPS

VERSION = "3.13"
"""The first Python whose worker is the runtime that can be had from PyPI."""
DRIVER = REPOSITORY / "tests/conformance/azure_runtime/exchange_driver.py"
THREAD_COUNTS = ["1", "50", " 4 ", "+4", "0", "-1", "1.5", "many", "", "9" * 30]
SETTINGS = {"BEHAVIOUR_SETTING": "set", "SWEEP_SCHEDULE": "0 0 4 29 2 *"}
FRAMING = {"content-length", "date", "server", "connection", "keep-alive", "transfer-encoding"}
"""Headers of the connection, which the app does not decide."""

CASES = runpy.run_path(str(SAMPLE_APPS / "behaviour" / "awkward.py"))["CASES"]
ALL_SAMPLE = [*SAMPLE, *(exchange for case in CASES for exchange in awkward(case))]
EXCHANGES = {"ours": OURS, "sample": ALL_SAMPLE}
SOURCES = [*(source for source, _ in FAULTY_APPS), *ODD_APPS]

STRICTER = {
    "req: str": "every request to such a function fails in the worker; the emulator says so at its start",
    "req: bytes": "as with str",
    "queue_output": "there are no queues in the local stack; a function that only seemed to write one would mislead",
}
"""What the emulator refuses to index though the worker does not, by a text of the source, and why."""


@pytest.fixture(scope="session")
def runtime_python():
    """A Python that holds what is deployed, and Microsoft's runtime."""
    interpreter = find_interpreter(VERSION)
    if interpreter is None:
        pytest.skip(
            f"Python {VERSION} is not installed here: the host is not compared with Microsoft's runtime"
        )
    return deployed_python(VERSION, interpreter)


@pytest.fixture(scope="session")
def ask_runtime(runtime_python, tmp_path_factory):
    """Ask the runtime about an app."""

    def ask(app, exchanges, sources=()):
        placeholder = tmp_path_factory.mktemp("placeholder")
        sent = [exchange.as_the_worker_gets_it() for exchange in exchanges]
        questions = json.dumps(
            {"settings": SETTINGS, "exchanges": sent, "apps": sources, "thread_counts": THREAD_COUNTS}
        )
        done = subprocess.run(
            [runtime_python, "-P", "-E", "-s", "-B", DRIVER, app, placeholder],
            env={}, cwd=placeholder, input=questions, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return ask


def ask_emulator(app, exchanges):
    """Run the emulator's host on an app, and ask it the same."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
    log = tempfile.NamedTemporaryFile()  # noqa: SIM115 - closed below
    process = subprocess.Popen(
        [sys.executable, "-m", "emulator", "functions", "--root", app, "--port", "0"],
        cwd=REPOSITORY, env=kept | SETTINGS, stdout=subprocess.PIPE, stderr=log, text=True,
    )  # fmt: skip
    with log, process:
        try:
            ready = next(line for line in process.stdout if line.startswith(READY_LINE))
            connection = http.client.HTTPConnection(ready.split("//")[1].strip(), timeout=20)
            functions = json.loads(send(connection, "GET", "/admin/functions")[2])
            bindings = {function["name"]: function["config"]["bindings"] for function in functions}
            return {
                "bindings": bindings,
                "answers": [answer_of(connection, each, Path(log.name)) for each in exchanges],
            }
        finally:
            connection.close()
            process.terminate()


def send(connection, method, target, headers=(), body=b"", *, chunked=False):
    """Send exactly these headers; return status, headers and body."""
    connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
    for name, value in (("Host", HOST), *headers):
        connection.putheader(name, value)
    connection.endheaders(body or None, encode_chunked=chunked)
    response = connection.getresponse()
    return response.status, response.getheaders(), response.read()


def answer_of(connection, exchange, log):
    """The emulator's answer, in the same form as the runtime's."""
    if isinstance(exchange, TimerRun):
        return {"ran": run_timer(connection, exchange.function, log)}
    body = [exchange.body] if exchange.chunked else exchange.body
    status, headers, content = send(
        connection, exchange.method, exchange.target, (*exchange.headers, *exchange.framing), body,
        chunked=exchange.chunked,
    )  # fmt: skip
    return {
        "status": status,
        "headers": {
            name.lower(): value for name, value in headers if name.lower() not in FRAMING | {"set-cookie"}
        },
        "cookies": [cookie_of(value) for name, value in headers if name.lower() == "set-cookie"],
        "body": content.hex(),
    }


def run_timer(connection, function, log):
    """Let a timer run by the host's own API; tell from its log whether it succeeded."""
    json_header = [("Content-Type", "application/json"), ("Content-Length", "2")]
    status, _, _ = send(connection, "POST", f"/admin/functions/{function}", json_header, b"{}")
    assert status == http.client.ACCEPTED
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if found := re.search(rf"Executed function {function} \((\w+)", log.read_text()):
            return found[1] == "Succeeded"
        time.sleep(0.01)
    raise AssertionError(f"{function} did not run")


def cookie_of(header):
    """A Set-Cookie header as the worker's protocol has it."""
    ((name, morsel),) = SimpleCookie(header).items()
    cookie = {
        "name": name,
        "value": morsel.value,
        "domain": morsel["domain"],
        "path": morsel["path"],
        "secure": bool(morsel["secure"]),
        "http_only": bool(morsel["httponly"]),
        "same_site": morsel["samesite"].lower(),
    }
    if morsel["expires"]:
        cookie["expires"] = int(parsedate_to_datetime(morsel["expires"]).timestamp())
    return cookie | ({"max_age": float(morsel["max-age"])} if morsel["max-age"] else {})


def expected(answer):
    """What the .NET host sends for the runtime's answer."""
    if answer is None:
        return {"status": 500, "headers": {}, "cookies": [], "body": ""}
    if "ran" in answer:
        return answer
    if "text" in answer:
        body = answer["text"].encode().hex()
        return {
            "status": 200,
            "headers": {"content-type": "text/plain; charset=utf-8"},
            "cookies": [],
            "body": body,
        }
    headers = {name.lower(): value for name, value in answer["headers"].items()}
    return answer | {"status": int(answer["status"]), "headers": headers}


@pytest.fixture(scope="session")
def sample(ask_runtime):
    """Both sides' answers for the sample app, and the runtime's word on broken apps."""
    root = SAMPLE_APPS / "behaviour"
    return ask_runtime(root, ALL_SAMPLE, SOURCES), ask_emulator(root, ALL_SAMPLE)


@pytest.fixture(scope="session")
def ours(ask_runtime, package):
    """Both sides' answers for our own app as it is deployed, with no settings."""
    return ask_runtime(package, OURS), ask_emulator(package, OURS)


@pytest.mark.parametrize("app", ["ours", "sample"])
def test_both_index_the_same_functions_with_the_same_bindings(request, app):
    truth, emulated = request.getfixturevalue(app)
    assert emulated["bindings"] == truth["bindings"]
    assert len(truth["bindings"]) >= 5


@pytest.mark.parametrize("app", ["ours", "sample"])
def test_every_request_is_answered_alike(request, app):
    truth, emulated = request.getfixturevalue(app)
    pairs = zip(EXCHANGES[app], emulated["answers"], map(expected, truth["answers"]), strict=True)
    different = [
        f"{exchange}\n  emulated {ours}\n  truth    {theirs}"
        for exchange, ours, theirs in pairs
        if ours != theirs
    ]
    assert not different, "\n".join(different)


def test_an_app_is_indexed_by_both_or_by_neither(sample, tmp_path, monkeypatch):
    truth, _ = sample
    different, meant = [], []
    for number, (source, theirs) in enumerate(zip(SOURCES, truth["faults"], strict=True)):
        ours = emulated_fault(source, tmp_path / f"app-{number}", monkeypatch)
        if (ours is None) == (theirs is None):
            continue
        if reason := next((reason for text, reason in STRICTER.items() if text in source), None):
            assert theirs is None, reason
            meant.append(source)
        else:
            different.append(f"{source}\n  emulated {ours}\n  truth    {theirs}")
    assert not different, "\n".join(different)
    assert len(meant) == len(STRICTER), "a difference that was meant is none any more"


def test_sync_handlers_get_as_many_threads(sample):
    truth, _ = sample
    assert [thread_count(setting) for setting in THREAD_COUNTS] == truth["threads"]


def emulated_fault(source, folder, monkeypatch):
    """Index an app with the emulator's code, and return why it cannot be, if so."""
    folder.mkdir()
    (folder / f"{MODULE}.py").write_text(source)
    with monkeypatch.context() as patch:
        patch.setattr(sys, "path", [str(folder), *sys.path])
        patch.delitem(sys.modules, MODULE, raising=False)
        importlib.invalidate_caches()
        try:
            load_app(folder)
        except IndexingError as error:
            return str(error)
        finally:
            sys.modules.pop(MODULE, None)
    return None
