"""The default prompts: what the gateway itself says where a profile has no WAV file of its own.

One file for each `PromptKind`: mono, 16 bit, 16 kHz, in English. `tools/prompts.py` makes them.
"""

from functools import cache
from pathlib import Path, PurePosixPath

from shared.core.profiles import PromptKind, Prompts

RATE_HZ = 16_000
FOLDER = Path(__file__).parent


@cache
def default_prompt(kind: PromptKind) -> bytes:
    """Return the WAV file of a prompt. Blocks at its first use, for the disk."""
    return (FOLDER / f"{kind.value}.wav").read_bytes()


def fetched_name(own: Prompts, rate_hz: int, kind: PromptKind) -> str:
    """Return the name of the file that ACS fetches (`functions/prompts.py`).

    ACS plays 16 kHz only, and a profile's own have the rate of its calls: at any other it is the default.
    """
    name = own.name_of(kind) if rate_hz == RATE_HZ else None
    return f"{kind.value if name is None else PurePosixPath(name).stem}.wav"
