"""What the application lets ACS recognise of a caller: one request, and what became of it."""

from dataclasses import dataclass

from emulator.plays import PlayOutcome
from emulator.wire.recognize import RecognizeRequest


@dataclass(eq=False)
class Recognition:
    """One request to recognise something.

    Attributes:
        request: as it was sent, with its defaults.
        asked_at: seconds since the call was placed.
        started_at: likewise: when its prompt, if it has one, began; None while it waits for its turn.
        listening_at: likewise: from when on the caller's silence counted, or when they interrupted; None until then.
        ended_at: likewise; None until then.
        outcome: None until then.
        sub_code: of the event that told the application of its end; None until then.
    """

    request: RecognizeRequest
    asked_at: float
    started_at: float | None = None
    listening_at: float | None = None
    ended_at: float | None = None
    outcome: PlayOutcome | None = None
    sub_code: int | None = None
