"""`python -m media_gateway`: settings from the environment, until SIGTERM or SIGINT."""

import asyncio
import logging
import os
import sys

import uvloop

from media_gateway.logs import set_up_logs
from media_gateway.runtime import serve
from shared.config import MediaSettings, SettingsInvalid, media_settings

logger = logging.getLogger(__name__)

LEAVE_S = 1.0
"""For what an agent left running to be cancelled, at the very end."""


async def _serve_and_leave(settings: MediaSettings) -> None:
    """Serve, and then end the process even where a task will not be cancelled: the loop would wait for it for ever."""
    await serve(settings)
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    _, stuck = await asyncio.wait(left, timeout=LEAVE_S) if left else ((), ())
    if stuck:
        logger.error("tasks that cannot be cancelled were left", extra={"tasks": len(stuck)})
        logging.shutdown()
        os._exit(0)


def main() -> int:
    """Run the media gateway and return its exit code."""
    try:
        settings = media_settings()
        set_up_logs(settings.log_level)
        uvloop.run(_serve_and_leave(settings))
    except SettingsInvalid as invalid:
        for fault in invalid.faults:
            print(f"media_gateway: {fault}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"media_gateway: cannot listen on {settings.host}:{settings.port}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
