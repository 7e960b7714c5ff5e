"""When each frame of an impaired socket leaves, and when the socket is cut or read. Pure: time is an argument, seconds.

All draws come from generators of their own, one number a frame whatever became of it: what happens to frame n is a
matter of the seed, the call and n alone, and switching one kind of trouble on changes nothing about another.
"""

import random
from dataclasses import dataclass
from typing import Final

from emulator.media.impairment import Impairment, Jitter, Loss, SlowReader

READ_SLACK_S: Final = 0.02
"""How far a slow reader may be ahead of its rate: one tick of the line."""


@dataclass(frozen=True, slots=True)
class Fate:
    """What becomes of one frame.

    Attributes:
        leaves_s: when it is to be sent; None when it is lost.
        cut: whether the socket is cut in its place.
    """

    leaves_s: float | None
    cut: bool = False


class Trouble:
    """The troubles of one socket.

    Args:
        impairment: what is wrong.
        key: names the socket among all sockets, the same in every run.
        since_s: from when on times are counted.
        cuts: whether this socket may be cut at all.
        not_before_s: nothing leaves earlier, since something that was sent before does not.
    """

    def __init__(
        self,
        impairment: Impairment,
        key: str,
        *,
        since_s: float,
        cuts: bool = True,
        not_before_s: float = float("-inf"),
    ) -> None:
        seed = f"{impairment.seed}/{key}"
        self._loss = _Bursts(impairment.loss, f"{seed}/loss") if impairment.loss is not None else None
        self._jitter = _Delays(impairment.jitter, f"{seed}/jitter") if impairment.jitter is not None else None
        self._drop = impairment.drop if cuts else None
        self._reader = (
            _Reader(impairment.slow_reader, since_s) if impairment.slow_reader is not None else None
        )
        self._since_s = since_s
        self._frames = 0
        self.last_s = not_before_s
        """When the last thing so far leaves."""

    def frame(self, now_s: float) -> Fate:
        """Decide on the next frame of the caller."""
        is_lost = self._loss is not None and self._loss.takes_next()
        delay_s = self._jitter.next_s() if self._jitter is not None else 0.0
        if self._is_cut(now_s):
            return Fate(None, cut=True)
        self._frames += 1
        if is_lost:
            return Fate(None)
        self.last_s = max(self.last_s, now_s + delay_s)
        return Fate(self.last_s)

    def message(self, now_s: float) -> float:
        """Return when a message leaves that is no frame: never lost, and behind the frames before it."""
        self.last_s = max(self.last_s, now_s)
        return self.last_s

    def is_slow(self, now_s: float) -> bool:
        """Whether the application is read slowly now."""
        return self._reader is not None and self._reader.is_slow(now_s)

    def reads(self, now_s: float) -> bool:
        """Whether what the application sends is to be read now."""
        return self._reader is None or self._reader.reads(now_s)

    def read(self, size: int, now_s: float) -> None:
        """Take note that so many bytes of the application were read."""
        if self._reader is not None:
            self._reader.read(size, now_s)

    def _is_cut(self, now_s: float) -> bool:
        if self._drop is None:
            return False
        if self._drop.after_frames is not None:
            return self._frames >= self._drop.after_frames
        return (now_s - self._since_s) * 1000 >= (self._drop.after_ms or 0.0)


class _Bursts:
    """Gilbert's model: two states, and in the bad one every frame is lost."""

    def __init__(self, loss: Loss, seed: str) -> None:
        self._random = random.Random(seed)  # noqa: S311 - meant to be predictable
        self._enter = loss.enter
        self._stay = 1 - 1 / loss.mean_frames
        self._bad = False

    def takes_next(self) -> bool:
        self._bad = self._random.random() < (self._stay if self._bad else self._enter)
        return self._bad


class _Delays:
    def __init__(self, jitter: Jitter, seed: str) -> None:
        self._random = random.Random(seed)  # noqa: S311 - meant to be predictable
        self._jitter = jitter

    def next_s(self) -> float:
        if self._jitter.delays_ms:
            return self._random.choice(self._jitter.delays_ms) / 1000
        return self._random.uniform(0, self._jitter.max_ms or 0.0) / 1000


class _Reader:
    def __init__(self, slow: SlowReader, since_s: float) -> None:
        self._from_s = since_s + slow.after_ms / 1000
        self._until_s = float("inf") if slow.for_ms is None else self._from_s + slow.for_ms / 1000
        self._bytes_per_second = slow.bytes_per_second
        self._paid_s = self._from_s
        """When a reader of this rate would have read what was read so far."""

    def is_slow(self, now_s: float) -> bool:
        return self._from_s <= now_s < self._until_s

    def reads(self, now_s: float) -> bool:
        if not self.is_slow(now_s):
            return True
        return self._bytes_per_second > 0 and self._paid_s <= now_s + READ_SLACK_S

    def read(self, size: int, now_s: float) -> None:
        if self._bytes_per_second and self.is_slow(now_s):
            self._paid_s = max(self._paid_s, now_s) + size / self._bytes_per_second
