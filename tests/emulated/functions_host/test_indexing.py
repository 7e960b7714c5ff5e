"""One fault in an app leaves no function at all; faults of single functions leave the others."""

import json

import pytest

from emulator.functions_host import ProjectError
from tests.support.faulty_apps import FAULTY_APPS, PLAIN_APP

HOST_JSON = {
    "version": "2.0",
    "extensions": {"http": {"routePrefix": ""}, "unknown": {"x": 1}},
    "alsoUnknown": True,
}


@pytest.fixture
def project(tmp_path):
    def write(source, host_json=HOST_JSON):
        (tmp_path / "function_app.py").write_text(source)
        if host_json is not None:
            (tmp_path / "host.json").write_text(
                host_json if isinstance(host_json, str) else json.dumps(host_json)
            )
        return tmp_path

    return write


@pytest.mark.parametrize(("source", "reason"), FAULTY_APPS)
async def test_a_fault_anywhere_leaves_no_functions(project, functions_host, http, caplog, source, reason):
    host = await functions_host(project(source))
    assert host.functions == []
    assert reason in str(host.indexing_error)
    assert reason in caplog.text
    async with http.get(f"{host.url}/good") as response:
        assert (response.status, await response.read()) == (404, b"")
    async with http.get(f"{host.url}/admin/functions") as response:
        assert await response.json() == []


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("@app.route(route='Admin/x')\ndef f(req): ...", "built in routes"),
        ("@app.route(route='runtimes')\ndef f(req): ...", "built in routes"),
        ("@app.route(route='{id:nonsense}')\ndef f(req): ...", "not known"),
        ("@app.route(route='a//b')\ndef f(req): ...", "empty segment"),
        ("@app.function_name('1st')\n@app.route(route='x')\ndef f(req): ...", "not a valid function name"),
        ("@app.route(route='GOOD')\ndef zz(req): ...", "conflicts with the route defined by function 'good'"),
    ],
)
async def test_a_function_the_host_refuses_leaves_the_others(project, functions_host, http, source, problem):
    host = await functions_host(project(f"{PLAIN_APP}\n{source}"))
    assert [problem in text for text in host.errors.values()] == [True]
    async with http.get(f"{host.url}/good") as response:
        assert response.status == 200


async def test_one_route_may_serve_other_methods_by_another_function(project, functions_host, http):
    host = await functions_host(
        project(PLAIN_APP + "\n@app.route(route='good', methods=['POST'])\ndef f(req): ...")
    )
    assert host.errors == {}


@pytest.mark.parametrize(
    ("host_json", "settings", "path"),
    [
        ({"version": "2.0"}, {}, "/api/good"),
        ({"version": "2.0", "extensions": {"http": {"routePrefix": "v2/x"}}}, {}, "/v2/x/good"),
        ({"version": "2.0"}, {"AzureFunctionsJobHost__extensions__http__routePrefix": ""}, "/good"),
    ],
)
async def test_the_route_prefix(project, functions_host, http, monkeypatch, host_json, settings, path):
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    host = await functions_host(project(PLAIN_APP, host_json))
    async with http.get(host.url + path) as response:
        assert response.status == 200


@pytest.mark.parametrize(
    ("host_json", "message"),
    [
        (None, "no host.json"),
        ("{", "not JSON"),
        ("[]", "an object"),
        ({"version": "1.0"}, "2.0"),
        ({}, "2.0"),
    ],
)
async def test_a_folder_that_is_no_project_is_refused(project, functions_host, host_json, message):
    with pytest.raises(ProjectError, match=message):
        await functions_host(project(PLAIN_APP, host_json))
