"""The media of one call when its socket is lost: brought back, or given up, in bounded time.

ACS opens a lost socket again by itself, to whatever pod the ingress leads to; where it does not, it is asked to, and
takes that once.
A socket that comes to another pod takes the call there, and this one learns that from its row.
"""

import asyncio
import logging
import uuid
from collections.abc import Callable

from media_gateway.inbox import Inbox
from media_gateway.message_socket import MessageSocket
from media_gateway.pod import Pod
from media_gateway.row import OwnedRow, Written
from shared.adapters.call_store import StoredEvent
from shared.core.call_state import CallEvent
from shared.core.callbacks import is_old_media
from shared.errors import AcsUnavailable, CallGone

logger = logging.getLogger(__name__)


class Line:
    """Watches over one call's media.

    Args:
        pod: This process.
        row: The call's.
        inbox: The call's; it ends the call when ACS says that it is over.
        came_at: When the first socket came (Unix seconds).
        on_over: Called when ACS does not know the call any more.
        on_given_up: Called when media do not come back.
    """

    def __init__(
        self,
        pod: Pod,
        row: OwnedRow,
        inbox: Inbox,
        *,
        came_at: float,
        on_over: Callable[[], None],
        on_given_up: Callable[[], None],
    ) -> None:
        self._pod = pod
        self._row = row
        self._inbox = inbox
        self._on_over = on_over
        self._on_given_up = on_given_up
        self._lost_socket: MessageSocket | None = None
        self._has_failed = False
        self._came_at = came_at
        self._asked = ""
        """Operation context of the media that ACS was asked for last; empty for those that the answer began."""
        self._changed = asyncio.Event()
        self._is_lost = False

    @property
    def is_lost(self) -> bool:
        """Whether nothing can be said or heard."""
        return self._is_lost

    def lost(self, socket: MessageSocket) -> None:
        """Take that the call's socket is closed, and not by us."""
        self._lost_socket = socket
        self._is_lost = True
        self._changed.set()

    def back(self, came_at: float) -> None:
        """Take that there is a socket again, since `came_at` (Unix seconds)."""
        self._is_lost = self._has_failed = False
        self._came_at = came_at
        self._row.note(CallEvent.MEDIA_STARTED)
        self._changed.set()

    def failed(self, event: StoredEvent) -> bool:
        """Take MediaStreamingFailed: ACS will not try again by itself. False where it tells of earlier media."""
        if event.at < self._came_at or is_old_media(event.data, self._asked):
            return False
        self._has_failed = True
        self._changed.set()
        return True

    async def run(self) -> None:
        """Bring media back whenever they are lost, until cancelled, or until they are given up."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            while self._is_lost:
                if not await self._comes_back(self._lost_socket):
                    return

    async def _comes_back(self, lost: MessageSocket | None) -> bool:
        timing, loop = self._pod.timing, asyncio.get_running_loop()
        with self._inbox.attending():
            # A call that is over has its socket closed in order, a moment before or after the callback that says so.
            is_in_order = lost is not None and lost.end.is_normal
            if is_in_order and await self._is_back_by(loop.time() + timing.disconnect_wait_s, lost):
                return True
            self._pod.counters["media_lost"] += 1
            self._row.note(CallEvent.MEDIA_LOST)
            without_s = self._pod.clock() - self._without_since()
            give_up_at = loop.time() + timing.interruption_grace_s - without_s
            restart_at = min(loop.time() + timing.media_restart_s, give_up_at)
            if not self._has_failed and await self._is_back_by(restart_at, lost):
                return True
            is_asked = False
            while not is_asked and loop.time() < give_up_at:
                self._has_failed = False
                is_asked = await self._ask()
                if await self._is_back_by(give_up_at, lost):
                    return True
            if await self._is_ours():
                self._on_given_up()
            return False

    def _without_since(self) -> float:
        """Return since when the call, which has just lost its media, has been without (Unix seconds).

        Media that were there for a moment do not count, on whatever pod: sockets that are let in and lost each time
        must not keep a caller waiting without end.
        """
        record = self._row.record
        if record.history_dropped:
            return self._pod.clock()
        since = record.history[-1].at
        for entry in reversed(record.history):
            if entry.event is CallEvent.MEDIA_LOST:
                since = entry.at
            elif (
                entry.event is CallEvent.MEDIA_STARTED and since - entry.at >= self._pod.timing.media_stable_s
            ):
                break
        return since

    async def _ask(self) -> bool:
        """Ask ACS for media again. False where it takes that not: it is about to open the socket by itself, or away.

        Where it then tells that it has failed, it is asked once more.
        """
        record, before = self._row.record, self._asked
        # From here on, that it cannot go on with what was before is no news.
        self._asked = str(uuid.uuid4())
        try:
            async with asyncio.timeout(self._pod.timing.start_media_s):
                await self._pod.acs.start_media(
                    record.call_connection_id or "", operation_context=self._asked
                )
        except CallGone:
            self._on_over()
            return True
        except (AcsUnavailable, TimeoutError) as error:
            self._asked = before
            logger.warning(
                "media were not started again",
                extra={"call_id": record.call_id, "error": type(error).__name__},
            )
            return False
        self._pod.counters["media_restarted"] += 1
        return True

    async def _is_back_by(self, deadline: float, lost: MessageSocket | None) -> bool:
        """Whether a socket came after `lost` by a loop time; False sooner where ACS says that none can."""
        loop = asyncio.get_running_loop()
        while not self._came_after(lost) and not self._has_failed:
            self._changed.clear()
            try:
                async with asyncio.timeout_at(min(deadline, loop.time() + self._pod.timing.row_look_s)):
                    await self._changed.wait()
            except TimeoutError:
                if loop.time() >= deadline:
                    break
                # The owner looks at its row then, and lets the call go where that is another pod's by now.
                self._row.changed.set()
        return self._came_after(lost)

    def _came_after(self, lost: MessageSocket | None) -> bool:
        """Whether a socket came after `lost`; it may be lost too by now."""
        return not self._is_lost or self._lost_socket is not lost

    async def _is_ours(self) -> bool:
        """Whether the call is still this pod's, as far as can be told soon: else another talks with its caller."""
        try:
            async with asyncio.timeout(self._pod.timing.row_write_short_s):
                written = await self._row.write(1)
        except TimeoutError:
            return True
        if written is Written.NOT_OURS:
            self._row.changed.set()
        return written is not Written.NOT_OURS
