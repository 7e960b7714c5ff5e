"""The frames of the media benchmark, as the base64 text that they travel as.

A frame is 20 ms at 24 kHz. Its first six bytes, two of the text's groups, say which frame it is and what the service
is to do: so the load tells lost frames from late ones, and nobody decodes audio to read a word of three bytes.
Where frames are joined, each begins at a multiple of `FRAME_CHARS`.
"""

import base64
import os

RATE_HZ = 24_000
FRAMES_PER_SECOND = 50
FRAME_BYTES = RATE_HZ // FRAMES_PER_SECOND * 2
FRAME_CHARS = FRAME_BYTES // 3 * 4
WORD = slice(4, 8)
"""Where a frame's word stands in its text."""

ECHO, LISTEN, TALK, BARGE, SPEECH = b"AAAA", b"AAAB", b"AAAC", b"AAAD", b"AAAE"
"""Say this back; do nothing; begin a long answer; the caller speaks now (all to the service); and the word of the
answer's own frames."""

_NOISE = base64.b64encode(os.urandom(FRAME_BYTES - 6))


def frame_text(number: int, word: bytes) -> bytes:
    """Return the text of a frame; numbers are below 2^24."""
    return base64.b64encode(number.to_bytes(3, "big")) + word + _NOISE


def number_of(text: bytes) -> int:
    """Return the number of a frame, or of its first eight characters."""
    return int.from_bytes(base64.b64decode(text[:4]), "big")
