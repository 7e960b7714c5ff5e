"""Makes a recording of a call's parts, writes what is known of the call beside it, and deletes the parts.

`call.json` is written last and names the parts it was made of. So whatever was cut off on the way is simply done
again: where `call.json` is missing, everything; where it is there, only the deleting.

Of a call that several pods had, those that lost it may bring parts when it is over already. So its parts stay until it
must be over, and the recording is made anew where more of them have come by then. What can be in no recording stays
where it is, and is counted.
"""

import asyncio
import json
import logging
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence, Set
from contextlib import suppress
from pathlib import Path

import msgspec
import numpy as np
import soundfile  # type: ignore[import-untyped]

from media_gateway.analysis.analyst import Analyst
from media_gateway.recording.documents import (
    TRANSCRIPT_NAME,
    Document,
    Made,
    call_document,
    transcript_document,
)
from media_gateway.recording.line import SAMPLE, Samples, ms_of
from media_gateway.recording.merge import Piece, gather, lay_out
from media_gateway.recording.notes import Notes, decode_notes
from media_gateway.recording.parts import (
    CHANNELS,
    MAX_PART_BYTES,
    CallFolder,
    Part,
    PartInvalid,
    PartName,
    parse_name,
    unpack,
)
from media_gateway.recording.spill import FILE_MODE
from media_gateway.recording.store import RecordingBlobs, RecordingStore
from media_gateway.recording.turns import Loudness
from shared.adapters.blobs import BlobTooLarge
from shared.core.profiles import RecordingFormat
from shared.errors import StoreRefused, StoreUnavailable

logger = logging.getLogger(__name__)

CALL_NAME = "call.json"
MAKING = "making-"
"""What the files begin with in which recordings are made."""
FIRST_EPOCH = 1
MADE_AT_ONCE = 2
WAITING_CALLS = 10_000
"""Past it a call's parts stay as they are, and are counted."""
COPIED, COMPRESSED = 120_000, 16_000
"""Samples that are written in one go, to a WAV file and to a FLAC file; either takes about 0.2 ms."""
FREED_BYTES = 4 * 1024 * 1024
"""Of a file that is done with, in one go."""
REST_S = 0.001
"""After each of these. A thread that goes on for longer keeps the event loop from its core, even without its lock."""
COMPRESSION = 0.375
"""Of FLAC, 0 to 1: three quarters of the work of the default, for files that are 3 % larger."""
MAX_CALL_BYTES = 8 * 1024 * 1024
"""Largest `call.json` that is read again; one with three hours of parts has 200 KB."""
RETRY_S = 5.0
"""Before storage that is away is asked again."""


