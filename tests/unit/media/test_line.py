"""The media of one call, lost: how long ACS has, when it is asked, and when they are given up."""

import asyncio
import time
from contextlib import asynccontextmanager
from types import SimpleNamespace

import pytest

from media_gateway.inbox import Inbox
from media_gateway.line import Line
from media_gateway.message_socket import ABNORMAL_CODE, SocketEnd
from shared.adapters.call_store import StoredEvent
from shared.core.call_state import CallEvent, CallState
from shared.errors import AcsUnavailable
from tests.support.media_survival import OwnedCall
from tests.support.records import CONNECTION_ID

LONG_S = 5.0
PATIENT = {"media_restart_s": LONG_S, "interruption_grace_s": LONG_S}
PROMPT = {"media_restart_s": 0.0, "interruption_grace_s": LONG_S}


def socket(code=ABNORMAL_CODE):
    return SimpleNamespace(end=SocketEnd(code))


class Watched(OwnedCall):
    def __init__(self, **timing):
        super().__init__(**timing)
        self.is_over = asyncio.Event()
        self.given_up = asyncio.Event()
        self.line = Line(
            self.pod,
            self.row,
            Inbox(self.store, self.call_id, self.pod.timing, lambda _: None),
            came_at=time.time(),
            on_over=self.is_over.set,
            on_given_up=self.given_up.set,
        )

    def back(self):
        self.line.back(time.time())

    def told(self, context="", *, at=None):
        at = time.time() if at is None else at
        data = {"operationContext": context or self.call_id}
        return self.line.failed(StoredEvent("an-event", "MediaStreamingFailed", at, data))

    async def until(self, condition):
        async with asyncio.timeout(5):
            while not condition():
                await asyncio.sleep(0.001)

    async def until_asked(self, count=1):
        await self.until(lambda: len(self.acs.media_starts) == count)


@asynccontextmanager
async def watched(**timing):
    call = Watched(**timing)
    running = asyncio.create_task(call.line.run())
    try:
        yield call
    finally:
        running.cancel()
        await asyncio.wait((running,))


async def test_socket_that_acs_opens_by_itself_is_not_asked_for():
    async with watched(**PATIENT) as call:
        call.line.lost(socket())
        await call.until(lambda: call.state is CallState.INTERRUPTED)
        assert call.line.is_lost
        call.back()
        assert (call.state, call.line.is_lost) == (CallState.STREAMING, False)
        await asyncio.sleep(0.01)
        assert not call.acs.media_starts


async def test_socket_closed_in_order_may_be_the_call_s_end():
    async with watched(**PATIENT, disconnect_wait_s=LONG_S) as call:
        call.line.lost(socket(1000))
        await asyncio.sleep(0.02)
        assert call.state is CallState.STREAMING
        call.back()
        await asyncio.sleep(0.01)
        assert CallEvent.MEDIA_LOST not in call.events


async def test_socket_closed_in_order_is_lost_where_nobody_says_that_the_call_is_over():
    async with watched(**PATIENT, disconnect_wait_s=0.02) as call:
        call.line.lost(socket(1000))
        await call.until(lambda: call.state is CallState.INTERRUPTED)


async def test_acs_is_asked_once_and_then_given_up():
    async with watched(media_restart_s=0.02, interruption_grace_s=0.1) as call:
        call.line.lost(socket())
        async with asyncio.timeout(5):
            await call.given_up.wait()
        assert call.acs.media_starts == [CONNECTION_ID]


async def test_socket_that_comes_because_it_was_asked_for_is_media():
    async with watched(**PROMPT) as call:
        call.acs.on_start_media = lambda _: call.back()
        call.line.lost(socket())
        await call.until(lambda: call.events[-1:] == [CallEvent.MEDIA_STARTED])
        await asyncio.sleep(0.01)
        assert not call.given_up.is_set()


async def test_acs_that_will_not_try_by_itself_is_asked_at_once():
    async with watched(**PATIENT) as call:
        call.line.lost(socket())
        await call.until(lambda: call.state is CallState.INTERRUPTED)
        assert call.told()
        await call.until_asked()


