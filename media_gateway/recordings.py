"""What records the calls of this process: one store for the parts, one finaliser and analyst, and a recorder a call."""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from media_gateway.analysis.analyst import Analyst
from media_gateway.analysis.service import LanguageService
from media_gateway.recording.finaliser import Finaliser
from media_gateway.recording.notes import CallFacts
from media_gateway.recording.recorder import Recorder
from media_gateway.recording.spill import Spill
from media_gateway.recording.store import RecordingBlobs, RecordingStore
from media_gateway.recording.sweeper import Sweeper
from shared.core.call import CallRecord

logger = logging.getLogger(__name__)


class Recordings:
    """Recording of all calls of the process. `open`, then `run` beside them, then `finish`.

    Args:
        blobs: Where recordings are kept.
        volume: Folder for parts while storage is away.
        process: A name that no other process ever has.
        max_spill_bytes: What may lie on the volume.
        counters: The process's.
        clock: Unix seconds.
        language: Reads the transcripts whose profiles want that; None: there is none.
    """

    def __init__(
        self,
        blobs: RecordingBlobs,
        *,
        volume: Path,
        process: str,
        max_spill_bytes: int,
        counters: Counter[str],
        clock: Callable[[], float],
        language: LanguageService | None = None,
    ) -> None:
        self._store = RecordingStore(blobs, Spill(volume, process, max_spill_bytes), counters)
        self._analyst = Analyst(blobs, language, counters)
        self._finaliser = Finaliser(self._store, counters, self._analyst)
        self._sweeper = Sweeper(blobs, self._finaliser, clock=clock)
        self._over: asyncio.Queue[tuple[Recorder, bool]] = asyncio.Queue()
        """Calls that are over, and still hold their last part: many may end at once, and storage takes them in turn.
        Bounded by the calls that a process takes."""
        self._counters = counters
        self._clock = clock

    async def open(self) -> None:
        """Take over what an earlier process left on the volume. Raises `OSError`: the volume cannot be written."""
        left = await self._store.open()
        if left:
            # Their calls may go on in another process; when they must be over, they are found by what has no recording.
            logger.info("parts of recordings were left by an earlier process", extra={"calls": len(left)})

    async def run(self) -> None:
        """Send parts and finalise calls, until cancelled; what goes wrong in here ends no call."""
        try:
            # The store last: when it ends it lets go of the volume, on which recordings are made.
            async with asyncio.TaskGroup() as storing:
                storing.create_task(self._store.run())
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(self._finaliser.run())
                    tasks.create_task(self._sweeper.run())
                    tasks.create_task(self._analyst.run())
                    tasks.create_task(self._take_the_rest())
        except* Exception:
            self._counters["recording_failures"] += 1
            logger.exception("recording has failed, and this process records nothing more")
        await asyncio.Event().wait()

    async def finish(self, within_s: float) -> None:
        """Wait until every call that is over is finalised; what is not by then stays in parts."""
        try:
            async with asyncio.timeout(within_s):
                await self._over.join()
                await self._finaliser.finished()
        except TimeoutError:
            logger.warning("recordings stay in parts: the process stops")
        while not self._over.empty():
            recorder, _ = self._over.get_nowait()
            recorder.finish()

    def recorder(self, record: CallRecord, facts: Callable[[], CallFacts]) -> Recorder:
        """Return what records a call that this process has just taken."""
        return Recorder(self._store, record, facts, self._counters, clock=self._clock)

    def close(self, recorder: Recorder, *, is_ours: bool) -> None:
        """Take the rest of a call that is over here. `is_ours`: no other process goes on with it."""
        recorder.end()
        self._over.put_nowait((recorder, is_ours))

    async def _take_the_rest(self) -> None:
        while True:
            recorder, is_ours = await self._over.get()
            try:
                await self._store.room()
            finally:
                recorder.finish()
            if is_ours:
                self._finaliser.submit(recorder.folder)
            self._over.task_done()
