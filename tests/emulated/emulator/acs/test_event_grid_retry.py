"""The retry schedule, without waiting for it."""

import pytest

from emulator.event_grid.retry import SOCKET_ERROR, TIMED_OUT, Attempt, give_up_reason, wait_seconds

DAY = 24 * 3600


@pytest.mark.parametrize("status", [200, 201, 202, 203, 204])
def test_success_is_200_to_204(status):
    assert Attempt.answered(status).delivered


@pytest.mark.parametrize("status", [100, 205, 301, 400, 404, 429, 500, 599, 999])
def test_anything_else_is_a_failure(status):
    assert not Attempt.answered(status).delivered


def test_waits_follow_the_schedule():
    waits = [wait_seconds(Attempt.answered(500), attempts_made=made) for made in range(1, 13)]

    assert waits == [10, 30, 60, 300, 600, 1800, 3600, 10800, 21600, 43200, 43200, 43200]


@pytest.mark.parametrize(
    ("attempt", "first_wait"),
    [
        (Attempt.answered(500), 10),
        (Attempt.answered(502), 10),
        (Attempt.answered(504), 10),
        (Attempt.answered(429), 10),
        (Attempt.answered(404), 10),
        (Attempt.answered(503), 30),
        (Attempt.answered(408), 120),
        (TIMED_OUT, 10),
        (SOCKET_ERROR, 10),
    ],
)
def test_some_statuses_hold_the_retry_back(attempt, first_wait):
    assert wait_seconds(attempt, attempts_made=1) == first_wait


@pytest.mark.parametrize("status", [400, 401, 403, 413])
def test_some_statuses_are_never_retried(status):
    assert give_up_reason(Attempt.answered(status), attempts_made=1, max_attempts=30) is not None


@pytest.mark.parametrize("status", [404, 408, 409, 429, 500, 501, 502, 503, 504])
def test_other_statuses_are_retried_up_to_the_limit(status):
    assert give_up_reason(Attempt.answered(status), attempts_made=29, max_attempts=30) is None
    reason = give_up_reason(Attempt.answered(status), attempts_made=30, max_attempts=30)
    assert reason == "MaxDeliveryAttemptsExceeded"
