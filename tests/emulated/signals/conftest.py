"""A sender of signals and a pod that receives them, by the real packages, with the emulated Web PubSub between."""

import asyncio
from collections import Counter
from contextlib import asynccontextmanager

import pytest

from media_gateway.signals import SignalReceiver, SignalTiming
from shared.adapters.connect import LocalCredential
from shared.adapters.web_pubsub import HUB, Signals, group_of
from shared.config import WebPubSubSettings

POD = "media--r1-0a1b2c3d"
QUICK = SignalTiming(connect_s=1.0, retry_min_s=0.02, retry_max_s=0.1, renew_s=60.0, close_s=1.0)


class Pod:
    """A pod that keeps what it is told."""

    def __init__(self, client_url, timing=QUICK):
        self.signals = []
        self.joins = 0
        self.counters = Counter()
        self._changed = asyncio.Condition()
        self.receiver = SignalReceiver(
            client_url, on_signal=self._take, on_joined=self._join, counters=self.counters, timing=timing
        )

    def _take(self, signal):
        self.signals.append(signal)

    def _join(self):
        self.joins += 1

    async def until(self, is_so, within_s=8.0):
        """Wait until something holds."""
        async with asyncio.timeout(within_s):
            while not is_so(self):
                await asyncio.sleep(0.005)


@asynccontextmanager
async def running(pod):
    task = asyncio.create_task(pod.receiver.run())
    try:
        yield pod
    finally:
        task.cancel()
        async with asyncio.timeout(5):
            await asyncio.wait({task})
        assert task.cancelled()


@asynccontextmanager
async def opened(settings):
    signals = Signals(settings, LocalCredential())
    try:
        yield signals
    finally:
        await signals.close()


def connections(emulator, pod=POD):
    """The pod's connections, as the service sees them."""
    return emulator.web_pubsub.connections(HUB, group=group_of(pod))


@pytest.fixture
async def signals(acs_emulator):
    async with opened(WebPubSubSettings(None, acs_emulator.web_pubsub_connection_string)) as opened_signals:
        yield opened_signals


@pytest.fixture
async def pod(signals):
    """A pod whose connection stands."""
    async with running(Pod(lambda: signals.client_url(POD))) as started:
        await started.until(lambda pod: pod.receiver.is_joined)
        yield started
