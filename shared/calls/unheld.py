"""Asking ACS for what is left to do for a call that no pod holds; what that is, `shared/core/unheld.py` says.

The row tells it already. Where a process dies before it has asked, upkeep closes the call.
"""

import asyncio
import logging

from shared.adapters.call_automation import CallControl
from shared.adapters.call_store import TableCallStore
from shared.core.call import CallRecord, advance
from shared.core.call_state import CallEvent, CallState
from shared.core.journeys import WayOn
from shared.core.profiles import PromptKind
from shared.core.transfers import TransferInvalid, what_fits
from shared.core.unheld import HangUp, StartMedia, ToDo, TryResort, context_of, given_up, resorts
from shared.errors import AcsUnavailable, CallGone
from shared.prompts import fetched_name

logger = logging.getLogger(__name__)

ASK_S = 3.0
"""For ACS to take one request: the caller hears nothing meanwhile."""
MEDIA_COME_S = 3.0
"""After a request for media that ACS did not take: it may have, and refused the same one sent again; or it was about
to open the socket by itself."""


class UnheldCalls:
    """Does it. `prompts_url` is where ACS fetches prompts."""

    def __init__(self, calls: TableCallStore, acs: CallControl, *, prompts_url: str) -> None:
        self._calls = calls
        self._acs = acs
        self._prompts_url = prompts_url

    async def do(self, record: CallRecord, todo: ToDo, at: float) -> None:
        """Ask ACS. `record` is the call as it was written, `at` when ACS told what led to it (Unix seconds).

        Raises:
            AcsUnavailable: the call could not be hung up; upkeep does that too.
            StoreUnavailable: the row could not be written, likewise.
        """
        try:
            match todo:
                case StartMedia(context):
                    await self._start_media(record, context, at)
                case TryResort(number):
                    await self._try_resorts(record, number, at)
                case HangUp():
                    await self._hang_up(record)
        except CallGone:
            # Its end is told by a callback of its own.
            logger.info("a call without media was over already", extra={"call_id": record.call_id})

    async def _start_media(self, record: CallRecord, context: str, at: float) -> None:
        logger.warning(
            "media of a call that no pod holds are started again", extra={"call_id": record.call_id}
        )
        try:
            async with asyncio.timeout(ASK_S):
                await self._acs.start_media(record.call_connection_id or "", operation_context=context)
        except (AcsUnavailable, TimeoutError) as error:
            logger.warning(
                "media were not started again",
                extra={"call_id": record.call_id, "error": type(error).__name__},
            )
        else:
            return
        await asyncio.sleep(MEDIA_COME_S)
        after = await self._calls.change(record.call_id, lambda now: given_up(now, record, at))
        if after.state is CallState.FALLBACK and after.epoch == record.epoch:
            await self._try_resorts(after, 0, at)

    async def _try_resorts(self, record: CallRecord, first: int, at: float) -> None:
        """Ask for a resort, or for the next one where ACS does not take that. Callbacks tell how it went."""
        logger.warning("a call falls back", extra={"call_id": record.call_id, "state": record.state.value})
        for index, way in list(enumerate(resorts(record)))[first:]:
            try:
                async with asyncio.timeout(ASK_S):
                    await self._ask(record, way, context_of(record, index))
            except (AcsUnavailable, TimeoutError, TransferInvalid) as error:
                logger.warning(
                    "a resort of a call without media failed",
                    extra={"call_id": record.call_id, "resort": index, "error": type(error).__name__},
                )
            else:
                return
        after = await self._calls.change(record.call_id, lambda now: _done(now, record, at))
        if after.state is CallState.ENDING and after.epoch == record.epoch:
            await self._hang_up(after)

    async def _ask(self, record: CallRecord, way: WayOn | None, context: str) -> None:
        connection_id = record.call_connection_id or ""
        if way is None:
            profile = record.profile
            name = fetched_name(profile.prompts, profile.audio_format.rate_hz, PromptKind.APOLOGY)
            url = f"{self._prompts_url}/{name}"
            await self._acs.play_file(connection_id, url=url, operation_context=context)
            return
        fitting, _ = what_fits(way.target, way.variables)
        await self._acs.transfer(
            connection_id,
            target=way.target,
            context=fitting,
            operation_context=context,
            caller_id=way.caller_id,
        )

    async def _hang_up(self, record: CallRecord) -> None:
        """End a call whose caller would hear nothing for ever."""
        logger.warning(
            "a call without media is hung up", extra={"call_id": record.call_id, "state": record.state.value}
        )
        await self._acs.hang_up(record.call_connection_id or "", for_everyone=True)


def _done(now: CallRecord, asked: CallRecord, at: float) -> CallRecord:
    """Return the call for which nothing is left, unless a pod has it by now."""
    is_ours = now.epoch == asked.epoch and now.state is CallState.FALLBACK
    return advance(now, CallEvent.FALLBACK_DONE, at) if is_ours else now
