"""When a timer is due, as NCRONTAB has it."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.functions_host.schedule import BadScheduleError, parse_schedule


def at(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("expression", "after", "due"),
    [
        ("0 */5 * * * *", "2026-11-24T23:55:00", "2026-11-25T00:00:00"),
        ("0 */5 * * * *", "2026-11-24T23:54:59.9", "2026-11-24T23:55:00"),
        ("* * * * * *", "2026-11-24T23:59:59", "2026-11-25T00:00:00"),
        ("30 15,45 9-17/4 * * *", "2026-11-24T09:45:30", "2026-11-24T13:15:30"),
        ("0 50/5 * * * *", "2026-11-24T10:00:00", "2026-11-24T10:50:00"),
        ("0 30 9 * Jan Mon", "2026-11-24T00:00:00", "2027-01-04T09:30:00"),
        ("0 0 0 * * sun", "2026-11-24T00:00:00", "2026-11-29T00:00:00"),
        ("0 0 4 29 2 *", "2026-11-24T00:00:00", "2028-02-29T04:00:00"),
        (
            "0 0 0 1 * 1",
            "2026-11-24T00:00:00",
            "2027-02-01T00:00:00",
        ),  # a first that is a Monday: both must fit
    ],
)
def test_a_timer_is_due_at_the_next_moment_that_fits(expression, after, due):
    assert parse_schedule(expression).next_after(at(after)) == at(due)


@pytest.mark.parametrize(
    "expression",
    [
        "", "*/5 * * * *", "00:05:00", "60 * * * * *", "* * 24 * * *", "* * * 0 * *", "* * * * 13 *", "* * * * * 7",
        "*/0 * * * * *", "5-1 * * * * *", "a * * * * *", "* * * mon * *", "1, * * * * *", "-1 * * * * *",
        "* * * * * * *",
    ],
)  # fmt: skip
def test_what_is_no_schedule_is_refused(expression):
    with pytest.raises(BadScheduleError):
        parse_schedule(expression)


def test_a_day_that_never_comes_is_refused():
    with pytest.raises(BadScheduleError):
        parse_schedule("0 0 0 30 2 *").next_after(at("2026-11-24T00:00:00"))


@given(
    st.sampled_from(["0 */5 * * * *", "*/7 * * * * *", "0 0 3 * * Mon-Fri", "59 59 23 31 12 *"]),
    st.datetimes(min_value=datetime(2000, 1, 1), max_value=datetime(2100, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
)
def test_a_timer_is_due_later_than_now_and_never_twice_at_one_moment(expression, now):
    schedule = parse_schedule(expression)
    due = schedule.next_after(now)
    assert now < due < schedule.next_after(due)
