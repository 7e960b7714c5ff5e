"""What all calls of this process share."""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from media_gateway.agents.contract import Agent
from media_gateway.outside import CallActions, CallRows
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
    clock: Callable[[], float] = time.time
    """Unix seconds."""
    counters: Counter[str] = field(default_factory=Counter)
    """What happened since the start, by name; shown by `/readyz`."""
