"""Ten thousand deliveries on three processes: as many answers as calls."""

import time

import pytest

from shared.core.claims import Outcome
from tests.support.cluster import running_cluster
from tests.support.deliveries import deliver_all

pytestmark = [pytest.mark.soak, pytest.mark.timeout(900)]

CALLS, DELIVERIES = 2_000, 10_000


async def test_10000_deliveries_of_2000_calls_are_2000_answers(azurite, tmp_path):
    async with running_cluster(azurite, tmp_path, workers=3) as cluster:
        started = time.monotonic()
        found = await deliver_all(cluster, calls=CALLS, deliveries=DELIVERIES, at_once=20, seed=1)
        took_s = time.monotonic() - started
    print(
        f"\n{found.deliveries} deliveries of {CALLS} calls in {took_s:.0f} s: {found.outcomes}, "
        f"claims {dict(found.claims)}, rows {dict(found.states)}"
    )
    assert found.deliveries == DELIVERIES
    assert len(found.answers) == CALLS
    assert set(found.answers.values()) == {1}
    assert found.claims == {str(Outcome.ANSWERED): CALLS}
    assert len(found.call_ids) == CALLS
    assert found.outcomes[(200, "answered")] == CALLS
