"""The calls that callers have placed: who is ringing, who talks, and what happened to each.

A call is what the caller sees: one line from dialling to the end, even when it is redirected from one of the
resource's addresses to another on the way. What the application sees of an answered call is its `Leg`.
"""

import asyncio
import uuid
from collections import OrderedDict, deque
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import InitVar, dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

import msgspec
from aiohttp import web

from emulator.media.impairment import SOUND, Impairment
from emulator.media.network import Network
from emulator.wire.identifiers import PHONE_PREFIX, Identifier, from_dialled
from emulator.wire.incoming_call import CustomContext, new_incoming_call_context, new_server_call_id

if TYPE_CHECKING:
    from emulator.media.line import Line
    from emulator.media.stream import StreamStats

MAX_KEPT_CALLS = 1_000
"""Ended calls that can still be read; beyond that the oldest are forgotten."""

MAX_COUNTED_PAIRS = 10_000
"""Pairs of caller and called whose calls are counted; beyond that the oldest are counted from one again."""

MAX_HAPPENINGS = 10_000
"""Happenings that a call remembers; later ones are told to watchers only, and counted."""

MAX_STREAMS = 100
"""Media sockets whose counters a call remembers; beyond that the oldest are forgotten."""

Detail = str | int | float | bool


class CallPhase(StrEnum):
    """Where a call stands, seen from the caller."""

    RINGING = "ringing"
    CONNECTING = "connecting"
    CONNECTED = "connected"
    ENDED = "ended"


class CallEnd(StrEnum):
    """Why a call ended."""

    CALLER_HUNG_UP = "caller_hung_up"
    GATEWAY_HUNG_UP = "gateway_hung_up"
    REJECTED = "rejected"
    REDIRECTED = "redirected"
    NOT_ANSWERED = "not_answered"
    FAILED = "failed"


class UnknownNumber(ValueError):
    """The dialled number or identity does not belong to the resource."""


class NotRinging(Exception):
    """No call rings under this context: it never did, was answered or turned away, or the ringing is over."""


@dataclass(frozen=True)
class Happening:
    """Something that happened to a call.

    Attributes:
        at: seconds since the call was placed.
        name: ringing, delivered, delivery_failed, answered, rejected, redirected, connected, media_connected,
            media_failed, media_lost, media_left, first_audio, stop_audio, dtmf, dtmf_received, callback,
            callback_failed or ended; and of what is done on purpose: impaired, socket_dropped, reader_slowed,
            reader_recovered.
        detail: what else there is to say about it.
    """

    at: float
    name: str
    detail: Mapping[str, Detail]


@dataclass(frozen=True)
class MediaAddress:
    """Where a call's media socket leads: the application's URL, and the headers and rate that ACS comes with."""

    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    rate_hz: int


class Leg(Protocol):
    """The application's side of an answered call."""

    async def disconnect(self, end: CallEnd) -> None:
        """End the call and tell the application; return when its media has been closed."""


