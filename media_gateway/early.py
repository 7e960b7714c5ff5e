"""What the caller says and presses before the agent listens: kept in order, and bounded."""

from collections import deque

from media_gateway.timing import EARLY_BYTES
from shared.acs.media import AudioData, DtmfDigit

TICK_BYTES = 640
"""What a message counts for at least: 20 ms at 16 kHz, so that no flood of tiny ones grows the queue."""


class EarlyMedia:
    """A queue of at most `EARLY_BYTES` of audio; the oldest goes first."""

    def __init__(self) -> None:
        self._messages: deque[AudioData | DtmfDigit] = deque()
        self._bytes = 0
        self.dropped = 0
        """Messages that found no room."""

    def add(self, message: AudioData | DtmfDigit) -> None:
        """Keep a message."""
        self._messages.append(message)
        self._bytes += _size(message)
        while self._bytes > EARLY_BYTES:
            self._bytes -= _size(self._messages.popleft())
            self.dropped += 1

    def take(self) -> list[AudioData | DtmfDigit]:
        """Return what was kept, oldest first, and keep nothing."""
        messages = list(self._messages)
        self._messages.clear()
        self._bytes = 0
        return messages


def _size(message: AudioData | DtmfDigit) -> int:
    if isinstance(message, DtmfDigit):
        return TICK_BYTES
    return max(TICK_BYTES, len(message.data or b"")) + len(message.participant or "")
