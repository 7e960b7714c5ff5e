"""The Functions host, which notes how long the parts of an IVR's step take:

    python -m bench.timed_host FILE --root ... --port ...

At its end it writes a JSON object: for each part the milliseconds of each time, waiting included.
"""

import functools
import json
import os
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

from azure.data.tables.aio import TableClient

from emulator.__main__ import main
from functions import ivr as edge
from shared.adapters.call_automation import CallControl
from shared.adapters.ivr_store import TableIvrStore
from shared.calls import ivr
from shared.calls.callbacks import CallbackReceiver

took_ms: dict[str, list[float]] = defaultdict(list)
leave = os._exit


def timed(part: str, owner: Any, name: str) -> None:
    """Note how long each call of a coroutine function takes."""
    call = getattr(owner, name)

    @functools.wraps(call)
    async def noting(*arguments: Any, **options: Any) -> Any:
        started = time.perf_counter()
        try:
            return await call(*arguments, **options)
        finally:
            took_ms[part].append((time.perf_counter() - started) * 1000)

    setattr(owner, name, noting)


def timed_at_once(part: str, owner: Any, name: str) -> None:
    """Note how long each call of a plain function takes."""
    call = getattr(owner, name)

    @functools.wraps(call)
    def noting(*arguments: Any, **options: Any) -> Any:
        started = time.perf_counter()
        try:
            return call(*arguments, **options)
        finally:
            took_ms[part].append((time.perf_counter() - started) * 1000)

    setattr(owner, name, noting)


def write_and_leave(code: int) -> None:
    """Write what was noted; the host leaves without running any hook."""
    Path(sys.argv[1]).write_text(json.dumps(took_ms))
    leave(code)


if __name__ == "__main__":
    os._exit = write_and_leave  # type: ignore[assignment]
    timed("the whole callback", edge, "take_callback")
    timed("both tokens", CallbackReceiver, "authorize")
    timed("reading the row", TableIvrStore, "read")
    timed_at_once("the interpreter", ivr, "after")
    timed("a write of the row", TableClient, "update_entity")
    timed("ACS's request and reply", CallControl, "recognize")
    main(["functions", *sys.argv[2:]])
