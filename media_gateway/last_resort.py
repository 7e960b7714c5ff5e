"""A call that this pod holds and cannot serve, because of an error of ours: its caller must not be left with nobody.

Nothing of what serves a call is needed here, for that is what failed: ACS plays the apology.
"""

import asyncio
import logging
from collections.abc import Callable

from media_gateway.hang_up import HangUp, hang_up
from media_gateway.inbox import Inbox
from media_gateway.played_prompts import PlayedPrompts
from media_gateway.pod import Pod
from media_gateway.row import OwnedRow, Written
from shared.adapters.call_store import StoredEvent
from shared.core.call import CallRecord
from shared.core.call_state import CallEvent
from shared.core.profiles import PromptKind

logger = logging.getLogger(__name__)


async def give_up(pod: Pod, record: CallRecord, *, stop_by: Callable[[], float | None]) -> None:
    """Apologise, hang up, and close the row; nothing of it where another pod has the call, or it is over.

    Raises nothing: each step is done whatever became of the one before.

    Args:
        pod: This process.
        record: The call as this pod has taken it.
        stop_by: Returns the loop time at which a process that stops is over; None while it does not.
    """
    pod.counters["calls_given_up"] += 1
    timing, row = pod.timing, OwnedRow(pod.rows, record, pod.timing, clock=pod.clock)
    row.note(CallEvent.AGENT_FAILED)
    outcome, written = HangUp.NOT_NEEDED, await row.write(1, try_s=timing.row_write_short_s)
    if written is not Written.NOT_OURS and not row.record.state.is_final:
        await _apologise(pod, row)
        outcome = await hang_up(pod, row.record.call_connection_id or "", stop_by=stop_by)
        if outcome is not HangUp.FAILED:
            row.note(CallEvent.HUNG_UP)
        written = await row.write(timing.row_write_tries)
    logger.error(
        "a call was given up because of an error of the gateway",
        extra={
            "call_id": record.call_id,
            "state": row.record.state.value,
            "hang_up": outcome.value,
            "row": written.value,
        },
    )


async def _apologise(pod: Pod, row: OwnedRow) -> None:
    """Let ACS play the apology, where it can."""

    def take(event: StoredEvent) -> None:
        played.ended(event)

    try:
        inbox = Inbox(pod.rows, row.record.call_id, pod.timing, take)
        played = PlayedPrompts(pod, row, inbox, pod.prompts.for_call(row.record.profile))
        reading = asyncio.create_task(inbox.run(), name="callbacks of a call that is given up")
        try:
            await played.play(PromptKind.APOLOGY)
        finally:
            reading.cancel()
            await asyncio.wait((reading,))
    except Exception:
        logger.exception("an apology failed in an unexpected way", extra={"call_id": row.record.call_id})
