"""The network between ACS and the application for one call: sound, unless an impairment is set.

`Trouble` decides; here it is done to real sockets.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Final, Protocol

from emulator.media.impairment import Impairment
from emulator.media.trouble import Trouble

EARLY_S: Final = 0.0005
"""Timers have a resolution of 1 ms; what leaves this soon is sent rather than waited for."""

Note = Callable[..., None]
"""Told what was done to the call: a name, and details."""


@dataclass(slots=True)
class ImpairmentStats:
    """What was done to one media socket on purpose."""

    frames_lost: int = 0
    loss_bursts: int = 0
    frames_delayed: int = 0
    delay_sum_ms: float = 0.0
    delay_max_ms: float = 0.0
    frames_cut_off: int = 0
    """Still held back when the socket was cut or lost."""
    sockets_dropped: int = 0
    reader_stopped_ms: float = 0.0
    """For how long nothing of the application was read."""

    def add(self, other: "ImpairmentStats") -> None:
        """Add what was done to another socket."""
        for each in fields(self):
            mine, others = getattr(self, each.name), getattr(other, each.name)
            setattr(self, each.name, max(mine, others) if each.name == "delay_max_ms" else mine + others)

    def summary(self) -> dict[str, int | float]:
        """Return what there is to tell, as it appears in reports: nothing where nothing was done."""
        counted: dict[str, int | float] = {
            "frames_lost": self.frames_lost,
            "loss_bursts": self.loss_bursts,
            "frames_delayed": self.frames_delayed,
            "mean_delay_ms": round(self.delay_sum_ms / self.frames_delayed, 1) if self.frames_delayed else 0,
            "max_delay_ms": round(self.delay_max_ms, 1),
            "frames_cut_off": self.frames_cut_off,
            "sockets_dropped": self.sockets_dropped,
            "reader_stopped_ms": round(self.reader_stopped_ms, 1),
        }
        return {name: value for name, value in counted.items() if value}


class ImpairedSocket(Protocol):
    """What is impaired: the emulator's end of a media socket."""

    def pause_reading(self) -> None:
        """Let what the peer sends wait."""

    def resume_reading(self) -> None:
        """Read again."""

    def reset(self, unfinished: bytes | None) -> None:
        """Cut the connection by a TCP reset, after half a frame of `unfinished` where given."""


class Network:
    """One call's way to the application.

    Args:
        impairment: what is wrong from the start.
        call: what the call is in every run of the same calls; with the seed it fixes what is lost.
        note: told when an impairment is set, a socket cut, the reader slowed.
    """

    def __init__(self, impairment: Impairment, call: str, note: Note) -> None:
        self._impairment = impairment
        self._call = call
        self._note = note
        self._sockets = 0
        self._drops_left = impairment.drop.times if impairment.drop is not None else 0
        self._path: Path | None = None
        if impairment:
            note("impaired", what=impairment.kinds())

    @property
    def impairment(self) -> Impairment:
        """What is wrong now."""
        return self._impairment

    def impair(self, impairment: Impairment) -> None:
        """Replace what is wrong from now on; an empty impairment repairs everything."""
        self._impairment = impairment
        self._drops_left = impairment.drop.times if impairment.drop is not None else 0
        self._note("impaired", what=impairment.kinds())
        if self._path is not None:
            self._path.impair(self._trouble(self._path.last_s))

    def open_path(self, socket: ImpairedSocket, stats: ImpairmentStats) -> "Path":
        """Return the way of a socket that has just opened."""
        self._sockets += 1
        self._path = Path(socket, self._trouble(float("-inf")), self, stats)
        return self._path

    def dropped(self, path: "Path") -> bool:
        """A path cuts its socket (called by it); return whether in the midst of a frame."""
        self._drops_left -= 1
        mid_frame = self._impairment.drop is not None and self._impairment.drop.mid_frame
        self._note("socket_dropped", mid_frame=mid_frame)
        self.closed(path)
        return mid_frame

    def reader_changed(self, *, slow: bool) -> None:
        """A path began to read slowly, or reads as usual again (called by it)."""
        self._note("reader_slowed" if slow else "reader_recovered")

    def closed(self, path: "Path") -> None:
        """A path has ended (called by it)."""
        if self._path is path:
            self._path = None

    def _trouble(self, not_before_s: float) -> Trouble:
        return Trouble(
            self._impairment,
            f"{self._call}/{self._sockets}",
            since_s=time.monotonic(),
            cuts=self._drops_left > 0,
            not_before_s=not_before_s,
        )