class Finaliser:
    """Finalises the calls of this process, two at once. Owns the tasks that do so, within `run`.

    Args:
        store: Where the parts went, and where the recordings go.
        counters: The process's: `recordings_made`, `recordings_failed`, `recordings_refused`, `recordings_not_made`,
            `recording_parts_invalid` and `recording_parts_left`.
        analyst: Gets the calls when they are finished; None: nothing is analysed.
        clock: Unix seconds.
        retry_s: Before storage that is away is asked again.
    """

    def __init__(
        self,
        store: RecordingStore,
        counters: Counter[str],
        analyst: Analyst | None = None,
        *,
        clock: Callable[[], float] = time.time,
        retry_s: float = RETRY_S,
    ) -> None:
        self._store = store
        self._counters = counters
        self._analyst = analyst
        self._clock = clock
        self._retry_s = retry_s
        self._waiting: asyncio.Queue[CallFolder] = asyncio.Queue(WAITING_CALLS)
        self._under_way: set[CallFolder] = set()

    async def run(self) -> None:
        """Finalise what is submitted, until cancelled; what is left then stays in parts."""
        async with asyncio.TaskGroup() as tasks:
            for _ in range(MADE_AT_ONCE):
                tasks.create_task(self._work())

    def submit(self, folder: CallFolder) -> None:
        """Finalise a call when there is time: it is over, and all its parts were given to the store."""
        if self._waiting.full():
            self._counters["recordings_not_made"] += 1
        else:
            self._waiting.put_nowait(folder)

    async def finished(self) -> None:
        """Wait until all that was submitted is done."""
        await self._waiting.join()

    async def finalise(self, folder: CallFolder) -> None:
        """Finalise one call, or what is left to do of it; nothing where it is done.

        Raises:
            StoreRefused: storage refuses something of this call, and will again.
            StoreUnavailable: storage is away; what was done is done, and the rest can be done later.
            OSError: the volume does not take the recording.
        """
        await self._store.all_sent(folder)
        names = await self._store.blobs.names(folder.parts)
        parts = [parsed[1] for name in names if (parsed := parse_name(name)) is not None]
        if parts:
            made_of = await self._made_of(folder)
            if made_of is None or _is_outdated(made_of, parts):
                made_of = await self._make(folder, parts)
            if folder.must_be_over(self._clock()) or not _had_several_owners(parts):
                await self._clean(folder, parts, made_of)
        if self._analyst is not None:
            self._analyst.submit(folder)

    async def _work(self) -> None:
        while True:
            folder = await self._waiting.get()
            try:
                if folder in self._under_way:
                    # The file in which it is made is another's just now; and parts may have come that this one lacks.
                    self.submit(folder)
                    await asyncio.sleep(self._retry_s)
                    continue
                self._under_way.add(folder)
                try:
                    await self._finalise_or_put_off(folder)
                finally:
                    self._under_way.discard(folder)
            finally:
                self._waiting.task_done()

    async def _finalise_or_put_off(self, folder: CallFolder) -> None:
        """Finalise one call; while storage is away it comes after those that wait, and there is a pause."""
        try:
            await self.finalise(folder)
        except StoreRefused as refused:
            if not self._counters["recordings_refused"]:
                logger.error(  # noqa: TRY400 - what storage answered tells all
                    "storage refuses a recording, which stays in parts",
                    extra={"call_id": folder.call_id, "fault": str(refused)},
                )
            self._counters["recordings_refused"] += 1
        except StoreUnavailable:
            self.submit(folder)
            await asyncio.sleep(self._retry_s)
        except Exception:
            self._counters["recordings_failed"] += 1
            logger.exception("a recording could not be made", extra={"call_id": folder.call_id})

    async def _made_of(self, folder: CallFolder) -> Set[str] | None:
        """Return the names of the parts that a call's recording was made of; None where there is none."""
        made = await self._store.blobs.read(f"{folder}/{CALL_NAME}", max_bytes=MAX_CALL_BYTES)
        return None if made is None else frozenset(json.loads(made)["recording"]["parts"])

    async def _make(self, folder: CallFolder, parts: Sequence[PartName]) -> Set[str]:
        """Write the recording and both documents; return the names of the parts that it is made of."""
        reading = _Reading(self._store.blobs, folder)
        pieces = {piece.part: piece for piece in lay_out(parts)}
        making: _Making | None = None
        try:
            # In order of the line; the notes of a part of which no sample is used count all the same.
            for name in sorted(parts, key=lambda part: (pieces[part].first if part in pieces else 0, part)):
                part = await reading.read(name)
                if part is None:
                    continue
                if making is None:
                    path = self._store.folder / f"{MAKING}{folder.call_id}"
                    making = await asyncio.to_thread(_Making, path, part.rate_hz, reading.format)
                if name in pieces:
                    await asyncio.to_thread(making.add, part, pieces[name])
            gathered = gather(sorted(reading.notes.items()))
            if reading.invalid:
                self._counters["recording_parts_invalid"] += reading.invalid
            if making is None or gathered is None:
                raise PartInvalid("none of a call's parts can be read")
            await asyncio.to_thread(making.close)
            await self._store.blobs.put_file(f"{folder}/recording.{reading.format.value}", making.path)
            made = await asyncio.to_thread(making.made, sorted(reading.notes))
            await self._put(folder, TRANSCRIPT_NAME, transcript_document(gathered, made))
            if self._analyst is not None and gathered.call.analysis is not None:
                await self._analyst.want(folder, gathered.call.analysis)
            call = call_document(gathered, made)
            await self._put(folder, CALL_NAME, call)
            self._counters["recordings_made"] += 1
        finally:
            if making is not None:
                with suppress(OSError):  # a volume that is gone must not hide why the making ended
                    await asyncio.to_thread(making.discard)
        return frozenset(call["recording"]["parts"])

    async def _put(self, folder: CallFolder, name: str, document: Document) -> None:
        data = msgspec.json.format(msgspec.json.encode(document), indent=2)
        await self._store.blobs.put(f"{folder}/{name}", data)

    async def _clean(self, folder: CallFolder, parts: Sequence[PartName], made_of: Set[str]) -> None:
        """Delete the parts that the recording is made of; others came too late, or cannot be read."""
        used = [part.within(folder) for part in parts if str(part) in made_of]
        await self._store.blobs.delete(used)
        if len(used) < len(parts):
            left = len(parts) - len(used)
            self._counters["recording_parts_left"] += left
            logger.warning(
                "parts are not in their call's recording", extra={"call_id": folder.call_id, "parts": left}
            )


