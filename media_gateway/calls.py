"""The calls of this process: how many there may be, whose a socket is, and how they all end."""

import asyncio
import logging
from collections.abc import Callable

from media_gateway.admitted import Admitted
from media_gateway.arrival import Arrival
from media_gateway.call import Call
from media_gateway.last_resort import give_up
from media_gateway.pod import Pod
from media_gateway.supervised import EndReason
from shared.core.call import CallRecord
from shared.core.call_state import CallEvent
from shared.core.ownership import MediaRefused, Refusal, take_ownership
from shared.core.signals import CallTaken, Signal

logger = logging.getLogger(__name__)


class Calls:
    """Owns the task of every call, and of every socket that is not yet a call's.

    Args:
        pod: What the calls share.
        capacity: How many may be here at once; one that is ending counts until caller and agent are gone. As many
            again may be left with nothing but their rows to write, while storage is away; past that, they count too.
        is_owner_dead: Whether a pod, by its name, is known to be gone.
    """

    def __init__(
        self, pod: Pod, capacity: int, is_owner_dead: Callable[[str], bool] = lambda _name: False
    ) -> None:
        self.capacity = capacity
        self.is_draining = False
        """Whether the process stops, and takes no more calls."""
        self._pod = pod
        self._is_owner_dead = is_owner_dead
        self._arrivals: dict[Arrival, asyncio.Task[None]] = {}
        self._live: dict[str, Call] = {}
        self._handed_over: set[str] = set()
        self._given_up: set[str] = set()
        self._is_stopping = False
        self._is_empty = asyncio.Event()

    def __len__(self) -> int:
        """Return how many places are taken."""
        gone = sum(call.is_gone for call in self._live.values())
        return len(self._arrivals) - min(gone, self.capacity)

    @property
    def has_room(self) -> bool:
        """Whether one more may come."""
        return not self.is_draining and len(self) < self.capacity

    @property
    def held_ids(self) -> tuple[str, ...]:
        """The calls that this pod owns, or has handed over: others see to those that nobody has taken yet."""
        return (*self._live, *self._given_up, *self._handed_over)

    def is_held(self, call_id: str) -> bool:
        """Whether a socket brings media back to a call that is here, which takes no further place."""
        live = self._live.get(call_id)
        return live is not None and not live.is_ending

    def new(self, admitted: Admitted) -> Arrival:
        """Return what takes a socket that is being upgraded; it reports when that is done."""
        return Arrival(admitted, self._pod, self)

    def arrived(self, arrival: Arrival) -> None:
        """Find out whose a socket is; where that begins a call here, the task is the call's."""
        task = asyncio.create_task(self._receive(arrival), name=f"call {arrival.call_id}")
        self._arrivals[arrival] = task
        self._is_empty.clear()
        task.add_done_callback(lambda _: self._forget(arrival))

    def on_signal(self, signal: Signal) -> None:
        """Take what another process tells of a call; one that is not here is no matter."""
        call = self._live.get(signal.call_id)
        if call is None:
            return
        if isinstance(signal, CallTaken):
            call.on_taken(signal.epoch)
        else:
            call.look()

    def look(self) -> None:
        """Let every call read what ACS has told: signals may have been lost."""
        for call in self._live.values():
            call.look()

    def doubt(self) -> None:
        """Let every call look whether it is still ours: others may have taken this pod for dead."""
        for call in self._live.values():
            call.doubt()

    async def drain(self) -> None:
        """Take no new calls, and let those that are here go on for `drain_s`; then hand them over, or end them."""
        self.is_draining = True
        if not self._arrivals:
            return
        try:
            async with asyncio.timeout(self._pod.timing.drain_s):
                await self._is_empty.wait()
        except TimeoutError:
            logger.warning("calls are handed over or ended: the process stops", extra={"calls": len(self)})
            if self._pod.has_another():
                await asyncio.gather(*(self._hand_over(call) for call in tuple(self._live.values())))

    async def _hand_over(self, call: Call) -> None:
        if await call.hand_over():
            self._handed_over.add(call.call_id)

    async def stop(self) -> None:
        """End every call in order, in bounded time; take no new ones."""
        self.is_draining = self._is_stopping = True
        for arrival in tuple(self._arrivals):
            arrival.stop()
        for call in tuple(self._live.values()):
            call.stop()
        tasks = list(self._arrivals.values())
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

    async def _receive(self, arrival: Arrival) -> None:
        try:
            live = self._live.get(arrival.call_id)
            if live is not None:
                await self._bring_back(live, arrival)
                return
            record = await arrival.take(self._is_owner_dead)
            if record is None:
                return
            if (live := self._live.get(arrival.call_id)) is not None:
                if live.record.epoch == record.epoch:
                    # Two sockets at once, of which one took the other's update of the row for its own.
                    await self._bring_back(live, arrival)
                    return
                # Two sockets at once: the row knows the later one, and this call holds an older epoch.
                live.on_taken(record.epoch)
                await live.over.wait()
            try:
                await self._live_through(record, arrival)
            except Exception:
                logger.exception("a call failed outside its own care", extra={"call_id": arrival.call_id})
                await self._give_up(record, arrival)
        finally:
            if not any(call.socket is arrival.socket for call in self._live.values()):
                arrival.socket.abort()

    async def _live_through(self, record: CallRecord, arrival: Arrival) -> None:
        """Live through a call that a socket has brought here."""
        call = self._live[record.call_id] = Call(record, arrival, self._pod)
        if self._is_stopping:
            call.stop()  # it was not here when the others were told
        try:
            await call.run()
        finally:
            if self._live.get(call.call_id) is call:
                del self._live[call.call_id]

    async def _give_up(self, record: CallRecord, arrival: Arrival) -> None:
        """End a call that an error of ours has left with nobody."""
        self._given_up.add(record.call_id)
        try:
            await give_up(self._pod, record, stop_by=lambda: arrival.stop_by)
        finally:
            self._given_up.discard(record.call_id)

    async def _bring_back(self, live: Call, arrival: Arrival) -> None:
        """Give a call its media again, if the socket would get it from another pod too.

        The row may lag behind: whose own socket is gone is not holding on to it.
        """
        if live.is_ending:
            arrival.refuse(Refusal.CALL_OVER)
            await arrival.socket.closed.wait()
            return
        try:
            take_ownership(
                live.record,
                arrival.admitted.claim,
                pod=self._pod.name,
                now=self._pod.clock(),
                is_owner_dead=live.socket.closed.is_set(),
            )
        except MediaRefused as refused:
            arrival.refuse(refused.reason)
            await arrival.socket.closed.wait()
        else:
            try:
                live.attach(arrival)
            except Exception:
                logger.exception("a call could not have its media back", extra={"call_id": live.call_id})
                live.end(EndReason(CallEvent.AGENT_FAILED, "internal"))

    def _forget(self, arrival: Arrival) -> None:
        task = self._arrivals.pop(arrival)
        if not self._arrivals:
            self._is_empty.set()
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("a call's task failed", exc_info=error, extra={"call_id": arrival.call_id})
