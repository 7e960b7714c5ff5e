"""Finds calls that are over and have parts still: their process was killed, or several had the call one after another.

The parts lie in blob storage. Whether a call is over nobody needs to be asked: none lasts longer than its callback
token is good, and its id says when it began. Every pod looks; that two finalise the same call does no harm.
"""

import asyncio
import logging
import random
import time
from collections.abc import Callable

from media_gateway.recording.finaliser import Finaliser
from media_gateway.recording.parts import UNFINISHED, CallFolder
from media_gateway.recording.store import RecordingBlobs
from shared.errors import StoreUnavailable

logger = logging.getLogger(__name__)

LOOK_EVERY_S = 900.0


class Sweeper:
    """Submits what was left. Owns no task; `run` is one.

    Args:
        blobs: Where the parts are.
        finaliser: Gets the calls.
        clock: Unix seconds.
        look_every_s: How often it looks; the first time after half of that or less, so that pods look at
            different times.
    """

    def __init__(
        self,
        blobs: RecordingBlobs,
        finaliser: Finaliser,
        *,
        clock: Callable[[], float] = time.time,
        look_every_s: float = LOOK_EVERY_S,
    ) -> None:
        self._blobs = blobs
        self._finaliser = finaliser
        self._clock = clock
        self._look_every_s = look_every_s
        self._found: frozenset[CallFolder] = frozenset()
        """What the last look found: what is still there has parts that cannot be used, and is left alone."""

    async def run(self) -> None:
        """Look now and then, until cancelled."""
        await asyncio.sleep(random.uniform(0, self._look_every_s / 2))  # noqa: S311 - spreads work, guards nothing
        while True:
            try:
                await self.look()
            except StoreUnavailable:
                pass
            except Exception:
                logger.exception("recordings that were left could not be looked for")
            await asyncio.sleep(self._look_every_s)

    async def look(self) -> None:
        """Submit every call that is over and has parts, once.

        Raises:
            StoreUnavailable: storage is away.
        """
        found = {
            folder
            for account in await self._blobs.folders(UNFINISHED)
            for date in await self._blobs.folders(account)
            for name in await self._blobs.folders(date)
            if (folder := CallFolder.parse(name)) is not None and folder.must_be_over(self._clock())
        }
        new, self._found = found - self._found, frozenset(found)
        for folder in new:
            self._finaliser.submit(folder)
        if new:
            logger.info("recordings were left in parts", extra={"calls": len(new)})
