"""What all calls of this process share."""

import time
from asyncio import Task
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from media_gateway.agents.contract import Agent
from media_gateway.outside import CallActions, CallRows
from media_gateway.prompts import Prompts
from media_gateway.recordings import Recordings
from media_gateway.sounds import Sounds
from media_gateway.ticker import Ticker
from media_gateway.timing import Timing
from shared.core.profiles import AgentSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Pod:
    """This process, as its calls see it."""

    name: str
    rows: CallRows
    acs: CallActions
    make_agent: Callable[[AgentSettings], Agent]
    timing: Timing
    ticker: Ticker
    recordings: Recordings
    sounds: Sounds
    prompts: Prompts
    has_another: Callable[[], bool] = lambda: False
    """Whether another pod takes calls now."""
    clock: Callable[[], float] = time.time
    """Unix seconds."""
    counters: Counter[str] = field(default_factory=Counter)
    """What happened since the start, by name; shown by `/readyz`."""
    abandoned: set[Task[None]] = field(default_factory=set)
    """Tasks of adapters that were cancelled and go on all the same; held, for the loop alone does not hold them."""

    def abandon(self, tasks: Collection[Task[None]]) -> None:
        """Wait no more for the tasks of one agent, and count it."""
        self.counters["agents_abandoned"] += 1
        self.abandoned.update(tasks)
        for task in tasks:
            task.add_done_callback(self._forget)

    def _forget(self, task: Task[None]) -> None:
        self.abandoned.discard(task)
        if not task.cancelled():
            task.exception()  # looked at, so that asyncio does not log it with all it says
