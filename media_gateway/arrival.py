"""A media socket from its upgrade until it is known whose it is: what comes on it meanwhile is kept.

Taking the call's row tells: a first socket begins a call here, a later one brings its media back, to this pod or to
another one's call that this pod then takes over.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Protocol

from picows import WSCloseCode

from media_gateway.admitted import Admitted
from media_gateway.early import EarlyMedia
from media_gateway.hang_up import hang_up
from media_gateway.message_socket import CLOSE_CODES, MessageSocket, SocketLimits
from media_gateway.pod import Pod
from media_gateway.row import take_row
from media_gateway.timing import MAX_MESSAGE_BYTES, SOCKET_BUFFER_BYTES, WRITE_BUFFER_BYTES
from shared.acs.media import AudioMetadata, Flaw, MediaInvalid
from shared.acs.media_codec import decode
from shared.core.call import CallRecord
from shared.core.ownership import MediaRefused
from shared.errors import NotFound

logger = logging.getLogger(__name__)

MEDIA_SOCKET = SocketLimits(MAX_MESSAGE_BYTES, WRITE_BUFFER_BYTES, SOCKET_BUFFER_BYTES)


class Arrivals(Protocol):
    """Where sockets arrive."""

    def arrived(self, arrival: "Arrival") -> None:
        """Find out whose it is, in a task of its own."""


class Arrival:
    """One socket; it tells what comes in by `on_...`.

    Attributes:
        early: what the caller said and pressed meanwhile.
        metadata: the format, once it has come.
        flaw: what was wrong with what came, if anything was.
        ignored: messages that mean nothing to us.
        opened_at: when it was upgraded (Unix seconds).
    """

    def __init__(self, admitted: Admitted, pod: Pod, arrivals: Arrivals) -> None:
        self.call_id = admitted.call_id
        self.admitted = admitted
        self.socket = MessageSocket(self, close_s=pod.timing.socket_close_s, limits=MEDIA_SOCKET)
        self.early = EarlyMedia()
        self.metadata: AudioMetadata | None = None
        self.flaw: Flaw | None = None
        self.ignored = 0
        self.opened_at = 0.0
        self._pod = pod
        self._arrivals = arrivals
        self.stop_by: float | None = None
        """The loop time by which all must be over, once the process stops."""

    def on_open(self) -> None:
        """Begin: the socket is up."""
        self.opened_at = self._pod.clock()
        self._arrivals.arrived(self)

    def on_message(self, message: bytes) -> None:
        """Keep a message from ACS."""
        try:
            decoded = decode(message)
        except MediaInvalid as error:
            self.on_flaw(error.flaw)
            return
        if decoded is None:
            self.ignored += 1
        elif not isinstance(decoded, AudioMetadata):
            self.early.add(decoded)
        elif self.metadata is not None and decoded.rate_hz != self.metadata.rate_hz:
            self.on_flaw(Flaw.FORMAT_MISMATCH)
        else:
            self.metadata = decoded

    def on_flaw(self, flaw: Flaw) -> None:
        """Close: what ACS sends cannot be understood. The call learns of it when it is known."""
        self.flaw = self.flaw or flaw
        self.socket.close(CLOSE_CODES[flaw], flaw.value)

    def on_writable(self) -> None:
        """Nothing was sent yet."""

    def on_closed(self) -> None:
        """Whoever gets the socket sees it."""

    def stop(self) -> None:
        """Take that the process stops."""
        self.stop_by = asyncio.get_running_loop().time() + self._pod.timing.stop_s

    async def take(self, is_owner_dead: Callable[[str], bool]) -> CallRecord | None:
        """Make this pod the call's owner; or close the socket, and return None.

        A row that is late may be ours all the same, and then nobody else would end the call. So the socket is
        closed in time, and the row still waited for; what comes of it is a call that has lost its media.
        """
        timing, admitted = self._pod.timing, self.admitted
        taking = asyncio.create_task(
            take_row(
                self._pod.rows,
                self.call_id,
                account_id=admitted.account_id,
                jti=admitted.jti,
                call_connection_id=admitted.call_connection_id,
                is_acs_verified=admitted.is_acs_verified,
                is_expired=admitted.is_expired,
                pod=self._pod.name,
                timing=timing,
                clock=self._pod.clock,
                is_owner_dead=is_owner_dead,
            ),
            name=f"row of call {self.call_id}",
        )
        try:
            await asyncio.wait((taking,), timeout=timing.ownership_s)
            if not taking.done():
                self.refuse("store_unavailable", WSCloseCode.TRY_AGAIN_LATER)
                await asyncio.wait((taking,), timeout=timing.ownership_doubt_s)
        finally:
            taking.cancel()
        await asyncio.wait((taking,), timeout=timing.cut_off_s)
        if not taking.done() or taking.cancelled():
            await self._hang_up_without_row()
        else:
            try:
                return taking.result()
            except MediaRefused as refused:
                self.refuse(refused.reason)
            except NotFound:
                self.refuse("no_such_call")
            except Exception:
                logger.exception("a call's row failed in an unexpected way", extra={"call_id": self.call_id})
                self.refuse("internal", WSCloseCode.INTERNAL_ERROR)
                await self._hang_up_without_row()
        await self.socket.closed.wait()
        return None

    def refuse(self, reason: str, code: WSCloseCode = WSCloseCode.POLICY_VIOLATION) -> None:
        """Close the socket: it does not get its call, or not in time."""
        self._pod.counters["sockets_refused_after_upgrade"] += 1
        logger.warning("a media socket lost its call", extra={"call_id": self.call_id, "reason": str(reason)})
        self.socket.close(code, reason)

    async def _hang_up_without_row(self) -> None:
        """End a call whose row says nothing: its token was good, and its caller hears nobody."""
        connection_id = self.admitted.call_connection_id
        if connection_id is None or self.admitted.is_expired:
            return  # somebody's who may have the call, or none at all
        outcome = await hang_up(self._pod, connection_id, stop_by=lambda: self.stop_by)
        self._pod.counters["calls_without_row"] += 1
        logger.error(
            "a call without its row was hung up", extra={"call_id": self.call_id, "hang_up": outcome.value}
        )
