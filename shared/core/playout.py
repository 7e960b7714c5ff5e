"""The playout ledger: what agent audio goes to ACS when, and how much of it the caller has heard.

ACS plays what it gets at once, in real time, and tells nothing back, so the position is our own book-keeping.
Audio is sent as it comes while less than `lead_ms` of it lies unplayed at ACS; past that it waits here and
goes out in chunks. So the first words leave at once, a barge-in has little to take back, and no agent that
talks faster than real time fills anybody's buffers.

No clock, no I/O: `now_us` is monotonic microseconds from the caller, never negative and never falling; audio
is counted in samples (16-bit mono). Positions are exact on this clock, whatever the rounding of milliseconds.
"""

from collections import deque
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

Pcm: TypeAlias = bytes | bytearray | memoryview

BYTES_PER_SAMPLE = 2
_SECOND_US = 1_000_000
REMEMBERED_ITEMS = 32
"""Ids of ended items that are remembered, so that audio which comes late for them is dropped; an agent has
one or two in the making."""


@dataclass(frozen=True, slots=True)
class PlayoutLimits:
    """How far ahead audio is sent, in what pieces, and how much may wait. Milliseconds of audio."""

    lead_ms: int = 200
    """While less than this lies unplayed at ACS, audio is sent at once."""
    chunk_ms: int = 100
    """The longest piece sent; so at most `lead_ms + chunk_ms` lie unplayed at ACS."""
    queued_ms: int = 120_000
    """The most that waits here; an item that does not fit ends where the room ends."""


class Piece(NamedTuple):
    """Audio to send now: of which item, and when the caller begins to hear it (monotonic microseconds)."""

    item_id: str
    plays_at_us: int
    pcm: bytes | bytearray


@dataclass(frozen=True, slots=True)
class Heard:
    """How much of an item the caller has heard; never more than was appended of it."""

    item_id: str
    heard_ms: int
    said_ms: int
    """All that was appended of it."""


@dataclass(slots=True, eq=False)
class _Item:
    item_id: str
    is_protected: bool = False
    said: int = 0
    heard: int = 0


@dataclass(slots=True, eq=False)
class _Chunk:
    item: _Item
    pcm: bytes | bytearray


@dataclass(slots=True, eq=False)
class _Span:
    """Samples sent and not yet all heard: they play from the `first` sample after `anchor_us` on."""

    item: _Item
    anchor_us: int
    first: int
    samples: int


@dataclass(slots=True)
class PlayoutLosses:
    """Agent audio that was not sent, in samples, and why."""

    overflowed_items: int = 0
    """Items that ended early because the queue was full."""
    overflow_samples: int = 0
    late_samples: int = 0
    """Audio for an item that had already been cut, or had overflowed."""
    cut_samples: int = 0
    """Audio that was still waiting when the agent was interrupted."""


