"""Agent profiles and routes as they are now: read from the store, checked, and kept fresh.

A change takes effect within 30 s, and a version that is not good never does: the last good one stays in use.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Protocol

from shared.adapters.profile_store import Current
from shared.core.profiles import Routing
from shared.errors import NotConfigured, NotFound
from shared.gateway_document import DocumentInvalid, decode, to_routing
from shared.refresh import Refresher

logger = logging.getLogger(__name__)

RELOAD_AFTER_S = 10.0
"""Then a call starts a reload in the background."""
OUTDATED_S = 25.0
"""Then a call waits for the reload. So a change takes effect within 30 s, the time of the reload itself included, as
long as the store answers."""
RELOAD_WAIT_S = 1.0
"""A reload is not worth more of a caller's waiting."""
MIN_INTERVAL_S = 5.0
"""Between reloads, however often they fail."""


class ProfileStore(Protocol):
    """Where profiles and routes are kept."""

    async def current(self, known: Current | None = None) -> Current | None:
        """Return which version is in force. Raises `StoreUnavailable`."""
        ...

    async def document(self, version: int) -> bytes:
        """Return one version. Raises `NotFound` and `StoreUnavailable`."""
        ...


class Profiles:
    """The profiles and routes in force. `clock` tells seconds."""

    def __init__(self, store: ProfileStore, *, clock: Callable[[], float] = time.time) -> None:
        self._store = store
        self._current: Current | None = None
        self._routing = Routing(profiles={}, routes=())
        self.refresher = Refresher(
            self._reload,
            max_age_s=RELOAD_AFTER_S,
            outdated_s=OUTDATED_S,
            wait_s=RELOAD_WAIT_S,
            min_interval_s=MIN_INTERVAL_S,
            clock=clock,
        )

    async def routing(self) -> Routing:
        """Return the profiles and routes in force.

        Raises:
            NotConfigured: nothing was ever pushed, or nothing good.
            StoreUnavailable: they were never read, and the store does not answer.
        """
        await self.refresher.ensure()
        return self._routing

    @property
    def version(self) -> int:
        """Number of the version in force, once there is one."""
        return 0 if self._current is None else self._current.version

    async def _reload(self) -> None:
        current = await self._store.current(self._current)
        if current is None:
            raise NotConfigured(
                "there are no agent profiles: run `python -m shared.admin profiles push FILE`"
            )
        if current is self._current:
            return
        try:
            stored = await self._store.document(current.version)
            # Off the event loop: a large document takes a while to check.
            self._routing = await asyncio.to_thread(_routing_of, stored)
        except NotFound as error:
            raise NotConfigured(str(error)) from None
        except DocumentInvalid as invalid:
            raise NotConfigured(
                f"version {current.version} of the agent profiles is not good at: {invalid}"
            ) from None
        # Only now: a version that is not good is looked at again.
        self._current = current
        logger.info("agent profiles were read", extra={"version": current.version})


def _routing_of(stored: bytes) -> Routing:
    return to_routing(decode(stored))
