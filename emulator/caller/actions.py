"""What a caller does: as a step of a script the whole of it, at a moment the piece that is due."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Say:
    """Say something.

    Attributes:
        pcm: what it sounds like, at the phone's rate.
        text: what a step says; None where nobody knows.
        unspoken_ms: how much of its end are no words.
    """

    pcm: bytes = field(repr=False)
    text: str | None = None
    unspoken_ms: int = 0


@dataclass(frozen=True)
class Press:
    """Press keys, one by one."""

    keys: str


@dataclass(frozen=True)
class HangUp:
    """End the call, for this reason."""

    why: str


@dataclass(frozen=True)
class Words:
    """Tell now in text what the audio says that begins; it takes so long."""

    text: str
    ms: float


@dataclass(frozen=True)
class Remark:
    """Something for the timeline."""

    name: str


Action = Say | Press | HangUp | Words | Remark
