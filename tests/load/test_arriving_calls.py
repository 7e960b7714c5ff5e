"""A dependency is away or slow for thirty seconds while calls arrive at two processes: in real time, with figures."""

import pytest

from tests.support.cluster import running_cluster
from tests.support.gateway import EVENTS_PATH, incoming_call
from tests.support.outages import faults_of, live_through, outages, report

pytestmark = [pytest.mark.soak, pytest.mark.timeout(300)]

CALLS_PER_S = 2.0
SETTINGS = {"TOKEN_KEY_SIGNING_AGE_S": "30", "TOKEN_KEY_REFRESH_S": "15"}
"""The vault is read more often than usual, so that it is missed."""
EMULATED = {"time_scale": 1.0, "connect_seconds": 0.05}
TURNED_AWAY = "the store is away: a call was not answered"


@pytest.mark.parametrize("name", outages(1.0))
async def test_calls_that_arrive_within_thirty_seconds_of_trouble(azurite, tmp_path, name):
    outage = outages(1.0)[name]
    async with running_cluster(azurite, tmp_path, workers=2, emulated=EMULATED, **SETTINGS) as cluster:
        for worker in cluster.workers:
            # A cold process would have nothing to go on.
            await knows_what_a_call_needs(cluster, worker)
        heard = await live_through(cluster, outage, calls_per_s=CALLS_PER_S)
        logged = cluster.log.read_text().count(TURNED_AWAY)
    print(f"\n{report(name, heard)}\nlogged as not answered without the store: {logged}")
    assert faults_of(outage, heard) == []
    assert logged == sum(call.end == "rejected" for call in heard)


async def knows_what_a_call_needs(cluster, worker):
    event = incoming_call(f"a context that ACS does not know, at {worker.url}")
    async with cluster.http.post(
        worker.url + EVENTS_PATH, json=[event], headers=cluster.credentials
    ) as response:
        assert (await response.json())[0]["outcome"] == "missed"
