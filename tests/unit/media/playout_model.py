"""A playout ledger that is slow and obviously right: an entry a sample, and time as fractions."""

from fractions import Fraction
from math import ceil

from shared.core.playout import REMEMBERED_ITEMS, PlayoutLimits


class ModelLedger:
    def __init__(self, rate_hz, limits=None, playout_delay_ms=0):
        self.rate = rate_hz
        self.limits = limits or PlayoutLimits()
        self.delay_us = playout_delay_ms * 1000
        self.queue = []  # (item number, sample value), one a sample
        self.sent = []  # (item number, microsecond at which the caller has heard the sample), never forgotten
        self.names = []  # by item number
        self.latest = None
        self.over = []
        self.end = Fraction(0)
        self.lost = {"overflow": 0, "late": 0, "cut": 0}

    def append(self, name, pcm):
        samples = [bytes(pcm[at : at + 2]) for at in range(0, len(pcm), 2)]
        if not samples:
            return
        if self.latest is None or self.names[self.latest] != name:
            if name in self.over[-REMEMBERED_ITEMS:]:
                self.lost["late"] += len(samples)
                return
            self.names.append(name)
            self.latest = len(self.names) - 1
        item = self.latest
        room = self.limits.queued_ms * self.rate // 1000 - len(self.queue)
        if len(samples) > room:
            self.lost["overflow"] += len(samples) - room
            self.over.append(name)
            self.latest = None
        self.queue += [(item, sample) for sample in samples[:room]]

    def due(self, now):
        chunk = self.limits.chunk_ms * self.rate // 1000
        pieces = []
        while self.queue and ceil(self.end) - now < self.limits.lead_ms * 1000:
            piece = []
            while self.queue and len(piece) < chunk and (not piece or self.queue[0][0] == piece[0][0]):
                piece.append(self.queue.pop(0))
            plays_at = max(ceil(self.end), now) + self.delay_us
            for item, _ in piece:
                self.end = max(self.end, Fraction(now)) + Fraction(1_000_000, self.rate)
                self.sent.append((item, self.end + self.delay_us))
            name = self.names[piece[0][0]]
            pieces.append((name, plays_at, b"".join(sample for _, sample in piece)))
        return pieces

    def heard_samples(self, item, now):
        return sum(1 for owner, at in self.sent if owner == item and at <= now)

    def heard(self, now):
        last = [item for item, at in self.sent if at <= now]
        return (self.names[last[-1]], self._ms(last[-1], now)) if last else None

    def clear(self, now):
        unheard = [item for item, at in self.sent if at > now] + [item for item, _ in self.queue]
        cut = list(dict.fromkeys(unheard + ([] if self.latest is None else [self.latest])))
        self.over += [self.names[item] for item in cut]
        self.lost["cut"] += len(self.queue)
        self.queue = []
        self.sent = [(item, at) for item, at in self.sent if at <= now]
        self.latest = None
        self.end = Fraction(now)
        return [(self.names[item], self._ms(item, now)) for item in cut]

    def remaining(self, now):
        if not self.queue and all(at <= now for _, at in self.sent):
            return 0
        playing = max(self.end, Fraction(now)) + Fraction(len(self.queue) * 1_000_000, self.rate)
        return playing + self.delay_us - now

    def _ms(self, item, now):
        return self.heard_samples(item, now) * 1000 // self.rate
