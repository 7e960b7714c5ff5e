"""The host as a process: where it stands, what it reads, how it starts and ends."""

import asyncio
import json
import shutil
import sys

import pytest

from tests.support.functions_host import REPOSITORY, SAMPLE_APPS, until_slow

BEHAVIOUR = SAMPLE_APPS / "behaviour"


@pytest.fixture
def app_folder(tmp_path):
    """A copy of the sample app, to put files beside it."""
    return shutil.copytree(BEHAVIOUR, tmp_path / "app", ignore=shutil.ignore_patterns("__pycache__"))


async def get(http, url):
    async with http.get(url) as response:
        assert response.status == 200
        return await response.json()


async def test_the_app_folder_is_current_and_last_on_the_path(functions_process, http):
    host = await functions_process(BEHAVIOUR)
    seen = await get(http, f"{host.url}/v1/place")
    assert seen["cwd"] == str(BEHAVIOUR)
    assert seen["path"][-1] == str(BEHAVIOUR)
    assert seen["path"].count(str(BEHAVIOUR)) == 1
    assert str(REPOSITORY) not in seen["path"]
    assert "" not in seen["path"]


async def test_local_settings_fill_the_environment_without_replacing_it(app_folder, functions_process, http):
    values = {"BEHAVIOUR_SETTING": "from the file", "PATH": "nowhere"}
    (app_folder / "local.settings.json").write_text(json.dumps({"IsEncrypted": False, "Values": values}))
    host = await functions_process(app_folder)
    assert (await get(http, f"{host.url}/v1/place"))["setting"] == "from the file"
    assert host.banner[0] == "settings taken from local.settings.json: BEHAVIOUR_SETTING"
    await host.stop()
    host = await functions_process(app_folder, BEHAVIOUR_SETTING="from outside")
    assert (await get(http, f"{host.url}/v1/place"))["setting"] == "from outside"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "not JSON"),
        ('{"IsEncrypted": true, "Values": {}}', "encrypted"),
        ('{"Values": {"PORT": 7071}}', "values must be strings: PORT"),
        ('{"Values": ["PORT"]}', "Values must be an object"),
    ],
)
async def test_local_settings_that_cannot_be_read_stop_the_host(app_folder, content, message):
    (app_folder / "local.settings.json").write_text(content)
    code, errors = await run_to_end("--root", str(app_folder), "--port", "0")
    assert code == 1
    assert message in errors
    assert "Traceback" not in errors


async def test_an_address_that_is_none_is_said_plainly():
    code, errors = await run_to_end("--root", str(BEHAVIOUR), "--port", "0", "--host", "no-such-host.test")
    assert code == 1
    assert errors.splitlines()[-1].startswith("functions host: [Errno")
    assert "no-such-host.test" in errors
    assert "Traceback" not in errors


async def test_a_folder_without_host_json_is_said_plainly(tmp_path):
    code, errors = await run_to_end("--root", str(tmp_path), "--port", "0")
    assert code == 1
    assert errors.strip().endswith("it is not a Functions project")
    assert "Traceback" not in errors


async def test_a_taken_port_is_said_plainly(functions_process):
    host = await functions_process(BEHAVIOUR)
    code, errors = await run_to_end("--root", str(BEHAVIOUR), "--port", host.url.rpartition(":")[2])
    assert code == 1
    assert "address already in use" in errors.lower()
    assert "Traceback" not in errors


async def test_the_banner_lists_routes_timers_and_refusals(functions_process):
    host = await functions_process(BEHAVIOUR)
    assert f"  A_remove: [DELETE,OPTIONS] {host.url}/v1/items/{{id}}" in host.banner
    assert "  sweep: timerTrigger 0 0 4 29 2 *" in host.banner
    assert [line for line in host.banner if line.startswith("  reserved: not served")]


async def test_keys_are_asked_for_when_the_command_names_them(functions_process, http):
    host = await functions_process(BEHAVIOUR, "--function-key", "k1", "--master-key", "k2")
    for path, key, status in (("keyed", "k1", 200), ("mastered", "k1", 401), ("mastered", "k2", 200)):
        async with http.get(f"{host.url}/v1/{path}", headers={"x-functions-key": key}) as response:
            assert response.status == status


async def test_an_app_from_elsewhere_is_not_served_in_silence(tmp_path, functions_process):
    elsewhere = shutil.copytree(BEHAVIOUR, tmp_path / "elsewhere")
    host = await functions_process(BEHAVIOUR, PYTHONPATH=str(elsewhere))
    assert "function_app came from" in host.banner[0]


@pytest.mark.parametrize(("threads", "seconds", "met"), [("0", 10, True), ("3", 0.3, False), ("4", 10, True)])
async def test_sync_handlers_share_the_worker_s_threads(functions_process, http, threads, seconds, met):
    host = await functions_process(BEHAVIOUR, PYTHON_THREADPOOL_THREAD_COUNT=threads)
    url = f"{host.url}/v1/meet?seconds={seconds}"
    answers = await asyncio.gather(*(get(http, url) for _ in range(4)))
    assert [answer["met"] for answer in answers] == [met] * 4


async def test_ctrl_c_lets_requests_in_progress_end(functions_process, http):
    host = await functions_process(BEHAVIOUR)
    under_way = asyncio.create_task(get(http, f"{host.url}/v1/slow?seconds=0.3"))
    await until_slow(http, host)
    assert await host.stop() == 0
    assert (await under_way)["function"] == "slow"


async def run_to_end(*options):
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "emulator", "functions", *options),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, cwd=REPOSITORY,
    )  # fmt: skip
    _, errors = await asyncio.wait_for(process.communicate(), 20)
    return process.returncode, errors.decode()
