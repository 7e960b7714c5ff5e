"""The recording of one call on this pod: takes down what happens, and every few seconds hands on a finished part.

What goes wrong in here never ends the call; it is counted and logged.
"""

import asyncio
import logging
import random
import time
from collections import Counter
from collections.abc import Callable

from media_gateway.agents.contract import Role
from media_gateway.recording.line import BYTES_PER_SAMPLE, SECOND_US, Pcm, ms_of
from media_gateway.recording.notes import CallFacts, Happened, Missing, Notes, encode_notes
from media_gateway.recording.parts import CallFolder, PartName, pack
from media_gateway.recording.store import RecordingStore
from media_gateway.recording.tracks import Tracks
from media_gateway.recording.transcript import Transcript
from media_gateway.ticker import monotonic_us
from shared.core.call import CallRecord

logger = logging.getLogger(__name__)

PART_S = 4.5
"""With the way to storage, a killed process loses less than 5 s."""
UNDERRUN_US = 20_000
"""A longer silence between two pieces of one item of the agent's is a gap: its audio did not come in time."""
MAX_NOTED = 1000
"""Entries of the timeline and gaps kept between two parts; further ones are only counted."""


class Recorder:
    """Records one call while this pod owns it. Times are monotonic microseconds.

    `caller` and `agent` run for every frame of the call; what they take is laid on the line part by part.

    Args:
        store: Takes the parts.
        record: The call; its line begins when it was created.
        facts: Tells what is known of the call by now.
        counters: The process's.
        clock: Unix seconds.
        now_us: The clock of playout.
        part_s: How long a part is. The first is shorter by chance, so that the parts of many calls come spread.
    """

    def __init__(
        self,
        store: RecordingStore,
        record: CallRecord,
        facts: Callable[[], CallFacts],
        counters: Counter[str],
        *,
        clock: Callable[[], float] = time.time,
        now_us: Callable[[], int] = monotonic_us,
        part_s: float = PART_S,
    ) -> None:
        self.folder = CallFolder.of(record.account_id, record.call_id, record.times.created)
        self._store = store
        self._epoch = record.epoch
        self._rate_hz = record.profile.audio_format.rate_hz
        self._facts = facts
        self._counters = counters
        self._now_us = now_us
        self._part_s = part_s
        start_us = now_us()
        offset_us = max(0, int((clock() - record.times.created) * SECOND_US))
        self._line_began_us = start_us - offset_us
        self._tracks = Tracks(self._rate_hz, start_us, offset_us * self._rate_hz // SECOND_US)
        self._is_paused = False
        self._transcript = Transcript()
        self._happened: list[Happened] = []
        self._missing: list[Missing] = []
        self._counts: Counter[str] = Counter()
        self._ended_us: int | None = None
        self._lost_us: int | None = None
        """When media were lost; None while there are some."""
        self._is_due = asyncio.Event()
        """Set when a part is to be handed on before its time."""
        self._item_id = ""
        self._heard_until_us = 0
        """When the last piece of `_item_id` is over."""
        self._stretch_from_us = 0
        self._bytes_per_second = BYTES_PER_SAMPLE * self._rate_hz

    def caller(self, at_us: int, pcm: Pcm) -> None:
        """Take what the caller says: when it arrives, and the samples, silence as zeros."""
        try:
            # While nothing is kept, the length is: the line alone would keep the end of what was said before.
            self._tracks.caller(at_us, bytes(len(pcm)) if self._is_paused else pcm)
        except Exception as error:  # noqa: BLE001 - whatever it is, the call goes on
            self._failed(error)

    def agent(self, item_id: str, plays_at_us: int, pcm: Pcm) -> None:
        """Take what the agent says: of which item, from when on it is heard, and the samples."""
        # As a rule it goes on where the piece before ends, to a microsecond or two.
        if item_id != self._item_id or plays_at_us - self._heard_until_us > UNDERRUN_US:
            self._begin_stretch(item_id, plays_at_us)
        self._heard_until_us = plays_at_us + len(pcm) * SECOND_US // self._bytes_per_second
        try:
            self._tracks.agent(plays_at_us, pcm)
        except Exception as error:  # noqa: BLE001 - whatever it is, the call goes on
            self._failed(error)

    def cut(self, now_us: int) -> None:
        """Take that the agent's audio was stopped: what would be heard after now is not."""
        self._tracks.cut(now_us)
        self._end_stretch()
        self._item_id = ""

    def interrupted(self, item_id: str, heard_ms: int, said_ms: int) -> None:
        """Take how much was heard of an item that was cut, and how much audio there was of it."""
        self._end_stretch()
        self._transcript.cut(item_id, heard_ms, said_ms, self._now_ms())

    def began(self, item_id: str) -> None:
        """Take that the caller begins to say what comes under this id."""
        self._transcript.began(Role.CALLER, item_id, self._now_ms())

    def said(self, role: Role, item_id: str, text: str) -> None:
        """Take a final text."""
        self._end_stretch()
        self._transcript.said(role, item_id, text, self._now_ms())

    def digits(self, text: str) -> None:
        """Take keys that the caller pressed."""
        self._transcript.digits(text, self._now_ms())

    def note(self, event: str, detail: str = "") -> None:
        """Take an event for the timeline; both are names of ours."""
        if len(self._happened) < MAX_NOTED:
            self._happened.append(Happened(self._now_ms(), event, detail))
        else:
            self._counts["notes_left_out"] += 1

    def pause(self) -> None:
        """Keep nothing of what is said and pressed from now on."""
        self._is_paused = True
        self._tracks.pause(self._now_us())
        self._transcript.pause(self._now_ms())

    def resume(self) -> None:
        """Keep it again."""
        self._is_paused = False
        self._tracks.resume(self._now_us())
        self._transcript.resume(self._now_ms())

    def media_lost(self) -> None:
        """Take that no more frames come, and hand on what there is at once: another pod may merge the parts soon."""
        self._lost_us = self._now_us()
        self._is_due.set()

    def media_back(self) -> None:
        """Take that frames come again."""
        self._lost_us = None

    async def run(self) -> None:
        """Hand on a part now and then, until cancelled; `finish` hands on the last."""
        wait_s = random.uniform(0, self._part_s)  # noqa: S311 - spreads work, guards nothing
        while True:
            await self._due_in(wait_s)
            await self._store.room()
            self._hand_on(final=self._lost_us is not None)
            # Where the line waits for a caller's frames, the next part comes sooner: no more than that is ever here.
            behind_s = (self._tracks.at(self._now_us()) - self._tracks.taken_until) / self._rate_hz
            wait_s = max(self._part_s / 4, self._part_s - behind_s)

    async def _due_in(self, seconds: float) -> None:
        """Wait so long, or until a part is due before."""
        try:
            async with asyncio.timeout(seconds):
                await self._is_due.wait()
        except TimeoutError:
            pass
        self._is_due.clear()

    def end(self, *, is_ours: bool = True) -> None:
        """Take that the call is over: its line ends here, whenever `finish` hands on the rest of it.

        Only the first time counts. Where the call is another pod's by now (`is_ours`), it ended when media were lost.
        """
        if self._ended_us is None:
            self._ended_us = self._now_us() if is_ours or self._lost_us is None else self._lost_us

    def finish(self) -> None:
        """Hand on the rest. The call is over: nothing comes after this."""
        self._hand_on(final=True)

    def _hand_on(self, *, final: bool) -> None:
        now_us = self._now_us() if self._ended_us is None else self._ended_us
        try:
            stretch = self._tracks.take(now_us, final=final)
            if stretch is None:
                return
            for gap in stretch.gaps:
                self._miss(
                    Missing(gap.track, ms_of(gap.first, self._rate_hz), ms_of(gap.samples, self._rate_hz))
                )
            name = PartName(self._epoch, stretch.first, stretch.end)
            data = pack(stretch.frames, self._rate_hz, encode_notes(self._notes(final=final)))
            self._store.put(self.folder, name, data)
        except Exception as error:  # noqa: BLE001 - whatever it is, the call goes on
            self._failed(error)

    def _begin_stretch(self, item_id: str, plays_at_us: int) -> None:
        """Begin with another item of the agent's, or go on with it after a silence that is a gap."""
        silent_us = plays_at_us - self._heard_until_us
        if item_id == self._item_id:
            silent_ms = silent_us // 1000
            self._miss(Missing("agent", self._ms_of(plays_at_us) - silent_ms, silent_ms))
        self._end_stretch()
        self._item_id, self._stretch_from_us = item_id, plays_at_us

    def _end_stretch(self) -> None:
        """Tell the transcript how far the agent's item has come."""
        if self._item_id:
            self._transcript.plays(
                self._item_id, self._ms_of(self._stretch_from_us), self._ms_of(self._heard_until_us)
            )

    def _notes(self, *, final: bool) -> Notes:
        self._end_stretch()
        happened, self._happened = self._happened, []
        missing, self._missing = self._missing, []
        counts = {**self._tracks.counts(), **self._counts, "texts_left_out": self._transcript.left_out}
        return Notes(
            call=self._facts(),
            entries=self._transcript.changes(final=final),
            happened=happened,
            missing=missing,
            pauses=[
                (ms_of(begin, self._rate_hz), None if end is None else ms_of(end, self._rate_hz))
                for begin, end in self._tracks.pauses
            ],
            counts=counts,
        )

    def _failed(self, error: Exception) -> None:
        """Count and log an error, and go on with empty tracks: what could not be laid is a gap on the line."""
        self._counters["recording_failures"] += 1
        self._counts["failures"] += 1
        if self._counts["failures"] == 1:
            logger.error(
                "a part of a recording failed", extra={"call_id": self.folder.call_id}, exc_info=error
            )
        now_us = self._now_us() if self._ended_us is None else self._ended_us
        pauses = self._tracks.pauses
        self._tracks = Tracks(self._rate_hz, now_us, self._tracks.at(now_us))
        if pauses and pauses[-1][1] is None:
            self._tracks.pause(now_us)

    def _miss(self, missing: Missing) -> None:
        if len(self._missing) < MAX_NOTED:
            self._missing.append(missing)
        else:
            self._counts["gaps_left_out"] += 1

    def _now_ms(self) -> int:
        return self._ms_of(self._now_us())

    def _ms_of(self, at_us: int) -> int:
        return (at_us - self._line_began_us) // 1000
