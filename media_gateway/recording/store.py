"""The parts of all recordings of this process, on their way to blob storage, and what becomes of them if it is away.

A part is sent at once, a few at a time. While storage is away, or slower than parts come, parts go to a volume (see
`spill.py`); they are sent in order when it answers again. One that storage refuses goes there too, and is tried now and
then behind the others. Only a part that fits nowhere is lost, and counted.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path
from typing import Protocol

from media_gateway.recording.parts import CallFolder, PartName, parse_name
from media_gateway.recording.spill import Spill, Spilled
from shared.errors import StoreRefused, StoreUnavailable

logger = logging.getLogger(__name__)

SENT_AT_ONCE = 8
WAITING_PARTS = 64
"""What waits in memory to be sent, about 25 MB, and again to be written to the volume. A part that finds the first full
goes to the volume; one that finds both full is lost. Recorders wait for room before that (`room`), with what they hold
bounded by their tracks."""


class RecordingBlobs(Protocol):
    """Where recordings are kept; `shared.adapters.recording_store.BlobRecordings`.

    Where a method raises `StoreUnavailable` it may be `StoreRefused`: the same will be refused again.
    """

    async def put(self, name: str, data: bytes) -> None:
        """Write a blob, over what was there. Raises `StoreUnavailable`."""

    async def put_file(self, name: str, path: Path) -> None:
        """Write a blob from a file, over what was there. Raises `StoreUnavailable`."""

    async def read(self, name: str, *, max_bytes: int) -> bytes | None:
        """Return a blob; None where it is not there. Raises `StoreUnavailable` and `BlobTooLarge`."""

    async def names(self, prefix: str) -> list[str]:
        """Return the name of every blob that begins with `prefix`. Raises `StoreUnavailable`."""

    async def folders(self, prefix: str) -> list[str]:
        """Return the folders right below `prefix`, with it and a `/` at the end. Raises `StoreUnavailable`."""

    async def delete(self, names: Sequence[str]) -> None:
        """Delete blobs, those too that are not there. Raises `StoreUnavailable`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreTiming:
    """Durations in seconds. Tests run with shorter ones."""

    put_s: float = 3.0
    """For one part; then it goes to the volume. A process that is killed meanwhile loses it."""
    retry_s: float = 1.0
    """For which storage that did not answer is not asked again, except with what lies on the volume."""
    refused_s: float = 30.0
    """For which nothing on the volume is tried again, after all of it was refused."""


class _Outcome(Enum):
    """What became of a try to send a part."""

    SENT = auto()
    AWAY = auto()
    REFUSED = auto()


@dataclass(frozen=True, slots=True, eq=False)
class _Held:
    """A part in memory."""

    folder: CallFolder
    name: str
    data: bytes


