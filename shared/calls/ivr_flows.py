"""The flows of calls: each call goes on by the version that it began with, whatever is pushed meanwhile."""

import asyncio
import time
from collections.abc import Callable

from shared.adapters.profile_store import BlobProfileStore
from shared.calls.profiles import Profiles
from shared.core.flow_model import Flow
from shared.core.profiles import Routing
from shared.core.remembered import Remembered
from shared.errors import NotConfigured, NotFound
from shared.gateway_document import DocumentInvalid, decode, to_routing

MAX_VERSIONS = 8
"""That are kept in memory; the oldest is forgotten, and read again where a call needs it."""
REMEMBERED_S = 3 * 60 * 60
"""As long as callbacks of a call may come."""


class Flows:
    """Finds flows. `clock` tells Unix seconds."""

    def __init__(
        self, profiles: Profiles, store: BlobProfileStore, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._profiles = profiles
        self._store = store
        self._clock = clock
        self._versions = Remembered[Routing](limit=MAX_VERSIONS, for_s=REMEMBERED_S)

    async def current(self) -> tuple[int, Routing]:
        """Return the version in force. Raises `NotConfigured` and `StoreUnavailable`."""
        routing = await self._profiles.routing()
        version = self._profiles.version
        if self._versions.get(str(version), self._clock()) is None:
            self._versions.put(str(version), routing, self._clock())
        return version, routing

    async def flow(self, version: int, name: str) -> Flow:
        """Return a flow of a version.

        Raises:
            NotConfigured: it is not there any more.
            StoreUnavailable: it is not known here, and the store does not answer.
        """
        routing = self._versions.get(str(version), self._clock())
        if routing is None:
            try:
                stored = await self._store.document(version)
                # Off the event loop: a large document takes a while to check.
                routing = await asyncio.to_thread(lambda: to_routing(decode(stored)))
            except (NotFound, DocumentInvalid) as error:
                raise NotConfigured("the version of a call's flow cannot be had") from error
            self._versions.put(str(version), routing, self._clock())
        if name not in routing.flows:
            raise NotConfigured("a call's flow is not in its version")
        return routing.flows[name]
