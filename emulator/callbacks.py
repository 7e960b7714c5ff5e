"""Call Automation callbacks: each event its own request, concurrent with the others, tried three times.

The service promises neither order nor a single delivery, and does not document its retries; three tries with a
doubling pause are this emulator's choice.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import aiohttp
import msgspec
from yarl import URL

from emulator.call import Call, Detail
from emulator.faults.messages import Gathering, malformed, send_as_often_as_told, wait_as_told
from emulator.faults.operations import CALLBACK
from emulator.faults.registry import Faults, Occasion, Strike
from emulator.faults.rules import Batch, LoseAcknowledgement, Malform, Token, TokenFlaw
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


@dataclass(frozen=True)
class _Message:
    """One event on its way; its body is an array of one."""

    call: Call
    name: str
    body: bytes

    def occasion(self) -> Occasion:
        return Occasion(
            CALLBACK,
            self.name,
            self.call.names,
            f"{self.name} {self.call.thing}",
            about=f"{self.name} of a call",
        )


class Callbacks:
    """Sends callback events in the background.

    Args:
        session: for the requests.
        identity: signs a new token for every request.
        tasks: own the requests.
        faults: rules that strike tries.
        timeout_seconds: for each request.
        time_scale: factor on the pauses between tries.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        identity: Identity,
        tasks: Tasks,
        faults: Faults,
        *,
        timeout_seconds: float,
        time_scale: float,
    ) -> None:
        self._session = session
        self._identity = identity
        self._tasks = tasks
        self._faults = faults
        self._gathering: Gathering[_Message] = Gathering()
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
        message = _Message(target.call, event.name, body)
        self._tasks.start(self._send(uri, [message]), name=f"callback-{event.name}")

    async def _send(self, uri: str, messages: Sequence[_Message]) -> None:
        for attempt in range(1, TRIES + 1):
            occasion = messages[0].occasion()
            strike = self._faults.take(occasion)
            gathered = await self._gathered(uri, messages, strike, attempt)
            if gathered is None:
                return
            messages = gathered
            if not await wait_as_told(self._faults, strike, occasion):
                _note(messages, "callback_failed", attempt=attempt, status=0, problem="dropped")
                return
            status, problem = await self._try(uri, messages, strike)
            if not problem:
                _note(messages, "callback", attempt=attempt, status=status)
                return
            _note(messages, "callback_failed", attempt=attempt, status=status, problem=problem)
            if attempt < TRIES:
                await asyncio.sleep(self._first_pause_seconds * 2 ** (attempt - 1))

    async def _gathered(
        self, uri: str, messages: Sequence[_Message], strike: Strike | None, attempt: int
    ) -> Sequence[_Message] | None:
        """The messages, with those that a rule wants in the same request; None when they go with others."""
        if strike is None or not isinstance(strike.action, Batch) or attempt > 1:
            return messages
        action = strike.action
        return await self._gathering.join(
            uri, messages[0], size=action.size, within_seconds=action.within_ms / 1000
        )

    async def _try(self, uri: str, messages: Sequence[_Message], strike: Strike | None) -> tuple[int, str]:
        action = strike.action if strike is not None else None
        body = b"[" + b",".join(message.body[1:-1] for message in messages) + b"]"
        if isinstance(action, Malform):
            body = malformed(msgspec.json.decode(body), action.variant)
        flaw = action.flaw if isinstance(action, Token) else None

        async def post() -> tuple[int, str]:
            return await self._post(uri, body, flaw)

        answer = await send_as_often_as_told(strike, post, self._tasks)
        return (0, "timed out") if isinstance(action, LoseAcknowledgement) else answer

    async def _post(self, uri: str, body: bytes, flaw: TokenFlaw | None) -> tuple[int, str]:
        """One request: the status (0 without an answer) and what was wrong, if anything."""
        headers = {"Content-Type": CONTENT_TYPE}
        if flaw is not TokenFlaw.MISSING:
            headers["Authorization"] = f"Bearer {self._identity.callback_token(flaw)}"
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


def _note(messages: Sequence[_Message], name: str, **detail: Detail) -> None:
    for message in messages:
        message.call.note(name, event=message.name, **detail)
