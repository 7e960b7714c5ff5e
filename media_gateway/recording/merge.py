"""All parts of a call on one line: which samples come from which part, and what all their notes say together. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from media_gateway.recording.notes import CallFacts, Happened, Missing, Notes
from media_gateway.recording.parts import PartName
from media_gateway.recording.transcript import Entry


class Piece(NamedTuple):
    """Samples of the line that one part gives: `first` to before `end`."""

    part: PartName
    first: int
    end: int


def lay_out(parts: Iterable[PartName]) -> list[Piece]:
    """Return what comes from which part, in order; no two pieces overlap.

    Where a later owner of the call recorded anything, all that an earlier one has from there on is left out: it was
    no longer in the call, and did not know.
    """
    parts = list(parts)
    begins: dict[int, int] = {}
    """Of each epoch, where it begins."""
    for part in parts:
        begins[part.epoch] = min(begins.get(part.epoch, part.first), part.first)
    limits = {
        epoch: min((first for later, first in begins.items() if later > epoch), default=None)
        for epoch in begins
    }
    """Of each epoch, where a later one begins."""
    pieces = []
    for part in sorted(parts, key=lambda part: (-part.epoch, part.first, part.end)):
        limit = limits[part.epoch]
        if limit is None:
            pieces.append(Piece(part, part.first, part.end))
        elif part.first < limit:
            pieces.append(Piece(part, part.first, min(part.end, limit)))
    pieces.sort(key=lambda piece: piece.first)
    return _apart(pieces)


def _apart(pieces: Sequence[Piece]) -> list[Piece]:
    """Let each piece begin where the one before it ends, should parts of one owner overlap."""
    apart: list[Piece] = []
    reached = 0
    for piece in pieces:
        if piece.end > reached:
            apart.append(Piece(piece.part, max(piece.first, reached), piece.end))
            reached = piece.end
    return apart


@dataclass(slots=True)
class Gathered:
    """What the notes of all parts say together."""

    call: CallFacts
    entries: dict[tuple[int, int], Entry] = field(default_factory=dict)
    """By epoch and number."""
    happened: list[Happened] = field(default_factory=list)
    missing: list[Missing] = field(default_factory=list)
    pauses: dict[int, int | None] = field(default_factory=dict)
    counts: dict[int, Mapping[str, int]] = field(default_factory=dict)
    """By epoch."""


def gather(notes: Iterable[tuple[PartName, Notes]]) -> Gathered | None:
    """Put the notes of all parts together; None where there are none.

    Args:
        notes: In order of epoch and place.
    """
    gathered: Gathered | None = None
    for part, each in notes:
        if gathered is None:
            gathered = Gathered(each.call)
        gathered.call = each.call
        gathered.entries.update({(part.epoch, entry.number): entry for entry in each.entries})
        gathered.happened += each.happened
        gathered.missing += each.missing
        gathered.pauses.update(each.pauses)
        gathered.counts[part.epoch] = each.counts
    return gathered
