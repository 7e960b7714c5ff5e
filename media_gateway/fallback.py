"""What a call gets that cannot go on as it was: it is sent back to where it came from, or on as its profile says.

Else it hears an apology.
"""

import logging

from media_gateway.line import Line
from media_gateway.played_prompts import PlayedPrompts
from media_gateway.pod import Pod
from media_gateway.prompts import CallPrompts
from media_gateway.row import OwnedRow
from media_gateway.speaker import Speaker
from media_gateway.transfers import Transfers
from shared.core.call_state import CallEvent
from shared.core.journeys import ways_from_a_lost_agent
from shared.core.profiles import PromptKind

logger = logging.getLogger(__name__)

FALLBACK = "fallback"
"""The item of what is said meanwhile."""


async def fall_back(
    pod: Pod,
    row: OwnedRow,
    speaker: Speaker,
    line: Line,
    prompts: CallPrompts,
    played: PlayedPrompts,
    transfers: Transfers,
) -> None:
    """Send the caller back or on, or apologise.

    Returns when only the hang-up is left; an accepted transfer ends the call. What a lost agent had still to say is
    not said any more. Without media nothing is said before the transfer, and ACS plays the apology.
    """
    record = row.record
    logger.warning("a call falls back", extra={"call_id": record.call_id, "state": record.state.value})
    pod.counters["fallbacks"] += 1
    row.note(CallEvent.FALLBACK_STARTED)
    speaker.clear()
    ways = [*ways_from_a_lost_agent(record)]
    if ways and not line.is_lost:
        speaker.say(FALLBACK, prompts.get(PromptKind.COMFORT), protected=True)
    for way in ways:
        await transfers.transfer(way, timeout_s=record.profile.transfer_timeout_s)
    await transfers.over()  # the agent's own
    await apologise(pod, speaker, line, prompts, played)


async def apologise(
    pod: Pod, speaker: Speaker, line: Line, prompts: CallPrompts, played: PlayedPrompts
) -> None:
    """Say that the call cannot go on; without media, ACS does. Returns when only the hang-up is left."""
    if line.is_lost:
        await played.play(PromptKind.APOLOGY)
    else:
        speaker.say(f"{FALLBACK}-apology", prompts.get(PromptKind.APOLOGY), protected=True)
        await speaker.heard_out(pod.timing.goodbye_s, unless=lambda: line.is_lost)
