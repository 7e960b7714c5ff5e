"""Probation of endpoints that fail again and again: new deliveries are held back too. Pure, in protocol seconds.

Azure documents how long, not after how many failures; three in a row are this emulator's choice.
"""

from collections.abc import Mapping
from typing import Final

from emulator.event_grid.retry import Attempt

FAILURES: Final = 3
"""Failed attempts in a row, of whatever events, that put an endpoint on probation."""

PROBATION_SECONDS: Final[Mapping[str, int]] = {
    "TimedOut": 10,
    "Busy": 10,
    "SocketError": 30,
    "NotFound": 300,
    "Unauthorized": 300,
    "Forbidden": 300,
}
"""How long, by the last outcome; others hold nothing back."""


class Probation:
    """Which endpoints are on probation, and until when."""

    def __init__(self) -> None:
        self._failures: dict[str, int] = {}
        self._until: dict[str, float] = {}

    def remaining_seconds(self, endpoint: str, *, now: float) -> float:
        """How long deliveries to an endpoint are held back, counted from `now`."""
        return max(0.0, self._until.get(endpoint, now) - now)

    def note(self, endpoint: str, attempt: Attempt, *, now: float) -> None:
        """Count an attempt that ended at `now`; a success ends every probation."""
        if attempt.delivered:
            self.forget(endpoint)
            return
        self._failures[endpoint] = self._failures.get(endpoint, 0) + 1
        if self._failures[endpoint] >= FAILURES:
            self._until[endpoint] = now + PROBATION_SECONDS.get(attempt.outcome, 0)

    def forget(self, endpoint: str) -> None:
        """Begin anew with an endpoint, for example when its subscription is created anew."""
        self._failures.pop(endpoint, None)
        self._until.pop(endpoint, None)
