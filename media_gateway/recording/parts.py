"""A part of a recording: a few seconds of both tracks, and what was noted of the call meanwhile, in one WAV file.

A part is one blob, so that its audio and its notes are there together or not at all:

    unfinished/{account}/{yyyy-mm-dd}/{call_id}/parts/{epoch}/{first}-{end}.wav

What is below `unfinished/` goes when the call's recording is made, so a listing of it shows the calls that are live, or
were left by a process that was killed, however many are finished.

The epoch says which of the call's owners recorded it, and the two numbers which samples of the call's line it holds, so
that parts of several owners lie on one line, whatever order they come in. The notes are JSON in a chunk of their own
(`note`), which players of WAV files pass over.
"""

import re
import struct
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

import numpy as np

from media_gateway.recording.line import SAMPLE, Samples

UNFINISHED = "unfinished/"
CHANNELS = 2
FRAME_BYTES = CHANNELS * SAMPLE.itemsize
OVER_AFTER_S = 4 * 3600
"""A callback token is good for three hours, and no profile may let a call last longer."""
MAX_PART_BYTES = 16 * 1024 * 1024
"""Thirty seconds at 24 kHz have 3 MB, and notes may have as much; a real part has half a megabyte."""

_UUID7 = 7
_TIME_SHIFT = 80
"""Below the milliseconds since 1970 of a UUIDv7."""
_HEADER = struct.Struct("<4sI4s 4sIHHIIHH 4sI")
_CHUNK = struct.Struct("<4sI")
_FOLDER = re.compile(r"unfinished/(?P<account>[^/]+)/(?P<date>\d{4}-\d\d-\d\d)/(?P<call>[^/]+)/")
_NAME = re.compile(_FOLDER.pattern + r"parts/(?P<epoch>\d{4,})/(?P<first>\d{12,})-(?P<end>\d{12,})\.wav")


class PartInvalid(Exception):
    """A blob among the parts is not one that was written here."""


@dataclass(frozen=True, slots=True)
class CallFolder:
    """Where the recording of one call is kept."""

    account: str
    date: str
    """Day on which the call began, UTC: `yyyy-mm-dd`."""
    call_id: str

    @classmethod
    def of(cls, account_id: str, call_id: str, began_at: float) -> "CallFolder":
        """Return the folder of a call that began at `began_at` (Unix seconds)."""
        return cls(account_id, datetime.fromtimestamp(began_at, UTC).date().isoformat(), call_id)

    def __str__(self) -> str:
        return f"{self.account}/{self.date}/{self.call_id}"

    @classmethod
    def parse(cls, name: str) -> "CallFolder | None":
        """Return the folder below `UNFINISHED` that `name` is; None where it is no call's."""
        found = _FOLDER.fullmatch(name)
        return None if found is None else cls(found["account"], found["date"], found["call"])

    @property
    def parts(self) -> str:
        """What the names of its parts begin with."""
        return f"{UNFINISHED}{self}/parts/"

    def must_be_over(self, now: float) -> bool:
        """Whether its call is over at `now` (Unix seconds), whatever became of it: its id says when it began."""
        try:
            made = uuid.UUID(self.call_id)
        except ValueError:
            return False
        return made.version == _UUID7 and now - (made.int >> _TIME_SHIFT) / 1000 > OVER_AFTER_S


class PartName(NamedTuple):
    """Which samples of a call's line a part holds, and which of the call's owners recorded it."""

    epoch: int
    first: int
    end: int

    def __str__(self) -> str:
        return f"{self.epoch:04}/{self.first:012}-{self.end:012}.wav"

    @property
    def samples(self) -> int:
        """How many each track has."""
        return self.end - self.first

    def within(self, folder: CallFolder) -> str:
        """Return the whole name of its blob."""
        return f"{folder.parts}{self}"


def parse_name(name: str) -> tuple[CallFolder, PartName] | None:
    """Return what the name of a blob says; None where it is no part's."""
    found = _NAME.fullmatch(name)
    if found is None:
        return None
    part = PartName(int(found["epoch"]), int(found["first"]), int(found["end"]))
    if part.first >= part.end:
        return None
    return CallFolder(found["account"], found["date"], found["call"]), part


@dataclass(frozen=True, slots=True)
class Part:
    """What a part holds."""

    rate_hz: int
    frames: Samples
    """Shape (n, 2): the caller left, the agent right."""
    notes: bytes


def pack(frames: Samples, rate_hz: int, notes: bytes) -> bytes:
    """Return the WAV file of a part.

    Args:
        frames: Shape (n, 2), 16 bit: the caller left, the agent right.
        rate_hz: Samples a second.
        notes: JSON.
    """
    size = len(frames) * FRAME_BYTES
    padded = notes + b" " * (len(notes) % 2)
    header = _HEADER.pack(
        b"RIFF", _HEADER.size - 8 + size + _CHUNK.size + len(padded), b"WAVE",
        b"fmt ", 16, 1, CHANNELS, rate_hz, rate_hz * FRAME_BYTES, FRAME_BYTES, 16,
        b"data", size,
    )  # fmt: skip
    # The array itself, not a copy of it, goes into the one new piece of memory.
    return b"".join((header, frames.data.cast("B"), _CHUNK.pack(b"note", len(padded)), padded))


def unpack(data: bytes) -> Part:
    """Return what `pack` was given; of `notes`, with a space where its length was odd.

    Raises:
        PartInvalid: it does not come from `pack`.
    """
    try:
        riff, _, wave, fmt, _, coding, channels, rate_hz, _, _, bits, chunk, size = _HEADER.unpack_from(data)
        note, length = _CHUNK.unpack_from(data, _HEADER.size + size)
    except struct.error as error:
        raise PartInvalid("cut short") from error
    begin = _HEADER.size + size + _CHUNK.size
    is_ours = (riff, wave, fmt, coding, channels, bits, chunk, note) == (
        b"RIFF", b"WAVE", b"fmt ", 1, CHANNELS, 16, b"data", b"note",
    )  # fmt: skip
    if not is_ours or size % FRAME_BYTES or len(data) != begin + length:
        raise PartInvalid("another kind of file")
    frames = np.frombuffer(data, SAMPLE, size // SAMPLE.itemsize, _HEADER.size).reshape(-1, CHANNELS)
    return Part(rate_hz, frames, data[begin:])
