"""Transfers of one call: asked of ACS, and followed until it is known how they went.

Media stay up until a transfer is accepted, so its failure finds everybody where they were.
"""

import asyncio
import logging
import uuid

from media_gateway.inbox import Inbox
from media_gateway.pod import Pod
from media_gateway.row import OwnedRow
from shared.acs.callbacks import read_result
from shared.adapters.call_store import StoredEvent
from shared.core.call_state import CallEvent
from shared.core.callbacks import AcsResult, TransferFailure, transfer_failure
from shared.core.journeys import WayOn
from shared.core.transfers import TransferInvalid, what_fits
from shared.errors import AcsRefused, AcsUnavailable, CallGone

logger = logging.getLogger(__name__)


class Transfers:
    """The transfers of one call, one at a time.

    Args:
        pod: This process.
        row: The call's.
        inbox: The call's.
    """

    def __init__(self, pod: Pod, row: OwnedRow, inbox: Inbox) -> None:
        self._pod = pod
        self._row = row
        self._inbox = inbox
        self._context = ""
        self._answer: asyncio.Future[AcsResult] | None = None
        self._under_way = asyncio.Lock()
        """ACS does one at a time; and who hangs up meanwhile hangs up on the caller who is just being put through."""

    @property
    def is_under_way(self) -> bool:
        """Whether ACS may tell of one yet."""
        return self._under_way.locked()

    async def over(self) -> None:
        """Wait until no transfer is under way."""
        async with self._under_way:
            return

    async def transfer(self, way: WayOn, *, timeout_s: float) -> TransferFailure:
        """Transfer the call, and return why that failed. Where it is accepted this never returns: the call ends.

        One that is under way already is waited for.

        Args:
            way: Its variables go along as far as the target's leg can carry them; the rest is counted.
            timeout_s: Until a transfer that nothing is heard of has failed.
        """
        async with self._under_way:
            return await self._transfer(way, timeout_s)

    def failed(self, event: StoredEvent) -> None:
        """Take CallTransferFailed; that of an earlier transfer, which was given up, is no news."""
        answer = self._answer
        if answer is not None and not answer.done() and event.data.get("operationContext") == self._context:
            answer.set_result(read_result(event.data))

    async def _transfer(self, way: WayOn, timeout_s: float) -> TransferFailure:
        self._row.note(CallEvent.TRANSFER_REQUESTED)
        self._context = str(uuid.uuid4())
        self._answer = asyncio.get_running_loop().create_future()
        failure, result = TransferFailure.FAILED, None
        try:
            with self._inbox.attending():
                async with asyncio.timeout(timeout_s):
                    await self._ask(way)
                    result = await self._answer
                    failure = transfer_failure(result)
        except TransferInvalid as invalid:
            self._log_refused("limits", invalid.limit)
        except (AcsRefused, CallGone) as refused:
            self._log_refused("acs", str(refused))
        except TimeoutError:
            failure = TransferFailure.NO_ANSWER
        finally:
            self._answer = None
        self._pod.counters["transfers_failed"] += 1
        self._row.note(CallEvent.TRANSFER_FAILED, result)
        return failure

    async def _ask(self, way: WayOn) -> None:
        context, left_out = what_fits(way.target, way.variables)
        if left_out:
            # Their names may be a caller's.
            self._pod.counters["variables_not_carried"] += len(left_out)
            logger.warning(
                "a transfer cannot carry all of its context",
                extra={"call_id": self._row.record.call_id, "left_out": len(left_out)},
            )
        try:
            await self._pod.acs.transfer(
                self._row.record.call_connection_id or "",
                target=way.target,
                context=context,
                operation_context=self._context,
                caller_id=way.caller_id,
            )
        except AcsRefused:
            raise
        except AcsUnavailable:
            # It may be under way all the same: then a callback tells, else the time runs out.
            self._pod.counters["transfers_in_doubt"] += 1

    def _log_refused(self, by: str, reason: str) -> None:
        logger.warning(
            "a transfer is refused", extra={"call_id": self._row.record.call_id, "by": by, "reason": reason}
        )
