"""How near this process is to failing its calls: how late it does what is due, as a share of how late it may be.

One number for whatever takes the loop's time, too many calls or a neighbour on the machine. Unlike the use of the
CPU it says what callers notice: audio is sent in time, or it is not.
"""

import asyncio
import logging
from collections import Counter, deque

from media_gateway.ticker import monotonic_us
from media_gateway.timing import Timing

logger = logging.getLogger(__name__)

SATURATED_SHARE = 0.85
"""From here on no new call is sent here, so that those in progress keep what is left."""
FULL_SHARE = 1.0
"""From here on callers hear gaps, and a call that comes all the same is refused: ACS may reach another pod."""
MAX_SAMPLES = 512
"""Of a window, of one kind: at the steps of `Timing` there are 100. Past it the oldest goes first."""


class Saturation:
    """The share, from how late timers were. It rises at once, and falls when all has been well for a window.

    One stall, of a garbage collection or an import, is no lack of room: so of every window a little time is
    forgiven, its latest.

    Args:
        allowed_us: How late a timer may be before callers hear it.
        step_us: Between two samples of a kind that are in time.
        window_us: For how long a sample counts.
        forgiven_us: Of the window.
    """

    def __init__(self, *, allowed_us: int, step_us: int, window_us: int, forgiven_us: int) -> None:
        self._allowed_us = allowed_us
        self._step_us = step_us
        self._window_us = window_us
        self._forgiven_us = forgiven_us
        # Apart, or one stall, which makes both late, would count twice.
        self._lags: _Samples = deque(maxlen=MAX_SAMPLES)
        self._ticks: _Samples = deque(maxlen=MAX_SAMPLES)

    def lag(self, late_us: int, now_us: int) -> None:
        """Take how late the event loop called somebody."""
        self._lags.append((now_us, late_us))

    def playout_late(self, late_us: int, now_us: int) -> None:
        """Take how late the playout ticker had sent what was due, of all calls."""
        self._ticks.append((now_us, late_us))

    def share(self, now_us: int) -> float:
        """Return how late timers were for longer than is forgiven, as a share of what is allowed."""
        late_us = max(self._sustained_us(samples, now_us) for samples in (self._lags, self._ticks))
        return late_us / self._allowed_us

    def _sustained_us(self, samples: "_Samples", now_us: int) -> int:
        while samples and samples[0][0] <= now_us - self._window_us:
            samples.popleft()
        left_us = self._forgiven_us
        for late_us in sorted((late_us for _, late_us in samples), reverse=True):
            # A sample stands for the time since the one before it, so that a loop that hardly runs counts whole.
            left_us -= late_us + self._step_us
            if left_us < 0:
                return max(0, late_us)
        return 0


_Samples = deque[tuple[int, int]]
"""When, and how late."""


class LoadWatch:
    """Measures the event loop's lag by a timer of its own, between `start` and `close`.

    Args:
        timing: What begins with `lag_`.
        counters: `saturations` counts how often the process had no room for lack of time.
    """

    def __init__(self, timing: Timing, counters: Counter[str]) -> None:
        self.saturation = Saturation(
            allowed_us=_us(timing.lag_allowed_s),
            step_us=_us(timing.lag_step_s),
            window_us=_us(timing.lag_window_s),
            forgiven_us=_us(timing.lag_forgiven_s),
        )
        self.share = 0.0
        """As of the last step: 1.0 is all that is allowed."""
        self._step_s = timing.lag_step_s
        self._counters = counters
        self._due_us = 0
        self._timer: asyncio.TimerHandle | None = None

    @property
    def is_saturated(self) -> bool:
        """Whether no new call should be sent here."""
        return self.share >= SATURATED_SHARE

    @property
    def is_full(self) -> bool:
        """Whether a new call is refused."""
        return self.share >= FULL_SHARE

    @property
    def percent(self) -> int:
        """The share as people read it."""
        return int(self.share * 100)

    def start(self) -> None:
        """Measure from now on."""
        self._set(monotonic_us())

    def close(self) -> None:
        """Measure no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _set(self, now_us: int) -> None:
        self._due_us = now_us + _us(self._step_s)
        self._timer = asyncio.get_running_loop().call_later(self._step_s, self._measure)

    def _measure(self) -> None:
        now_us = monotonic_us()
        self.saturation.lag(now_us - self._due_us, now_us)
        was_saturated = self.is_saturated
        self.share = self.saturation.share(now_us)
        if self.is_saturated and not was_saturated:
            self._counters["saturations"] += 1
            logger.warning(
                "the process is late, and takes no more calls", extra={"load_percent": self.percent}
            )
        elif was_saturated and not self.is_saturated:
            logger.info("the process is in time again")
        self._set(now_us)


def _us(seconds: float) -> int:
    return round(seconds * 1_000_000)