class RecordingStore:
    """Takes parts and brings them to storage. Owns the tasks that do so, within `run`.

    Args:
        blobs: Blob storage.
        spill: The volume, not opened yet.
        counters: The process's: `recording_parts_sent`, `recording_parts_spilled`, `recording_parts_lost`,
            `recording_parts_refused` (tries, not parts) and `recording_files_left`.
        timing: Durations.
    """

    def __init__(
        self,
        blobs: RecordingBlobs,
        spill: Spill,
        counters: Counter[str],
        timing: StoreTiming = StoreTiming(),
    ) -> None:
        self.blobs = blobs
        self._spill = spill
        self._counters = counters
        self._timing = timing
        self._to_send: asyncio.Queue[_Held] = asyncio.Queue(WAITING_PARTS)
        self._to_spill: asyncio.Queue[_Held] = asyncio.Queue(WAITING_PARTS)
        self._held: set[_Held] = set()
        """All that is in memory."""
        self._under_way: Counter[CallFolder | None] = Counter()
        """Parts of each call that are here, in memory or on the volume."""
        self._refused: set[CallFolder | None] = set()
        """Calls of which a part on the volume was refused, until none of their parts is here."""
        self._waited_for: dict[CallFolder | None, asyncio.Event] = {}
        self._spilled = asyncio.Event()
        self._has_room = asyncio.Event()
        self._has_room.set()
        self._away_until: float | None = None
        """Loop time before which parts go to the volume at once; None while storage answers."""

    @property
    def folder(self) -> Path:
        """This process's folder on the volume."""
        return self._spill.folder

    async def open(self) -> frozenset[CallFolder]:
        """Take over what an earlier process left on the volume; return of which calls.

        Raises:
            OSError: the volume cannot be written.
        """
        for name in await asyncio.to_thread(self._spill.open):
            self._under_way[_folder_of(name)] += 1
        if len(self._spill):
            self._spilled.set()
        return frozenset(folder for folder in self._under_way if folder is not None)

    async def run(self) -> None:
        """Send until cancelled; what is left in memory then goes to the volume."""
        try:
            async with asyncio.TaskGroup() as tasks:
                for _ in range(SENT_AT_ONCE):
                    tasks.create_task(self._send())
                tasks.create_task(self._write_to_volume())
                tasks.create_task(self._send_from_volume())
        finally:
            for part in tuple(self._held):
                await self._spill_part(part)
            await asyncio.to_thread(self._spill.close)

    async def room(self) -> None:
        """Wait until a part may be put: whoever cannot wait puts it all the same, and may lose it.

        A storage that is busy is waited for; one that is away is not, and then it is the volume's room that counts.
        """
        while (self._to_spill if self._is_away else self._to_send).full():
            self._has_room.clear()
            await self._has_room.wait()

    @property
    def _is_away(self) -> bool:
        return self._away_until is not None and asyncio.get_running_loop().time() < self._away_until

    def put(self, folder: CallFolder, part: PartName, data: bytes) -> None:
        """Take a finished part; it is sent, or written to the volume, when there is time."""
        held = _Held(folder, part.within(folder), data)
        self._held.add(held)
        self._under_way[folder] += 1
        if self._is_away or self._to_send.full():
            self._hand_to_volume(held)
        else:
            self._to_send.put_nowait(held)

    async def all_sent(self, folder: CallFolder) -> None:
        """Wait until no part of a call is here any more.

        Raises:
            StoreRefused: storage does not take one of them; it stays here.
        """
        if folder in self._under_way and folder not in self._refused:
            await self._waited_for.setdefault(folder, asyncio.Event()).wait()
        if folder in self._refused:
            raise StoreRefused("storage refuses a part of a call")

    async def _send(self) -> None:
        while True:
            part = await self._to_send.get()
            self._has_room.set()
            if await self._put(part.name, part.data) is _Outcome.SENT:
                self._held.discard(part)
                self._done(part.folder, "recording_parts_sent")
            else:
                self._hand_to_volume(part)

    async def _write_to_volume(self) -> None:
        while True:
            part = await self._to_spill.get()
            self._has_room.set()
            await self._spill_part(part)

    async def _send_from_volume(self) -> None:
        refused_in_a_row = 0
        while True:
            await self._spilled.wait()
            spilled = self._spill.first()
            if spilled is None:
                self._spilled.clear()
                continue
            outcome = await self._send_file(spilled)
            refused_in_a_row = refused_in_a_row + 1 if outcome is _Outcome.REFUSED else 0
            if outcome is _Outcome.AWAY:
                await asyncio.sleep(self._timing.retry_s)
            elif 0 < len(self._spill) <= refused_in_a_row:
                refused_in_a_row = 0
                await asyncio.sleep(self._timing.refused_s)

    async def _send_file(self, spilled: Spilled) -> _Outcome:
        """Send the oldest part on the volume; one that is refused comes after the others then."""
        what = "recording_parts_sent"
        try:
            data = await asyncio.to_thread(spilled.path.read_bytes)
        except OSError:
            what = "recording_parts_lost"
        else:
            outcome = await self._put(spilled.name, data)
            if outcome is _Outcome.REFUSED:
                self._put_off(_folder_of(spilled.name))
            if outcome is not _Outcome.SENT:
                return outcome
        if not await asyncio.to_thread(self._spill.remove, spilled):
            self._counters["recording_files_left"] += 1
        self._done(_folder_of(spilled.name), what)
        return _Outcome.SENT

    def _put_off(self, folder: CallFolder | None) -> None:
        """Go on behind the oldest part on the volume, and let nobody wait for it."""
        if not self._counters["recording_parts_refused"]:
            logger.error("storage refuses parts of recordings; they stay on the volume, and are tried again")
        self._counters["recording_parts_refused"] += 1
        self._spill.put_off()
        self._refused.add(folder)
        self._wake(folder)

    async def _put(self, name: str, data: bytes) -> _Outcome:
        """Send a blob."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._timing.put_s):
                await self.blobs.put(name, data)
        except StoreRefused:
            return _Outcome.REFUSED
        except Exception as error:
            if not isinstance(error, (StoreUnavailable, TimeoutError)):
                logger.exception("a part of a recording could not be sent in an unexpected way")
            if self._away_until is None:
                logger.warning("storage does not take recordings; they go to the volume")
            self._away_until = loop.time() + self._timing.retry_s
            self._has_room.set()
            return _Outcome.AWAY
        if self._away_until is not None:
            logger.info("storage takes recordings again")
            self._away_until = None
        return _Outcome.SENT

    def _hand_to_volume(self, part: _Held) -> None:
        if self._to_spill.full():
            self._lose(part)
        else:
            self._to_spill.put_nowait(part)

    async def _spill_part(self, part: _Held) -> None:
        if not await asyncio.to_thread(self._spill.add, part.name, part.data):
            self._lose(part)
            return
        self._held.discard(part)
        self._counters["recording_parts_spilled"] += 1
        self._spilled.set()

    def _lose(self, part: _Held) -> None:
        if not self._counters["recording_parts_lost"]:
            logger.error("parts of recordings are lost: neither storage nor the volume takes them")
        self._held.discard(part)
        self._done(part.folder, "recording_parts_lost")

    def _done(self, folder: CallFolder | None, what: str) -> None:
        self._counters[what] += 1
        self._under_way[folder] -= 1
        if not self._under_way[folder]:
            del self._under_way[folder]
            self._refused.discard(folder)
            self._wake(folder)

    def _wake(self, folder: CallFolder | None) -> None:
        if (waited_for := self._waited_for.pop(folder, None)) is not None:
            waited_for.set()


def _folder_of(name: str) -> CallFolder | None:
    """Return the call of a blob on the volume; None where somebody else put it there."""
    parsed = parse_name(name)
    return None if parsed is None else parsed[0]
