"""A dependency is away or slow for thirty seconds while calls arrive, at a fifth of that time.

Each row prints what the callers heard and how long they waited. The same in real time is part of `make soak`.
"""

import pytest

from tests.support.outages import faults_of, live_through, outages, report

SCALE = 0.2
SETTINGS = {
    "RING_DEADLINE_S": str(27 * SCALE),
    "EVENT_BUDGET_S": str(8 * SCALE),
    "CLAIM_LEASE_S": str(8 * SCALE),
    "ACCOUNTS_MAX_AGE_S": str(30 * SCALE),
    "TOKEN_KEY_SIGNING_AGE_S": str(30 * SCALE),
    "TOKEN_KEY_REFRESH_S": str(15 * SCALE),
}
"""The vault is read more often than at scale, so that it is missed."""
EMULATED = {"time_scale": SCALE, "ring_seconds": 30 * SCALE, "connect_seconds": 0.05}

ROWS = ("storage away", "storage silent", "vault silent")
"""The others take their time in the soak only: they tell little more."""


def without_store(counts):
    return {labels: n for (name, labels), n in counts.items() if name == "gateway.calls.without_store"}


@pytest.mark.parametrize("name", ROWS)
async def test_calls_that_arrive_while_a_dependency_is_away_or_slow(start_edge, counted, monkeypatch, name):
    outage = outages(SCALE)[name]
    monkeypatch.setattr("shared.core.claims.FIRST_RETRY_S", 10 * SCALE)
    edge = await start_edge(emulated=EMULATED, **SETTINGS)
    # A cold process would have nothing to go on.
    assert (await edge.deliver([await edge.ring()]))[0] == 200
    counted.since()
    heard = await live_through(edge, outage, calls_per_s=0.5, scale=SCALE)
    print(report(name, heard))
    assert faults_of(outage, heard, scale=SCALE) == []
    counts = counted.since()
    rejected = sum(call.end == "rejected" for call in heard)
    assert without_store(counts) == ({"account=demo outcome=rejected": rejected} if rejected else {})
    assert rejected > 0 or name not in ("storage away", "storage silent")
    if outage.operations.startswith("web_pubsub"):
        # No pod holds these calls, so nobody is signalled: answering asks nothing of Web PubSub.
        assert counts["gateway.events", "outcome=answered status=200"] == len(heard)