@dataclass(eq=False)
class Call:
    """One call from the moment the caller dialled.

    Attributes:
        to: whom the call rings; changes when the call is redirected.
        dialled: whom the caller dialled.
        from_: the caller.
        line: what the caller says and hears.
        number: the how-manieth call of this caller to this address it is, from 1.
        network: the way to the application, which can be impaired at any time.
        leaves_media: whether somebody else opens its media sockets.
        media_address: where they lead, once that is known; only of a call that leaves them to others.
        correlation_id: the same through all redirections.
        incoming_call_context: handle of the current ringing; a redirection makes a new one.
        call_connection_id: the application's leg; None until answered.
        happenings: what happened so far, in order.
        forgotten_happenings: how many found no room there.
        streams: counters of every media socket that the call has had, the latest last.
        ended: set when the call is over; `end` then says why.
        leg: the application's side while there is one.
    """

    to: Identifier
    from_: Identifier
    line: "Line"
    number: int
    impairment: InitVar[Impairment]
    custom_context: CustomContext | None = None
    leaves_media: bool = False
    media_address: MediaAddress | None = None
    correlation_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    server_call_id: str = field(default_factory=new_server_call_id)
    incoming_call_context: str = field(default_factory=new_incoming_call_context, repr=False)
    call_connection_id: str | None = None
    phase: CallPhase = CallPhase.RINGING
    end: CallEnd | None = None
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    happenings: list[Happening] = field(default_factory=list)
    forgotten_happenings: int = 0
    streams: deque["StreamStats"] = field(default_factory=lambda: deque(maxlen=MAX_STREAMS), repr=False)
    leg: Leg | None = field(default=None, repr=False)
    dialled: Identifier = field(init=False)
    network: Network = field(init=False, repr=False)
    _placed_at: float = field(default_factory=lambda: asyncio.get_running_loop().time(), repr=False)
    _watchers: list[Callable[[Happening], None]] = field(default_factory=list, repr=False)

    def __post_init__(self, impairment: Impairment) -> None:
        self.dialled = self.to
        self.network = Network(impairment, self.thing, self.note)

    @property
    def names(self) -> frozenset[str]:
        """What people may call it by: its correlation id, and the numbers and raw ids of both parties."""
        parties = {self.dialled.id, self.to.id, self.from_.id}
        return frozenset(
            {self.correlation_id} | parties | {each.removeprefix(PHONE_PREFIX) for each in parties}
        )

    @property
    def thing(self) -> str:
        """What it is in every run of the same calls; its ids are new in each."""
        return f"{self.from_.id} {self.dialled.id} {self.number}"

    def note(self, name: str, **detail: Detail) -> None:
        """Record that something happened, and tell those who watch."""
        happening = Happening(asyncio.get_running_loop().time() - self._placed_at, name, detail)
        if len(self.happenings) < MAX_HAPPENINGS:
            self.happenings.append(happening)
        else:
            self.forgotten_happenings += 1
        for watcher in list(self._watchers):
            watcher(happening)

    def watch(self, watcher: Callable[[Happening], None]) -> Callable[[], None]:
        """Call `watcher` with every later happening, `ended` at the latest, until the returned function is called."""
        self._watchers.append(watcher)

        def unwatch() -> None:
            if watcher in self._watchers:
                self._watchers.remove(watcher)

        return unwatch

    def unwatch_all(self) -> None:
        """Tell nobody any more."""
        self._watchers.clear()


class Calls:
    """All calls of the emulated resource.

    Args:
        addresses: raw ids of the numbers and identities that belong to the resource.
        ring_seconds: how long a call rings before it ends unanswered.
        announce: raises the IncomingCall event of a call that has begun to ring; must not block.
        impairment: of the media sockets of every call that is not placed with its own.
    """

    def __init__(
        self,
        *,
        addresses: Collection[str],
        ring_seconds: float,
        announce: Callable[[Call], None],
        impairment: Impairment = SOUND,
    ) -> None:
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
        """Note that a call that was taken is answered by this leg."""
        call.leg = leg
        call.call_connection_id = call_connection_id
        call.phase = CallPhase.CONNECTING
        self._answered[call_connection_id] = call
        call.note("answered")

    def redirect(self, call: Call, target: Identifier) -> None:
        """Send a call that was taken elsewhere: it rings anew at an address of ours, or leaves us."""
        call.note("redirected", kind=str(target.kind), ours=self.owns(target))
        if not self.owns(target):
            self.finish(call, CallEnd.REDIRECTED)
            return
        call.to = target
        call.incoming_call_context = new_incoming_call_context()
        self._ring(call)

    def finish(self, call: Call, end: CallEnd) -> None:
        """Mark a call as over; does nothing when it is over already."""
        if call.end is not None:
            return
        if call.incoming_call_context in self._ringing:
            self.take(call.incoming_call_context)
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
        timer = loop.call_later(self._ring_seconds, self.finish, call, CallEnd.NOT_ANSWERED)
        self._ringing[call.incoming_call_context] = (call, timer)
        call.note("ringing")
        self._announce(call)

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


CALLS: web.AppKey[Calls] = web.AppKey("calls", Calls)
"""Where handlers of the emulator's HTTP service find the calls."""
