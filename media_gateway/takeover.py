"""The calls of dead pods: taken over by whoever is left, each by one conditional update of its row.

A dead pod's last heartbeat names the calls that it held. All survivors go through them at once, each in an order of
its own, and share them by that. What a pod has taken over stands in its own heartbeat until it is done with, so
that the death of a survivor loses nothing either.
"""

import asyncio
import hashlib
import logging
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial

from media_gateway.last_resort import give_up
from media_gateway.outside import PodRows, Signalling
from media_gateway.pod import Pod
from media_gateway.pod_watch import PodWatch
from media_gateway.rescue import Rescue, Rescued, RescueTiming
from shared.core.call import CallRecord
from shared.core.ownership import take_over
from shared.core.signals import CallTaken
from shared.errors import NotFound, SignalsUnavailable, StoreUnavailable
from shared.in_turns import in_turns

logger = logging.getLogger(__name__)

AT_ONCE = 16
"""Rows that are taken at the same time, of one dead pod. Those taken are then rescued all at once: no more of them
than a heartbeat names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeoverTiming:
    """Durations in seconds. Tests run with shorter ones."""

    look_s: float = 1.0
    """Between two looks at the heartbeats."""
    rescue: RescueTiming = field(default_factory=RescueTiming)


class Takeover:
    """Takes over the calls of dead pods, and sees to each.

    Args:
        pod: This process.
        rows: The heartbeats.
        watch: Tells who is dead.
        signals: Tells a pod that it has lost a call, should it live after all.
        timing: Durations.
    """

    def __init__(
        self, pod: Pod, rows: PodRows, watch: PodWatch, signals: Signalling, timing: TakeoverTiming
    ) -> None:
        self._pod = pod
        self._rows = rows
        self._watch = watch
        self._signals = signals
        self._timing = timing
        self._seen_to: set[str] = set()
        """Dead pods whose calls are being taken just now."""
        self._held: set[str] = set()

    @property
    def held_ids(self) -> tuple[str, ...]:
        """The calls that this pod has taken over, or is about to, and that no socket came for yet."""
        return tuple(self._held)

    async def run(self) -> None:
        """Watch and take over, until cancelled; the calls in hand are then left to others, who find them held."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                await self._watch.read()
                for name in self._watch.dead - self._seen_to:
                    self._seen_to.add(name)
                    tasks.create_task(self._see_to(name, tasks), name="calls of a dead pod")
                await asyncio.sleep(self._timing.look_s)

    async def _see_to(self, dead: str, tasks: asyncio.TaskGroup) -> None:
        """Take what a dead pod held, and take it out of the table; what fails is tried again at the next look."""
        try:
            async with asyncio.timeout(self._pod.timing.row_write_s):
                held = await self._rows.held(dead)
            done = await in_turns(partial(self._take, tasks, dead), self._in_own_order(held), at_once=AT_ONCE)
            if all(done):
                async with asyncio.timeout(self._pod.timing.row_write_s):
                    await self._rows.remove(dead)
                logger.warning("a dead pod has left nothing behind", extra={"dead": dead, "calls": len(held)})
        except (StoreUnavailable, TimeoutError):
            logger.warning("a dead pod's calls could not be seen to yet", extra={"dead": dead})
        except Exception:
            logger.exception("a takeover failed in an unexpected way", extra={"dead": dead})
        finally:
            self._seen_to.discard(dead)

    def _in_own_order(self, call_ids: Iterable[str]) -> list[str]:
        """Return the calls in another order than other pods have them, who take them at the same time."""
        return sorted(
            call_ids, key=lambda call_id: hashlib.sha256(f"{self._pod.name} {call_id}".encode()).digest()
        )

    async def _take(self, tasks: asyncio.TaskGroup, dead: str, call_id: str) -> bool:
        """Take one call over, and go on with its rescue beside the others; False where the pod has it still."""
        if call_id in self._held:
            return False
        self._held.add(call_id)
        record, is_taken = await self._change(dead, call_id)
        if record is None or not is_taken:
            self._held.discard(call_id)
            return record is None or record.owner != dead or record.state.is_final
        self._pod.counters["calls_taken_over"] += 1
        logger.warning(
            "a call of a dead pod was taken over",
            extra={"call_id": call_id, "dead": dead, "state": record.state.value, "epoch": record.epoch},
        )
        tasks.create_task(self._rescue(dead, record), name=f"rescue of call {call_id}")
        return True

    async def _change(self, dead: str, call_id: str) -> tuple[CallRecord | None, bool]:
        """Make a call ours unless it is so no more; return its row, None where there is none, and whether it is ours.

        While storage is away it is tried again, without end: only this try knows an update of its own whose reply
        was lost.
        """
        taken: CallRecord | None = None

        def take(record: CallRecord) -> CallRecord:
            nonlocal taken
            if taken is not None and (record.owner, record.epoch) == (taken.owner, taken.epoch):
                return record
            taken = None
            if not self._watch.is_dead(dead):
                return record
            after = take_over(record, dead=dead, pod=self._pod.name, now=self._pod.clock())
            taken = None if after is record else after
            return after

        pause_s = self._pod.timing.retry_step_s
        while True:
            try:
                async with asyncio.timeout(self._pod.timing.row_write_s):
                    return await self._pod.rows.change(call_id, take), taken is not None
            except NotFound:
                return None, False
            except (StoreUnavailable, TimeoutError):
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, self._pod.timing.row_write_short_s)

    async def _rescue(self, dead: str, record: CallRecord) -> None:
        try:
            rescue = Rescue(self._pod, record, self._timing.rescue)
            outcome, _ = await asyncio.gather(rescue.run(), self._tell(dead, record))
        except Exception:
            logger.exception("a rescue failed in an unexpected way", extra={"call_id": record.call_id})
            await give_up(self._pod, record, stop_by=lambda: None)
        else:
            if outcome is Rescued.MEDIA_BACK:
                self._pod.counters["takeovers_media_back"] += 1
            else:
                self._pod.counters["takeovers_ended"] += 1
            logger.info(
                "a call of a dead pod was seen to",
                extra={"call_id": record.call_id, "outcome": outcome.value},
            )
        # Not where this was cancelled: the call is still ours, and others are to find it so.
        self._held.discard(record.call_id)

    async def _tell(self, dead: str, record: CallRecord) -> None:
        """Let a pod that is not dead after all let go of the call, so that ACS opens the socket anew."""
        # Else it finds out when it next writes or reads the row.
        with suppress(SignalsUnavailable):
            await self._signals.send(dead, CallTaken(record.call_id, record.epoch))
