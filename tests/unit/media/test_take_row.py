"""A pod takes a call's row: its own lost replies are known to it, and what others did meanwhile counts."""

from dataclasses import replace

import pytest

from media_gateway.row import take_row
from shared.core.call_state import CallState
from shared.core.ownership import MediaRefused, Refusal, take_over
from tests.support.media import QUICK, MemoryCalls
from tests.support.records import CONNECTION_ID, call_record

NOW = 2000.0


class Table(MemoryCalls):
    """The row of one call, where somebody else may write first, or the reply be lost."""

    def __init__(self, **changes):
        super().__init__()
        self.record = call_record(CallState.STREAMING, call_connection_id=CONNECTION_ID, **changes)
        self.rows[self.record.call_id] = self.record
        self.meanwhile = []
        """What others make of the row between our reading and our writing it, or after that."""

    async def change(self, call_id, mutate):
        if self.meanwhile:
            mutate(self.rows[call_id])
            self.rows[call_id] = self.meanwhile.pop(0)(self.rows[call_id])
        return await super().change(call_id, mutate)

    async def take(self, pod="pod-b", *, dead=(), is_acs_verified=False, is_expired=False):
        return await take_row(
            self,
            self.record.call_id,
            account_id="demo",
            jti="jti-1",
            call_connection_id=CONNECTION_ID,
            is_acs_verified=is_acs_verified,
            is_expired=is_expired,
            pod=pod,
            timing=QUICK,
            clock=lambda: NOW,
            is_owner_dead=dead.__contains__,
        )

    @property
    def row(self):
        return self.rows[self.record.call_id]


def held(**changes):
    return Table(owner="pod-a", epoch=1, media_jti_used=True, **changes)


def taken_by(pod):
    return lambda record: replace(record, owner=pod, epoch=record.epoch + 1, media_grant_until=None)


async def refusal(taking):
    with pytest.raises(MediaRefused) as refused:
        await taking
    return refused.value.reason


async def test_a_dead_pod_s_call_goes_to_whom_the_socket_came_to():
    table = held()
    assert await refusal(table.take(dead={"pod-c"})) is Refusal.TOKEN_USED
    assert (await table.take(dead={"pod-a"}, is_expired=True)).owner == "pod-b"
    assert table.row.epoch == 2


async def test_acs_itself_takes_a_call_from_a_pod_that_lives():
    table = held()
    assert (await table.take(is_acs_verified=True)).epoch == 2


async def test_of_two_sockets_of_acs_the_later_one_keeps_the_call():
    """Else each would take it back from the other."""
    table = held()
    table.meanwhile = [taken_by("pod-c")]
    assert await refusal(table.take(is_acs_verified=True)) is Refusal.TAKEN_SINCE
    assert (table.row.owner, table.row.epoch) == ("pod-c", 2)


async def test_a_pod_that_took_the_call_over_meanwhile_is_glad_of_the_socket():
    table = held()
    table.meanwhile = [lambda record: take_over(record, dead="pod-a", pod="pod-c", now=NOW)]
    taken = await table.take(dead={"pod-a"})
    assert (taken.owner, taken.epoch, taken.media_grant_until) == ("pod-b", 3, None)


@pytest.mark.parametrize("lost", [1, 3])
async def test_an_update_whose_reply_was_lost_is_known_as_ours(lost):
    table = held()
    table.lost_replies = lost
    assert (await table.take(is_acs_verified=True)).epoch == 2
    assert len(table.written) == 1


async def test_what_others_write_that_is_no_change_of_owner_is_no_matter():
    table = held()
    table.meanwhile = [lambda record: replace(record, history_dropped=1)]
    taken = await table.take(dead={"pod-a"})
    assert (taken.epoch, taken.history_dropped) == (2, 1)
