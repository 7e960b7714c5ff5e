"""Timestamps as Azure writes them."""

import re
from datetime import UTC, datetime

_SEVEN_DIGITS = re.compile(r"(\.\d{6})\d+")


def parse_time(text: str) -> float:
    """Return Unix seconds of an ISO 8601 time; Azure writes up to seven fractional digits, Python reads six.

    Raises:
        ValueError: the text is no time.
    """
    moment = datetime.fromisoformat(_SEVEN_DIGITS.sub(r"\1", text))
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return moment.timestamp()
