"""When a timer function is due: NCRONTAB expressions as the host reads them, in UTC.

Six fields: seconds, minutes, hours, days, months, days of the week. Each is `*`, a number, a range, a step of either
(`*/5`, `1-9/2`, `3/10`), or a list of these; months and days of the week may be named. Unlike with cron, a day must
fit both of its fields. Expressions of five fields and time spans, which the real host takes too, are refused.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_NAMES: Mapping[int, Mapping[str, int]] = {
    4: {name: number for number, name in enumerate(_MONTHS, start=1)},
    5: {name: number for number, name in enumerate(_DAYS)},
}
_BOUNDS = ((0, 59), (0, 59), (0, 23), (1, 31), (1, 12), (0, 6))
_PART = re.compile(r"(?:\*|(?P<first>\w+)(?:-(?P<last>\w+))?)(?:/(?P<step>\d+))?")
_LOOKED_AHEAD_DAYS = 366 * 8
"""From one 29th of February to the next it may be eight years."""


class BadScheduleError(ValueError):
    """The expression is none that this host knows, or never comes."""


@dataclass(frozen=True)
class Schedule:
    """The values that each field allows."""

    seconds: frozenset[int]
    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]

    def next_after(self, at: datetime) -> datetime:
        """Return the first moment after `at` (UTC) that fits.

        Raises:
            BadScheduleError: there is none, as on a 30th of February.
        """
        first = at.astimezone(UTC).replace(microsecond=0) + timedelta(seconds=1)
        for ahead in range(_LOOKED_AHEAD_DAYS):
            day = first.date() + timedelta(days=ahead)
            # Python counts from Monday, NCRONTAB from Sunday.
            fits = day.month in self.months and day.day in self.days and day.isoweekday() % 7 in self.weekdays
            found = self._time_from(time.min if ahead else first.time()) if fits else None
            if found is not None:
                return datetime.combine(day, found, UTC)
        raise BadScheduleError("no day fits the schedule")

    def _time_from(self, earliest: time) -> time | None:
        return min(
            (
                moment
                for hour in self.hours
                if hour >= earliest.hour
                for minute in self.minutes
                for second in self.seconds
                if (moment := time(hour, minute, second)) >= earliest
            ),
            default=None,
        )


def parse_schedule(expression: str) -> Schedule:
    """Return the schedule that an expression stands for.

    Raises:
        BadScheduleError: it is none, or none that this host knows.
    """
    fields = expression.split()
    if len(fields) != len(_BOUNDS):
        raise BadScheduleError(f"{expression!r} has not the six fields of a schedule")
    return Schedule(*(_values(number, text) for number, text in enumerate(fields)))


def _values(field: int, text: str) -> frozenset[int]:
    return frozenset(value for part in text.split(",") for value in _part(field, part))


def _part(field: int, text: str) -> range:
    lowest, highest = _BOUNDS[field]
    found = _PART.fullmatch(text)
    if found is None:
        raise BadScheduleError(f"{text!r} is no field of a schedule")
    step = int(found["step"] or 1)
    first = lowest if found["first"] is None else _number(field, found["first"])
    if found["last"] is not None:
        last = _number(field, found["last"])
    else:
        # `3/10` goes on to the end, `3` does not.
        last = highest if found["first"] is None or found["step"] else first
    if not (lowest <= first <= last <= highest and step):
        raise BadScheduleError(f"{text!r} is outside of {lowest}-{highest}")
    return range(first, last + 1, step)


def _number(field: int, text: str) -> int:
    named = _NAMES.get(field, {}).get(text[:3].lower())
    if named is not None:
        return named
    if not text.isdecimal():
        raise BadScheduleError(f"{text!r} is no number")
    return int(text)
