"""The default prompts: what the gateway itself says where a profile has no WAV file of its own.

One file for each `PromptKind`: mono, 16 bit, 16 kHz, in English. `tools/prompts.py` makes them.
"""

from functools import cache
from pathlib import Path

from shared.core.profiles import PromptKind

RATE_HZ = 16_000
FOLDER = Path(__file__).parent


@cache
def default_prompt(kind: PromptKind) -> bytes:
    """Return the WAV file of a prompt. Blocks at its first use, for the disk."""
    return (FOLDER / f"{kind.value}.wav").read_bytes()