@dataclass(frozen=True, slots=True)
class _Held:
    leaves_s: float
    send: Callable[[], None]


class Path:
    """One media socket's way. Synchronous; times are of the monotonic clock, in seconds."""

    def __init__(
        self, socket: ImpairedSocket, trouble: Trouble, network: Network, stats: ImpairmentStats
    ) -> None:
        self._socket = socket
        self._trouble = trouble
        self._network = network
        self._stats = stats
        # Bounded by the longest delay: nothing is held for longer.
        self._held: deque[_Held] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._in_burst = self._slow = self._ended = False
        self._stopped_at_s: float | None = None

    @property
    def last_s(self) -> float:
        """When the last thing so far leaves."""
        return self._trouble.last_s

    def impair(self, trouble: Trouble) -> None:
        """Go on under another trouble; what is held back leaves when it was to."""
        self._trouble = trouble

    def frame(self, message: bytes, now_s: float, send: Callable[[], None]) -> None:
        """Take the caller's next 20 ms: `send` it now or later, or lose it; called 50 times a second."""
        if self._ended:
            return
        self._set_slow(self._trouble.is_slow(now_s))
        self._set_reading(self._trouble.reads(now_s), now_s)
        fate = self._trouble.frame(now_s)
        if fate.cut:
            self._cut(message)
        elif fate.leaves_s is None:
            self._stats.frames_lost += 1
            self._stats.loss_bursts += not self._in_burst
        elif fate.leaves_s > now_s:
            delay_ms = (fate.leaves_s - now_s) * 1000
            self._stats.frames_delayed += 1
            self._stats.delay_sum_ms += delay_ms
            self._stats.delay_max_ms = max(self._stats.delay_max_ms, delay_ms)
            self._hold(fate.leaves_s, send)
        else:
            self._leave(now_s, send)
        self._in_burst = fate.leaves_s is None

    def message(self, send: Callable[[], None]) -> None:
        """Take a message that is no frame: it is never lost, and keeps its place among the frames."""
        now_s = time.monotonic()
        self._hold(self._trouble.message(now_s), send)
        self._release(now_s)

    def read(self, size: int) -> None:
        """Take note that a message of so many bytes came from the application."""
        now_s = time.monotonic()
        self._trouble.read(size, now_s)
        self._set_reading(self._trouble.reads(now_s), now_s)

    def flush(self) -> None:
        """End in order: what is held back goes now, and everything is read again."""
        self._release(float("inf"))
        self._set_slow(False)
        self._set_reading(True, time.monotonic())
        self.end()

    def end(self) -> None:
        """The socket is gone, or about to be. Idempotent."""
        if self._ended:
            return
        self._ended = True
        if self._timer is not None:
            self._timer.cancel()
        if self._stopped_at_s is not None:
            self._stats.reader_stopped_ms += (time.monotonic() - self._stopped_at_s) * 1000
        self._stats.frames_cut_off += len(self._held)
        self._held.clear()
        self._network.closed(self)

    def _cut(self, message: bytes) -> None:
        self._stats.sockets_dropped += 1
        mid_frame = self._network.dropped(self)
        self.end()
        self._socket.reset(message if mid_frame else None)

    def _leave(self, now_s: float, send: Callable[[], None]) -> None:
        # Timers are late by a little: whatever is still held goes first.
        self._release(now_s)
        send()

    def _hold(self, leaves_s: float, send: Callable[[], None]) -> None:
        self._held.append(_Held(leaves_s, send))
        self._set_timer()

    def _release(self, now_s: float) -> None:
        while self._held and self._held[0].leaves_s <= now_s + EARLY_S:
            self._held.popleft().send()
        self._set_timer()

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._held and not self._ended:
            delay_s = max(0.0, self._held[0].leaves_s - time.monotonic())
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(delay_s, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self._release(time.monotonic())

    def _set_slow(self, slow: bool) -> None:
        if slow != self._slow and not self._ended:
            self._slow = slow
            self._network.reader_changed(slow=slow)

    def _set_reading(self, reads: bool, now_s: float) -> None:
        if reads == (self._stopped_at_s is None) or self._ended:
            return
        if self._stopped_at_s is None:
            self._stopped_at_s = now_s
            self._socket.pause_reading()
        else:
            self._stats.reader_stopped_ms += (now_s - self._stopped_at_s) * 1000
            self._stopped_at_s = None
            self._socket.resume_reading()
