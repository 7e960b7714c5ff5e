"""What a speech engine's binding provides."""

from collections.abc import Callable

Synthesise = Callable[[str], tuple[bytes, int]]
"""Turns text into mono 16-bit PCM and its rate in Hz. Blocks; one call at a time in a process."""


class SpeechError(RuntimeError):
    """No speech: no engine, an engine that failed, or a text without words."""
