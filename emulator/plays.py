"""What the application lets ACS play to a caller: one request, and what became of it."""

from dataclasses import dataclass
from enum import StrEnum

from emulator.wire.play import PlaySource


class PlayOutcome(StrEnum):
    """What became of a request to play, or to recognise, something."""

    COMPLETED = "completed"
    FAILED = "failed"
    CANCELED = "canceled"


@dataclass(eq=False)
class Play:
    """One request to play something.

    Attributes:
        sources: what is played, one after the other.
        loop: whether it begins anew at its end.
        operation_context: the application's own name for it.
        asked_at: seconds since the call was placed.
        started_at: likewise; None while it waits for its turn, or for what it plays.
        ended_at: likewise; None until then.
        outcome: None until then.
        sub_code: of the event that told the application of its end; None until then.
    """

    sources: tuple[PlaySource, ...]
    loop: bool
    operation_context: str | None
    asked_at: float
    started_at: float | None = None
    ended_at: float | None = None
    outcome: PlayOutcome | None = None
    sub_code: int | None = None
