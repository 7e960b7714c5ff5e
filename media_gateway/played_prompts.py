"""What the gateway says to a caller whose media it has not: ACS fetches a prompt and plays it.

A file and not words, for text-to-speech may be what failed.
"""

import asyncio
import logging
import uuid

from media_gateway.inbox import Inbox
from media_gateway.pod import Pod
from media_gateway.prompts import CallPrompts
from media_gateway.row import OwnedRow
from shared.adapters.call_store import StoredEvent
from shared.core.profiles import PromptKind
from shared.errors import AcsUnavailable, CallGone

logger = logging.getLogger(__name__)

COMPLETED, FAILED = "PlayCompleted", "PlayFailed"


class PlayedPrompts:
    """What ACS plays to the caller of one call, one prompt at a time.

    Args:
        pod: This process.
        row: The call's.
        inbox: The call's.
        prompts: The call's.
    """

    def __init__(self, pod: Pod, row: OwnedRow, inbox: Inbox, prompts: CallPrompts) -> None:
        self._pod = pod
        self._row = row
        self._inbox = inbox
        self._prompts = prompts
        self._context = ""
        self._answer: asyncio.Future[bool] | None = None

    async def play(self, kind: PromptKind) -> None:
        """Let the caller hear a prompt. Returns when they have, or when it cannot be had or takes too long."""
        url = self._prompts.url(kind)
        if url is None:
            return
        self._context = str(uuid.uuid4())
        self._answer = asyncio.get_running_loop().create_future()
        why = FAILED
        try:
            with self._inbox.attending():
                async with asyncio.timeout(self._pod.timing.play_s):
                    await self._pod.acs.play_file(
                        self._row.record.call_connection_id or "", url=url, operation_context=self._context
                    )
                    if await self._answer:
                        self._pod.counters["prompts_played"] += 1
                        return
        except (AcsUnavailable, CallGone, TimeoutError) as error:
            why = type(error).__name__
        finally:
            self._answer = None
        self._pod.counters["prompts_not_played"] += 1
        logger.warning(
            "a prompt was not played",
            extra={"call_id": self._row.record.call_id, "prompt": kind.value, "reason": why},
        )

    def ended(self, event: StoredEvent) -> None:
        """Take PlayCompleted or PlayFailed; any other callback is none of its own.

        PlayCanceled tells of a request that the SDK has repeated: the later one goes on.
        """
        answer = self._answer
        if event.name not in (COMPLETED, FAILED) or event.data.get("operationContext") != self._context:
            return
        if answer is not None and not answer.done():
            answer.set_result(event.name == COMPLETED)
