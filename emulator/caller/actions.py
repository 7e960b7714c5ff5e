"""What a script has its caller do at a moment."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Say:
    """Send this audio now."""

    pcm: bytes


@dataclass(frozen=True)
class Words:
    """Tell now in text what the audio says that begins; it takes so long."""

    text: str
    ms: float


@dataclass(frozen=True)
class Press:
    """Press this key now."""

    digit: str


@dataclass(frozen=True)
class HangUp:
    """End the call, for this reason."""

    why: str


@dataclass(frozen=True)
class Remark:
    """Something for the timeline."""

    name: str


Action = Say | Words | Press | HangUp | Remark
