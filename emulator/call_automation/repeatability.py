"""Repeated requests: a client that did not get an answer sends the same request again under the same id."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

MAX_REMEMBERED: Final = 10_000
"""Answers that can be replayed; beyond that the oldest are forgotten."""


@dataclass(frozen=True)
class Answer:
    """Status and JSON body of an answer."""

    status: int
    body: bytes = b""

    @property
    def final(self) -> bool:
        """Whether repeating the request is to give this answer again; temporary failures are tried anew."""
        return self.status < 500 and self.status != 429


class Repeatability:
    """Remembers the first answer to each request id and replays it; a repetition in between waits for it."""

    def __init__(self) -> None:
        self._answers: OrderedDict[tuple[str, str], asyncio.Future[Answer]] = OrderedDict()

    async def first_answer(
        self, operation: str, request_id: str, perform: Callable[[], Awaitable[Answer]]
    ) -> Answer:
        """Perform a request unless it has been performed, and return its one answer."""
        key = (operation, request_id)
        while (remembered := self._answers.get(key)) is not None:
            answer = await asyncio.shield(remembered)
            if answer.final:
                return answer
        self._forget_oldest()
        pending = self._answers[key] = asyncio.get_running_loop().create_future()
        try:
            answer = await perform()
        except BaseException:
            del self._answers[key]
            pending.set_result(Answer(500))
            raise
        if not answer.final:
            del self._answers[key]
        pending.set_result(answer)
        return answer

    def _forget_oldest(self) -> None:
        if len(self._answers) >= MAX_REMEMBERED:
            oldest = next((key for key, answer in self._answers.items() if answer.done()), None)
            if oldest is not None:
                del self._answers[oldest]
