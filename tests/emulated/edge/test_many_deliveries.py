"""At-least-once delivery to several processes; `make soak` does the same with ten thousand."""

from shared.core.claims import Outcome
from tests.support.cluster import running_cluster
from tests.support.deliveries import deliver_all

CALLS, DELIVERIES = 60, 300


async def test_300_deliveries_of_60_calls_on_two_processes_are_60_answers(azurite, tmp_path):
    async with running_cluster(azurite, tmp_path, workers=2) as cluster:
        found = await deliver_all(cluster, calls=CALLS, deliveries=DELIVERIES, at_once=10, seed=1)
        assert all(worker.requests for worker in cluster.workers)
    assert found.deliveries == DELIVERIES
    assert len(found.answers) == CALLS
    assert set(found.answers.values()) == {1}
    assert found.claims == {str(Outcome.ANSWERED): CALLS}
    assert found.outcomes == {(200, "answered"): CALLS, (200, "duplicate"): DELIVERIES - CALLS}
