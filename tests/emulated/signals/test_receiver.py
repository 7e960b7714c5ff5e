"""A pod receives its signals whatever the network and the service do to them, or reads the store instead."""

import asyncio
import time
from collections import Counter

import pytest

from emulator.faults import Delay, Drop, Duplicate, FaultRule, Hang, Reset, Status
from media_gateway.signals import SignalTiming
from shared.adapters.web_pubsub import HUB, Signals
from shared.config import WebPubSubSettings
from shared.core.ids import new_call_id
from shared.core.signals import CallTaken, EventsStored
from tests.emulated.signals.conftest import POD, QUICK, Pod, connections, opened, running

DELIVER = "web_pubsub.deliver"
CONNECT = "web_pubsub.connect"
RECOVER = "web_pubsub.recover"


def signal():
    return EventsStored(new_call_id())


async def test_signals_come_in_order_within_milliseconds(pod, signals):
    sent = [signal() if number % 2 else CallTaken(new_call_id(), epoch=number + 1) for number in range(50)]
    began = time.monotonic()
    for each in sent:
        await signals.send(POD, each)
    await pod.until(lambda pod: len(pod.signals) == len(sent))
    print(f"{(time.monotonic() - began) / len(sent) * 1000:.1f} ms a signal")
    assert pod.signals == sent
    assert pod.counters == {"signal_connections": 1, "signals_received": len(sent)}


async def test_what_is_told_to_another_pod_does_not_come(pod, signals):
    await signals.send("media--r2-0a1b2c3d", signal())
    await signals.send(POD, own := signal())
    await pod.until(lambda pod: pod.signals)
    assert pod.signals == [own]


async def test_later_releases_and_faults_are_counted_and_passed_over(pod, signals):
    for message in ({"kind": "moved", "version": 1}, {"kind": "events", "version": 1}, "events"):
        await signals._client.send_to_group(f"pod.{POD}", message)
    await signals.send(POD, last := signal())
    await pod.until(lambda pod: pod.signals)
    assert pod.signals == [last]
    assert (pod.counters["signals_unknown"], pod.counters["signals_malformed"]) == (1, 2)


async def test_a_lost_push_is_lost_and_a_doubled_one_comes_twice_and_a_late_one_late(
    acs_emulator, pod, signals
):
    lost, twice, late = signal(), signal(), signal()
    for action, told in ((Drop(), lost), (Duplicate(copies=2), twice), (Delay(ms=300), late)):
        acs_emulator.faults.add(FaultRule(DELIVER, action, times=1))
        await signals.send(POD, told)
    await signals.send(POD, last := signal())
    await pod.until(lambda pod: len(pod.signals) == 4)
    assert pod.signals[-1] == late
    assert Counter(pod.signals) == {twice: 2, last: 1, late: 1}


async def test_a_cut_connection_is_recovered_with_nothing_missed_and_the_store_is_read_too(
    acs_emulator, pod, signals
):
    [before] = connections(acs_emulator)
    acs_emulator.web_pubsub.cut(HUB)
    await signals.send(POD, missed := signal())
    began = time.monotonic()
    await pod.until(lambda pod: pod.signals and pod.joins == 2)
    print(f"recovered after {(time.monotonic() - began) * 1000:.0f} ms")
    assert pod.signals == [missed]
    assert connections(acs_emulator) == [before]
    assert (pod.counters["signal_connections"], pod.counters["signal_recoveries"]) == (1, 1)


async def test_a_connection_that_cannot_be_recovered_is_made_anew_with_another_token(
    acs_emulator, pod, signals
):
    [before] = connections(acs_emulator)
    acs_emulator.web_pubsub.cut(HUB, recoverable=False)
    await pod.until(lambda pod: pod.joins == 2)
    [after] = connections(acs_emulator)
    assert after is not before
    await signals.send(POD, told := signal())
    await pod.until(lambda pod: pod.signals)
    assert pod.signals == [told]


@pytest.mark.parametrize("action", [Status(401), Status(503)], ids=repr)
async def test_a_recovery_that_is_refused_is_not_tried_for_half_a_minute(acs_emulator, pod, action):
    acs_emulator.faults.add(FaultRule(RECOVER, action))
    acs_emulator.web_pubsub.cut(HUB)
    began = time.monotonic()
    await pod.until(lambda pod: pod.joins == 2)
    assert time.monotonic() - began < 5
    assert pod.counters["signal_connections"] == 2


async def test_a_recovery_that_hangs_keeps_no_process_from_ending(acs_emulator, signals):
    async with running(Pod(lambda: signals.client_url(POD))) as pod:
        await pod.until(lambda pod: pod.receiver.is_joined)
        acs_emulator.faults.hold_next(RECOVER)
        acs_emulator.web_pubsub.cut(HUB)
        await acs_emulator.faults.held(RECOVER)
        began = time.monotonic()
    print(f"ended after {(time.monotonic() - began) * 1000:.0f} ms")
    assert time.monotonic() - began < 3


