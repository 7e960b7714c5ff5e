"""What a process remembers for a while: of so many keys, and for so long."""

from typing import Generic, TypeVar

T = TypeVar("T")


class Remembered(Generic[T]):
    """Values by key, each for `for_s` seconds since it was put; of more than `limit` the oldest is forgotten."""

    def __init__(self, *, limit: int, for_s: float) -> None:
        self._limit = limit
        self._for_s = for_s
        self._values: dict[str, tuple[float, T]] = {}
        """In the order in which they were put, and so are forgotten."""

    def get(self, key: str, now: float) -> T | None:
        """Return the value that was put at most `for_s` before `now` (seconds)."""
        at, value = self._values.get(key, (now, None))
        return value if now - at <= self._for_s else None

    def put(self, key: str, value: T, now: float) -> int:
        """Remember `value` from `now` on; return how many others are forgotten for it before their time."""
        self._values.pop(key, None)
        self._values[key] = (now, value)
        early = 0
        while self._values:
            oldest, (at, _) = next(iter(self._values.items()))
            is_over = now - at > self._for_s
            if not is_over and len(self._values) <= self._limit:
                break
            del self._values[oldest]
            early += not is_over
        return early
