"""The calls that callers have placed: who is ringing, who talks, and who is sent on."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import TYPE_CHECKING

import msgspec
from aiohttp import web

from emulator.call import Call, CallEnd, CallPhase, Leg
from emulator.media.impairment import SOUND, Impairment
from emulator.outside import DEFAULT_AFTER_MS, Manner, OutsideLeg, OutsideParties
from emulator.transfers import Transfer, TransferOutcome
from emulator.wire.identifiers import PHONE_PREFIX, Identifier, from_dialled, from_raw_id
from emulator.wire.incoming_call import CustomContext, new_incoming_call_context

if TYPE_CHECKING:
    from emulator.media.line import Line

MAX_KEPT_CALLS = 1_000
"""Ended calls that can still be read; beyond that the oldest are forgotten."""

MAX_COUNTED_PAIRS = 10_000
"""Pairs of caller and called whose calls are counted; beyond that the oldest are counted from one again."""


class UnknownNumber(ValueError):
    """The dialled number or identity does not belong to the resource."""


class NotRinging(Exception):
    """No call rings under this context: it never did, was answered or turned away, or the ringing is over."""


class Calls:
    """All calls of the emulated resource.

    Args:
        addresses: raw ids of the numbers and identities that belong to the resource.
        ring_seconds: how long a call rings before it ends unanswered.
        announce: raises the IncomingCall event of a call that has begun to ring; must not block.
        impairment: of the media sockets of every call that is not placed with its own.
        outside: how everybody behaves who does not belong to the resource.

    Attributes:
        outside: likewise; can be changed at any time.
    """

    def __init__(
        self,
        *,
        addresses: Collection[str],
        ring_seconds: float,
        announce: Callable[[Call], None],
        impairment: Impairment = SOUND,
        outside: OutsideParties | None = None,
    ) -> None:
        self.outside = OutsideParties({}, ours=addresses) if outside is None else outside
        self._addresses = frozenset(addresses)
        self._ring_seconds = ring_seconds
        self._announce = announce
        self._impairment = impairment
        self._calls: dict[str, Call] = {}
        self._ringing: dict[str, tuple[Call, asyncio.TimerHandle]] = {}
        self._answered: dict[str, Call] = {}
        self._counts: OrderedDict[tuple[str, str], int] = OrderedDict()

    def __iter__(self) -> Iterator[Call]:
        """All calls that are still known, the oldest first."""
        return iter(list(self._calls.values()))

    def find(self, correlation_id: str) -> Call | None:
        """The call with this correlation id, live or ended."""
        return self._calls.get(correlation_id)

    def connected(self, call_connection_id: str) -> Call | None:
        """The live call that was answered under this connection id."""
        return self._answered.get(call_connection_id)

    def known_by(self, *, incoming_call_context: str = "", call_connection_id: str = "") -> Call | None:
        """The call, live or ended, of a context that it rang under last, or of a connection."""
        return next(
            (
                call
                for call in self._calls.values()
                if call.incoming_call_context == incoming_call_context
                or (call.call_connection_id is not None and call.call_connection_id == call_connection_id)
            ),
            None,
        )

    async def place(
        self,
        *,
        to: str,
        from_: str,
        line: "Line",
        custom_context: Mapping[str, Mapping[str, str]] | None = None,
        impairment: Impairment | None = None,
        leaves_media: bool = False,
    ) -> Call:
        """Dial: the call rings when this returns, and its IncomingCall event is on its way.

        Args:
            to: a number (`+18005550199`) or raw id (`8:acs:...`) of the resource.
            from_: the caller's number, `anonymous`, or raw id.
            line: the caller's end of the call.
            custom_context: `{"sipHeaders": {...}, "voipHeaders": {...}}`, either or both.
            impairment: of its media sockets; None is what all calls have.
            leaves_media: leave its media sockets to somebody else, who finds where they lead in `media_address`.

        Raises:
            UnknownNumber: `to` does not belong to the resource.
            ValueError: an address or the custom context cannot be read.
        """
        context = msgspec.convert(custom_context, CustomContext) if custom_context is not None else None
        called, caller = from_dialled(to), from_dialled(from_)
        if not self.owns(called):
            raise UnknownNumber("this number or identity does not belong to the resource")
        call = Call(
            to=called,
            from_=caller,
            line=line,
            custom_context=context,
            number=self._count(caller, called),
            impairment=self._impairment if impairment is None else impairment,
            leaves_media=leaves_media,
        )
        self._forget_oldest()
        self._calls[call.correlation_id] = call
        self._ring(call)
        return call

    def owns(self, identifier: Identifier) -> bool:
        """Whether the resource has this number or identity."""
        return identifier.id in self._addresses

    def ringing(self, incoming_call_context: str) -> Call | None:
        """The call that rings under this context."""
        found = self._ringing.get(incoming_call_context)
        return found[0] if found is not None else None

    def take(self, incoming_call_context: str) -> Call:
        """Stop the ringing and hand the call over to whoever answers, rejects or redirects it; works once.

        Raises:
            NotRinging: nothing rings under this context.
        """
        found = self._ringing.pop(incoming_call_context, None)
        if found is None:
            raise NotRinging
        call, timer = found
        timer.cancel()
        return call

    def answer(self, call: Call, *, call_connection_id: str, leg: Leg) -> None:
        """Note that a call that was taken is answered by this leg; one that had it until now leaves."""
        if call.transfer is not None:
            self._settle(call, call.transfer, TransferOutcome.ACCEPTED)
        call.leg = leg
        call.call_connection_id = call_connection_id
        call.phase = CallPhase.CONNECTING
        self._answered[call_connection_id] = call
        call.note("answered")

    def redirect(self, call: Call, target: Identifier) -> None:
        """Send a call that was taken elsewhere: it rings anew at an address of ours, or leaves us."""
        call.note("redirected", kind=str(target.kind), ours=self.owns(target))
        self._send_on(call, target)

    def reject(self, call: Call, *, is_busy: bool) -> None:
        """Turn away a call that was taken: it is over, unless it was transferred here by somebody who has it still."""
        if call.transfer is None:
            self.finish(call, CallEnd.REJECTED)
        else:
            self._settle(call, call.transfer, TransferOutcome.BUSY if is_busy else TransferOutcome.DECLINED)

    def transfer(self, call: Call, transfer: Transfer) -> None:
        """Let the target of a transfer ring; until it has answered, the call stays with its leg.

        The transfer is told what became of it, at once if it is refused.
        """
        call.transfers.append(transfer)
        call.note("transferring", kind=str(transfer.target.kind), ours=self.owns(transfer.target))
        if call.transfer is not None:
            self._refuse(call, transfer, TransferOutcome.CONFLICT)
        elif transfer.caller_id is not None and not self.owns(
            from_raw_id(PHONE_PREFIX + transfer.caller_id.value)
        ):
            self._refuse(call, transfer, TransferOutcome.CALLER_ID_REFUSED)
        else:
            call.transfer = transfer
            call.called = transfer.target
            call.custom_context = transfer.custom_context
            self._send_on(call, transfer.target)

    def finish(self, call: Call, end: CallEnd) -> None:
        """Mark a call as over; does nothing when it is over already."""
        if call.end is not None:
            return
        if call.incoming_call_context in self._ringing:
            self.take(call.incoming_call_context)
        if call.transfer is not None:
            self._settle(call, call.transfer, TransferOutcome.CALL_ENDED)
        if call.call_connection_id is not None:
            self._answered.pop(call.call_connection_id, None)
        call.end = end
        call.phase = CallPhase.ENDED
        call.note("ended", end=str(end))
        call.ended.set()
        # The call stays readable for long, which must not keep alive what has served it.
        call.leg = None
        call.unwatch_all()

    async def caller_hangs_up(self, call: Call) -> None:
        """The caller is gone; does nothing when the call is over already."""
        await self._end(call, CallEnd.CALLER_HUNG_UP)

    async def close(self) -> None:
        """End every live call as failed, all at the same time."""
        await asyncio.gather(*(self._end(call, CallEnd.FAILED) for call in self))

    async def _end(self, call: Call, end: CallEnd) -> None:
        if call.leg is not None and call.end is None:
            await call.leg.disconnect(end)
        else:
            self.finish(call, end)

    def _ring(self, call: Call) -> None:
        loop = asyncio.get_running_loop()
        timer = loop.call_later(self._ring_seconds, self._not_answered, call)
        self._ringing[call.incoming_call_context] = (call, timer)
        call.note("ringing")
        self._announce(call)

    def _not_answered(self, call: Call) -> None:
        if call.transfer is None:
            self.finish(call, CallEnd.NOT_ANSWERED)
        else:
            self._settle(call, call.transfer, TransferOutcome.NOT_ANSWERED)

    def _send_on(self, call: Call, target: Identifier) -> None:
        if self.owns(target):
            call.to = target
            call.incoming_call_context = new_incoming_call_context()
            self._ring(call)
        elif call.transfer is None:
            self.finish(call, CallEnd.REDIRECTED)
        else:
            call.to = target
            self._ring_outside(call, call.transfer)

    def _ring_outside(self, call: Call, transfer: Transfer) -> None:
        party, voice = self.outside.find(call.to)
        if party.after_ms is not None:
            after_s = party.after_ms / 1000
        else:
            after_s = self._ring_seconds if party.does is Manner.RINGS else DEFAULT_AFTER_MS / 1000

        def decide() -> None:
            self._settle(call, transfer, _OUTCOMES[party.does])
            if party.does is Manner.ANSWERS:
                call.phase = CallPhase.TRANSFERRED
                call.leg = OutsideLeg(call, voice, self.finish)

        transfer.timer = asyncio.get_running_loop().call_later(after_s, decide)

    def _settle(self, call: Call, transfer: Transfer, outcome: TransferOutcome) -> None:
        """End the transfer that is under way: the caller leaves the leg that had them, or stays."""
        call.transfer = None
        if call.incoming_call_context in self._ringing:
            self.take(call.incoming_call_context)
        if outcome is not TransferOutcome.ACCEPTED:
            call.to = transfer.origin
            self._refuse(call, transfer, outcome)
            return
        if call.call_connection_id is not None:
            self._answered.pop(call.call_connection_id, None)
        call.leg = None
        call.media_address = None
        call.note("transfer_accepted")
        transfer.settle(outcome, at=call.age_s)
        # What the leg has sent ahead of time goes with it.
        call.line.stop_playing()

    def _refuse(self, call: Call, transfer: Transfer, outcome: TransferOutcome) -> None:
        call.note("transfer_failed", outcome=str(outcome))
        transfer.settle(outcome, at=call.age_s)

    def _count(self, caller: Identifier, called: Identifier) -> int:
        pair = (caller.id, called.id)
        number = self._counts[pair] = self._counts.pop(pair, 0) + 1
        if len(self._counts) > MAX_COUNTED_PAIRS:
            self._counts.popitem(last=False)
        return number

    def _forget_oldest(self) -> None:
        ended = [call for call in self._calls.values() if call.end is not None]
        for call in ended[: max(0, len(ended) - MAX_KEPT_CALLS + 1)]:
            del self._calls[call.correlation_id]


_OUTCOMES: Mapping[Manner, TransferOutcome] = {
    Manner.ANSWERS: TransferOutcome.ACCEPTED,
    Manner.BUSY: TransferOutcome.BUSY,
    Manner.DECLINES: TransferOutcome.DECLINED,
    Manner.RINGS: TransferOutcome.NOT_ANSWERED,
}

CALLS: web.AppKey[Calls] = web.AppKey("calls", Calls)
"""Where handlers of the emulator's HTTP service find the calls."""