@dataclass(slots=True)
class PlayoutLedger:
    """The agent's audio of one call.

    An item is a stretch of speech that an agent names, so that it can be told how much of it was heard; its
    audio comes in one run. An id used again after another item, or after a cut, is a new item or late audio.

    Args:
        rate_hz: Samples a second.
        limits: See `PlayoutLimits`.
        playout_delay_ms: What lies between sending audio and hearing it, beyond ACS's queue.
    """

    rate_hz: int
    limits: PlayoutLimits = field(default_factory=PlayoutLimits)
    playout_delay_ms: int = 0
    losses: PlayoutLosses = field(default_factory=PlayoutLosses, init=False)
    _queue: deque[_Chunk] = field(default_factory=deque, init=False)
    _queued: int = field(default=0, init=False)
    _latest: _Item | None = field(default=None, init=False)
    _over: deque[str] = field(default_factory=lambda: deque(maxlen=REMEMBERED_ITEMS), init=False)
    _spans: deque[_Span] = field(default_factory=deque, init=False)
    _anchor_us: int = field(default=0, init=False)
    _run: int = field(default=0, init=False)
    """Samples sent since `_anchor_us` without the caller's end running dry."""
    _end_us: int = field(default=0, init=False)
    """When ACS will have played all that was sent."""
    _heard_item: _Item | None = field(default=None, init=False)
    _chunk_bytes: int = field(default=0, init=False)
    _lead_us: int = field(default=0, init=False)
    _delay_us: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self._chunk_bytes = self._samples(self.limits.chunk_ms) * BYTES_PER_SAMPLE
        self._lead_us = self.limits.lead_ms * 1000
        self._delay_us = self.playout_delay_ms * 1000

    @property
    def is_pending(self) -> bool:
        """Whether audio waits to be sent."""
        return bool(self._queue)

    def append(self, item_id: str, pcm: Pcm, *, protected: bool = False) -> None:
        """Add audio of an item; `due` tells what of it to send now.

        Args:
            item_id: The item. Audio of an item that was cut, or did not fit, is dropped and counted.
            pcm: Whole samples; copied unless it is `bytes` of at most one chunk.
            protected: Whether the item is to be heard whole, whatever is cut behind it.

        Raises:
            ValueError: `pcm` ends within a sample.
        """
        samples, odd = divmod(len(pcm), BYTES_PER_SAMPLE)
        if odd:
            raise ValueError("audio must be whole 16-bit samples")
        if not samples:
            return
        item = self._latest
        if item is None or item.item_id != item_id:
            if item_id in self._over:
                self.losses.late_samples += samples
                return
            self._latest = item = _Item(item_id, protected)
        room = self._samples(self.limits.queued_ms) - self._queued
        if samples > room:
            self._overflow(item, samples - room)
            samples = room
            pcm = memoryview(pcm)[: room * BYTES_PER_SAMPLE]
        self._queued += samples
        item.said += samples
        self._enqueue(item, pcm)

    def pass_on(self, item_id: str, pcm: bytes, now_us: int) -> int | None:
        """Do `append` and `due` in one for audio that goes on in real time; None: it is for those two.

        A short cut, and the one that most audio takes: the item goes on, nothing waits, and there is room at ACS.

        Returns:
            When the caller begins to hear it, as in `Piece`; it is to be sent now.
        """
        item, size = self._latest, len(pcm)
        if (
            item is None
            or item.item_id != item_id
            or self._queue
            or not 0 < size <= self._chunk_bytes
            or size % BYTES_PER_SAMPLE
        ):
            return None
        samples, end_us = size // BYTES_PER_SAMPLE, self._end_us
        if end_us <= now_us:
            # The caller's end ran dry: a new run begins now.
            item.said += samples
            self._settle(now_us)
            self._send(item, samples, now_us)
            return now_us + self._delay_us
        span = self._spans[-1]  # there is one: its audio is not over yet
        if end_us - now_us >= self._lead_us or span.item is not item:
            return None
        item.said += samples
        span.samples += samples
        self._run += samples
        self._end_us = self._anchor_us - (-self._run * _SECOND_US // self.rate_hz)
        return end_us + self._delay_us

    def due(self, now_us: int) -> list[Piece]:
        """Return the pieces to send now, oldest first; they count as sent."""
        self._settle(now_us)
        out: list[Piece] = []
        while self._queue and self._end_us - now_us < self._lead_us:
            chunk = self._queue.popleft()
            samples = len(chunk.pcm) // BYTES_PER_SAMPLE
            self._queued -= samples
            out.append(Piece(chunk.item.item_id, max(self._end_us, now_us) + self._delay_us, chunk.pcm))
            self._send(chunk.item, samples, now_us)
        return out

    def heard(self, now_us: int) -> Heard | None:
        """Return how far the caller is: in the item that is playing, or else the last one that played."""
        self._settle(now_us)
        if self._spans:
            span = self._spans[0]
            played = self._played(span, now_us)
            if played > 0:
                return self._position(span.item, span.item.heard + played)
        return None if self._heard_item is None else self._position(self._heard_item, self._heard_item.heard)

    def is_protected(self, now_us: int) -> bool:
        """Whether what is to be heard whole is still to be heard: then StopAudio must not be sent."""
        self._settle(now_us)
        return any(span.item.is_protected for span in self._spans) or any(
            chunk.item.is_protected for chunk in self._queue
        )

    def clear(self, now_us: int) -> tuple[Heard, ...]:
        """Forget all that was not heard (the caller of this sends StopAudio), and end the items that it cuts.

        Where something protected is still to be heard, only what was not sent yet is forgotten.

        Returns:
            The cut items, oldest first, each with what was heard of it (or will be, where it is not stopped): those
            with unheard audio, and the latest, of which more may have been on its way.
        """
        if self.is_protected(now_us):
            return self._clear_queue()
        if self._spans:
            span = self._spans[0]
            played = self._played(span, now_us)
            if played > 0:
                span.item.heard += played
                self._heard_item = span.item
        cut = [span.item for span in self._spans] + [chunk.item for chunk in self._queue]
        self._spans.clear()
        self._queue.clear()
        self.losses.cut_samples += self._queued
        self._queued = 0
        self._end_us = now_us
        return self._over_with(cut)

    def _clear_queue(self) -> tuple[Heard, ...]:
        """Forget what waits and may be forgotten; what was sent before it plays on."""
        waiting = [chunk for chunk in self._queue if not chunk.item.is_protected]
        self._queue = deque(chunk for chunk in self._queue if chunk.item.is_protected)
        lost = sum(len(chunk.pcm) for chunk in waiting) // BYTES_PER_SAMPLE
        self._queued -= lost
        self.losses.cut_samples += lost
        return self._over_with([chunk.item for chunk in waiting])

    def _over_with(self, cut: list[_Item]) -> tuple[Heard, ...]:
        """End these items and the latest, and tell what is heard of each."""
        if self._latest is not None and not self._latest.is_protected:
            cut.append(self._latest)
        self._latest = None
        items = list(dict.fromkeys(cut))
        self._over.extend(item.item_id for item in items)
        playing = {item: item.heard for item in items}
        for span in self._spans:
            if span.item in playing:
                playing[span.item] += span.samples
        return tuple(self._position(item, samples) for item, samples in playing.items())

    def remaining_us(self, now_us: int) -> int:
        """Return how long it takes until all audio, the waiting too, has been heard; 0 if it has."""
        self._settle(now_us)
        if not self._queue and not self._spans:
            return 0
        end_us = max(self._end_us, now_us) + self._duration_us(self._queued)
        return end_us + self._delay_us - now_us

    def drained(self, now_us: int) -> bool:
        """Whether all audio has been sent and heard."""
        return self.remaining_us(now_us) == 0

    def _enqueue(self, item: _Item, pcm: Pcm) -> None:
        """Queue `pcm` in chunks; the item's last one is filled up first, so tiny pieces cost no memory."""
        size, whole = len(pcm), self._chunk_bytes
        last = self._queue[-1] if self._queue else None
        at = 0
        if last is not None and last.item is item and len(last.pcm) < whole:
            at = min(size, whole - len(last.pcm))
            if not isinstance(last.pcm, bytearray):
                last.pcm = bytearray(last.pcm)
            last.pcm += memoryview(pcm)[:at]
        elif 0 < size <= whole:
            self._queue.append(_Chunk(item, bytes(pcm)))
            return
        while at < size:
            self._queue.append(_Chunk(item, bytes(memoryview(pcm)[at : at + whole])))
            at += whole

    def _overflow(self, item: _Item, lost: int) -> None:
        self.losses.overflowed_items += 1
        self.losses.overflow_samples += lost
        self._over.append(item.item_id)
        self._latest = None

    def _send(self, item: _Item, samples: int, now_us: int) -> None:
        if self._end_us <= now_us:
            self._anchor_us, self._run = now_us, 0
        last = self._spans[-1] if self._spans else None
        if (
            last is not None
            and last.item is item
            and last.anchor_us == self._anchor_us
            and last.first + last.samples == self._run
        ):
            last.samples += samples
        else:
            self._spans.append(_Span(item, self._anchor_us, self._run, samples))
        self._run += samples
        self._end_us = self._anchor_us + self._duration_us(self._run)

    def _settle(self, now_us: int) -> None:
        """Book what has been heard in whole spans, so that only the few that are playing are kept."""
        spans = self._spans
        while spans and self._played(spans[0], now_us) >= spans[0].samples:
            span = spans.popleft()
            span.item.heard += span.samples
            self._heard_item = span.item

    def _played(self, span: _Span, now_us: int) -> int:
        """Samples of `span` heard by now; more than it has, or negative, outside its time."""
        elapsed_us = now_us - self._delay_us - span.anchor_us
        return elapsed_us * self.rate_hz // _SECOND_US - span.first

    def _position(self, item: _Item, samples: int) -> Heard:
        return Heard(item.item_id, samples * 1000 // self.rate_hz, item.said * 1000 // self.rate_hz)

    def _samples(self, ms: int) -> int:
        return ms * self.rate_hz // 1000

    def _duration_us(self, samples: int) -> int:
        return -(-samples * _SECOND_US // self.rate_hz)
