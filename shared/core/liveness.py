"""Which pods are dead, by what one process sees of their heartbeats.

A beat says when it was by its pod's clock, and clocks differ; so it is never compared with ours. What counts is for
how long the same beat was seen, in reads that followed one another without a break. While the store does not answer
nothing is seen, and nobody is dead for it: the pods cannot beat either.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

DEAD_AFTER_S = 3.0
"""Pods beat every second; one that misses three lets its callers wait."""


@dataclass(frozen=True, slots=True)
class SeenPods:
    """What reads in a row have shown. Times are seconds of one clock that never goes back."""

    dead_after_s: float = DEAD_AFTER_S
    since: float = math.inf
    """When the first of the reads was answered."""
    asked_at: float = -math.inf
    """When the last of them was asked for."""
    beats: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """By pod: its last beat, and when the read that first showed it was answered."""

    def read(self, beats: Mapping[str, float], *, asked_at: float, answered_at: float) -> "SeenPods":
        """Return what has been seen after one more read of all pods' beats.

        After a gap, in which the store was away or this process was not running, all of it begins anew.
        """
        known = self if self._is_recent(asked_at) else SeenPods(self.dead_after_s, since=answered_at)
        seen = {
            name: found if (found := known.beats.get(name)) and found[0] == beat else (beat, answered_at)
            for name, beat in beats.items()
        }
        return replace(known, asked_at=asked_at, beats=seen)

    def is_dead(self, name: str, now: float) -> bool:
        """Whether a pod is known to beat no more.

        One that is not in the table has left it in order, or was taken out of it as dead; it never had a call before
        its first beat. A beat that cannot be read (infinite) may be a live pod's.
        """
        if not self._is_recent(now):
            return False
        beat, seen_at = self.beats.get(name, (0.0, self.since))
        return beat != math.inf and self.asked_at - seen_at >= self.dead_after_s

    def dead(self, now: float) -> frozenset[str]:
        """Return the dead pods that are still in the table."""
        return frozenset(name for name in self.beats if self.is_dead(name, now))

    def _is_recent(self, now: float) -> bool:
        return now - self.asked_at < self.dead_after_s
