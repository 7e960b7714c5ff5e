"""Media are lost on one pod and come back on another: the first lets the call go, and does nothing to it."""

from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from shared.core.call_state import CallState
from shared.core.profiles import Fallback
from tests.support.media import QUICK, MemoryOutside, running_gateway

LONG_S = 30.0
BASE_URL = "https://gateway.example.com"


@asynccontextmanager
async def moved_call(*, fallback=None, **timing):
    """Two pods and a call that has come to the second one; the first has no socket any more, and is told nothing."""
    outside = MemoryOutside()
    common = {"outside": outside, "timing": replace(QUICK, **timing), "callback_base_url": BASE_URL}
    async with (
        running_gateway(pod_name="pod-a", **common) as a,
        running_gateway(pod_name="pod-b", **common) as b,
    ):
        call = await a.place(fallback=fallback)
        await a.until_streaming(call)
        # ACS streams already.
        outside.call_control.refuses.add("start_media")
        call.socket.drop()
        await a.until(lambda: a.row(call).state is CallState.INTERRUPTED)
        call.socket = outside.call_control.sockets[call.call_connection_id] = await b.open_socket(call)
        call.socket.send_metadata(24_000)
        await b.until_streaming(call)
        yield a, b, call


async def test_pod_without_media_finds_its_call_elsewhere_and_lets_it_go():
    async with moved_call(row_look_s=0.05, media_restart_s=LONG_S, interruption_grace_s=LONG_S) as (
        a,
        b,
        call,
    ):
        await a.until_over()

        assert b.row(call).owner == "pod-b"
        assert len(b.core.calls) == 1
        assert not a.acs.media_starts


@pytest.mark.parametrize("fallback", [None, Fallback("4:+14255550177")])
async def test_pod_that_gives_media_up_does_nothing_to_a_call_that_has_them_elsewhere(fallback):
    async with moved_call(fallback=fallback, row_look_s=LONG_S) as (a, b, call):
        await a.until_over()

        assert (b.row(call).owner, b.row(call).state) == ("pod-b", CallState.STREAMING)
        assert not a.acs.played
        assert not a.acs.transfers
        assert not a.acs.hung_up
