"""The calls of this process: how many there may be, and how they all end."""

import asyncio
import logging

from media_gateway.call import Admitted, Call
from media_gateway.pod import Pod

logger = logging.getLogger(__name__)


class Calls:
    """Owns the task of every call.

    Args:
        pod: What the calls share.
        capacity: How many may be here at once; one that is ending counts until it is over.
    """

    def __init__(self, pod: Pod, capacity: int) -> None:
        self.capacity = capacity
        self.is_stopping = False
        self._pod = pod
        self._tasks: dict[Call, asyncio.Task[None]] = {}
        self._by_id: dict[str, Call] = {}

    def __len__(self) -> int:
        return len(self._tasks)

    @property
    def has_room(self) -> bool:
        """Whether one more may come."""
        return not self.is_stopping and len(self._tasks) < self.capacity

    def new(self, admitted: Admitted) -> Call:
        """Return a call for a socket that is being upgraded; it starts itself when that is done."""
        return Call(admitted, self._pod, self)

    def start(self, call: Call) -> None:
        """Run `call` in a task of its own."""
        task = asyncio.create_task(call.run(), name=f"call {call.call_id}")
        self._tasks[call] = task
        task.add_done_callback(lambda _: self._forget(call))

    def own(self, call: Call) -> bool:
        """Make `call` the one of its call id; False where another one is."""
        return self._by_id.setdefault(call.call_id, call) is call

    async def stop(self) -> None:
        """End every call in order, in bounded time; take no new ones."""
        self.is_stopping = True
        for call in tuple(self._tasks):
            call.stop()
        tasks = list(self._tasks.values())
        if not tasks:
            return
        _, late = await asyncio.wait(tasks, timeout=self._pod.timing.stop_s)
        for task in late:
            task.cancel()
        if late:
            logger.error("calls did not end in time and were cut off", extra={"calls": len(late)})
            _, stuck = await asyncio.wait(late, timeout=self._pod.timing.cut_off_s)
            if stuck:
                logger.error("calls could not be cut off and were left", extra={"calls": len(stuck)})

    def _forget(self, call: Call) -> None:
        task = self._tasks.pop(call)
        if self._by_id.get(call.call_id) is call:
            del self._by_id[call.call_id]
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("a call's task failed", exc_info=error, extra={"call_id": call.call_id})
