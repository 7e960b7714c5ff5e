"""Media are lost on one pod and come back on another: the first lets the call go, and does nothing to it."""

import json
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from media_gateway.supervised import EndReason
from shared.core.call_state import CallEvent, CallState
from shared.core.profiles import Fallback, Recording
from tests.support.media import QUICK, MemoryOutside, running_gateway
from tests.support.media_survival import spoken

LONG_S = 30.0
BASE_URL = "https://gateway.example.com"


@asynccontextmanager
async def moved_call(*, fallback=None, recording=None, said=b"", **timing):
    """Two pods and a call that has come to the second one; the first has no socket any more, and is told nothing."""
    outside = MemoryOutside()
    common = {"outside": outside, "timing": replace(QUICK, **timing), "callback_base_url": BASE_URL}
    async with (
        running_gateway(pod_name="pod-a", **common) as a,
        running_gateway(pod_name="pod-b", **common) as b,
    ):
        call = await a.place(fallback=fallback, recording=recording)
        await a.until_streaming(call)
        await a.until(lambda: a.is_listening(call))
        call.socket.send_audio(said)
        await call.socket.until_heard(said)
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


async def test_recording_has_what_the_first_pod_heard_though_the_call_ends_before_it_knows():
    said = spoken(1, ms=400)
    async with moved_call(
        recording=Recording(),
        said=said,
        row_look_s=LONG_S,
        media_restart_s=LONG_S,
        interruption_grace_s=LONG_S,
    ) as (a, b, call):
        b.core.calls._live[call.call_id].end(EndReason(CallEvent.AGENT_ENDED))
        await b.until_over()
        blobs = b.outside.recordings.blobs
        await b.until(lambda: any(name.endswith("call.json") for name in blobs))
        [known] = [json.loads(data) for name, data in blobs.items() if name.endswith("call.json")]

        assert len(a.core.calls) == 1
        epochs = [name.partition("/")[0] for name in known["recording"]["parts"]]
        assert epochs == ["0001", "0002"]
