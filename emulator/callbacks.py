"""Call Automation callbacks: each event its own request, concurrent with the others, tried three times.

The service promises neither order nor a single delivery, and does not document its retries; three tries with a
doubling pause are this emulator's choice.
"""

import asyncio
from dataclasses import dataclass
from typing import Final

import aiohttp
from yarl import URL

from emulator.calls import Call
from emulator.identity import Identity
from emulator.tasks import Tasks
from emulator.wire.callback_events import CallbackEvent, callback_body

CONTENT_TYPE: Final = "application/cloudevents-batch+json; charset=utf-8"
TRIES: Final = 3
FIRST_PAUSE_SECONDS: Final = 1.0


@dataclass(frozen=True)
class CallbackTarget:
    """Where one call's events go, and the api-version in which its application speaks."""

    call: Call
    call_connection_id: str
    api_version: str


class Callbacks:
    """Sends callback events in the background.

    Args:
        session: for the requests.
        identity: signs a new token for every request.
        tasks: own the requests.
        timeout_seconds: for each request.
        time_scale: factor on the pauses between tries.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        identity: Identity,
        tasks: Tasks,
        *,
        timeout_seconds: float,
        time_scale: float,
    ) -> None:
        self._session = session
        self._identity = identity
        self._tasks = tasks
        self._timeout = aiohttp.ClientTimeout(total=timeout_seconds)
        self._first_pause_seconds = FIRST_PAUSE_SECONDS * time_scale

    def send(self, target: CallbackTarget, uri: str, event: CallbackEvent) -> None:
        """Start sending an event; every try is a happening of its call (`callback`, `callback_failed`)."""
        body = callback_body(
            event,
            version=target.api_version,
            call_connection_id=target.call_connection_id,
            server_call_id=target.call.server_call_id,
            correlation_id=target.call.correlation_id,
        )
        self._tasks.start(self._send(target.call, uri, event.name, body), name=f"callback-{event.name}")

    async def _send(self, call: Call, uri: str, name: str, body: bytes) -> None:
        for attempt in range(1, TRIES + 1):
            status, problem = await self._post(uri, body)
            if not problem:
                call.note("callback", event=name, attempt=attempt, status=status)
                return
            call.note("callback_failed", event=name, attempt=attempt, status=status, problem=problem)
            if attempt < TRIES:
                await asyncio.sleep(self._first_pause_seconds * 2 ** (attempt - 1))

    async def _post(self, uri: str, body: bytes) -> tuple[int, str]:
        """One try: the status (0 without an answer) and what was wrong, if anything."""
        headers = {"Authorization": f"Bearer {self._identity.callback_token()}", "Content-Type": CONTENT_TYPE}
        try:
            async with self._session.post(
                URL(uri, encoded=True),
                data=body,
                headers=headers,
                timeout=self._timeout,
                allow_redirects=False,
            ) as response:
                return response.status, "" if 200 <= response.status < 300 else "refused"
        except TimeoutError:
            return 0, "timed out"
        except (aiohttp.ClientError, ValueError):  # ValueError: no host's name
            return 0, "not reachable"
