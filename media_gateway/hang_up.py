"""Hanging up, and not giving up soon: while ACS is away, the caller sits in a call that nobody speaks in."""

import asyncio
import logging
import random
from collections.abc import Callable
from enum import StrEnum

from media_gateway.pod import Pod
from shared.errors import AcsUnavailable, CallGone

logger = logging.getLogger(__name__)


class HangUp(StrEnum):
    """What became of our hang-up; in the log line of every call."""

    NOT_NEEDED = "not_needed"
    DONE = "done"
    GONE = "gone"
    """ACS did not know the call any more: it had ended before."""
    FAILED = "failed"
    """ACS stayed away. Without media the call has nothing to say, but the caller may still be in it."""


async def hang_up(pod: Pod, call_connection_id: str, *, stop_by: Callable[[], float | None]) -> HangUp:
    """Hang up, and try again while ACS is away: for `hang_up_for_s`, or what the process has left to stop.

    Args:
        pod: This process.
        call_connection_id: ACS's id of the call.
        stop_by: Returns the loop time at which a process that stops is over; None while it does not.
    """
    loop, timing = asyncio.get_running_loop(), pod.timing
    give_up_at = loop.time() + timing.hang_up_for_s
    # What comes after it, where it failed, is a last word to the row and to the socket.
    reserve_s = timing.row_write_short_s + timing.socket_close_s

    def left_s() -> float:
        stops_at = stop_by()
        return (give_up_at if stops_at is None else min(give_up_at, stops_at - reserve_s)) - loop.time()

    try_s = timing.hang_up_s
    pause_s = timing.retry_step_s
    while True:
        try:
            async with asyncio.timeout(try_s):
                await pod.acs.hang_up(call_connection_id, for_everyone=True)
        except CallGone:
            return HangUp.GONE
        except (AcsUnavailable, TimeoutError):
            pod.counters["hang_up_tries_failed"] += 1
        except Exception:
            logger.exception("a hang-up failed in an unexpected way")
        else:
            return HangUp.DONE
        # Jitter: what ended many calls at once ends them all on every pod.
        jittered_s = pause_s * random.uniform(0.5, 1)  # noqa: S311 - no secret
        if left_s() <= jittered_s:
            pod.counters["hang_ups_failed"] += 1
            return HangUp.FAILED
        await asyncio.sleep(jittered_s)
        pause_s = min(2 * pause_s, timing.hang_up_step_max_s)
        try_s = min(timing.hang_up_s, left_s())