def _is_outdated(made_of: Set[str], parts: Sequence[PartName]) -> bool:
    """Whether parts have come since a recording was made, and the others are still there to make it anew."""
    return made_of < {str(part) for part in parts}


def _had_several_owners(parts: Sequence[PartName]) -> bool:
    """Whether a call had another owner than its first, so that one that lost it may still bring parts."""
    return max(part.epoch for part in parts) > FIRST_EPOCH


class _Reading:
    """Reads the parts of one call."""

    def __init__(self, blobs: RecordingBlobs, folder: CallFolder) -> None:
        self._blobs = blobs
        self._folder = folder
        self.notes: dict[PartName, Notes] = {}
        """Of every part that could be read."""
        self.format = RecordingFormat.WAV
        self.invalid = 0
        self._rate_hz = 0

    async def read(self, name: PartName) -> Part | None:
        """Return a part; None where it is not one of ours."""
        try:
            data = await self._blobs.read(name.within(self._folder), max_bytes=MAX_PART_BYTES)
            if data is not None:
                return self._checked(name, unpack(data))
        except (BlobTooLarge, PartInvalid, msgspec.DecodeError):
            self.invalid += 1
            return None
        # Listed, and gone: another process is done with this call, and deletes them.
        raise StoreUnavailable("a part is gone")

    def _checked(self, name: PartName, part: Part) -> Part:
        notes = decode_notes(part.notes)
        self._rate_hz = self._rate_hz or part.rate_hz
        if len(part.frames) != name.samples or part.rate_hz != self._rate_hz:
            raise PartInvalid("another length than its name says, or another rate than the part before")
        self.notes[name] = notes
        self.format = notes.call.format
        return part


class _UnsyncedFile(soundfile.SoundFile):  # type: ignore[misc]
    """A sound file that does not wait for the disk, as the library does before it closes one: nobody keeps it."""

    def flush(self) -> None:
        """Do nothing: what is written, whoever opens the file sees."""


class _Making:
    """A recording that is being made, in a file; blocks, and belongs in a thread."""

    def __init__(self, path: Path, rate_hz: int, coding: RecordingFormat) -> None:
        self.path = path
        self.rate_hz = rate_hz
        self._lock = threading.Lock()
        path.touch(FILE_MODE)
        self._file = _UnsyncedFile(
            path, "w", rate_hz, CHANNELS, subtype="PCM_16", format=coding.value.upper(),
            compression_level=COMPRESSION if coding is RecordingFormat.FLAC else None,
        )  # fmt: skip
        self._stretch = COMPRESSED if coding is RecordingFormat.FLAC else COPIED
        self._loudness = Loudness(rate_hz)
        self._first: int | None = None
        self._reached = 0
        self._lost: list[tuple[int, int]] = []

    def add(self, part: Part, piece: Piece) -> None:
        """Write what a part gives, after silence for what no part has."""
        with self._lock:
            if self._first is None:
                self._first = self._reached = piece.first
            if piece.first > self._reached:
                self._lost.append((self._reached, piece.first))
            while self._reached < piece.first:
                self._write(np.zeros((min(COPIED, piece.first - self._reached), CHANNELS), SAMPLE))
            begin = piece.first - piece.part.first
            self._write(part.frames[begin : begin + piece.end - piece.first])

    def _write(self, frames: Samples) -> None:
        for first in range(0, len(frames), self._stretch):
            self._file.write(frames[first : first + self._stretch])
            time.sleep(REST_S)
        self._loudness.add(frames)
        self._reached += len(frames)

    def made(self, parts: Sequence[PartName]) -> Made:
        """Return what was made, of these parts."""
        first = self._first or 0
        return Made(
            rate_hz=self.rate_hz,
            begins_ms=ms_of(first, self.rate_hz),
            duration_ms=ms_of(self._reached - first, self.rate_hz),
            lost=[
                (ms_of(begin - first, self.rate_hz), ms_of(end - first, self.rate_hz))
                for begin, end in self._lost
            ],
            parts=parts,
            turns=self._loudness.turns(),
        )

    def close(self) -> None:
        """Finish the file."""
        with self._lock:
            self._file.close()

    def discard(self) -> None:
        """Let go of the file, finished or not."""
        self.close()
        # Bit by bit: to give back the memory of a large file all at once is work of many milliseconds.
        for size in range(self.path.stat().st_size, 0, -FREED_BYTES):
            os.truncate(self.path, max(0, size - FREED_BYTES))
            time.sleep(REST_S)
        self.path.unlink()
