"""Requests to play and to recognise: those of a call take turns."""

import asyncio
from dataclasses import dataclass
from typing import Final, Protocol

from emulator.plays import PlayOutcome
from emulator.tasks import Tasks
from emulator.wire.callback_events import RecognitionResult, ResultInformation
from emulator.wire.errors import media_operation_active

MAX_REQUESTS: Final = 100
"""Requests of a call that are under way or wait for their turn; one more is refused."""


@dataclass(frozen=True)
class Ending:
    """How a request ended.

    Attributes:
        failed_source: index of the source that could not be played, if that was it.
        recognized: what the caller said or keyed.
    """

    outcome: PlayOutcome
    result: ResultInformation
    failed_source: int | None = None
    recognized: RecognitionResult | None = None


_CANCELED: Final = Ending(
    PlayOutcome.CANCELED, ResultInformation(400, 8508, "Action failed, the operation was cancelled.")
)
_CALL_ENDED: Final = Ending(
    PlayOutcome.FAILED, ResultInformation(400, 8528, "Action failed, the call was terminated.")
)


class MediaOperation(Protocol):
    """One request."""

    async def perform(self) -> Ending:
        """Do it; cancelled when it is to end early, and told then how by `settle` alone."""

    def settle(self, ending: Ending) -> None:
        """Tell the application how it ended; called once, whether or not it was its turn before."""


class MediaQueue:
    """The requests of one call.

    Args:
        tasks: own what is under way.
    """

    def __init__(self, tasks: Tasks) -> None:
        self._tasks = tasks
        self._requests: dict[MediaOperation, asyncio.Task[None]] = {}
        self._turn = asyncio.Lock()

    def start(self, operation: MediaOperation, *, name: str, interrupts: bool) -> None:
        """Perform it after what waits already, or at once in place of all of it.

        Raises:
            AcsError: too many requests wait already.
        """
        if interrupts:
            self.cancel_all()
        if len(self._requests) >= MAX_REQUESTS:
            raise media_operation_active("Too many requests to play or to recognise something are under way.")
        self._requests[operation] = self._tasks.start(self._perform(operation), name=name)

    def cancel_all(self) -> None:
        """Cut off what is under way, and forget what waits."""
        self._settle_all(_CANCELED)

    def end(self) -> None:
        """The application has no part in the call any more: what has not come to its end has failed."""
        self._settle_all(_CALL_ENDED)

    async def _perform(self, operation: MediaOperation) -> None:
        async with self._turn:
            ending = await operation.perform()
            del self._requests[operation]
            operation.settle(ending)

    def _settle_all(self, ending: Ending) -> None:
        requests, self._requests = self._requests, {}
        for operation, task in requests.items():
            operation.settle(ending)
            task.cancel()