@pytest.mark.parametrize("after_ms", [0, 1, 2, 3, 5, 8, 12, 20, 40])
async def test_it_may_end_at_any_moment(acs_emulator, signals, after_ms):
    """The check of every test, that no task and no socket is left, is what this one is about."""
    for cut in (False, True):
        async with running(Pod(lambda: signals.client_url(POD))) as pod:
            if cut:
                await pod.until(lambda pod: pod.receiver.is_joined)
                acs_emulator.web_pubsub.cut(HUB, recoverable=False)
            await asyncio.sleep(after_ms / 1000)


async def test_a_goodbye_of_the_service_is_followed_by_a_new_connection(acs_emulator, pod, signals):
    for _ in range(3):
        joins = pod.joins
        await signals._client.close_group_connections(f"pod.{POD}")
        await pod.until(lambda pod, joins=joins: pod.joins > joins)
    assert pod.counters["signal_connections"] == 4


async def test_a_service_that_is_away_at_the_start_is_waited_for(acs_emulator, signals, caplog):
    caplog.set_level("INFO", "media_gateway")
    away = acs_emulator.faults.add(FaultRule(CONNECT, Reset()))
    async with running(Pod(lambda: signals.client_url(POD))) as pod:
        await pod.until(lambda pod: pod.counters["signal_connections_failed"] >= 5)
        assert not pod.receiver.is_joined
        acs_emulator.faults.remove(away)
        await pod.until(lambda pod: pod.receiver.is_joined)
        await signals.send(POD, told := signal())
        await pod.until(lambda pod: pod.signals)
        assert (pod.signals, pod.joins) == ([told], 1)
    assert caplog.text.count("signals do not come") == 1
    assert caplog.text.count("signals come again") == 1


@pytest.mark.parametrize("action", [Status(401), Status(503), Reset(), Hang()], ids=repr)
async def test_however_the_service_fails_no_token_gets_into_the_log(acs_emulator, signals, caplog, action):
    caplog.set_level("DEBUG")
    acs_emulator.faults.add(FaultRule(CONNECT, action))
    timing = SignalTiming(connect_s=0.2, retry_min_s=0.02, retry_max_s=0.1, close_s=0.2)
    async with running(Pod(lambda: signals.client_url(POD), timing)) as pod:
        await pod.until(lambda pod: pod.counters["signal_connections_failed"] >= 2)
    assert "signals do not come" in caplog.text
    assert "access_token" not in caplog.text


async def test_an_expired_token_is_refused_and_the_next_one_is_new(signals, monkeypatch):
    urls = []

    async def client_url():
        # Made to have expired at first.
        monkeypatch.setattr("shared.adapters.web_pubsub.TOKEN_MINUTES", 5 if urls else -1)
        urls.append(await signals.client_url(POD))
        return urls[-1]

    async with running(Pod(client_url)) as pod:
        await pod.until(lambda pod: pod.receiver.is_joined)
        assert pod.counters == {"signal_connections": 1, "signal_connections_failed": 1}
    assert len(set(urls)) == 2


async def test_a_pod_that_is_known_by_its_identity_receives_too(start_emulator):
    emulator = await start_emulator(entra_token="local")
    async with (
        opened(WebPubSubSettings(emulator.base_url, None)) as signals,
        running(Pod(lambda: signals.client_url(POD))) as pod,
    ):
        await pod.until(lambda pod: pod.receiver.is_joined)
        await signals.send(POD, told := signal())
        await pod.until(lambda pod: pod.signals)
        assert pod.signals == [told]


async def test_an_old_connection_is_given_up_for_a_new_one(acs_emulator, signals):
    timing = SignalTiming(retry_min_s=0.02, renew_s=0.1)
    async with running(Pod(lambda: signals.client_url(POD), timing)) as pod:
        await pod.until(lambda pod: pod.joins >= 4)
        assert len(connections(acs_emulator)) <= 1
    assert pod.counters["signal_connections_failed"] == 0


async def test_at_the_end_the_service_is_told_and_has_no_connection_left(acs_emulator, signals):
    async with running(Pod(lambda: signals.client_url(POD))) as pod:
        await pod.until(lambda pod: pod.receiver.is_joined)
        began = time.monotonic()
    print(f"closed after {(time.monotonic() - began) * 1000:.0f} ms")
    assert time.monotonic() - began < 0.5
    async with asyncio.timeout(1):
        while connections(acs_emulator):
            await asyncio.sleep(0.01)


async def test_a_whole_service_that_restarts_is_found_again(start_emulator, unused_tcp_port):
    first = await start_emulator(port=unused_tcp_port)
    signals = Signals(WebPubSubSettings(None, first.web_pubsub_connection_string), None)
    try:
        async with running(Pod(lambda: signals.client_url(POD), QUICK)) as pod:
            await pod.until(lambda pod: pod.receiver.is_joined)
            await first.stop()
            await start_emulator(port=unused_tcp_port)
            began = time.monotonic()
            await pod.until(lambda pod: pod.joins == 2)
            print(f"found again after {(time.monotonic() - began) * 1000:.0f} ms")
            await signals.send(POD, told := signal())
            await pod.until(lambda pod: pod.signals)
            assert pod.signals == [told]
    finally:
        await signals.close()
