"""When a delivery is tried again, and when it is given up: pure, in protocol seconds."""

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus

SCHEDULE_SECONDS = (10, 30, 60, 300, 600, 1800, 3600, 3 * 3600, 6 * 3600, 12 * 3600)
"""Wait before the second, third, ... attempt; the last one repeats."""

LONGER_WAIT_SECONDS: Mapping[int, int] = {HTTPStatus.REQUEST_TIMEOUT: 120, HTTPStatus.SERVICE_UNAVAILABLE: 30}
"""Statuses that hold the next attempt back for at least this long."""

NEVER_RETRIED = frozenset(
    {
        HTTPStatus.BAD_REQUEST,
        HTTPStatus.UNAUTHORIZED,
        HTTPStatus.FORBIDDEN,
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    }
)
"""Statuses of a webhook that no retry can mend."""

_OUTCOMES: Mapping[int, str] = {
    HTTPStatus.BAD_REQUEST: "BadRequest",
    HTTPStatus.UNAUTHORIZED: "Unauthorized",
    HTTPStatus.FORBIDDEN: "Forbidden",
    HTTPStatus.NOT_FOUND: "NotFound",
    HTTPStatus.REQUEST_TIMEOUT: "TimedOut",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "PayloadTooLarge",
    HTTPStatus.TOO_MANY_REQUESTS: "Busy",
    HTTPStatus.SERVICE_UNAVAILABLE: "Busy",
}


@dataclass(frozen=True)
class Attempt:
    """How one delivery attempt went.

    Attributes:
        outcome: `Delivered`, or the name that a dead letter gives to the failure.
        status: the webhook's answer; None when there was none.
    """

    outcome: str
    status: int | None = None

    @classmethod
    def answered(cls, status: int) -> "Attempt":
        """The webhook answered; only 200 to 204 count as success."""
        if HTTPStatus.OK <= status <= HTTPStatus.NO_CONTENT:
            return cls("Delivered", status)
        return cls(_OUTCOMES.get(status, "GenericError"), status)

    @property
    def delivered(self) -> bool:
        """Whether the events are acknowledged."""
        return self.outcome == "Delivered"


TIMED_OUT = Attempt("TimedOut")
DROPPED = Attempt("Dropped")
"""A fault rule let the events go nowhere; no outcome of Azure's."""
HELD_BACK = Attempt("Probation")
"""The endpoint's probation lasted longer than the events could live."""
SOCKET_ERROR = Attempt("SocketError")


def give_up_reason(attempt: Attempt, *, attempts_made: int, max_attempts: int) -> str | None:
    """The dead-letter reason when there is to be no further attempt, else None."""
    if attempt.status in NEVER_RETRIED:
        return f"UndeliverableDueToHttp{attempt.outcome}"
    if attempts_made >= max_attempts:
        return "MaxDeliveryAttemptsExceeded"
    return None


def wait_seconds(attempt: Attempt, *, attempts_made: int) -> int:
    """How long to wait before the next attempt, in protocol seconds."""
    scheduled = SCHEDULE_SECONDS[min(attempts_made, len(SCHEDULE_SECONDS)) - 1]
    return max(scheduled, LONGER_WAIT_SECONDS.get(attempt.status or 0, 0))
