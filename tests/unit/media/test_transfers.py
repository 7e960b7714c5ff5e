"""One call's transfers: asked of ACS one at a time, and followed until it is known how they went."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from media_gateway.inbox import Inbox
from media_gateway.transfers import Transfers
from shared.adapters.call_store import StoredEvent
from shared.core.call_state import CallEvent, CallState
from shared.core.callbacks import TransferFailure
from shared.core.journeys import WayOn
from shared.core.transfers import MAX_SIP_VALUE_CHARS
from shared.errors import AcsUnavailable
from tests.support.media_survival import COLLEAGUE, OwnedCall
from tests.support.records import CONNECTION_ID

USER = COLLEAGUE.transfer
PHONE = "4:+14255550177"
LONG_S = 5.0


class Transferring(OwnedCall):
    def __init__(self):
        super().__init__()
        self.transfers = Transfers(
            self.pod, self.row, Inbox(self.store, self.call_id, self.pod.timing, lambda _: None)
        )

    @asynccontextmanager
    async def transfer(self, target=USER, *, variables=None, timeout_s=LONG_S, caller_id=None):
        """Begin a transfer, and yield its task."""
        asking = asyncio.create_task(
            self.transfers.transfer(WayOn(target, variables or {}, caller_id), timeout_s=timeout_s)
        )
        try:
            yield asking
        finally:
            asking.cancel()
            await asyncio.wait((asking,))

    async def until_asked(self, count=1):
        async with asyncio.timeout(5):
            while len(self.acs.transfers) < count:
                await asyncio.sleep(0.001)
        return self.acs.transfers[count - 1][1]

    def fail(self, asked, **result):
        context = asked["operation_context"]
        data = {"operationContext": context, "resultInformation": result}
        self.transfers.failed(StoredEvent("an-event", "CallTransferFailed", 0.0, data))


@pytest.fixture
def call():
    return Transferring()


async def test_target_is_asked_for_with_what_goes_along(call):
    async with call.transfer(PHONE, variables={"order": "1", "User-To-User": "abc"}, caller_id="+1800"):
        asked = await call.until_asked()
        assert call.state is CallState.TRANSFERRING
    assert call.acs.transfers[0][0] == CONNECTION_ID
    assert (asked["target"], asked["caller_id"]) == (PHONE, "+1800")
    assert (asked["context"].sip, asked["context"].voip) == ({"User-To-User": "abc"}, {})


async def test_failure_says_why(call):
    async with call.transfer() as transfer:
        call.fail(await call.until_asked(), code=486, subCode=560486)
        assert await transfer is TransferFailure.BUSY
    assert call.state is CallState.STREAMING
    assert call.row.record.history[-1].result.sub_code == 560486


async def test_of_one_that_was_accepted_it_never_returns(call):
    async with call.transfer() as transfer:
        await call.until_asked()
        done, _ = await asyncio.wait((transfer,), timeout=0.05)
        assert not done


async def test_nothing_that_is_heard_is_no_answer(call):
    async with call.transfer(timeout_s=0.05) as transfer:
        assert await transfer is TransferFailure.NO_ANSWER
    assert call.events[-2:] == [CallEvent.TRANSFER_REQUESTED, CallEvent.TRANSFER_FAILED]


async def test_failure_of_another_one_is_no_news(call):
    async with call.transfer(timeout_s=0.05) as transfer:
        first = await call.until_asked()
        await transfer
    async with call.transfer() as transfer:
        second = await call.until_asked(2)
        call.fail(first, code=486)
        await asyncio.sleep(0)
        assert not transfer.done()
        call.fail(second, code=603, subCode=560603)
        call.fail(second, code=486)  # again: the first counts
        assert await transfer is TransferFailure.DECLINED


async def test_failure_without_a_transfer_is_no_news(call):
    call.fail({"operation_context": "another"})
    assert call.state is CallState.STREAMING


@pytest.mark.parametrize("name", ["refuses", "gone"])
async def test_acs_that_will_not_is_believed_at_once(call, name):
    getattr(call.acs, name).add({"refuses": "transfer", "gone": CONNECTION_ID}[name])
    async with call.transfer() as transfer:
        assert await transfer is TransferFailure.FAILED
    assert call.pod.counters["transfers_failed"] == 1


async def test_acs_that_is_away_may_have_taken_it(call, monkeypatch):
    async def away(*_, **__):
        raise AcsUnavailable("ACS did not answer")

    monkeypatch.setattr(call.acs, "transfer", away)
    async with call.transfer(timeout_s=0.05) as transfer:
        assert await transfer is TransferFailure.NO_ANSWER
    assert call.pod.counters["transfers_in_doubt"] == 1


async def test_target_that_acs_would_refuse_is_not_asked_for(call):
    async with call.transfer("nobody") as transfer:
        assert await transfer is TransferFailure.FAILED
    assert not call.acs.transfers


async def test_what_the_leg_cannot_carry_is_left_out_and_counted(call, caplog):
    variables = {"X-MS-Custom-secret": "x" * (MAX_SIP_VALUE_CHARS + 1), "X-MS-Custom-order": "1"}
    async with call.transfer(PHONE, variables=variables):
        asked = await call.until_asked()
    assert asked["context"].sip == {"X-MS-Custom-order": "1"}
    assert call.pod.counters["variables_not_carried"] == 1
    assert "secret" not in str([record.__dict__ for record in caplog.records])


async def test_second_one_waits_for_the_first(call):
    async with call.transfer() as first, call.transfer(PHONE) as second:
        asked = await call.until_asked()
        await asyncio.sleep(0.02)
        assert len(call.acs.transfers) == 1
        call.fail(asked)
        await first
        assert (await call.until_asked(2))["target"] == PHONE
        assert not second.done()


async def test_end_of_one_that_is_under_way_can_be_awaited(call):
    await call.transfers.over()
    async with call.transfer() as transfer:
        asked = await call.until_asked()
        over = asyncio.create_task(call.transfers.over())
        await asyncio.sleep(0.02)
        assert not over.done()
        call.fail(asked)
        await transfer
        await over


async def test_one_that_is_cancelled_leaves_room_for_the_next(call):
    async with call.transfer():
        await call.until_asked()
    async with call.transfer(PHONE):
        await call.until_asked(2)
