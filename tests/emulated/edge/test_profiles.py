"""Profiles and routes are pushed while the app runs; each call has those of its moment, and a bad push none."""

import pytest

from shared.adapters.profile_store import POINTER
from shared.core.ids import claim_key
from tests.support.gateway import push

ECHO = """\
version: 1
profiles:
  echo: {{kind: echo, delay_ms: {delay_ms}}}
routes:
  - {{account: demo, to: "{to}", profile: echo}}
"""


@pytest.fixture
def gateway_file(tmp_path):
    """Write a gateway file; returns its path."""

    def write(*, delay_ms=0, to="+18005550199"):
        path = tmp_path / "gateway.yaml"
        path.write_text(ECHO.format(delay_ms=delay_ms, to=to))
        return path

    return write


@pytest.fixture
def every_call_reloads(monkeypatch):
    """As if every call came half a minute after the one before."""
    for name in ("RELOAD_AFTER_S", "OUTDATED_S", "MIN_INTERVAL_S"):
        monkeypatch.setattr(f"shared.calls.profiles.{name}", 0.0)
    monkeypatch.setattr("shared.refresh.FIRST_INTERVAL_S", 0.0)


async def outcome(edge, event):
    status, answer = await edge.deliver(event)
    return status, answer[0]["outcome"] if status == 200 else answer["detail"]


async def profile_of(edge, event):
    claim, _ = await edge.connections.claims.read(claim_key(event["data"]["incomingCallContext"]))
    return (await edge.connections.calls.get(claim.call_id)).profile


async def readiness(edge):
    async with edge.http.get(f"{edge.host.url}/readyz") as response:
        return response.status, (await response.json())["dependencies"]["profiles"]


async def test_a_push_changes_the_next_call_and_leaves_the_one_before_as_it_was(
    start_edge, gateway_file, every_call_reloads
):
    edge = await start_edge(gateway_file=gateway_file(delay_ms=20))
    before = await edge.ring()
    assert await outcome(edge, before) == (200, "answered")
    await push(edge.connections, gateway_file(delay_ms=40))
    after = await edge.ring()
    assert await outcome(edge, after) == (200, "answered")
    profiles = [await profile_of(edge, event) for event in (before, after)]
    assert [profile.agent.delay_ms for profile in profiles] == [20, 40]


async def test_a_number_that_is_routed_elsewhere_is_left_to_ring(
    start_edge, gateway_file, every_call_reloads
):
    edge = await start_edge(gateway_file=gateway_file())
    await push(edge.connections, gateway_file(to="+18005550100"))
    assert await outcome(edge, await edge.ring()) == (200, "unrouted")


async def test_a_document_written_by_hand_that_is_not_good_changes_nothing_and_shows(
    start_edge, gateway_file, every_call_reloads
):
    edge = await start_edge(gateway_file=gateway_file(delay_ms=20))
    assert await readiness(edge) == (200, "ok")
    current = await edge.connections.profiles.current()
    version = await edge.connections.profiles.add(b'{"version": 1}', profiles=0, routes=0)
    await edge.connections.profiles.use(version, current)
    event = await edge.ring()
    assert await outcome(edge, event) == (200, "answered")
    assert (await profile_of(edge, event)).agent.delay_ms == 20
    fault = f"kept from before: version {version} of the agent profiles is not good at: file"
    assert await readiness(edge) == (200, fault)


async def test_before_the_first_push_a_call_is_kept_for_later_and_readiness_says_what_to_do(
    start_edge, gateway_file, every_call_reloads
):
    edge = await start_edge(gateway_file=None)
    told = "there are no agent profiles: run `python -m shared.admin profiles push FILE`"
    assert await readiness(edge) == (503, told)
    event = await edge.ring()
    status, _ = await edge.deliver(event)
    assert status == 500
    await push(edge.connections, gateway_file())
    assert await outcome(edge, event) == (200, "answered")
    assert await readiness(edge) == (200, "ok")


async def test_what_was_read_stays_in_use_when_the_pointer_is_gone(
    start_edge, gateway_file, every_call_reloads
):
    edge = await start_edge(gateway_file=gateway_file())
    assert await outcome(edge, await edge.ring()) == (200, "answered")
    client = await edge.connections.config_blobs._open()
    await client.delete_blob(POINTER)
    assert await outcome(edge, await edge.ring()) == (200, "answered")
