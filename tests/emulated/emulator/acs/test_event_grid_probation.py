"""Probation of endpoints, without waiting for it."""

import pytest

from emulator.event_grid.probation import FAILURES, Probation
from emulator.event_grid.retry import SOCKET_ERROR, TIMED_OUT, Attempt

ENDPOINT = "https://gw.example.com/events"


def after(*attempts: Attempt) -> float:
    """How long an endpoint is held back after these attempts."""
    probation = Probation()
    for attempt in attempts:
        probation.note(ENDPOINT, attempt, now=100.0)
    return probation.remaining_seconds(ENDPOINT, now=100.0)


@pytest.mark.parametrize(
    ("attempt", "seconds"),
    [
        (TIMED_OUT, 10),
        (Attempt.answered(503), 10),
        (Attempt.answered(429), 10),
        (SOCKET_ERROR, 30),
        (Attempt.answered(404), 300),
        (Attempt.answered(401), 300),
        (Attempt.answered(403), 300),
        (Attempt.answered(500), 0),
        (Attempt.answered(400), 0),
    ],
)
def test_failures_in_a_row_hold_an_endpoint_back(attempt, seconds):
    assert after(*[attempt] * FAILURES) == seconds
    assert after(*[attempt] * (FAILURES - 1)) == 0


def test_a_success_ends_it():
    assert after(*[SOCKET_ERROR] * FAILURES, Attempt.answered(200)) == 0
    assert after(*[SOCKET_ERROR] * (FAILURES - 1), Attempt.answered(200), SOCKET_ERROR) == 0


def test_it_is_of_one_endpoint_and_passes():
    probation = Probation()
    for _ in range(FAILURES):
        probation.note(ENDPOINT, SOCKET_ERROR, now=100.0)

    assert probation.remaining_seconds("https://other.example.com", now=100.0) == 0
    assert probation.remaining_seconds(ENDPOINT, now=125.0) == 5
    assert probation.remaining_seconds(ENDPOINT, now=131.0) == 0
