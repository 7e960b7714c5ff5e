"""Timer functions run when they are due, and when the host's own API is asked to run them."""

import asyncio
import json
from datetime import UTC, datetime

import pytest

from emulator.functions_host import Keys
from emulator.functions_host.app import Function
from emulator.functions_host.schedule import BadScheduleError
from emulator.functions_host.timers import Timers
from tests.support.functions_host import SAMPLE_APPS

MONITORED = {"Last": "str", "LastUpdated": "str", "Next": "str"}


@pytest.fixture
async def host(functions_host, monkeypatch):
    monkeypatch.setenv("SWEEP_SCHEDULE", "0 0 4 29 2 *")
    return await functions_host(SAMPLE_APPS / "behaviour")


async def run_now(http, host, name, body="{}", **headers):
    headers = {"Content-Type": "application/json"} | headers
    async with http.post(f"{host.url}/admin/functions/{name}", data=body, headers=headers) as response:
        assert await response.read() == b""
        return response.status


async def swept(http, host, count):
    async with asyncio.timeout(10):
        while True:
            async with http.get(f"{host.url}/v1/swept") as response:
                found = (await response.json())["swept"]
            if len(found) >= count:
                return found
            await asyncio.sleep(0.005)


async def test_a_timer_runs_when_it_is_asked_to_and_learns_what_the_worker_tells(host, http):
    assert await run_now(http, host, "sweep", json.dumps({"input": ""})) == 202
    (seen,) = await swept(http, host, 1)
    assert seen == {"past_due": False, "schedule": {"AdjustForDST": True}, "status": MONITORED}


async def test_a_timer_that_is_not_monitored_is_told_no_times_and_may_be_sync_and_have_a_context(host, http):
    assert await run_now(http, host, "SWEEP_unmonitored") == 202
    (seen,) = await swept(http, host, 1)
    assert seen["status"] == {}
    assert (seen["function"], seen["main_thread"]) == ("sweep_unmonitored", False)


@pytest.mark.parametrize(
    ("name", "body", "kind", "status"),
    [
        ("nobody", "{}", "application/json", 404),
        ("echo", "{}", "application/json", 404),
        ("sweep", "", "application/json", 400),
        ("sweep", "null", "application/json", 400),
        ("sweep", "{}", "text/plain", 415),
    ],
)
async def test_what_cannot_be_run_is_refused(host, http, name, body, kind, status):
    assert await run_now(http, host, name, body, **{"Content-Type": kind}) == status


async def test_only_the_master_key_runs_a_timer(functions_host, http):
    host = await functions_host(SAMPLE_APPS / "behaviour", keys=Keys("k1", "k2"))
    for key, status in (("", 401), ("k1", 401), ("k2", 202)):
        assert await run_now(http, host, "sweep", **{"x-functions-key": key}) == status
    await swept(http, host, 1)


@pytest.mark.parametrize(
    ("name", "reason"), [("sweep_raises", "the timer failed"), ("sweep_returns", "returned something")]
)
async def test_a_timer_that_fails_is_logged_and_runs_again(host, http, caplog, name, reason):
    for _ in range(2):
        assert await run_now(http, host, name) == 202
    async with asyncio.timeout(10):
        while caplog.text.count(reason) < 2:
            await asyncio.sleep(0.005)


async def test_a_schedule_that_no_setting_has_leaves_the_other_functions(functions_host, http, monkeypatch):
    monkeypatch.delenv("SWEEP_SCHEDULE", raising=False)
    host = await functions_host(SAMPLE_APPS / "behaviour")
    assert "does not resolve" in host.errors["sweep_unmonitored"]
    assert await run_now(http, host, "sweep_unmonitored") == 404
    assert await run_now(http, host, "sweep") == 202
    await swept(http, host, 1)


class Runs:
    """Stands in for the invoker: keeps what the host tells of each run, until a run may end."""

    def __init__(self):
        self.infos = []
        self.begun = asyncio.Event()
        self.may_end = asyncio.Event()
        self.cancelled = 0

    async def invoke_timer(self, function, info):
        self.infos.append(info)
        self.begun.set()
        try:
            await self.may_end.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise


def timers(runs, schedule="* * * * * *", settings=(), clock=lambda: datetime.now(UTC)):
    made = Timers(runs, dict(settings), clock=clock)
    made.add(Function("tick", print, "", "timerTrigger", (), "timer", schedule=schedule))
    return made


async def test_a_timer_runs_by_itself_when_it_is_due_but_not_twice_at_a_time():
    # Just before a second ends, for good: whenever the clock is looked at, the next moment is a moment away.
    runs = Runs()
    made = timers(runs, clock=lambda: datetime(2026, 11, 24, 12, 0, 0, 999_000, tzinfo=UTC))
    made.start()
    await runs.begun.wait()
    assert len(runs.infos) == 1
    assert runs.infos[0]["ScheduleStatus"]["Next"] == "2026-11-24T12:00:01+00:00"
    runs.may_end.set()
    await made.close(1.0)


async def test_a_moment_comes_once_though_the_clock_runs_late():
    runs = Runs()
    runs.may_end.set()
    moments = iter([999_000] * 4)
    made = timers(runs, clock=lambda: datetime(2026, 11, 24, 12, 0, 0, next(moments, 0), tzinfo=UTC))
    made.start()
    await runs.begun.wait()
    await asyncio.sleep(0)
    assert len(runs.infos) == 1
    await made.close(1.0)


@pytest.mark.parametrize("value", ["true", "True", "1"])
async def test_a_timer_that_is_disabled_runs_only_when_it_is_asked_to(value):
    runs = Runs()
    made = timers(runs, settings={"AzureWebJobs.tick.Disabled": value})
    made.start()
    assert made.is_disabled("tick")
    assert made._waiting == []
    assert made.run_now("tick")
    await runs.begun.wait()
    runs.may_end.set()
    await made.close(1.0)


async def test_a_run_under_way_may_end_while_the_host_stops_and_is_cancelled_when_it_takes_too_long():
    for drain_s, cancelled in ((5.0, 0), (0.01, 1)):
        runs = Runs()
        made = timers(runs, schedule="0 0 4 29 2 *")
        made.start()
        made.run_now("tick")
        await runs.begun.wait()
        if not cancelled:
            runs.may_end.set()
        await made.close(drain_s)
        assert runs.cancelled == cancelled


@pytest.mark.parametrize("schedule", ["every minute", "0 0 0 30 2 *", "%NO_SUCH_SETTING%"])
def test_a_schedule_that_cannot_be_kept_is_refused(schedule):
    with pytest.raises(BadScheduleError):
        timers(None, schedule=schedule)


def test_a_schedule_may_be_a_setting():
    timers(None, schedule="%TICK%", settings={"TICK": "0 */5 * * * *"})
