"""What one worker process keeps between invocations: the gateway, made at first use inside its event loop.

The worker has no start-up hook, and nothing may depend on Azure while it indexes the functions. So settings are
read and checked when the app is imported (every fault is logged then, and `/readyz` names it), but clients are
made by the first invocation. An app with faulty settings still indexes: an app that fails to import has no
functions at all, and answers 404 to everything, without a word why.
"""

import asyncio
import gc
import logging
import os
from collections.abc import Mapping
from contextlib import AsyncExitStack

from shared.calls.gateway import Gateway, open_gateway
from shared.config import UPKEEP_SCHEDULE, FunctionsSettings, SettingsInvalid, functions_settings
from shared.errors import NotConfigured
from shared.logs import show_fields

logger = logging.getLogger(__name__)

show_fields()


class Process:
    """The one gateway of a worker process."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self.faults: tuple[str, ...] = ()
        """Everything that is wrong with the settings; empty when all is well."""
        self._settings: FunctionsSettings | None = None
        self._stack: AsyncExitStack | None = None
        self._gateway: Gateway | None = None
        self._opening = asyncio.Lock()
        try:
            self._settings = functions_settings(env)
        except SettingsInvalid as error:
            self.faults = error.faults
        except Exception as error:
            logger.exception("the configuration cannot be read")
            self.faults = (f"internal: {type(error).__name__}",)
        for fault in self.faults:
            logger.critical("the configuration is not good: %s", fault)

    @property
    def upkeep_schedule(self) -> str:
        """When upkeep runs, as NCRONTAB; the default where the settings are not good, for a trigger must have one."""
        return UPKEEP_SCHEDULE if self._settings is None else self._settings.upkeep.schedule

    async def gateway(self) -> Gateway:
        """Return the gateway, made at the first call.

        Raises:
            NotConfigured: the settings are not good; see `faults`.
        """
        if self._settings is None:
            raise NotConfigured("the configuration is not good; /readyz names the faults")
        async with self._opening:
            if self._gateway is None:
                self._stack = AsyncExitStack()
                self._gateway = await self._stack.enter_async_context(open_gateway(self._settings))
                # What was imported and made so far stays; looking through all of it holds calls up for twice as long.
                gc.freeze()
            return self._gateway

    async def close(self) -> None:
        """Close the clients. The worker never calls this; whoever hosts the app in their own loop does."""
        if self._stack is not None:
            await self._stack.aclose()
        self._stack = self._gateway = None


PROCESS = Process(os.environ)