async def test_failure_that_is_told_before_the_loss_is_seen_counts():
    async with watched(**PATIENT) as call:
        assert call.told()
        call.line.lost(socket())
        await call.until_asked()


async def test_failure_of_what_was_asked_for_gives_media_up():
    async with watched(**PROMPT) as call:
        call.line.lost(socket())
        await call.until_asked()
        assert call.told(call.acs.media_contexts[0])
        async with asyncio.timeout(2):
            await call.given_up.wait()
        assert len(call.acs.media_starts) == 1


async def test_failure_of_what_was_before_does_not():
    async with watched(**PROMPT) as call:
        call.line.lost(socket())
        await call.until_asked()
        assert not call.told()
        await asyncio.sleep(0.02)
        assert not call.given_up.is_set()


async def test_failure_that_is_older_than_the_socket_is_no_news():
    call = Watched()
    assert not call.told(at=time.time() - 1)
    assert call.told()


async def test_acs_that_was_trying_by_itself_is_asked_again_when_it_gives_up():
    async with watched(**PROMPT) as call:
        call.acs.refuses.add("start_media")
        call.line.lost(socket())
        await call.until(lambda: call.state is CallState.INTERRUPTED)
        await asyncio.sleep(0.02)
        assert not call.acs.media_starts
        call.acs.refuses.clear()
        assert call.told()
        await call.until_asked()


@pytest.mark.parametrize("is_refused", [True, False])
async def test_acs_that_does_not_take_it_is_waited_for_all_the_same(is_refused, monkeypatch):
    async def away(*_, **__):
        raise AcsUnavailable("ACS did not answer")

    async with watched(**PROMPT) as call:
        if is_refused:
            call.acs.refuses.add("start_media")
        else:
            monkeypatch.setattr(call.acs, "start_media", away)
        call.line.lost(socket())
        await call.until(lambda: call.state is CallState.INTERRUPTED)
        await asyncio.sleep(0.02)
        assert not call.given_up.is_set()
        call.back()
        await asyncio.sleep(0.01)
        assert call.pod.counters["media_restarted"] == 0


async def test_acs_that_hangs_is_not_waited_for(monkeypatch):
    async def hang(*_, **__):
        await asyncio.Event().wait()

    async with watched(media_restart_s=0.0, interruption_grace_s=0.05, start_media_s=0.02) as call:
        monkeypatch.setattr(call.acs, "start_media", hang)
        call.line.lost(socket())
        async with asyncio.timeout(2):
            await call.given_up.wait()


async def test_call_that_acs_does_not_know_is_over():
    async with watched(**PROMPT) as call:
        call.acs.gone.add(CONNECTION_ID)
        call.line.lost(socket())
        async with asyncio.timeout(2):
            await call.is_over.wait()


async def test_socket_that_comes_and_is_lost_in_one_breath_is_lost():
    async with watched(**PATIENT) as call:
        call.line.lost(socket())
        await call.until(lambda: call.state is CallState.INTERRUPTED)
        call.back()
        call.line.lost(socket())
        await call.until(lambda: call.state is CallState.INTERRUPTED)
        assert call.events[-3:] == [CallEvent.MEDIA_LOST, CallEvent.MEDIA_STARTED, CallEvent.MEDIA_LOST]


async def test_media_may_be_lost_again_and_again_as_long_as_they_were_there_between():
    async with watched(media_restart_s=0.0, interruption_grace_s=LONG_S, media_stable_s=0.0) as call:
        for count in (1, 2, 3):
            call.line.lost(socket())
            await call.until_asked(count)
            call.back()
            await asyncio.sleep(0.01)
        assert not call.given_up.is_set()


async def test_media_that_are_there_for_a_moment_only_are_given_up_all_the_same():
    async with watched(media_restart_s=0.0, interruption_grace_s=0.2, media_stable_s=LONG_S) as call:

        def come_and_go():
            call.back()
            call.line.lost(socket())

        call.acs.on_start_media = lambda _: asyncio.get_running_loop().call_later(0.02, come_and_go)
        call.line.lost(socket())
        async with asyncio.timeout(2):
            await call.given_up.wait()
        assert len(call.acs.media_starts) > 2
