"""Keys that belong together: a caller types a number digit by digit, and an agent should get it as one."""

ENDS_GROUP = "#"
MAX_DIGITS = 64
"""In one group; a caller who leans on the keypad makes another."""


class DigitGroups:
    """Groups keys by the pause after them. Time is the call's audio: no timer, no clock.

    Args:
        pause_ms: A group is over when no key came for this long. `#` ends it at once, and belongs to it.
    """

    def __init__(self, pause_ms: int) -> None:
        self._pause_ms = pause_ms
        self._digits = ""
        self._quiet_ms = 0.0

    @property
    def is_open(self) -> bool:
        """Whether keys wait for the end of their group."""
        return bool(self._digits)

    def press(self, digit: str) -> str | None:
        """Take a key; return the group that it ends, if it does."""
        self._digits += digit
        self._quiet_ms = 0.0
        if digit == ENDS_GROUP or len(self._digits) >= MAX_DIGITS or not self._pause_ms:
            return self._take()
        return None

    def elapse(self, ms: float) -> str | None:
        """Let audio time pass; return the group that is over by it, if one is."""
        if not self._digits:
            return None
        self._quiet_ms += ms
        return self._take() if self._quiet_ms >= self._pause_ms else None

    def _take(self) -> str:
        digits, self._digits = self._digits, ""
        return digits
