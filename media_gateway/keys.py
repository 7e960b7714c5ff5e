"""Keeping keys fresh in the background, so that a socket's checks find them in memory."""

import asyncio
import logging

from media_gateway.timing import Timing
from shared.errors import GatewayError
from shared.refresh import Refresher

logger = logging.getLogger(__name__)


class KeyKeeper:
    """Reads keys at the start, again as they grow old, and out of turn when a token names an unknown one."""

    def __init__(self, refreshers: tuple[Refresher, ...], timing: Timing) -> None:
        self._refreshers = refreshers
        self._timing = timing
        self._pause_s = min(timing.keys_check_s, *(refresher.max_age_s for refresher in refreshers))
        self._wanted = asyncio.Event()

    @property
    def is_loaded(self) -> bool:
        """Whether all keys were read at least once."""
        return all(refresher.is_loaded for refresher in self._refreshers)

    def want(self) -> None:
        """Ask for a read soon; the refreshers do not do it often, however many ask."""
        self._wanted.set()

    async def run(self) -> None:
        """Keep the keys until cancelled."""
        while True:
            wanted = self._wanted.is_set()
            self._wanted.clear()
            # Together: while one waits until it may read again, the other must not grow old.
            await asyncio.gather(*(_read(refresher, now=wanted) for refresher in self._refreshers))
            pause_s = self._pause_s if self.is_loaded else self._timing.keys_retry_s
            try:
                async with asyncio.timeout(pause_s):
                    await self._wanted.wait()
            except TimeoutError:
                pass


async def _read(refresher: Refresher, *, now: bool) -> None:
    try:
        await refresher.ensure()
        if now:
            await refresher.newer_than(float("inf"))
    except GatewayError:
        pass  # the refresher has logged it, and what was read before stays in use
    except Exception:
        logger.exception("reading keys failed in an unexpected way")
