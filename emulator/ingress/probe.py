"""The readiness probe of one backend."""

import asyncio
from collections.abc import Callable
from http import HTTPStatus
from typing import Final

import aiohttp

from emulator.ingress.backends import Backend
from emulator.ingress.settings import IngressSettings

READINESS: Final = "/readyz"
MAX_ANSWER_BYTES: Final = 16 * 1024
"""How much of an answer is read and kept; what goes beyond is left out."""


class Probe:
    """Asks a backend again and again whether it is ready.

    Args:
        backend: takes the answers.
        settings: how often, and how long it may take.
        session: for the requests.
        on_change: called when its readiness has changed.
    """

    def __init__(
        self,
        backend: Backend,
        settings: IngressSettings,
        session: aiohttp.ClientSession,
        on_change: Callable[[Backend], None],
    ) -> None:
        self._backend = backend
        self._settings = settings
        self._session = session
        self._on_change = on_change
        self._timeout = aiohttp.ClientTimeout(total=settings.probe_timeout_s)

    async def run(self) -> None:
        """Ask until cancelled."""
        while True:
            succeeded, answer = await self._ask()
            failures = self._settings.probe_failures
            if self._backend.probed(answer, succeeded=succeeded, failures=failures):
                self._on_change(self._backend)
            await asyncio.sleep(self._settings.probe_s)

    async def _ask(self) -> tuple[bool, str]:
        url = self._backend.url + READINESS
        try:
            async with self._session.get(url, timeout=self._timeout, allow_redirects=False) as reply:
                answer = bytearray()
                while piece := await reply.content.read(MAX_ANSWER_BYTES - len(answer)):
                    answer += piece
        except (aiohttp.ClientError, TimeoutError) as error:
            return False, f"no answer ({type(error).__name__})"
        # As the platform's probes have it.
        return HTTPStatus.OK <= reply.status < HTTPStatus.BAD_REQUEST, answer.decode(errors="replace")
