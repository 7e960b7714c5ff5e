"""Failures on purpose: what the next requests of an operation are answered with instead of being done."""

from collections import deque
from dataclasses import dataclass
from typing import Final

MAX_WAITING: Final = 1_000
"""Faults that may wait for the requests of one operation."""


class TooManyFaults(ValueError):
    """More faults of one operation would wait than `MAX_WAITING`; none was added."""


@dataclass(frozen=True)
class Fault:
    """A failure as the service would answer it; each service writes it in its own error shape."""

    status: int
    code: str = "InternalServerError"
    message: str = "Injected fault."


class Faults:
    """Faults that wait to be answered, by operation.

    Operations of Call Automation are named `answer`, `reject`, ..., those of Key Vault `key_vault.getSecret`, ...
    """

    def __init__(self) -> None:
        self._waiting: dict[str, deque[Fault]] = {}

    def fail_next(self, operation: str, fault: Fault, *, times: int = 1) -> None:
        """Let the next `times` requests of an operation fail; the operation is not performed.

        Raises:
            TooManyFaults: too many wait already.
        """
        waiting = self._waiting.setdefault(operation, deque())
        if len(waiting) + times > MAX_WAITING:
            raise TooManyFaults(f"More than {MAX_WAITING} faults of {operation} would wait.")
        waiting.extend([fault] * times)

    def take(self, operation: str) -> Fault | None:
        """The fault that this request is to be answered with, if any."""
        waiting = self._waiting.get(operation)
        return waiting.popleft() if waiting else None
