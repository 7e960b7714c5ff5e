"""Times as the services write them: UTC with seven fractional digits."""

import time

TICKS_PER_SECOND = 10_000_000
NANOSECONDS_PER_TICK = 100


def event_grid_time() -> str:
    """Now, as Event Grid writes it: `2026-11-20T17:40:52.2415391Z`."""
    return _now() + "Z"


def callback_time() -> str:
    """Now, as Call Automation callbacks write it: `2026-11-20T17:40:54.8174402+00:00`."""
    return _now() + "+00:00"


def _now() -> str:
    seconds, ticks = divmod(time.time_ns() // NANOSECONDS_PER_TICK, TICKS_PER_SECOND)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{ticks:07d}"
