"""What the caller said and heard: two tracks on one time line."""

from pathlib import Path
from typing import Final

from emulator.media.pcm import FRAME_MS, frame_bytes, size_of
from emulator.wav import write_wav

RECORDING_LIMIT_MS: Final = 15 * 60 * 1000
"""How much of a call is kept in memory, 58 MB at 16 kHz. Of a longer call the beginning is kept."""


class Recording:
    """Both directions of one line, exact to the 20 ms tick, from the moment the line starts.

    At each tick the caller's track takes what they said, the agent's what they heard in that same tick.

    Attributes:
        dropped_ms: how much of the call came after the limit.
    """

    def __init__(self, rate_hz: int, *, limit_ms: int = RECORDING_LIMIT_MS) -> None:
        self.rate_hz = rate_hz
        self.dropped_ms = 0
        self._limit_bytes = size_of(limit_ms, rate_hz)
        self._silence = bytes(frame_bytes(rate_hz))
        self._caller = bytearray()
        self._agent = bytearray()

    def add(self, said: bytes | None, heard: bytes | None) -> None:
        """Append one tick; None is silence."""
        if len(self._caller) >= self._limit_bytes:
            self.dropped_ms += FRAME_MS
            return
        self._caller += said or self._silence
        self._agent += heard or self._silence

    @property
    def caller(self) -> bytes:
        """What the caller said."""
        return bytes(self._caller)

    @property
    def agent(self) -> bytes:
        """What the caller heard of the agent."""
        return bytes(self._agent)

    def write(self, path: Path) -> None:
        """Write a WAV file with the caller left and the agent right. Blocks: not for the event loop."""
        write_wav(path, [self.caller, self.agent], self.rate_hz)
