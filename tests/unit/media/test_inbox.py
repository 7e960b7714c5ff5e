"""What ACS has told of a call: read from the store when there is reason to, and taken once."""

import asyncio
import logging
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from media_gateway.inbox import Inbox
from shared.errors import StoreUnavailable
from tests.support.media import QUICK, MemoryCalls

CALL = "a-call"
NEVER_S = 60.0


class Told:
    """An inbox that runs, the store that it reads, and what it has taken."""

    def __init__(self, timing):
        self.store = MemoryCalls()
        self.taken = []
        self.reads = 0
        self.fails_with = None
        self.on_take = None
        self.inbox = Inbox(self, CALL, timing, self._take)

    async def events(self, call_id):
        self.reads += 1
        if self.fails_with is not None:
            raise self.fails_with
        return await self.store.events(call_id)

    def tell(self, name):
        self.store.add_event(CALL, name)

    async def until(self, condition):
        async with asyncio.timeout(5):
            while not condition():
                await asyncio.sleep(0.001)

    def _take(self, event):
        self.taken.append(event.name)
        if self.on_take is not None:
            self.on_take(event)


@asynccontextmanager
async def reading(*, step_s=NEVER_S, idle_s=NEVER_S, **timing):
    told = Told(replace(QUICK, events_step_s=step_s, events_idle_step_s=idle_s, **timing))
    running = asyncio.create_task(told.inbox.run())
    try:
        yield told
    finally:
        running.cancel()
        await asyncio.wait((running,))


async def test_what_was_told_before_the_call_came_here_is_read_at_once():
    told = Told(QUICK)
    told.tell("CallConnected")
    told.tell("ParticipantsUpdated")
    running = asyncio.create_task(told.inbox.run())
    await told.until(lambda: told.taken == ["CallConnected", "ParticipantsUpdated"])
    running.cancel()
    await asyncio.wait((running,))


async def test_nothing_is_read_without_reason():
    async with reading() as told:
        await told.until(lambda: told.reads == 1)
        told.tell("CallDisconnected")
        await asyncio.sleep(0.05)
        assert (told.reads, told.taken) == (1, [])


async def test_it_is_read_when_it_is_woken():
    async with reading() as told:
        await told.until(lambda: told.reads == 1)
        told.tell("CallDisconnected")
        told.inbox.wake()
        await told.until(lambda: told.taken == ["CallDisconnected"])


async def test_it_is_read_again_where_it_is_woken_amid_a_read():
    async with reading() as told:
        await told.until(lambda: told.reads == 1)

        def wake(_event):
            told.on_take = None
            told.tell("CallDisconnected")
            told.inbox.wake()

        told.on_take = wake
        told.tell("CallTransferFailed")
        told.inbox.wake()
        await told.until(lambda: told.taken == ["CallTransferFailed", "CallDisconnected"])


async def test_it_is_read_now_and_then():
    async with reading(idle_s=0.01) as told:
        told.tell("CallDisconnected")
        await told.until(lambda: told.taken == ["CallDisconnected"])


async def test_it_is_read_often_while_an_answer_is_awaited_and_no_longer():
    async with reading(step_s=0.01) as told:
        await told.until(lambda: told.reads == 1)
        with told.inbox.attending(), told.inbox.attending():
            await told.until(lambda: told.reads >= 4)
        await asyncio.sleep(0.05)
        reads = told.reads
        await asyncio.sleep(0.05)
        assert told.reads == reads


async def test_one_answer_that_came_does_not_end_the_wait_for_another():
    async with reading(step_s=0.01) as told:
        with told.inbox.attending():
            with told.inbox.attending():
                pass
            reads = told.reads
            await told.until(lambda: told.reads >= reads + 3)


async def test_each_event_is_taken_once():
    async with reading(idle_s=0.005) as told:
        told.tell("CallDisconnected")
        await told.until(lambda: told.reads >= 5)
        assert told.taken == ["CallDisconnected"]


@pytest.mark.parametrize("error", [StoreUnavailable("away"), KeyError("name")])
async def test_store_that_fails_is_read_again(error, caplog):
    async with reading(idle_s=0.005) as told:
        told.fails_with = error
        told.tell("CallDisconnected")
        await told.until(lambda: told.reads >= 3)
        told.fails_with = None
        await told.until(lambda: told.taken == ["CallDisconnected"])
    assert any(record.exc_info for record in caplog.records) == isinstance(error, KeyError)


async def test_store_that_hangs_is_read_again():
    async with reading(idle_s=0.005, row_write_short_s=0.02) as told:
        answer = told.store.events

        async def hang(_call_id):
            await asyncio.Event().wait()

        told.store.events = hang
        told.tell("CallDisconnected")
        await told.until(lambda: told.reads >= 2)
        told.store.events = answer
        await told.until(lambda: told.taken == ["CallDisconnected"])


async def test_event_that_cannot_be_taken_keeps_no_other_from_it(caplog):
    caplog.set_level(logging.ERROR)

    def fail(event):
        if event.name == "CallTransferFailed":
            raise ValueError

    async with reading(idle_s=0.005) as told:
        told.on_take = fail
        told.tell("CallTransferFailed")
        told.tell("CallDisconnected")
        await told.until(lambda: told.taken == ["CallTransferFailed", "CallDisconnected"])
    [line] = caplog.records
    assert line.callback == "CallTransferFailed"
