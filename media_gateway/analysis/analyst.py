"""Analyses finished transcripts, one after the other, and writes `analysis.json` beside them.

That a transcript is to be analysed says a blob, from before its call counts as finished until the analysis is written
or given up:

    unfinished/{account}/{yyyy-mm-dd}/{call_id}/analysis.json

So a call whose process was killed is found like one that has parts left (see `sweeper.py`). A transcript is analysed
once; one whose recording was made anew, of more parts, is another.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from media_gateway.analysis.service import LanguageRefused, LanguageService, LanguageUnavailable, Opinion
from media_gateway.analysis.texts import (
    Piece,
    TranscriptRead,
    analysis_document,
    is_of,
    pieces_of,
    read_transcript,
    requests,
    texts_for_phrases,
)
from media_gateway.recording.documents import TRANSCRIPT_NAME
from media_gateway.recording.parts import UNFINISHED, CallFolder
from media_gateway.recording.store import RecordingBlobs
from shared.core.profiles import Analysis
from shared.errors import StoreRefused, StoreUnavailable

logger = logging.getLogger(__name__)

ANALYSIS_NAME = "analysis.json"
WAITING_CALLS = 10_000
"""Past it a call is left to whoever finds it next, and counted."""
TRIES = 3
"""For one call; in between come the others that wait."""
RETRY_S = 60.0
"""Without any request, after the service was away."""
CALL_S = 300.0
"""For one call. The longest transcript there can be takes some four hundred requests."""
MAX_TRANSCRIPT_BYTES = 8 * 1024 * 1024
"""Largest `transcript.json` that is read; `MAX_TEXTS` characters, twice, have 4 MB."""
MAX_ANALYSIS_BYTES = 2 * 1024 * 1024
"""Largest `analysis.json` that is read again; one of two thousand utterances has half of it."""
MAX_WANTED_BYTES = 1024


class _Waiting(NamedTuple):
    folder: CallFolder
    tries: int = 0


class Analyst:
    """Analyses the calls of this process. Owns no task; `run` is one.

    Args:
        blobs: Where the transcripts are, and the analyses go.
        service: Reads them; None: none is configured, and whatever is wanted is only counted.
        counters: The process's: `analyses_made`, `analyses_failed`, `analyses_refused` and `analyses_not_made`.
        retry_s: Before a service that is away is asked again, and storage likewise.
    """

    def __init__(
        self,
        blobs: RecordingBlobs,
        service: LanguageService | None,
        counters: Counter[str],
        *,
        retry_s: float = RETRY_S,
    ) -> None:
        self._blobs = blobs
        self._service = service
        self._counters = counters
        self._retry_s = retry_s
        self._waiting: asyncio.Queue[_Waiting] = asyncio.Queue(WAITING_CALLS)

    async def want(self, folder: CallFolder, analysis: Analysis) -> None:
        """Note that a call is to be analysed, before it counts as finished.

        Raises:
            StoreUnavailable: it is not noted.
        """
        if self._service is None:
            if not self._counters["analyses_not_made"]:
                logger.warning("a profile wants its transcripts analysed, and LANGUAGE_ENDPOINT is not set")
            self._counters["analyses_not_made"] += 1
        else:
            await self._blobs.put(_wanted(folder), msgspec.json.encode(analysis))

    def submit(self, folder: CallFolder) -> None:
        """Analyse a finished call when there is time; nothing where that is not wanted, or done."""
        if self._service is not None:
            self._put(_Waiting(folder))

    async def run(self) -> None:
        """Analyse what is submitted, until cancelled; what is left then is found by another process."""
        while self._service is not None:
            waiting = await self._waiting.get()
            try:
                await self._analyse_or_put_off(waiting, self._service)
            finally:
                self._waiting.task_done()

    async def finished(self) -> None:
        """Wait until all that was submitted is done."""
        await self._waiting.join()

    def _put(self, waiting: _Waiting) -> None:
        if self._waiting.full():
            self._counters["analyses_not_made"] += 1
        else:
            self._waiting.put_nowait(waiting)

    async def _analyse_or_put_off(self, waiting: _Waiting, service: LanguageService) -> None:
        """Analyse one call; what is away is asked again later, storage as often as need be."""
        folder = waiting.folder
        try:
            async with asyncio.timeout(CALL_S):
                await self._analyse(folder, service)
        except LanguageRefused as refused:
            if not self._counters["analyses_refused"]:
                logger.error(  # noqa: TRY400 - what the service answered tells all
                    "Azure AI Language refuses to analyse a transcript",
                    extra={"call_id": folder.call_id, "fault": str(refused)},
                )
            self._counters["analyses_refused"] += 1
            await self._forget(folder)
        except StoreRefused as refused:
            self._fail(folder, str(refused))
            await self._forget(folder)
        except StoreUnavailable:
            self._put(waiting)
            await asyncio.sleep(self._retry_s)
        except (LanguageUnavailable, TimeoutError) as fault:
            await self._put_off(waiting, fault)
        except Exception as error:  # noqa: BLE001 - whatever it is, the other calls are analysed
            # Without its text and its trace: either may quote the transcript.
            self._fail(folder, type(error).__name__)
            await self._forget(folder)

    async def _put_off(self, waiting: _Waiting, fault: Exception) -> None:
        if waiting.tries + 1 == TRIES:
            self._fail(waiting.folder, str(fault) or "out of time")
            await self._forget(waiting.folder)
        else:
            self._put(_Waiting(waiting.folder, waiting.tries + 1))
        await asyncio.sleep(self._retry_s)

    def _fail(self, folder: CallFolder, fault: str) -> None:
        self._counters["analyses_failed"] += 1
        logger.warning(
            "a transcript could not be analysed", extra={"call_id": folder.call_id, "fault": fault}
        )

    async def _forget(self, folder: CallFolder) -> None:
        """Give a call up; where storage does not take that, whoever finds it tries again."""
        try:
            await self._blobs.delete([_wanted(folder)])
        except StoreUnavailable:
            logger.warning("a call stays marked for analysis", extra={"call_id": folder.call_id})

    async def _analyse(self, folder: CallFolder, service: LanguageService) -> None:
        wanted = await self._blobs.read(_wanted(folder), max_bytes=MAX_WANTED_BYTES)
        if wanted is None:
            return
        data = await self._blobs.read(f"{folder}/{TRANSCRIPT_NAME}", max_bytes=MAX_TRANSCRIPT_BYTES)
        made = await self._blobs.read(f"{folder}/{ANALYSIS_NAME}", max_bytes=MAX_ANALYSIS_BYTES)
        transcript = None if data is None else read_transcript(data)
        # Where its analysis is there already, a process was killed before it could say so, or another was quicker.
        if transcript is not None and (made is None or not is_of(made, transcript)):
            language = msgspec.json.decode(wanted, type=Analysis).language
            await self._blobs.put(f"{folder}/{ANALYSIS_NAME}", await _analysed(transcript, language, service))
            self._counters["analyses_made"] += 1
        await self._blobs.delete([_wanted(folder)])


async def _analysed(transcript: TranscriptRead, language: str, service: LanguageService) -> bytes:
    """Ask about a transcript, one request after the other, and return its `analysis.json`."""
    pieces = pieces_of(transcript.entries)
    opinions = [
        opinion
        for texts in requests([piece.text for piece in pieces])
        for opinion in await service.opinions(texts, language)
    ]
    phrases = [
        phrase
        for texts in requests(texts_for_phrases(pieces))
        for phrase in await service.key_phrases(texts, language)
    ]
    # In a thread: for the longest transcript it takes 15 ms.
    return await asyncio.to_thread(
        _written, transcript, language, list(zip(pieces, opinions, strict=True)), phrases
    )


def _written(
    transcript: TranscriptRead,
    language: str,
    opinions: Sequence[tuple[Piece, Opinion | None]],
    phrases: Sequence[str],
) -> bytes:
    document = analysis_document(transcript, language, opinions, phrases)
    return msgspec.json.format(msgspec.json.encode(document), indent=2)


def _wanted(folder: CallFolder) -> str:
    """Return the name of the blob that says that a call is to be analysed."""
    return f"{UNFINISHED}{folder}/{ANALYSIS_NAME}"
