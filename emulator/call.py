"""One call as its caller sees it: where it stands, who has it now, and what happened to it.

It is one line from dialling to the end, even when it is redirected or transferred on the way. What the application
sees of an answered call is its `Leg`.
"""

import asyncio
import uuid
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import InitVar, dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from emulator.media.impairment import Impairment
from emulator.media.network import Network
from emulator.plays import Play
from emulator.recognitions import Recognition
from emulator.transfers import Transfer
from emulator.wire.identifiers import PHONE_PREFIX, Identifier
from emulator.wire.incoming_call import CustomContext, new_incoming_call_context, new_server_call_id

if TYPE_CHECKING:
    from emulator.media.line import Line
    from emulator.media.stream import StreamStats

MAX_HAPPENINGS = 10_000
"""Happenings that a call remembers; later ones are told to watchers only, and counted."""

MAX_STREAMS = 100
"""Media sockets whose counters a call remembers; beyond that the oldest are forgotten."""

MAX_TRANSFERS = 100
"""Transfers that a call remembers; beyond that the oldest are forgotten."""

MAX_PLAYS = 100
"""Requests to play something that a call remembers; beyond that the oldest are forgotten."""

MAX_RECOGNITIONS = 100
"""Requests to recognise something that a call remembers; beyond that the oldest are forgotten."""

Detail = str | int | float | bool


class CallPhase(StrEnum):
    """Where a call stands, seen from the caller."""

    RINGING = "ringing"
    CONNECTING = "connecting"
    CONNECTED = "connected"
    TRANSFERRED = "transferred"
    """With somebody who is not the resource's."""

    ENDED = "ended"


class CallEnd(StrEnum):
    """Why a call ended."""

    CALLER_HUNG_UP = "caller_hung_up"
    GATEWAY_HUNG_UP = "gateway_hung_up"
    REJECTED = "rejected"
    REDIRECTED = "redirected"
    NOT_ANSWERED = "not_answered"
    FAILED = "failed"


@dataclass(frozen=True)
class Happening:
    """Something that happened to a call.

    Attributes:
        at: seconds since the call was placed.
        name: ringing, delivered, delivery_failed, answered, rejected, redirected, connected, media_connected,
            media_failed, media_lost, media_left, first_audio, stop_audio, dtmf, dtmf_received, transferring,
            transfer_accepted, transfer_failed, play_started, play_completed, play_failed, play_canceled, words,
            recognize_started, recognize_listening, recognize_completed, recognize_failed, recognize_canceled, held,
            unheld, hold_failed, callback, callback_failed or ended; and of what is done on purpose: impaired,
            socket_dropped, reader_slowed, reader_recovered.
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
    """The other side of an answered call: the application, or whom the caller was transferred to."""

    async def disconnect(self, end: CallEnd) -> None:
        """End the call and tell that side; return when its media has been closed."""


class Listener(Protocol):
    """Who takes note of what the caller keys and says, apart from media sockets."""

    def caller_key(self, digit: str) -> None:
        """The caller pressed one of `0123456789*#ABCD`."""

    def caller_words(self, text: str, lasting_s: float) -> None:
        """The caller began to say something."""


@dataclass(eq=False)
class Call:
    """One call from the moment the caller dialled.

    Attributes:
        to: whom the call rings, or who has it; changes when the call is redirected or transferred.
        dialled: whom the caller dialled.
        called: whom it was to reach: the one dialled, or the target of the transfer; a redirection changes nothing.
        from_: the caller.
        line: what the caller says and hears.
        number: the how-manieth call of this caller to this address it is, from 1.
        network: the way to the application, which can be impaired at any time.
        leaves_media: whether somebody else opens its media sockets.
        media_address: where they lead, once that is known; only of a call that leaves them to others.
        custom_context: headers that came with it, from the caller or with the transfer.
        correlation_id: the same through all redirections and transfers.
        incoming_call_context: handle of the current ringing; a redirection or transfer makes a new one.
        call_connection_id: the application's leg, the latest one; None until answered.
        transfers: all tries to transfer it, the latest last.
        transfer: the one whose target rings now.
        plays: what it was to hear besides its media sockets, the latest last.
        recognitions: what was to be recognised of its caller, the latest last.
        happenings: what happened so far, in order.
        forgotten_happenings: how many found no room there.
        streams: counters of every media socket that the call has had, the latest last.
        ended: set when the call is over; `end` then says why.
        leg: the other side while there is one.
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
    transfers: deque[Transfer] = field(default_factory=lambda: deque(maxlen=MAX_TRANSFERS), repr=False)
    transfer: Transfer | None = field(default=None, repr=False)
    plays: deque[Play] = field(default_factory=lambda: deque(maxlen=MAX_PLAYS), repr=False)
    recognitions: deque[Recognition] = field(
        default_factory=lambda: deque(maxlen=MAX_RECOGNITIONS), repr=False
    )
    leg: Leg | None = field(default=None, repr=False)
    dialled: Identifier = field(init=False)
    called: Identifier = field(init=False)
    network: Network = field(init=False, repr=False)
    _placed_at: float = field(default_factory=lambda: asyncio.get_running_loop().time(), repr=False)
    _watchers: list[Callable[[Happening], None]] = field(default_factory=list, repr=False)
    _listeners: list[Listener] = field(default_factory=list, repr=False)

    def __post_init__(self, impairment: Impairment) -> None:
        self.dialled = self.called = self.to
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

    @property
    def age_s(self) -> float:
        """Seconds since it was placed."""
        return asyncio.get_running_loop().time() - self._placed_at

    def press(self, digit: str) -> None:
        """The caller presses a key: the media socket, if there is one, and whoever listens takes note of it.

        On hold nobody does.

        Raises:
            ValueError: not one of 0-9, *, #, A-D.
        """
        self.line.press(digit)
        self.note("dtmf")
        for listener in self._listening():
            listener.caller_key(digit)

    def say_text(self, text: str, *, lasting_s: float = 0.0) -> None:
        """The caller begins to say this, for ACS to recognise; what it sounds like goes to `line` by itself.

        Args:
            text: the words; empty for what nobody could make out.
            lasting_s: how long they take.
        """
        self.note("words")
        for listener in self._listening():
            listener.caller_words(text, lasting_s)

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Tell `listener` of every later key and word, until the returned function is called."""
        self._listeners.append(listener)

        def stop() -> None:
            if listener in self._listeners:
                self._listeners.remove(listener)

        return stop

    def _listening(self) -> list[Listener]:
        """Who hears the caller now: nobody while they are on hold."""
        return [] if self.line.is_held else list(self._listeners)

    def note(self, name: str, **detail: Detail) -> None:
        """Record that something happened, and tell those who watch."""
        happening = Happening(self.age_s, name, detail)
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
