"""The signals that come to this pod. They only save time: whoever misses one finds what it told of in the store."""

import asyncio
import logging
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from media_gateway.signals_client import SignalsClient
from shared.core.signals import MalformedSignal, Signal, UnknownSignal, decode

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalTiming:
    """Durations in seconds. Tests run with shorter ones."""

    connect_s: float = 10.0
    """From opening the socket until the service says that it is connected."""
    retry_min_s: float = 0.5
    """Before a new connection; doubled for each that does not come about. A random half of it is left out, so that
    pods that lost theirs together do not come back together."""
    retry_max_s: float = 15.0
    renew_s: float = 600.0
    """For one connection. The client sends no pings: it takes one whose other end has vanished for a quiet one."""
    close_s: float = 2.0
    """For goodbyes; what is left then is cut."""


class SignalReceiver:
    """Keeps one connection to the pod's group, for ever.

    Args:
        client_url: Gives the address of the pod's group, with a token; asked for each new connection. May raise.
        on_signal: Called for each signal, on the event loop: some come twice, or late. Must not block.
        on_joined: Called whenever signals begin to come, again or for the first time: what was told meanwhile is
            lost, so whoever waits for something is to read the store.
        counters: Of the pod.
        timing: Durations.
    """

    def __init__(
        self,
        client_url: Callable[[], Awaitable[str]],
        *,
        on_signal: Callable[[Signal], None],
        on_joined: Callable[[], None],
        counters: Counter[str],
        timing: SignalTiming,
    ) -> None:
        self._client_url = client_url
        self._on_signal = on_signal
        self._on_joined = on_joined
        self._counters = counters
        self._timing = timing
        self._is_failing = False
        self.is_joined = False
        """Whether signals come, as far as is known."""

    async def run(self) -> None:
        """Receive until cancelled; at the end the connection is closed, within `close_s` or little more."""
        pause_s = self._timing.retry_min_s
        while True:
            try:
                await self._connection()
                pause_s = self._timing.retry_min_s
            except Exception as error:  # noqa: BLE001 - whatever it is, calls go on without signals
                self._counters["signal_connections_failed"] += 1
                if not self._is_failing:
                    # Without the client's text: it quotes the address, and that holds the token.
                    logger.warning("signals do not come", extra={"error": type(error).__name__})
                self._is_failing = True
                pause_s = min(2 * pause_s, self._timing.retry_max_s)
            await asyncio.sleep(pause_s * random.uniform(0.5, 1))  # noqa: S311 - no secret

    async def _connection(self) -> None:
        """Receive over one connection until it is lost, or due for another.

        Raises:
            Exception: it did not come about.
        """
        client = SignalsClient(await self._client_url(), on_message=self._take, on_recovered=self._recovered)
        try:
            async with asyncio.timeout(self._timing.connect_s):
                await client.join()
            self._joined()
            await client.until_lost(self._timing.renew_s)
        finally:
            self.is_joined = False
            ending = asyncio.create_task(client.end(self._timing.close_s), name="signals-end")
            try:
                await asyncio.shield(ending)
            finally:
                # The process may stop just now, and is not to leave half of a client.
                await asyncio.wait({ending})

    def _joined(self) -> None:
        self._counters["signal_connections"] += 1
        if self._is_failing:
            logger.info("signals come again")
        self._is_failing = False
        self.is_joined = True
        self._tell(self._on_joined)

    def _recovered(self) -> None:
        self._counters["signal_recoveries"] += 1
        self._tell(self._on_joined)

    def _take(self, message: object) -> None:
        """Hand on what came to the group."""
        try:
            signal = decode(message)
        except UnknownSignal:
            self._counters["signals_unknown"] += 1
        except MalformedSignal:
            self._counters["signals_malformed"] += 1
        else:
            self._counters["signals_received"] += 1
            self._tell(lambda: self._on_signal(signal))

    def _tell(self, listener: Callable[[], None]) -> None:
        try:
            listener()
        except Exception:
            logger.exception("a signal could not be followed in an unexpected way")
