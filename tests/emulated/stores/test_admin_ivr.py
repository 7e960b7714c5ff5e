"""The operator's `ivr show`: what came of calls at the IVR, without what is sensitive."""

import asyncio
import json
import uuid

import pytest

from shared.adapters.ivr_store import TableIvrStore
from shared.adapters.slot_store import TableSlotStore
from shared.admin.__main__ import main
from shared.core.flow_events import CallerGone, Done, Heard
from shared.core.ids import new_call_id, new_traceparent
from shared.core.ivr_call import IvrCall, after
from shared.flow_file import load_flow_file
from tests.support.ivr import AGENT, FLOW, GATEWAY, IVR, NUMBER

CALLER = "+14255550100"


@pytest.fixture(autouse=True)
def storage(storage_connection_string, monkeypatch):
    """A container of the test's own."""
    monkeypatch.setenv("STORAGE_CONNECTION_STRING", storage_connection_string)
    for name in ("STORAGE_TABLE_ENDPOINT", "STORAGE_BLOB_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("shared.admin.publish.CONTAINER", f"test-{uuid.uuid4().hex}")


@pytest.fixture
def run(capsys):
    """Run a command; returns exit code, output and errors."""

    async def command(*arguments):
        code = await asyncio.to_thread(main, [*arguments])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return command


@pytest.fixture
def store(tables):
    return TableIvrStore(tables, TableSlotStore(tables))


@pytest.fixture
async def journey(store, run, tmp_path):
    """A caller keyed 1234, was sent to the agent, came back, and hung up."""
    (tmp_path / "welcome.yaml").write_text(FLOW)
    (tmp_path / "gateway.yaml").write_text(GATEWAY)
    assert (await run("profiles", "push", str(tmp_path / "gateway.yaml")))[0] == 0
    flow = load_flow_file(tmp_path / "welcome.yaml").flow
    correlation_id = str(uuid.uuid4())
    first, second = (
        IvrCall(
            call_id=new_call_id(),
            account_id="demo",
            flow="welcome",
            flow_version=1,
            caller=f"4:{CALLER}",
            called=f"4:{NUMBER}",
            correlation_id=correlation_id,
            server_call_id="aHR0cHM6Ly9leGFtcGxl",
            traceparent=new_traceparent(),
            created=created,
            identity=IVR,
            outcome=outcome,
            context=context,
        )
        for created, outcome, context in ((1000.0, "", {}), (1060.0, "AGENT", {"topic": "cards"}))
    )
    first = after(first, flow, first.beginning, 1001.0)
    first = after(first, flow, Heard(first.state.action_id, digits="1234"), 1005.0)
    first = after(first, flow, Done(first.state.action_id), 1007.0)
    second = after(second, flow, second.beginning, 1061.0)
    calls = [after(call, flow, CallerGone(), at) for call, at in ((first, 1008.0), (second, 1070.0))]
    for call in calls:
        await store.create(call)
    return calls


async def test_a_journey_is_shown_call_by_call_without_what_is_sensitive(run, journey):
    code, out, _ = await run("ivr", "show", journey[0].correlation_id, "--json")
    first, second = json.loads(out)

    assert code == 0
    assert [first["call_id"], second["call_id"]] == [call.call_id for call in journey]
    assert (first["outcome"], first["came_back"], first["transferred_to"]) == ("transferred", None, AGENT)
    assert first["steps"] == [
        {"at": "1970-01-01T00:16:45Z", "step": "account", "result": "done"},
        {"at": "1970-01-01T00:16:47Z", "step": "to_agent", "result": "done"},
    ]
    assert (first["created"], first["ended"]) == ("1970-01-01T00:16:40Z", "1970-01-01T00:16:48Z")
    assert (second["outcome"], second["came_back"]) == ("caller_gone", "AGENT")
    assert (first["variables"]["account"], second["variables"]["topic"]) == ("****", "cards")
    assert "1234" not in out
    assert CALLER not in out


async def test_one_call_is_shown_for_people(run, journey):
    code, out, _ = await run("ivr", "show", journey[1].call_id)
    lines = out.splitlines()

    assert code == 0
    assert f"call_id         {journey[1].call_id}" in lines
    assert "created         1970-01-01 00:17:40Z" in lines
    assert "steps           00:17:41 returned: done" in lines
    assert "variables       topic=cards" in lines
    assert journey[0].call_id not in out


async def test_where_the_flow_is_gone_every_value_is_masked(run, journey, monkeypatch):
    monkeypatch.setattr("shared.admin.publish.CONTAINER", f"test-{uuid.uuid4().hex}")
    _, out, _ = await run("ivr", "show", journey[1].call_id, "--json")
    assert set(json.loads(out)[0]["variables"].values()) == {"****"}


async def test_a_call_that_there_is_not_is_said(run, tables):
    assert await run("ivr", "show", new_call_id()) == (1, "", "no such call or journey at the IVR\n")
