"""Fault rules, held requests and seen requests from outside the process."""

import asyncio
import contextlib
import json

import pytest
from azure.core.exceptions import AzureError, HttpResponseError

from emulator.faults.rules import MAX_RULES
from emulator.settings import SettingsError, read_settings

KEYS = "/calling/keys"


@pytest.fixture
def ask(acs_emulator, http):
    """Ask the emulator's own API; return status and JSON."""

    async def ask(method: str, path: str, body=None):
        async with http.request(method, f"{acs_emulator.base_url}/emulator/{path}", json=body) as response:
            text = await response.read()
            return response.status, json.loads(text) if text else None

    return ask


async def test_rule_is_added_shown_and_removed(ask, acs_emulator, aio_client, place_call, application):
    rule = {"operation": "answer", "action": {"kind": "status", "status": 429, "code": "8516"}, "times": 2}

    status, added = await ask("POST", "faults", rule)

    assert (status, added["operation"], added["applied"]) == (201, "answer", 0)
    with pytest.raises(HttpResponseError):
        await aio_client.answer(await place_call(), application)
    _, listed = await ask("GET", "faults")
    shown = {"id": added["id"], "matched": 1, "applied": 1}
    assert listed["value"] == [rule | shown]
    assert (await ask("DELETE", f"faults/{added['id']}"))[0] == 204
    assert (await ask("DELETE", f"faults/{added['id']}"))[0] == 404
    assert await ask("GET", "faults") == (200, {"value": []})
    assert (await aio_client.answer(await place_call(), application)).call_connection_id


async def test_all_rules_are_removed_at_once(ask):
    for operation in ("answer", "storage.*"):
        await ask("POST", "faults", {"operation": operation, "action": {"kind": "reset"}})

    assert (await ask("DELETE", "faults"))[0] == 204

    assert await ask("GET", "faults") == (200, {"value": []})


@pytest.mark.parametrize(("end", "error"), [("release", None), ("drop", AzureError)])
async def test_held_request_is_waited_for_and_ended(ask, aio_client, place_call, end, error):
    await ask("POST", "faults", {"operation": "reject", "action": {"kind": "pause"}, "times": 1})
    call = await place_call()
    reject = asyncio.create_task(aio_client("reject_call", call.incoming_call_context))

    _, held = await ask("GET", "held?operation=reject&waitSeconds=5")

    [one] = held["value"]
    about = "POST /calling/callConnections:reject"
    assert one == {"id": one["id"], "operation": "reject", "when": "before", "about": about}
    assert (await ask("POST", f"held/{one['id']}/{end}"))[0] == 204
    with pytest.raises(error) if error else contextlib.nullcontext():
        await reject
    assert (call.end == "rejected") == (end == "release")
    assert (await ask("POST", f"held/{one['id']}/{end}"))[0] == 404


async def test_nothing_held_is_an_empty_list(ask):
    assert await ask("GET", "held?waitSeconds=0.01") == (200, {"value": []})
    assert (await ask("GET", "held?waitSeconds=long"))[0] == 400


async def test_seen_requests_are_shown_without_their_secrets(ask, aio_client, place_call, application):
    await aio_client.answer(await place_call(), application)

    _, seen = await ask("GET", "requests?operation=answer")

    [request] = seen["value"]
    assert request["operation"] == "answer"
    assert "Repeatability-Request-ID" in request["headers"]
    assert "Authorization" not in request["headers"]


STATUS = {"kind": "status", "status": 503}
WRONG = [
    ({"action": STATUS}, ["`operation` is missing"]),
    ({"operation": "answer"}, ["`action` must be an object"]),
    ({"operation": "answer", "action": {"kind": "dance"}}, ["one of: status, delay, hang"]),
    ({"operation": "answer", "action": {"kind": "status", "status": 200}}, ["action: `status`"]),
    ({"operation": "dance", "action": STATUS}, ["there are: addParticipant, answer"]),
    ({"operation": "answer:x", "action": STATUS}, ["nothing may follow a colon"]),
    ({"operation": "storage.*", "action": STATUS, "call": "+1"}, ["does not tell of which call"]),
    ({"operation": "answer", "action": {"kind": "cut", "when": "before"}}, ["action: `when` is unknown"]),
    (
        {
            "operation": "dance",
            "action": {"kind": "status", "status": 1, "code": 2, "retryAfter": 3},
            "times": 0,
            "nth": "x",
            "probability": 2,
            "time": 1,
        },
        [
            "no operation",
            "`status`",
            "`code`",
            "`retryAfter`",
            "`times`",
            "`nth`",
            "`probability`",
            "`time`",
        ],
    ),
]


@pytest.mark.parametrize(("rule", "problems"), WRONG)
async def test_everything_wrong_about_a_rule_is_told(ask, rule, problems):
    status, refusal = await ask("POST", "faults", rule)

    assert status == 400
    details = refusal["error"]["details"]
    assert len(details) == len(problems)
    for problem in problems:
        assert any(problem in detail for detail in details), (problem, details)


@pytest.mark.parametrize("body", [b"[" * 100_000, b"{", b"[]", b"1"])
async def test_rubbish_is_refused(acs_emulator, http, body):
    async with http.post(acs_emulator.base_url + "/emulator/faults", data=body) as response:
        assert response.status == 400


async def test_rules_in_force_are_limited_and_used_up_ones_make_room(acs_emulator, ask, http):
    rule = {"operation": "identity.keys", "action": STATUS, "times": 1}
    for _ in range(MAX_RULES):
        assert (await ask("POST", "faults", rule))[0] == 201

    assert (await ask("POST", "faults", rule))[0] == 409
    await http.get(acs_emulator.base_url + KEYS)
    assert (await ask("POST", "faults", rule))[0] == 201


def test_rules_are_read_from_the_settings_and_wrong_ones_are_all_listed(tmp_path):
    file = tmp_path / "settings.json"
    rules = [{"operation": "answer", "action": STATUS}]
    file.write_text(json.dumps({"seed": 7, "faults": rules}))
    assert [rule.operation for rule in read_settings(file).faults] == ["answer"]

    file.write_text(json.dumps({"faults": [*rules, {"operation": "dance", "action": {}}]}))
    with pytest.raises(SettingsError) as wrong:
        read_settings(file)

    assert [fault.split(":")[:2] for fault in wrong.value.faults] == [["faults", " number 2"]] * 2
