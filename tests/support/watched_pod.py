"""A media gateway that says each second what it holds: `python -m tests.support.watched_pod`.

Its lines are `{"watched": {"tasks": 12, "files": 30, "rss_kb": 70000}}`, among those of its log.
"""

import asyncio
import json
import os
import sys
from pathlib import Path

import media_gateway.__main__ as gateway
from media_gateway.runtime import serve
from shared.config import MediaSettings

EVERY_S = 1.0


def _held() -> dict[str, int]:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return {
        "tasks": len(asyncio.all_tasks()),
        "files": len(list(Path("/proc/self/fd").iterdir())),
        "rss_kb": pages * os.sysconf("SC_PAGE_SIZE") // 1024,
    }


async def _say() -> None:
    while True:
        await asyncio.sleep(EVERY_S)
        print(json.dumps({"watched": _held()}), flush=True)


async def _serve_and_say(settings: MediaSettings) -> None:
    saying = asyncio.create_task(_say())
    try:
        await serve(settings)
    finally:
        saying.cancel()


if __name__ == "__main__":
    gateway.serve = _serve_and_say
    sys.exit(gateway.main())
